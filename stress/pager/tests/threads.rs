//! Real threads and real files: the program as people run it.

use std::process::{Command, Output};

use serde_json::Value;

fn threads(arguments: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tenterhook"));
    command.args(["threads", "--json", "--quiet"]).args(arguments.split_whitespace());
    command.output().expect("the program starts")
}

#[test]
fn many_connections_keep_their_commits_over_any_backend_under_faults() {
    let output = threads("--duration 4s --connections 40");
    let document: Value = serde_json::from_slice(&output.stdout).expect("one document");
    assert_eq!(output.status.code(), Some(0), "{document:#}");
    let runs = document["runs"].as_array().expect("a list");
    assert!(!runs.is_empty());
    for run in runs {
        for count in ["ended", "operations", "memory_at_end"] {
            assert!(run[count].as_u64().is_some_and(|count| count > 0), "{count}: {document:#}");
        }
        let counts = run["counts"].as_array().expect("a list");
        assert!(counts.len() >= 3, "{document:#}");
        for count in counts.iter().filter(|count| count["name"] != "errors, all explained") {
            assert!(count["count"].as_u64() > Some(0), "{count}: {document:#}");
        }
    }
}

#[test]
fn noise_that_is_asked_for_is_delivered_and_none_else() {
    let output = threads("--duration 4s --connections 40 --noise signals,ended-threads,direct --faults none");
    let document: Value = serde_json::from_slice(&output.stdout).expect("one document");
    assert_eq!(output.status.code(), Some(0), "{document:#}");
    for run in document["runs"].as_array().expect("a list") {
        let noise = run["noise"].as_array().expect("a list");
        let kinds: Vec<&str> = noise.iter().filter_map(|noise| noise["kind"].as_str()).collect();
        // A file system may have no way past its cache; then it says so.
        let said = document["unavailable"].as_array().is_some_and(|kinds| !kinds.is_empty());
        let expected = ["signals", "ended-threads", "direct"];
        assert_eq!(kinds, expected[..if said { 2 } else { 3 }], "{document:#}");
        let delivered = noise.iter().all(|noise| noise["delivered"].as_u64() > Some(0));
        assert!(delivered, "{document:#}");
    }
}

#[test]
fn bad_input_is_one_line_and_exit_code_2() {
    let used = tempfile::tempdir().expect("a folder for this test");
    std::fs::write(used.path().join("cloth"), "x").expect("can be written");
    for (arguments, expected) in [
        ("--connections 0", "--connections"),
        ("--backend paper", "threads, uring, both"),
        ("--duration 5", "30s, 5m, 1h30m"),
        ("--noise stops", "there is no noise 'stops' here: it must be one of yields, signals"),
        ("--faults bit-flip", "there is no fault 'bit-flip' here: it must be one of submit-refused"),
        ("--directory /dev/null/x", "--directory /dev/null/x"),
        (&format!("--directory {}", used.path().display()), "files of an earlier run"),
    ] {
        let output = threads(arguments);
        let problem = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{arguments}: {problem}");
        assert!(problem.contains(expected) && problem.lines().count() == 1, "{arguments}: {problem}");
    }
}
