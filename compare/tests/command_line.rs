//! The program as it is run: exit codes, one line of complaint, one document.

use std::process::{Command, Output};

fn run(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tenterhook-compare"))
        .args(arguments)
        .output()
        .expect("the program starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn a_quick_run_of_every_workload_ends_well_and_is_one_document() {
    let output = run(&["--quick", "--repetitions", "1", "--json"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let document: serde_json::Value = serde_json::from_slice(&output.stdout).expect("one JSON document");
    let rows = document["rows"].as_array().expect("rows");
    assert!(rows.len() >= 10, "only {} rows", rows.len());
    for row in rows {
        let contenders = row["contenders"].as_array().expect("contenders");
        assert!(contenders.len() >= 2, "no peer to compare with in {}", row["name"]);
        assert!(contenders.iter().all(|figure| figure["median"].as_f64().is_some_and(|median| median > 0.0)));
        assert!(row["goals"].as_array().expect("goals").iter().all(|goal| goal["verdict"].is_string()));
    }
    assert!(document["host"]["rustc"].as_str().is_some_and(|rustc| rustc.starts_with("rustc ")));
    // One repetition, and under `cargo test` no optimisation: it has to say so.
    let kinds: Vec<_> =
        document["warnings"].as_array().expect("warnings").iter().map(|it| &it["kind"]).collect();
    assert!(kinds.iter().any(|kind| *kind == "too_few_repetitions"), "{kinds:?}");
}

#[test]
fn markdown_is_one_table_with_the_machine_and_a_line_for_each_contender() {
    let output = run(&["--quick", "--repetitions", "1", "--only", "nested", "--markdown"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let written = text(&output.stdout);
    assert!(written.lines().next().is_some_and(|line| line.contains("Commit ")), "{written}");
    let cells = |line: &str| line.matches(" | ").count() + 1;
    let lines: Vec<&str> = written.lines().filter(|line| line.starts_with("| ")).collect();
    assert!(lines.len() >= 3 && lines.iter().all(|line| cells(line) == 8), "{written}");
    assert_eq!(
        lines.iter().filter(|line| line.contains("| baseline |")).count() * 2,
        lines.len() - 1,
        "{written}"
    );
}

#[test]
fn a_wrong_command_line_is_one_line_and_exit_code_2() {
    for arguments in
        [&["--only", "gruop"][..], &["--repetitions", "0"], &["--repetitions", "many"], &["--fast"]]
    {
        let output = run(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(output.stdout.is_empty(), "{arguments:?} wrote {}", text(&output.stdout));
        let complaint = text(&output.stderr);
        assert_eq!(complaint.lines().count(), 1, "{arguments:?}: {complaint}");
        assert!(complaint.starts_with("tenterhook-compare: "), "{complaint}");
    }
}

#[test]
fn the_list_names_what_only_accepts() {
    let list = text(&run(&["--list"]).stdout);
    for name in ["completion", "await", "round-trip", "group", "nested", "stepping", "memory"] {
        assert!(list.lines().any(|line| line.starts_with(&format!("{name} "))), "{name} is not in {list}");
    }
}
