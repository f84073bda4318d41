//! The program as it is run: exit codes, one line of complaint, one document, a page, a run that goes on.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Output, Stdio};

fn program() -> Command {
    Command::new(env!("CARGO_BIN_EXE_tenterhook-compare"))
}

fn run(arguments: &[&str]) -> Output {
    program().args(arguments).output().expect("the program starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn document(bytes: &[u8]) -> serde_json::Value {
    serde_json::from_slice(bytes).expect("one JSON document")
}

#[test]
fn a_quick_run_of_every_workload_ends_well_and_is_one_document() {
    let output = run(&["--quick", "--repetitions", "1", "--json"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let document = document(&output.stdout);
    let rows = document["rows"].as_array().expect("rows");
    assert!(rows.len() >= 20, "only {} rows", rows.len());
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
    let output = run(&["--quick", "--repetitions", "1", "--scenario", "nested", "--markdown"]);
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
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, bytes: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path.display().to_string()
    };
    let (other, damaged) = (file("other", r#"{"format": 999}"#), file("damaged", r#"{"format": 2}"#));
    let cases: [(&[&str], &str); 13] = [
        (&["--only", "gruop"], "no such scenario"),
        (&["--scenario", "group of 63"], "completion"),
        (&["--repetitions", "0"], "1..=10000"),
        (&["--repetitions", "many"], "many"),
        (&["--fast"], "--fast"),
        (&["--quick", "--full"], "cannot be used"),
        (&["--memory", "0"], "--memory"),
        (&["--baseline", "/no/such/file"], "/no/such/file"),
        (&["--baseline", &other], "version 999"),
        (&["--baseline", &damaged], "damaged"),
        (&["--resume", &other], "version 999"),
        (&["--html", "/no/such/folder/page.html"], "/no/such/folder"),
        (&["--against", "no-such-revision"], "--against"),
    ];
    for (arguments, part) in cases {
        let output = run(arguments);
        let complaint = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {complaint}");
        assert!(output.stdout.is_empty(), "{arguments:?} wrote {}", text(&output.stdout));
        assert_eq!(complaint.lines().count(), 1, "{arguments:?}: {complaint}");
        assert!(complaint.starts_with("tenterhook-compare: ") && complaint.contains(part), "{complaint}");
    }
}

#[test]
fn the_list_names_what_scenario_accepts() {
    let list = text(&run(&["--list"]).stdout);
    for name in
        ["completion", "await", "round-trip", "group", "nested", "stepping", "memory", "tail", "mixed"]
    {
        assert!(list.lines().any(|line| line.starts_with(&format!("{name} "))), "{name} is not in {list}");
    }
    assert!(list.lines().any(|line| line.trim() == "--full   stepping 1000000"), "{list}");
}

#[test]
fn a_row_that_needs_more_memory_than_allowed_is_skipped_and_counted() {
    let output = run(&["--memory", "100", "--quick", "--repetitions", "1", "--scenario", "memory"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let written = text(&output.stdout);
    assert!(written.contains("skipped: 1 rows"), "{written}");
    assert!(
        written.contains("memory, 100000 idle connections: needs 121 MiB of memory, 100 MiB"),
        "{written}"
    );
}

#[test]
fn the_page_is_written_beside_the_table_and_needs_no_other_file() {
    let folder = tempfile::tempdir().unwrap();
    let page = folder.path().join("page.html");
    let page = page.to_str().unwrap();
    let output = run(&["--quick", "--repetitions", "1", "--scenario", "group", "--html", page]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let written = std::fs::read_to_string(page).unwrap();
    assert!(text(&output.stdout).contains("group of 64"));
    // Ratios, and growth over four sizes.
    assert_eq!(written.matches("<svg").count(), 2, "{written}");
    assert_eq!(written.matches("://").count(), written.matches("xmlns=").count(), "{written}");
}

#[test]
fn an_interrupted_run_keeps_its_rows_and_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("run.json");
    let arguments = ["--quick", "--scenario", "group,stepping", "--resume", file.to_str().unwrap()];
    let mut child =
        program().args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    let stdout = BufReader::new(child.stdout.take().unwrap());
    let mut lines = stdout.lines().map(|line| line.expect("text"));
    assert!(lines.any(|line| line.starts_with("group of 8:")), "the second row was not reached");
    // SAFETY: the child has not been waited for, so the number is still its own.
    assert_eq!(unsafe { libc::kill(child.id().cast_signed(), libc::SIGINT) }, 0);
    let rest: Vec<String> = lines.collect();
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(130), "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("--resume"), "{}", text(&output.stderr));
    assert!(rest.iter().any(|line| line.starts_with("goals: ")), "{rest:?}");
    let kept = rows_in(&file);
    assert!(kept.len() >= 2 && kept.len() < 6, "{kept:?}");
    let output = run(&arguments);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let all = rows_in(&file);
    assert_eq!(all.len(), 6, "{all:?}");
    assert_eq!(all[..kept.len()], kept, "what was kept was measured again");
}

/// Names of the rows, and the first figure, without the last bits, which a float may lose on its way through the file.
fn rows_in(file: &Path) -> Vec<String> {
    let document = document(&std::fs::read(file).unwrap());
    let rows = document["rows"].as_array().expect("rows");
    let median = |row: &serde_json::Value| row["contenders"][0]["median"].as_f64().expect("a figure");
    rows.iter().map(|row| format!("{} {:.9e}", row["name"], median(row))).collect()
}

#[test]
fn a_run_compares_itself_with_an_earlier_one() {
    let folder = tempfile::tempdir().unwrap();
    let earlier = folder.path().join("run.json");
    let earlier = earlier.to_str().unwrap();
    // Bytes are counted, so two runs agree exactly.
    let rows = "memory;memory, parked";
    let first = run(&["--quick", "--repetitions", "1", "--scenario", rows, "--json"]);
    std::fs::write(earlier, &first.stdout).unwrap();
    let arguments = ["--quick", "--repetitions", "1", "--scenario", rows, "--baseline", earlier];
    let same = run(&arguments);
    assert_eq!(same.status.code(), Some(0), "{}", text(&same.stdout));
    assert!(text(&same.stdout).contains("0 of 4 figures of ours are slower"), "{}", text(&same.stdout));
    // As if the machines had been smaller then.
    let mut document = document(&first.stdout);
    for part in ["median", "low", "high"] {
        document["rows"][0]["contenders"][1]["ratio"][part] = 0.01.into();
    }
    std::fs::write(earlier, document.to_string()).unwrap();
    let heavier = run(&arguments);
    assert_eq!(heavier.status.code(), Some(1), "{}", text(&heavier.stdout));
    assert!(text(&heavier.stdout).contains("1 of 4 figures of ours are slower"), "{}", text(&heavier.stdout));
}
