//! The program from outside: two at a time, and one that is told to end.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

const PATCH: &str = "Mutant: pager-x\nBreaks: it\nSource: S\nBug: b\nFound-by: loom\n\ndiff --git a/runtime/a.rs b/runtime/a.rs\n--- a/runtime/a.rs\n+++ b/runtime/a.rs\n@@ -1 +1 @@\n-one\n+two\n";

/// Says that it has begun, and that it has a child, and never ends.
const CARGO: &str = "#!/bin/sh\nsleep 1000 &\necho $! > \"$BEGUN.new\"\nmv \"$BEGUN.new\" \"$BEGUN\"\nwait\n";

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
            (".gitignore", "state/\nbegun*\n"),
            ("runtime/a.rs", "one\n"),
            ("stress/mutants/pager-x.patch", PATCH),
            ("bin/cargo", CARGO),
        ] {
            fs::write(path(name), text).unwrap();
        }
        fs::set_permissions(path("bin/cargo"), fs::Permissions::from_mode(0o755)).unwrap();
        let git = Command::new("git").args(["init", "-q"]).current_dir(folder.path()).status();
        assert!(git.unwrap().success());
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
            .env("BEGUN", self.path("begun"))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        program
    }
}

/// Looks again for some seconds.
fn soon(mut is_so: impl FnMut() -> bool) -> bool {
    (0..3_000).any(|_| {
        std::thread::sleep(Duration::from_millis(10));
        is_so()
    })
}

/// Whether the process is there, and not merely waited for by nobody.
fn is_alive(id: &str) -> bool {
    let stat = fs::read_to_string(Path::new("/proc").join(id.trim()).join("stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}

#[test]
fn a_second_scoreboard_is_refused_and_an_interrupted_one_leaves_nobody_behind() {
    let workspace = Workspace::new();
    let first = workspace.program().spawn().unwrap();
    assert!(soon(|| workspace.path("begun").exists()), "it compiles the mutant");
    let grandchild = fs::read_to_string(workspace.path("begun")).unwrap();
    assert!(is_alive(&grandchild));

    let second = workspace.program().output().unwrap();
    let said = String::from_utf8_lossy(&second.stderr).into_owned();
    assert_eq!(second.status.code(), Some(2), "{said}");
    assert!(said.contains(&format!("process {}", first.id())) && said.lines().count() == 1, "{said}");

    kill_process(Pid::from_child(&first), Signal::TERM).unwrap();
    let first = first.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&first.stderr).into_owned();
    assert_eq!(first.status.code(), Some(130), "{said}");
    assert!(said.lines().last().is_some_and(|line| line.contains("goes on from here")), "{said}");
    assert!(soon(|| !is_alive(&grandchild)));
    assert!(!workspace.path("state/ledger.json").exists(), "what was killed is no result");
}
