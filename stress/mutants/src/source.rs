//! The code as it was when the run began. A run takes hours, and people go on working.

use std::fs;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::tree;

/// A copy of the workspace's tracked files that is never edited. Lanes copy from it, and keys are made of it.
pub(crate) struct Source {
    root: PathBuf,
    /// What was checked out when the copy was made.
    pub(crate) commit: String,
}

impl Source {
    /// Copies what changed since the last time from `live`, a git checkout, into the folder `state`.
    ///
    /// # Errors
    ///
    /// When `live` is no checkout, or in the way of files.
    pub(crate) fn freeze(live: &Path, state: &Path) -> io::Result<Self> {
        let commit = commit(live);
        let root = state.join("source");
        fs::create_dir_all(&root)?;
        let (live, root) = (fs::canonicalize(live)?, fs::canonicalize(root)?);
        let mut paths = tracked(&live)?;
        let state = root.parent().expect("it is in the state folder");
        // Git lists the state folder, too, if nothing tells it to ignore that.
        paths.retain(|path| !live.join(path).starts_with(state));
        tree::mirror(&live, &paths, &root)?;
        Ok(Self { root, commit })
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }
}

fn tracked(live: &Path) -> io::Result<Vec<PathBuf>> {
    // With what is new and not ignored: a change is tried out before it is committed.
    let listing =
        git(live).args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]).output()?;
    if !listing.status.success() {
        return Err(io::Error::other(String::from_utf8_lossy(&listing.stderr).trim().to_owned()));
    }
    let paths = listing.stdout.split(|byte| *byte == 0).filter(|path| !path.is_empty());
    Ok(paths.map(|path| PathBuf::from(String::from_utf8_lossy(path).into_owned())).collect())
}

fn commit(live: &Path) -> String {
    let say = |line: &str| {
        let output = git(live).args(line.split(' ')).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let changed = say("status --porcelain --untracked-files=no").is_some_and(|changes| !changes.is_empty());
    let commit = say("rev-parse --short=12 HEAD").unwrap_or_else(|| "unknown".into());
    if changed { format!("{commit} with uncommitted changes") } else { commit }
}

/// In a group of its own: what Ctrl-C ends must not look like a repository without files.
fn git(folder: &Path) -> Command {
    let mut git = Command::new("git");
    git.current_dir(folder).process_group(0);
    git
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::Tree;

    fn run(folder: &Path, line: &str) {
        assert!(git(folder).args(line.split(' ')).output().unwrap().status.success(), "git {line}");
    }

    #[test]
    fn lanes_see_the_source_as_it_was_and_the_next_run_what_changed() {
        let folder = tempfile::tempdir().unwrap();
        let live = folder.path();
        fs::create_dir(live.join("src")).unwrap();
        let edit = |name: &str, text: &str| fs::write(live.join(name), text).unwrap();
        edit("src/a.rs", "one\n");
        edit("b.rs", "same\n");
        run(live, "init -q");
        // Inside the repository, and nothing ignores it.
        let state = live.join("state");
        let source = Source::freeze(live, &state).unwrap();
        let read = |root: &Path, name: &str| fs::read_to_string(root.join(name)).ok();
        edit("src/a.rs", "two\n");
        let tree = Tree::new(source.root(), &state.join("lane-0/tree")).unwrap();
        assert_eq!(read(tree.root(), "src/a.rs").as_deref(), Some("one\n"));

        let time = |source: &Source| fs::metadata(source.root().join("b.rs")).unwrap().modified().unwrap();
        let before = time(&source);
        fs::remove_file(live.join("src/a.rs")).unwrap();
        edit("c.rs", "new\n");
        let source = Source::freeze(live, &state).unwrap();
        tree.reset().unwrap();
        for root in [source.root(), tree.root()] {
            assert_eq!((read(root, "src/a.rs"), read(root, "c.rs").as_deref()), (None, Some("new\n")));
        }
        assert_eq!(time(&source), before, "what did not change is not written again");
        assert!(!source.root().join("state").exists(), "the state is no source");
    }
}
