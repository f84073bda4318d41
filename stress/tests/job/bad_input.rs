//! What a job refuses.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use super::program::{expect, finish, program, text};

/// Every file below `folder` with its bytes.
fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(folder).expect("readable") {
        let path = entry.expect("readable").path();
        match path.is_dir() {
            true => found.extend(files(&path)),
            false => drop(found.insert(path.clone(), std::fs::read(&path).expect("readable"))),
        }
    }
    found
}

/// Seen red with a newer schema that is taken for ours.
pub(crate) fn refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    expect(10, folder, "hasty", "job whole --seed 1 --seeds 40 --jobs 1 --steps 300 --quiet");
    let copy = |name: &str, change: &dyn Fn(&Path)| {
        std::fs::create_dir(folder.join(name)).expect("a folder");
        let file = folder.join(name).join("job.sqlite");
        std::fs::copy(folder.join("whole/job.sqlite"), &file).expect("a copy");
        change(&file);
    };
    let sql = |file: &Path, statement: &str| {
        let connection = rusqlite::Connection::open(file).expect("a database");
        connection.pragma_update(None, "journal_mode", "delete").expect("no log stays");
        connection.execute_batch(statement).expect("it runs");
    };
    copy("half", &|file| {
        sql(file, "VACUUM");
        let bytes = std::fs::read(file).expect("readable");
        std::fs::write(file, &bytes[..bytes.len() / 2]).expect("writable");
    });
    copy("newer", &|file| sql(file, "PRAGMA user_version = 9"));
    copy("foreign", &|file| sql(file, "PRAGMA application_id = 7"));
    copy("text", &|file| {
        std::fs::write(file, "a shopping list, long enough to be a header").expect("writable")
    });
    copy("tally", &|file| sql(file, "UPDATE job SET value = 'tally' WHERE name = 'system'"));
    std::fs::create_dir(folder.join("others")).expect("a folder");
    std::fs::write(folder.join("others/notes"), "mine").expect("writable");
    std::fs::write(folder.join("file"), "mine").expect("writable");
    let whole = "--seed 1 --steps 300";
    let cases = [
        ("job others", "others: is no job: it has files, and no job.sqlite; name a new folder"),
        ("job file", "file: is no folder that can be read"),
        ("job half", "half: job.sqlite is damaged"),
        ("job newer", "newer: job.sqlite has schema version 9: this program knows 1"),
        ("job foreign", "foreign: is no job: job.sqlite is a database of another program"),
        ("job text", "text: is no job: job.sqlite is no SQLite database"),
        ("job tally", "tally: is a job of tally, this is planted"),
        ("job whole --seed 1", "whole: was begun with other flags; use those ( --steps 300 --recheck 16)"),
        ("job whole --seed 2 --steps 300", "whole: was begun with --seed 0x1"),
        ("job whole --seed 1 --steps 300 --shard 1/2", "whole: was begun as shard 0 of 1"),
        ("job whole --seed 1 --steps 300 --recheck 4", "--recheck 16"),
        ("job new --shard 0/8", "--shard 0/8: it must be K/N"),
        ("job new --shard 9/8", "--shard 9/8: it must be K/N"),
        ("job new --shard 1/2", "new: shard 1/2 needs the first seed of all shards; give --seed"),
        ("job new --mix rain=1", "there is no kind 'rain'"),
        ("job new --seeds 0", "--seeds"),
        ("job new --jobs 5000", "1024"),
        ("job new --steps 0", "--steps is 0"),
        ("job", "DIR"),
        ("job /dev/null/x", "/dev/null/x: "),
        ("failures others", "others: is no job: it has no job.sqlite"),
        ("failures nowhere", "nowhere: is no job"),
        ("failures whole tornado", "whole: there is not one signature 'tornado'"),
        ("failures half", "half: job.sqlite is damaged"),
        ("retest others", "others: is no job"),
        ("retest tally", "tally: is a job of tally"),
        ("report others", "others: is no job"),
        ("report newer", "newer: job.sqlite has schema version 9"),
    ];
    let before = files(folder);
    for (arguments, expected) in cases {
        let output = finish(folder, "", arguments);
        let problem = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments}: {problem}");
        assert_eq!(problem.lines().count(), 1, "{arguments}: {problem}");
        assert!(problem.starts_with("planted: ") && problem.contains(expected), "{arguments}: {problem}");
    }
    let after = files(folder);
    let names = |files: &BTreeMap<PathBuf, Vec<u8>>| files.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&before), names(&after));
    assert!(before == after, "bytes have changed");
    expect(10, folder, "hasty", &format!("job whole {whole} --seeds 40 --quiet"));
}

/// Seen red without the lock.
pub(crate) fn in_use() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let mut first = program(folder, "hasty", "job job --seed 1 --jobs 1 --steps 300");
    let mut first = first.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("the program starts");
    let mut told = String::new();
    BufReader::new(first.stderr.take().expect("piped")).read_line(&mut told).expect("readable");
    assert!(told.starts_with("new failure"), "{told}");
    for command in ["job job --seed 1 --steps 300", "retest job"] {
        let output = finish(folder, "hasty", command);
        let problem = text(&output.stderr);
        assert_eq!((output.status.code(), problem.lines().count()), (Some(2), 1), "{problem}");
        let holder = format!("job: is in use by another job (process {})", first.id());
        assert!(problem.contains(&holder), "{problem}");
    }
    // Reading is no use.
    expect(0, folder, "", "report job");
    first.kill().expect("it can be killed");
    first.wait().expect("it ends");
    expect(10, folder, "hasty", "job job --seed 1 --seeds 10 --jobs 1 --steps 300 --quiet");
}
