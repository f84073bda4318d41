//! The program from outside: two at a time, and one that is told to end.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

const PATCH: &str = "Mutant: pager-x\nBreaks: it\nSource: S\nBug: b\nFound-by: loom\n\ndiff --git a/runtime/a.rs b/runtime/a.rs\n--- a/runtime/a.rs\n+++ b/runtime/a.rs\n@@ -1 +1 @@\n-one\n+two\n";

/// Says into a pipe that it has begun, has a child that keeps the pipe open, and never ends.
const CARGO: &str = "#!/bin/sh\nexec 3>\"$HELD\"\necho begun >&3\nsleep 1000 &\nwait\n";

/// A workspace with one mutant, and a cargo that hangs.
struct Workspace {
    folder: tempfile::TempDir,
}

impl Workspace {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        for inner in ["runtime", "stress/mutants", "bin"] {
            fs::create_dir_all(path(inner)).unwrap();
        }
        for (name, text) in [
            ("Cargo.toml", ""),
            ("Cargo.lock", ""),
            (".gitignore", "state/\nheld\n"),
            ("runtime/a.rs", "one\n"),
            ("stress/mutants/pager-x.patch", PATCH),
            ("bin/cargo", CARGO),
        ] {
            fs::write(path(name), text).unwrap();
        }
        fs::set_permissions(path("bin/cargo"), fs::Permissions::from_mode(0o755)).unwrap();
        for [program, argument] in [["git", "init"], ["mkfifo", "held"]] {
            let mut command = Command::new(program);
            command.arg(argument).current_dir(folder.path()).stdout(Stdio::null());
            assert!(command.status().unwrap().success());
        }
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn program(&self) -> Command {
        let mut program = Command::new(env!("CARGO_BIN_EXE_tenterhook-mutants"));
        let path = std::env::var("PATH").unwrap_or_default();
        program
            .args(["--state", "state", "--detector", "loom"])
            .current_dir(self.folder.path())
            .env("PATH", format!("{}:{path}", self.path("bin").display()))
            .env("HELD", self.path("held"))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        program
    }
}

#[test]
fn a_second_scoreboard_is_refused_and_an_interrupted_one_leaves_no_process() {
    let workspace = Workspace::new();
    let first = workspace.program().spawn().unwrap();
    let mut held = BufReader::new(File::open(workspace.path("held")).unwrap());
    let mut line = String::new();
    held.read_line(&mut line).unwrap();
    assert_eq!(line, "begun\n", "it compiles the mutant");

    let second = workspace.program().output().unwrap();
    let said = String::from_utf8_lossy(&second.stderr).into_owned();
    assert_eq!(second.status.code(), Some(2), "{said}");
    assert!(said.contains(&format!("process {}", first.id())) && said.lines().count() == 1, "{said}");

    kill_process(Pid::from_child(&first), Signal::TERM).unwrap();
    let first = first.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&first.stderr).into_owned();
    assert_eq!(first.status.code(), Some(130), "{said}");
    assert!(said.lines().last().is_some_and(|line| line.contains("continues from here")), "{said}");
    // Its end comes when the last of those is dead that had it open.
    assert_eq!(held.read_line(&mut line).unwrap(), 0);
    assert!(!workspace.path("state/ledger.json").exists(), "what was killed is no result");
}
