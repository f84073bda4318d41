//! What is known of failures.

use std::path::Path;

use super::program::{document, expect, finish, text};

const SEEDS: &str = "--seed 1 --jobs 1 --steps 600 --quiet";

/// Signatures with their states.
fn states(folder: &Path) -> Vec<(String, String)> {
    let causes = document(folder, "failures job --json");
    let text = |value: &serde_json::Value| value.as_str().expect("a text").to_owned();
    let of_cause = |cause: &serde_json::Value| (text(&cause["oracle"]), text(&cause["state"]));
    let mut states: Vec<_> = causes.as_array().expect("a list").iter().map(of_cause).collect();
    states.sort();
    states
}

fn all(states: &[(&str, &str)]) -> Vec<(String, String)> {
    states.iter().map(|&(oracle, state)| (oracle.to_owned(), state.to_owned())).collect()
}

/// One bug is in every seed, with three kinds of operations; one is in every tenth. Seen red with a signature that has the seed in it.
pub(crate) fn two_bugs() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    expect(10, folder, "hasty racy", &format!("job job {SEEDS} --seeds 120"));
    assert_eq!(states(folder), all(&[("durability", "new"), ("sum", "new")]));
    let causes = document(folder, "failures job --json");
    for cause in causes.as_array().expect("a list") {
        let signature = cause["signature"].as_str().expect("a text");
        let account = expect(0, folder, "", &format!("failures job {signature}"));
        let kept = std::fs::read_to_string(folder.join("job/failures").join(signature).join("failure.txt"));
        assert_eq!(kept.expect("its folder has the account"), account);
        let path = |name: &str| {
            let line = account.lines().find(|line| line.starts_with(name)).expect("a line");
            line.split_whitespace().last().expect("a path").to_owned()
        };
        for name in ["regression test", "timeline"] {
            assert!(folder.join(path(name)).is_file(), "{account}");
        }
        expect(10, folder, "hasty racy", &format!("replay {}", path("tape")));
        let repeated =
            account.lines().last().and_then(|line| line.strip_prefix("planted ")).expect("a command");
        expect(10, folder, "hasty racy", repeated);
    }
}

/// Seen red with a state that a failing seed does not change.
pub(crate) fn regressed() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    expect(10, folder, "hasty racy", &format!("job job {SEEDS} --seeds 60"));
    // The next sitting looks first.
    let looked = finish(folder, "hasty racy", "job job --seed 1 --jobs 1 --steps 600 --seeds 60");
    assert_eq!(
        text(&looked.stderr).matches("still fails (new -> open)").count(),
        2,
        "{}",
        text(&looked.stderr)
    );
    assert_eq!(states(folder), all(&[("durability", "open"), ("sum", "open")]));
    let told = expect(10, folder, "racy", "retest job");
    assert!(told.contains("gone (open -> fixed)") && told.contains("still fails\n"), "{told}");
    assert_eq!(states(folder), all(&[("durability", "fixed"), ("sum", "open")]));
    expect(0, folder, "", "retest job");
    assert_eq!(states(folder), all(&[("durability", "fixed"), ("sum", "fixed")]));
    expect(0, folder, "", &format!("job job {SEEDS} --seeds 90"));
    // Planted again: one is looked at, the other is found by a seed.
    expect(10, folder, "racy", "retest job");
    assert_eq!(states(folder), all(&[("durability", "fixed"), ("sum", "regressed")]));
    expect(10, folder, "hasty", &format!("job job {SEEDS} --seeds 100"));
    assert_eq!(states(folder), all(&[("durability", "regressed"), ("sum", "fixed")]));
}

/// Seen red with operations that are given out again.
pub(crate) fn swept() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let mut taken = None;
    for _ in 0..2 {
        expect(0, folder, "", &format!("job job {SEEDS} --seeds 20 --mix sim=1,sweep=1"));
        let report = document(folder, "report job --json");
        assert_eq!(report["job"]["other_kinds"]["sweep"]["units"], 1);
        assert_eq!(report["job"]["other_kinds"]["sweep"]["counters"]["operations swept"], 1);
        // Another sweep would have taken another time.
        let seconds = report["job"]["other_kinds"]["sweep"]["seconds"].clone();
        assert_eq!(*taken.get_or_insert(seconds.clone()), seconds);
    }
}

/// Seen red without the canary's verdict.
pub(crate) fn blind() {
    let folder = tempfile::tempdir().expect("a folder");
    let out = expect(70, folder.path(), "", &format!("job job {SEEDS} --seeds 20 --blind-canary"));
    assert!(out.starts_with("verdict          TESTER AT FAULT: the canary"), "{out}");
    assert!(out.contains("a green of this job means nothing"), "{out}");
    let out = expect(0, folder.path(), "", &format!("job other {SEEDS} --seeds 20"));
    assert!(out.contains("canary           found in"), "{out}");
}
