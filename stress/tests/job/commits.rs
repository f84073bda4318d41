//! From a failure to its commit and to its issue.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use super::program::{document, expect, finish, text};

fn git(folder: &Path, arguments: &[&str]) -> String {
    let mut git = Command::new("git");
    for (name, value) in [("NAME", "A Tester"), ("EMAIL", "tester@localhost")] {
        git.env(format!("GIT_AUTHOR_{name}"), value).env(format!("GIT_COMMITTER_{name}"), value);
    }
    let output = git.arg("-C").arg(folder).args(arguments).output().expect("git runs");
    assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
    text(&output.stdout).trim().to_owned()
}

/// Of twelve commits the eighth plants the bug, the fifth cannot be built, and the sixth fails with another oracle. Seen red with a
/// build that fails taken for bad, and with any failure taken for the tape's.
pub(crate) fn bisect() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    git(folder, &["init", "--quiet"]);
    let this = std::env::current_exe().expect("this program");
    for number in 1..=12 {
        let bugs = match number {
            6 => "early",
            8.. => "hasty",
            _ => "",
        };
        let program =
            format!("#!/bin/sh\n# {number}\nTENTERHOOK_PLANTED='{bugs}' exec '{}' \"$@\"\n", this.display());
        std::fs::write(folder.join("source"), program).expect("writable");
        std::fs::write(folder.join("ok"), if number == 5 { "no" } else { "yes" }).expect("writable");
        git(folder, &["add", "source", "ok"]);
        git(folder, &["commit", "--quiet", "-m", &format!("change {number}")]);
    }
    expect(10, folder, "hasty", "sim --seed 1 --steps 300 --quiet");
    let tape = "tenterhook-runs/failures/durability_1.tape";
    let build = "grep -q yes ok && cp source built && chmod +x built";
    let bisect = |good: &str, bad: &str| {
        let mut command =
            super::program::program(folder, "", &format!("bisect {tape} --good {good} --bad {bad}"));
        command.args(["--build", build, "--program", "built"]).output().expect("it starts")
    };
    let status = git(folder, &["status", "--porcelain"]);
    let found = bisect("HEAD~11", "HEAD");
    assert_eq!(found.status.code(), Some(0), "{}", text(&found.stderr));
    let out = text(&found.stdout);
    assert!(out.contains("change 8") && out.starts_with("first bad commit"), "{out}");
    let told = text(&found.stderr);
    let verdicts: Vec<&str> = told.lines().skip(1).filter_map(|line| line.split(' ').next()).collect();
    assert!(told.starts_with("11 commits, some 6 builds\n"), "{told}");
    assert_eq!((verdicts[0], verdicts[1]), ("bad", "good"), "{told}");
    assert!(verdicts.len() >= 4 && told.contains(" change 8\n"), "{told}");
    for (good, bad, problem) in [
        ("HEAD~1", "HEAD", "the tape fails there, too"),
        ("HEAD~11", "HEAD~5", "the tape does not fail there"),
        ("HEAD~7", "HEAD", "fails there, or 'built' does not play the tape"),
        ("nowhere", "HEAD", "--good nowhere: there is no such commit"),
    ] {
        let wrong = bisect(good, bad);
        let said = text(&wrong.stderr);
        let problem =
            if good == "HEAD~7" { "fails there, or './built' does not play the tape" } else { problem };
        assert_eq!(wrong.status.code(), Some(2), "{said}");
        let (last, told) =
            said.trim_end().rsplit_once('\n').map_or((said.trim_end(), ""), |(told, last)| (last, told));
        assert!(last.contains(problem), "{said}");
        // One line of error, after those of the search.
        let of_search = |line: &str| line.ends_with(" builds") || line.contains(" change ");
        assert!(told.lines().all(of_search), "{said}");
        assert_eq!(told.is_empty(), good == "nowhere", "{said}");
    }
    // Its work tree has gone, and that of the person is as it was.
    assert_eq!(git(folder, &["worktree", "list"]).lines().count(), 1);
    assert_eq!(git(folder, &["status", "--porcelain"]), status);
    let none = finish(folder, "", "bisect source --good HEAD~1");
    assert_eq!(none.status.code(), Some(2));
    assert!(text(&none.stderr).contains("is no tape"), "{}", text(&none.stderr));
}

/// Seen red with a build that no signal ends.
pub(crate) fn interrupted() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    git(folder, &["init", "--quiet"]);
    git(folder, &["commit", "--quiet", "--allow-empty", "-m", "first"]);
    expect(10, folder, "hasty", "sim --seed 1 --steps 300 --quiet");
    let pipe = folder.join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().expect("mkfifo runs").success());
    let bisect = "bisect tenterhook-runs/failures/durability_1.tape --good HEAD";
    let mut bisect = super::program::program(folder, "", bisect);
    // A long build that says when it runs, and that it has not been ended.
    let build = format!("exec 3> '{}'; echo runs >&3; sleep 30; echo runs still >&3", pipe.display());
    let bisect = bisect.args(["--build", &build, "--program", "built"]).stderr(Stdio::piped());
    let bisect = bisect.spawn().expect("it starts");
    let id = bisect.id().to_string();
    let ended = std::thread::spawn({
        let pipe = pipe.clone();
        move || {
            let output = bisect.wait_with_output().expect("it ends");
            // A test that still waits for the build waits no longer.
            let flags = rustix::fs::OFlags::NONBLOCK.bits() as i32;
            drop(File::options().write(true).custom_flags(flags).open(pipe));
            output
        }
    });
    let (mut build, mut told) = (BufReader::new(File::open(&pipe).expect("a pipe")), String::new());
    build.read_line(&mut told).expect("the build says so");
    let press = Command::new("kill").args(["-INT", &id]).status();
    assert!(press.expect("kill runs").success());
    let ended = ended.join().expect("it ended");
    let said = text(&ended.stderr);
    assert_eq!(ended.status.code(), Some(2), "{said}");
    assert!(said.trim_end().ends_with(": interrupted"), "{said}");
    build.read_to_string(&mut told).expect("its end");
    assert_eq!(told, "runs\n");
    assert_eq!(git(folder, &["worktree", "list"]).lines().count(), 1);
}

/// Seen red with a timeline that is cut at its end.
pub(crate) fn issue() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    expect(10, folder, "hasty", "job job --seed 1 --seeds 10 --jobs 1 --steps 300 --quiet");
    let causes = document(folder, "failures job --json");
    let signature = causes[0]["signature"].as_str().expect("a text");
    let issue = expect(0, folder, "", &format!("issue job {signature}"));
    assert!(issue.starts_with("# durability: expected 1, seen 0\n"), "{issue}");
    for part in [
        "| seeds that failed so | ",
        "## Repeat",
        "======== power loss ========",
        "VIOLATION of durability\n",
    ] {
        assert!(issue.contains(part), "{part}: {issue}");
    }
    let commands: Vec<&str> = issue.lines().filter_map(|line| line.strip_prefix("planted ")).collect();
    assert_eq!(commands.len(), 2, "{issue}");
    commands.iter().for_each(|command| drop(expect(10, folder, "hasty", command)));
}

/// The page has everything in it. Seen red with a page without its runs.
pub(crate) fn page() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    expect(10, folder, "hasty racy", "job job --seed 1 --seeds 60 --jobs 1 --steps 600 --quiet");
    expect(0, folder, "", "report job --html report.html");
    let page = std::fs::read_to_string(folder.join("report.html")).expect("it was written");
    assert!(page.contains("<b>FAILED: 2 causes, in 60 of 60 seeds</b>"), "{page}");
    assert_eq!(page.matches("<script type=\"application/json\">").count(), 2);
    for part in ["VIOLATION of ", "\"kind\":\"crashed\"", "<polyline", "a connection adds"] {
        assert!(page.contains(part), "{part}");
    }
    let tape =
        std::fs::read_dir(folder.join("job/failures")).expect("a folder").flatten().find_map(|entry| {
            let files = std::fs::read_dir(entry.path()).ok()?.flatten();
            files
                .map(|file| file.path())
                .find(|path| path.extension().is_some_and(|extension| extension == "tape"))
        });
    let tape = tape.expect("a tape");
    expect(10, folder, "hasty racy", &format!("trace {} --html trace.html", tape.display()));
    let page = std::fs::read_to_string(folder.join("trace.html")).expect("it was written");
    assert!(page.contains("<b>VIOLATION of ") && page.contains("\"lanes\":["), "{page}");
    let refused = finish(folder, "", "report job --html /dev/null/x");
    assert_eq!(refused.status.code(), Some(2), "{}", text(&refused.stderr));
}
