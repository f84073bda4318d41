//! The commit that broke it, by git.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use clap::Args;
use tempfile::TempDir;

use super::{child, interruption, print, usage};
use crate::exit::ExitCode;
use crate::stop::Stop;
use crate::subject::Subject;
use crate::tape::TapeFile;

/// Finds the commit from which on a tape fails.
///
/// Works on a copy of the repository's work tree, so that yours stays as it is. At each step the program is built there and plays the
/// tape. A commit that cannot be built, or whose program does not understand the tape, is skipped. Exit code 0 says that a commit was
/// found, 2 that none was. Ctrl-C ends the build and takes the copy away.
#[derive(Debug, Args)]
pub(super) struct BisectArguments {
    /// A tape that fails now.
    #[arg(value_name = "TAPE")]
    tape: PathBuf,
    /// A commit at which it does not fail.
    #[arg(long, value_name = "REV")]
    good: String,
    /// A commit at which it fails.
    #[arg(long, value_name = "REV", default_value = "HEAD")]
    bad: String,
    /// What builds the program, for a shell in the root of the repository.
    #[arg(long, value_name = "COMMAND")]
    build: Option<String>,
    /// The program that this makes, from the root of the repository.
    #[arg(long, value_name = "PATH")]
    program: Option<String>,
}

pub(super) const EXAMPLES: &str = "\
Examples:
  PROGRAM bisect durability_2a.tape --good v1.2
  PROGRAM bisect durability_2a.tape --good 3f2a9c1 --build 'make store-tester' --program build/store-tester

What plays the tape at each step fits `git bisect run`: 0 for good, 1 for bad, 125 for a commit to skip.";

/// What plays the tape at a commit: good, bad, or skipped. Where another oracle fires first, it is not known whether the failure is there.
/// A line on stderr says which, for a build takes minutes.
const STEP: &str = r#"verdict() {
    git --no-pager show --no-patch --format="$2 %h %s$3" >&2
    exit "$1"
}
sh -c "$BUILD" >/dev/null 2>&1 || verdict 125 skipped " (cannot be built)"
said=$("$PROGRAM" replay --json "$TAPE" 2>/dev/null)
case $? in 0) verdict 0 "good   " ;; 10 | 11 | 12) ;; *) verdict 125 skipped " (does not play the tape)" ;; esac
case $said in *"\"oracle\": \"$ORACLE"*) verdict 1 "bad    " ;; *) verdict 125 skipped " (another oracle fires)" ;; esac"#;

pub(super) fn run<S: Subject>(arguments: &BisectArguments) -> ExitCode {
    let stop = interruption(S::PROGRAM);
    match bisect::<S>(arguments, &stop) {
        Ok(found) => {
            print(&found);
            ExitCode::Ok
        }
        // At a terminal Ctrl-C ends git, too, and that is no problem of git's.
        Err(_) if stop.is_told() => usage(S::PROGRAM, "interrupted"),
        Err(problem) => usage(S::PROGRAM, &problem),
    }
}

fn git(folder: &Path, arguments: &[&str]) -> Result<String, String> {
    let output = Command::new("git").arg("-C").arg(folder).args(arguments).stdin(Stdio::null()).output();
    let output = output.map_err(|error| format!("git cannot be run ({error}); install it"))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    match output.status.success() {
        true => Ok(text(&output.stdout)),
        false => {
            let said = text(&output.stderr);
            Err(format!("git {}: {}", arguments.join(" "), said.lines().next().unwrap_or("it failed")))
        }
    }
}

fn bisect<S: Subject>(arguments: &BisectArguments, stop: &Stop) -> Result<String, String> {
    let tape = &arguments.tape;
    let read = TapeFile::read(tape).and_then(|file| file.of_system(S::NAME));
    read.map_err(|error| format!("{} {error}", tape.display()))?;
    let tape = std::fs::canonicalize(tape).map_err(|error| format!("{}: {error}", tape.display()))?;
    let root = PathBuf::from(git(Path::new("."), &["rev-parse", "--show-toplevel"])?);
    let commit = |flag: &str, revision: &str| {
        let found = git(&root, &["rev-parse", "--verify", "--quiet", &format!("{revision}^{{commit}}")]);
        found.map_err(|_| format!("{flag} {revision}: there is no such commit; name one of this repository"))
    };
    let (good, bad) = (commit("--good", &arguments.good)?, commit("--bad", &arguments.bad)?);
    let (build, program) = built_by::<S>(arguments);
    let (copy, oracle) = (Copy::of(&root, &bad)?, String::new());
    let mut search = Search { copy, build, program, tape, oracle, stop };
    let between = git(&root, &["rev-list", "--count", &format!("{good}..{bad}")])?;
    // Both ends, and each step halves what is left.
    let builds = between.parse::<u32>().map_or(2, |commits| commits.next_power_of_two().ilog2() + 2);
    eprintln!("{between} commits, some {builds} builds");
    search.ends(&good, &bad)?;
    search.between(&good, &bad)
}

/// Builds commits in a work tree of its own and plays the tape at each.
struct Search<'a> {
    copy: Copy,
    build: String,
    program: String,
    tape: PathBuf,
    /// What fires at the bad end, and the quote that ends it in JSON: another oracle's name may begin like it.
    oracle: String,
    stop: &'a Stop,
}

impl Search<'_> {
    /// A command that knows what [`STEP`] asks for.
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.current_dir(&self.copy.path).stdin(Stdio::null()).env("ORACLE", &self.oracle);
        command.env("BUILD", &self.build).env("PROGRAM", &self.program).env("TAPE", &self.tape);
        command
    }

    /// git believes what it is told of both ends. A tape that fails at neither, or at both, would lead to any commit.
    fn ends(&mut self, good: &str, bad: &str) -> Result<(), String> {
        let ends = [
            ("--bad", bad, 1, "the tape does not fail there"),
            ("--good", good, 0, "the tape fails there, too"),
        ];
        for (flag, revision, expected, wrong) in ends {
            git(&self.copy.path, &["checkout", "--quiet", "--detach", revision])?;
            let step = child::status(self.command("sh").args(["-c", STEP]), self.stop)?;
            match step.code() {
                Some(code) if code == expected && expected == 1 => {
                    self.oracle =
                        oracle_of(&self.copy.path.join(&self.program), &self.tape, self.stop)? + "\"";
                }
                Some(code) if code == expected => {}
                Some(0 | 1) => return Err(format!("{flag} {revision}: {wrong}; name another commit")),
                _ => {
                    let (build, program) = (&self.build, &self.program);
                    return Err(format!(
                        "{flag} {revision}: '{build}' fails there, or '{program}' does not play the tape, or another oracle fires; give --build and --program, or another commit"
                    ));
                }
            }
        }
        Ok(())
    }

    /// The first bad commit, as a person reads it.
    fn between(&self, good: &str, bad: &str) -> Result<String, String> {
        git(&self.copy.path, &["bisect", "start", bad, good])?;
        let mut run = self.command("git");
        let told = child::stdout(run.args(["bisect", "run", "sh", "-c", STEP]), self.stop)?;
        let first = told.lines().find(|line| {
            line.ends_with("is the first bad commit") || line.ends_with("is the first 'bad' commit")
        });
        let Some(first) = first.and_then(|line| line.split(' ').next()) else {
            let last = told.lines().last().unwrap_or("nothing was said");
            return Err(format!("git bisect found no single commit: {last}"));
        };
        let format = "--format=first bad commit  %H%nauthor            %an, %ad%nsubject           %s";
        git(&self.copy.path, &["show", "--no-patch", format, first]).map(|text| text + "\n")
    }
}

/// The oracle that fires when `program` plays `tape`.
fn oracle_of(program: &Path, tape: &Path, stop: &Stop) -> Result<String, String> {
    let mut replay = Command::new(program);
    let said = child::stdout(replay.args(["replay", "--json"]).arg(tape).stdin(Stdio::null()), stop);
    let said = said.map_err(|error| format!("{}: {error}", program.display()))?;
    let document: Option<serde_json::Value> = serde_json::from_str(&said).ok();
    let oracle = document.as_ref().and_then(|document| document["violation"]["oracle"].as_str());
    oracle.map(str::to_owned).ok_or_else(|| {
        format!(
            "{}: it does not say which oracle fires; use a commit whose `replay --json` does",
            program.display()
        )
    })
}

/// What builds the program, and the program.
fn built_by<S: Subject>(arguments: &BisectArguments) -> (String, String) {
    let build = format!("cargo build --quiet --profile stress --package {}", S::PROGRAM);
    let program = format!("target/stress/{}", S::PROGRAM);
    let program = arguments.program.clone().unwrap_or(program);
    // A path without a folder would be looked for on PATH.
    let program = if program.contains('/') { program } else { format!("./{program}") };
    (arguments.build.clone().unwrap_or(build), program)
}

/// A work tree of its own, which goes when this goes.
struct Copy {
    root: PathBuf,
    path: PathBuf,
    _folder: TempDir,
}

impl Copy {
    fn of(root: &Path, revision: &str) -> Result<Copy, String> {
        let folder =
            tempfile::tempdir().map_err(|error| format!("no folder for a work tree ({error}); make room"))?;
        let path = folder.path().join("tree");
        git(root, &["worktree", "add", "--quiet", "--detach", &path.to_string_lossy(), revision])?;
        Ok(Copy { root: root.to_owned(), path, _folder: folder })
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        // What stays behind `git worktree prune` takes away.
        let _ = git(&self.root, &["worktree", "remove", "--force", &self.path.to_string_lossy()]);
    }
}
