//! What is done is kept.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use super::program::{document, expect, program, text, totals};

const SEEDS: &str = "--seed 1 --seeds 150 --jobs 1 --steps 600 --quiet";
const BUGS: &str = "hasty racy";

/// Seeds that the database of `job` has; `None` before there is one.
fn seeds(job: &Path) -> Option<i64> {
    let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_WRITE;
    let connection = rusqlite::Connection::open_with_flags(job.join("job.sqlite"), flags).ok()?;
    connection.query_row("SELECT IFNULL(SUM(seeds), 0) FROM runs WHERE mode = 0", [], |row| row.get(0)).ok()
}

/// Seen red with a block that counts as done when one of its seeds is.
pub(crate) fn killed() {
    let folder = tempfile::tempdir().expect("a folder");
    expect(10, folder.path(), BUGS, &format!("job unbroken {SEEDS}"));
    // The first kill comes before there is a database, the others when some more seeds are done.
    let mut before = 0;
    for more in [0, 1, 5, 12, 7, 25, 3, 2, 30, 1] {
        let mut child = program(folder.path(), BUGS, &format!("job broken {SEEDS}"));
        let mut child =
            child.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the program starts");
        while more > 0 && seeds(&folder.path().join("broken")).unwrap_or(0) < before + more {
            std::thread::yield_now();
            assert!(child.try_wait().expect("it can be waited for").is_none(), "killed too late");
        }
        child.kill().expect("it can be killed");
        child.wait().expect("it ends");
        let after = seeds(&folder.path().join("broken")).unwrap_or(0);
        assert!(after >= before + more, "{after} seeds after {before} and {more} more: some were lost");
        before = after;
    }
    assert!(before < 150, "nothing was left to resume");
    expect(10, folder.path(), BUGS, &format!("job broken {SEEDS}"));
    let (unbroken, broken) = (totals(folder.path(), "unbroken"), totals(folder.path(), "broken"));
    assert_eq!(unbroken["seeds"], 150);
    assert_eq!(unbroken, broken);
    let sittings = document(folder.path(), "report broken --json")["job"]["sittings"].as_u64();
    assert!(sittings.is_some_and(|sittings| (8..=11).contains(&sittings)), "{sittings:?}");
}

/// A file size limit stands in for a full disk. Seen red without the loop that tries again: the job ends with exit code 70.
pub(crate) fn full_disk() {
    let folder = tempfile::tempdir().expect("a folder");
    let arguments = "--seed 1 --seeds 700 --jobs 1 --steps 100 --quiet";
    expect(0, folder.path(), "", &format!("job unbroken {arguments}"));
    let whole = program(folder.path(), "", &format!("job full {arguments}"));
    let mut shell = Command::new("sh");
    shell
        .args(["-c", "trap '' XFSZ; ulimit -S -f 512; exec \"$0\" \"$@\""])
        .arg(whole.get_program())
        .args(whole.get_args());
    for (name, value) in whole.get_envs().filter_map(|(name, value)| Some((name, value?))) {
        shell.env(name, value);
    }
    shell.current_dir(folder.path()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = shell.spawn().expect("a shell");
    let mut told = BufReader::new(child.stderr.take().expect("piped")).lines();
    let line = told.next().expect("it says that it waits").expect("readable");
    assert!(line.contains("no room") && line.contains("make room"), "{line}");
    let process = child.id().to_string();
    let freed = Command::new("prlimit").args(["--pid", &process, "--fsize=unlimited:"]).status();
    assert!(freed.expect("prlimit runs").success());
    let line = told.next().expect("it says that it goes on").expect("readable");
    assert!(line.contains("goes on"), "{line}");
    assert_eq!(child.wait().expect("it ends").code(), Some(0));
    assert_eq!(totals(folder.path(), "unbroken"), totals(folder.path(), "full"));
}

/// Seen red with a digest that leaves the seed out.
pub(crate) fn as_a_campaign() {
    let folder = tempfile::tempdir().expect("a folder");
    let seeds = "--seed 3 --seeds 200 --jobs 1 --steps 300 --quiet --json";
    let campaign = expect(0, folder.path(), "", &format!("sim {seeds}"));
    let campaign: serde_json::Value = serde_json::from_str(&campaign).expect("one document");
    let job = document(folder.path(), &format!("job job {seeds}"));
    for name in
        ["first_seed", "fixed", "seeds", "rechecked", "steps", "crashes", "faults", "sometimes", "trace_hash"]
    {
        assert_eq!(job[name], campaign[name], "{name}");
    }
    // 64 seeds of a block are one row.
    let connection = rusqlite::Connection::open(folder.path().join("job/job.sqlite")).expect("a database");
    let rows: i64 = connection
        .query_row("SELECT COUNT(*) FROM runs WHERE mode = 0", [], |row| row.get(0))
        .expect("a number");
    assert_eq!(rows, (64 - 3) + 2 + (203 - 192));
    let again = text(&program(folder.path(), "", "report job").output().expect("it starts").stdout);
    assert!(
        again.starts_with("verdict          passed: no failure in 200 seeds; the rate is below 1.50e-2"),
        "{again}"
    );
}
