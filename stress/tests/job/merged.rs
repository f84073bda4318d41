//! Jobs of several machines.

use super::program::{expect, finish, program, text, totals};

/// Seen red with parts whose counts are lost.
pub(crate) fn shards() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let seeds = "--seed 5 --seeds 300 --jobs 1 --steps 200 --quiet";
    expect(10, folder, "racy", &format!("job whole {seeds}"));
    for number in 1..=3 {
        finish(folder, "racy", &format!("job part{number} {seeds} --shard {number}/3"));
    }
    // The cluster says which shard it is.
    let mut third = program(folder, "racy", &format!("job slurm3 {seeds}"));
    third.envs([
        ("SLURM_ARRAY_TASK_ID", "3"),
        ("SLURM_ARRAY_TASK_MIN", "1"),
        ("SLURM_ARRAY_TASK_COUNT", "3"),
    ]);
    third.output().expect("it starts");
    assert_eq!(totals(folder, "part3"), totals(folder, "slurm3"));
    let whole = totals(folder, "whole");
    assert_ne!(whole, totals(folder, "part1"));
    for (into, parts) in [
        ("forth", vec!["part1 part2 part3"]),
        ("back", vec!["part3 part2 part1"]),
        ("stepwise", vec!["part2", "part3 part1"]),
        ("twice", vec!["part1 part2 part3", "part1 part2 part3", "back slurm3"]),
    ] {
        for parts in parts {
            expect(0, folder, "", &format!("merge {into} {parts}"));
        }
        assert_eq!(totals(folder, into), whole, "{into}");
    }
    let files = |job: &str| {
        let entries = std::fs::read_dir(folder.join(job).join("failures")).expect("a folder").flatten();
        let tapes = entries.flat_map(|entry| std::fs::read_dir(entry.path()).expect("a folder").flatten());
        let mut names: Vec<_> = tapes.map(|file| file.file_name()).collect();
        names.sort();
        names
    };
    assert_eq!(files("forth"), files("whole"));
    // A merge that was killed after the database has no files. The next one brings them.
    std::fs::remove_dir_all(folder.join("forth/failures")).expect("removable");
    expect(0, folder, "", "merge forth part1 part2 part3");
    assert_eq!(files("forth"), files("whole"));
    // A merged job can go on as one.
    expect(10, folder, "racy", "job forth --seed 5 --seeds 320 --jobs 1 --steps 200 --quiet");
    // Seeds 0 to 63 are one block.
    let idle = finish(folder, "", "job idle --seed 1 --seeds 60 --steps 200 --shard 2/2 --quiet");
    assert_eq!(text(&idle.stderr), "shard 2/2 has none of the 60 seeds: shards take blocks of 64\n");
    let other = "--seed 6 --seeds 10 --jobs 1 --steps 200 --quiet";
    finish(folder, "", &format!("job other {other}"));
    for (arguments, problem) in [
        (
            "merge new part1 other",
            "other: its first seed is 6, that of part1 is 5: they must be parts of one job",
        ),
        ("merge part1 part2", "part1: is shard 0 of 3, counted from 0, and can only be a part"),
        ("merge new nowhere", "nowhere: is no job"),
        ("merge new", "DIR"),
    ] {
        let refused = finish(folder, "", arguments);
        let said = text(&refused.stderr);
        assert_eq!((refused.status.code(), said.lines().count()), (Some(2), 1), "{said}");
        assert!(said.contains(problem), "{said}");
        assert!(!folder.join("new").exists(), "{arguments}");
    }
}
