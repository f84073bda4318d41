//! The other build: an earlier revision of the runtime, with the rows of today.
//!
//! The rows are taken from the working tree, so that the two builds differ in what is measured and not in how. Sources are
//! laid out with `git archive`, in the folder `tenterhook-against` of the build's target folder.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Why there is no other build.
#[derive(Debug)]
pub(super) struct NoRevision {
    pub(super) line: String,
    /// Whether the request itself is wrong.
    pub(super) usage: bool,
}

impl NoRevision {
    fn usage(line: impl Into<String>) -> Self {
        Self { line: line.into(), usage: true }
    }

    pub(super) fn failed(line: impl Into<String>) -> Self {
        Self { line: line.into(), usage: false }
    }
}

impl fmt::Display for NoRevision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.line)
    }
}

/// A build of a revision.
pub(super) struct Revision {
    /// Its commit, shortened.
    pub(super) commit: String,
    pub(super) program: PathBuf,
}

/// Parts of the working tree that replace the revision's: the rows, and the versions of the peers.
const OF_TODAY: [&str; 2] = ["compare", "Cargo.lock"];

impl Revision {
    /// Lays the revision out and builds it. The first build takes minutes; peers are built once for all revisions.
    pub(super) fn build(revision: &str) -> Result<Self, NoRevision> {
        let root = git(Path::new("."), &["rev-parse", "--show-toplevel"]).map_err(|error| {
            NoRevision::usage(format!("--against needs the project's repository as working folder: {error}"))
        })?;
        let root = PathBuf::from(root);
        if !root.join("compare/Cargo.toml").is_file() {
            let root = root.display();
            return Err(NoRevision::usage(format!(
                "--against: {root} is another repository; change to the project's"
            )));
        }
        let name = format!("{revision}^{{commit}}");
        let commit =
            git(&root, &["rev-parse", "--verify", "--quiet", "--short=12", &name]).map_err(|_| {
                NoRevision::usage(format!(
                    "--against {revision:?}: no such revision; a commit, branch or tag is needed"
                ))
            })?;
        let place = target(&root).join("tenterhook-against");
        let sources = place.join(&commit);
        lay_out(&root, &commit, &sources)?;
        let program = compile(&sources, &place.join("target"), &commit)?;
        Ok(Self { commit, program })
    }
}

/// Where this program was built, if it can be told, so that a folder for builds is used for these, too.
fn target(root: &Path) -> PathBuf {
    let own = std::env::current_exe().ok();
    let folder = own.as_deref().and_then(Path::parent).and_then(Path::parent).map(Path::to_owned);
    folder.filter(|folder| folder.join("CACHEDIR.TAG").is_file()).unwrap_or_else(|| root.join("target"))
}

fn git(folder: &Path, arguments: &[&str]) -> Result<String, String> {
    let output = Command::new("git").current_dir(folder).args(arguments).output();
    let output = output.map_err(|error| format!("git: {error}"))?;
    if !output.status.success() {
        let complaint = String::from_utf8_lossy(&output.stderr);
        return Err(complaint.lines().next().unwrap_or("git failed").trim().to_owned());
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// The revision's tree with the rows of today in it.
fn lay_out(root: &Path, commit: &str, sources: &Path) -> Result<(), NoRevision> {
    let failed = |what: &str, error: &dyn fmt::Display| {
        NoRevision::failed(format!("--against: {what} in {}: {error}", sources.display()))
    };
    match std::fs::remove_dir_all(sources) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(failed("the scratch folder can't be cleared", &error));
        }
        _ => {}
    }
    std::fs::create_dir_all(sources).map_err(|error| failed("no scratch folder", &error))?;
    unpack(root, &["archive", "--format=tar", commit], sources)
        .map_err(|error| failed("no sources", &error))?;
    for part in OF_TODAY {
        let (from, to) = (root.join(part), sources.join(part));
        let _ = std::fs::remove_dir_all(&to);
        copy(&from, &to).map_err(|error| failed("today's rows can't be copied", &error))?;
    }
    Ok(())
}

/// Pipes what git writes into tar.
fn unpack(root: &Path, arguments: &[&str], into: &Path) -> Result<(), String> {
    let start = |command: &mut Command| command.spawn().map_err(|error| error.to_string());
    let mut git = start(Command::new("git").current_dir(root).args(arguments).stdout(Stdio::piped()))?;
    let archive = git.stdout.take().ok_or("git has no output")?;
    let mut tar = start(Command::new("tar").arg("-x").arg("-C").arg(into).stdin(archive))?;
    for (name, child) in [("tar", &mut tar), ("git", &mut git)] {
        let status = child.wait().map_err(|error| error.to_string())?;
        if !status.success() {
            return Err(format!("{name}: {status}"));
        }
    }
    Ok(())
}

fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    if from.is_file() {
        std::fs::copy(from, to)?;
        // As old as the original, so that cargo builds again only what has changed.
        let modified = std::fs::metadata(from)?.modified()?;
        return std::fs::File::options().append(true).open(to)?.set_modified(modified);
    }
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let name = entry?.file_name();
        if name != "target" {
            copy(&from.join(&name), &to.join(&name))?;
        }
    }
    Ok(())
}

fn compile(sources: &Path, target: &Path, commit: &str) -> Result<PathBuf, NoRevision> {
    eprintln!("tenterhook-compare: building {commit} in {}", sources.display());
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let built = Command::new(cargo)
        .current_dir(sources)
        .args(["build", "--quiet", "--release", "--package", "tenterhook-compare", "--target-dir"])
        .arg(target)
        .output()
        .map_err(|error| NoRevision::failed(format!("--against: cargo: {error}")))?;
    if !built.status.success() {
        let complaint = String::from_utf8_lossy(&built.stderr);
        let error = complaint.lines().find(|line| line.starts_with("error")).unwrap_or("cargo failed");
        return Err(NoRevision::failed(format!(
            "--against: {commit} can't be built with today's rows: {error}; a revision whose runtime has what they use \
             is needed"
        )));
    }
    // Each revision keeps its program: the next build overwrites the one in the target folder.
    let kept = sources.join("tenterhook-compare");
    std::fs::copy(target.join("release/tenterhook-compare"), &kept)
        .map_err(|error| NoRevision::failed(format!("--against: {}: {error}", kept.display())))?;
    Ok(kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complaint(revision: &str) -> NoRevision {
        Revision::build(revision).map(|built| built.commit).expect_err("no such revision")
    }

    #[test]
    fn a_revision_that_does_not_exist_is_a_wrong_request() {
        let no = complaint("no-such-branch");
        assert!(no.usage && no.line.contains("no-such-branch") && no.line.lines().count() == 1, "{no}");
    }
}
