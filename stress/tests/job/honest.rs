//! What a job says is what it has found.

use std::path::Path;

use tenterhook_stress::disk::FaultKind;

use super::program::{document, expect, finish, text};

const SEEDS: &str = "--seed 1 --jobs 1 --steps 300 --quiet";

fn sql(folder: &Path, job: &str, statement: &str) {
    let file = folder.join(job).join("job.sqlite");
    let connection = rusqlite::Connection::open(file).expect("a database");
    connection.pragma_update(None, "foreign_keys", false).expect("no checks");
    connection.execute_batch(statement).expect("it runs");
}

fn copy(folder: &Path, name: &str) {
    std::fs::create_dir(folder.join(name)).expect("a folder");
    std::fs::copy(folder.join("job/job.sqlite"), folder.join(name).join("job.sqlite")).expect("a copy");
}

/// The shrinker of the only seed takes minutes. Seen red with failing seeds that are kept after their shrinkers.
pub(crate) fn unshrunk() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let out = expect(10, folder, "hasty slow", &format!("job job {SEEDS} --seeds 1 --duration 3s"));
    assert!(out.starts_with("verdict          FAILED: 1 cause, in 1 of 1 seeds"), "{out}");
    let causes = document(folder, "failures job --json");
    assert_eq!((&causes[0]["oracle"], &causes[0]["has_tape"]), (&"durability".into(), &false.into()));
}

/// Seen red with failures of earlier sittings that count.
pub(crate) fn until_failure() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let command = format!("job job {SEEDS} --seeds 40 --until-failure");
    let out = expect(10, folder, "hasty", &command);
    // A sitting that has left something says how to go on, to the same end.
    assert!(out.contains("go on with:\n") && out.trim_end().ends_with(" --seeds 40"), "{out}");
    // The bug is gone, and the job goes on to its end.
    let out = expect(0, folder, "", &command);
    assert!(out.contains("seeds            40 from 0x1") && !out.contains("go on with"), "{out}");
    // A cause that is fixed fails no script.
    let report = document(folder, "report job --json");
    assert_eq!((&report["seeds"], &report["exit_code"]), (&40.into(), &0.into()));
    // A new failure ends a sitting, as ever.
    let out = expect(10, folder, "hasty", &format!("job job {SEEDS} --seeds 90 --until-failure"));
    assert!(!out.contains("seeds            90 from 0x1"), "{out}");
}

/// Text, document and exit code. Seen red with an exit code that does not ask the judge.
pub(crate) fn agrees() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    expect(0, folder, "", &format!("job job {SEEDS} --seeds 70"));
    copy(folder, "canary");
    // A kind of fault that was asked for and never came: 4 is the kind of that count, and 0x20 the number of requests.
    let kind = FaultKind::ALL.last().expect("a kind").name();
    sql(
        folder,
        "job",
        &format!(
            "DELETE FROM names; UPDATE runs SET counts = x'';
             INSERT INTO names VALUES (1, 4, '{kind}'); UPDATE runs SET counts = x'0120' WHERE mode = 0"
        ),
    );
    let out = expect(70, folder, "", &format!("job job {SEEDS} --seeds 70"));
    assert!(out.starts_with(&format!("verdict          TESTER AT FAULT: {kind} was requested")), "{out}");
    assert_eq!(document(folder, "report job --json")["exit_code"], 70);
    // The canary of the newest sitting counts, whatever earlier ones have found.
    for (flags, code) in [("", 0), (" --blind-canary", 70), ("", 0)] {
        let out = expect(code, folder, "", &format!("job canary {SEEDS} --seeds 70{flags}"));
        assert_eq!(out.starts_with("verdict          TESTER AT FAULT: the canary"), code == 70, "{out}");
        assert_eq!(document(folder, "report canary --json")["exit_code"], code);
    }
}

/// Seen red with a worker that only ends.
pub(crate) fn panics() {
    let folder = tempfile::tempdir().expect("a folder");
    let output = finish(folder.path(), "clumsy", &format!("job job {SEEDS} --mix sweep=1"));
    let problem = text(&output.stderr);
    assert_eq!(output.status.code(), Some(70), "{problem}");
    assert!(problem.contains("a worker panicked in sweep 0x0: the list is lost"), "{problem}");
}

/// Seen red with a cause that is gone when its seeds shrink to another signature.
pub(crate) fn looks() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    expect(10, folder, "hasty", &format!("job job {SEEDS} --seeds 5"));
    copy(folder, "renamed");
    let rename = "UPDATE signatures SET signature = 'old'; UPDATE failures SET signature = 'old'";
    sql(folder, "renamed", rename);
    let told = expect(10, folder, "hasty", "retest renamed");
    assert_eq!(told, "old: still fails (new -> open)\n");
    copy(folder, "sweep");
    sql(
        folder,
        "sweep",
        &format!(
            "{rename}; UPDATE failures SET mode = 1, options = '[[\"operation\",\"sync a number\"],[\"case\",\"?\"]]'"
        ),
    );
    copy(folder, "empty");
    sql(folder, "empty", &format!("{rename}; DELETE FROM failures"));
    for job in ["sweep", "empty"] {
        let told = expect(0, folder, "", &format!("retest {job}"));
        assert_eq!(told, "old: cannot tell: no run of a job replays it\n", "{job}");
        assert_eq!(document(folder, &format!("failures {job} --json"))[0]["state"], "new", "{job}");
    }
}

/// Another machine's database may say anything. Seen red with indices that are taken as they come.
pub(crate) fn damaged() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    expect(10, folder, "hasty", &format!("job job {SEEDS} --seeds 5"));
    for (name, statement) in [
        ("builds", "UPDATE runs SET build = 99"),
        ("sittings", "UPDATE sittings SET build = 99"),
        ("failures", "UPDATE failures SET build = 99"),
        ("zero", "UPDATE runs SET counts = x'0001'"),
        ("high", "UPDATE runs SET counts = x'ff7f01'"),
        ("names", "DELETE FROM names WHERE id = 1"),
        ("block", "UPDATE runs SET seeds = 64"),
        ("finding", "UPDATE failures SET finding = 'x'"),
    ] {
        copy(folder, name);
        sql(folder, name, statement);
        let commands = match name {
            "builds" | "sittings" | "failures" | "block" => vec![format!("merge {name}-into {name}")],
            "finding" => vec![format!("report {name}")],
            _ => vec![format!("merge {name}-into {name}"), format!("report {name}")],
        };
        for command in commands {
            let output = finish(folder, "", &command);
            let problem = text(&output.stderr);
            assert_eq!((output.status.code(), problem.lines().count()), (Some(2), 1), "{command}: {problem}");
            assert!(problem.contains(&format!("{name}: job.sqlite is damaged")), "{command}: {problem}");
        }
    }
}

/// Seen red with seeds of builds that are gone.
pub(crate) fn newest_build() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    expect(0, folder, "", &format!("job job {SEEDS} --seeds 60"));
    // Another build has run them.
    sql(folder, "job", "UPDATE builds SET build = 'old'");
    let out = expect(0, folder, "", &format!("job job {SEEDS} --seeds 90"));
    assert!(out.starts_with("verdict          passed: no failure in 30 seeds of this build"), "{out}");
    assert_eq!(document(folder, "report job --json")["job"]["failure_rate_below"], 0.1);
}
