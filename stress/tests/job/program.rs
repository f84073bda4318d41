//! The tester of the planted store, as a process.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use super::planted::BUGS;

/// The variable that makes this program the tester.
pub(crate) const ROLE: &str = "TENTERHOOK_PROGRAM";

/// The program with `bugs`, about to run with `arguments`, words between spaces, in `folder`.
pub(crate) fn program(folder: &Path, bugs: &str, arguments: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    command.args(arguments.split_whitespace()).current_dir(folder);
    command.env(ROLE, "planted").env(BUGS, bugs).stdin(Stdio::null());
    for cluster in ["JOB_COMPLETION_INDEX", "SLURM_ARRAY_TASK_ID"] {
        command.env_remove(cluster);
    }
    command
}

pub(crate) fn finish(folder: &Path, bugs: &str, arguments: &str) -> Output {
    program(folder, bugs, arguments).output().expect("the program starts")
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("the program speaks UTF-8")
}

/// Runs it, which must end with `code`, and gives what it prints.
pub(crate) fn expect(code: i32, folder: &Path, bugs: &str, arguments: &str) -> String {
    let output = finish(folder, bugs, arguments);
    let (out, problem) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "{arguments}\n{out}\n{problem}");
    out
}

pub(crate) fn document(folder: &Path, arguments: &str) -> Value {
    serde_json::from_str(&expect(0, folder, "", arguments)).expect("one document")
}

/// What of a report is a function of the seeds.
pub(crate) fn totals(folder: &Path, job: &str) -> Value {
    let report = document(folder, &format!("report {job} --json"));
    let mut totals = serde_json::Map::new();
    for name in [
        "seeds",
        "rechecked",
        "steps",
        "crashes",
        "counters",
        "faults",
        "sometimes",
        "violations",
        "trace_hash",
    ] {
        totals.insert(name.into(), report[name].clone());
    }
    let causes = report["job"]["causes"].as_array().expect("a list").iter();
    let of_cause = causes.map(|cause| {
        let parts =
            ["signature", "count", "seed", "steps", "deviations", "expected", "seen", "command", "options"];
        parts.map(|part| cause[part].clone()).into_iter().collect::<Value>()
    });
    totals.insert("causes".into(), of_cause.collect());
    Value::Object(totals)
}
