//! The command that takes one operation at a time.

use clap::Args;
use serde_json::json;

use super::{print, usage};
use crate::exit::ExitCode;
use crate::subject::Subject;
use crate::sweep::{self, Bounds, Case, Failure, Objection, Operation, OperationReport};
use crate::violation::Class;

/// Exhaustively injects every fault, yield, drop and crash into each operation.
///
/// Each subset of its I/O pending instead of done at once; others at work at each yield; each fault on each I/O; dropped
/// or cancelled at each yield; the power lost between any two I/Os, with each unsynced sector surviving or not, and again
/// during the recovery from that. What it comes to and what it leaves must not depend on its yields, it leaves all of its
/// effects or none, and whatever it leaves can be built on.
#[derive(Debug, Args)]
pub(super) struct SweepArguments {
    /// Only operations whose name contains TEXT.
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
    /// Only this case of the one operation that --only selects.
    #[arg(long, value_name = "CASE", requires = "only")]
    case: Option<Case>,
    /// Every subset of the I/Os of operations with at most N of them; of larger ones each one, each two, and all.
    #[arg(long, value_name = "N", default_value_t = Bounds::default().subsets, value_parser = clap::value_parser!(u32).range(1..=20))]
    subsets: u32,
    /// Sectors of a file that a power loss keeps, loses and tears one by one.
    #[arg(long, value_name = "N", default_value_t = Bounds::default().sectors)]
    sectors: u32,
    /// List the operations and exit.
    #[arg(long)]
    list: bool,
    /// Print one JSON document instead of text.
    #[arg(long)]
    json: bool,
    /// Print only the totals, not a line for each operation.
    #[arg(long)]
    quiet: bool,
}

pub(super) const EXAMPLES: &str = "\
Examples:
  PROGRAM sweep                                   everything
  PROGRAM sweep --only checkpoint                 operations with this text in their name
  PROGRAM sweep --only NAME --case dropped:2      one case, as a failure prints it";

pub(super) fn run<S: Subject>(arguments: SweepArguments) -> ExitCode {
    let mut operations = S::operations();
    if operations.is_empty() {
        return usage(S::PROGRAM, &format!("{} has no operations to sweep: it must offer some", S::NAME));
    }
    if let Some(text) = &arguments.only {
        // A whole name means that operation, even if it is part of another's.
        let exact = operations.iter().any(|operation| operation.name() == *text);
        operations.retain(
            |operation| if exact { operation.name() == *text } else { operation.name().contains(text) },
        );
        if operations.is_empty() {
            return usage(
                S::PROGRAM,
                &format!("--only {text}: no operation has that in its name; --list prints them"),
            );
        }
    }
    if arguments.list {
        operations.iter().for_each(|operation| print(&format!("{}\n", operation.name())));
        return ExitCode::Ok;
    }
    match (&arguments.case, operations.as_slice()) {
        (None, _) => sweep_all::<S>(&operations, &arguments),
        (Some(case), [operation]) => replay::<S>(operation.as_ref(), case, arguments.json),
        (Some(_), _) => {
            usage(S::PROGRAM, "--case is for one operation: --only leaves more, give its whole name")
        }
    }
}

fn sweep_all<S: Subject>(operations: &[Box<dyn Operation>], arguments: &SweepArguments) -> ExitCode {
    let bounds = Bounds { subsets: arguments.subsets, sectors: arguments.sectors };
    let is_told = !arguments.json && !arguments.quiet;
    if is_told {
        print(&format!("{}\n", OperationReport::head()));
    }
    let mut reports = Vec::new();
    let mut failures = Vec::new();
    for operation in operations {
        match sweep::sweep(operation.as_ref(), bounds) {
            Ok(report) => {
                if is_told {
                    print(&format!("{report}\n"));
                }
                reports.push(report);
            }
            Err(failure) => {
                if is_told {
                    print(&format!("{:<34} fails in case {}\n", failure.subject, failure.case));
                }
                failures.push(*failure);
            }
        }
    }
    let cases: u64 = reports.iter().map(OperationReport::cases).sum();
    let runs: u64 = reports.iter().map(|report| report.runs).sum();
    let code =
        failures.iter().map(|failure| exit_code(Some(failure.violation.class))).min().unwrap_or(ExitCode::Ok);
    if arguments.json {
        let failures: Vec<_> = failures.iter().map(document::<S>).collect();
        let document = json!({
            "operations": reports, "cases": cases, "runs": runs, "failures": failures, "exit_code": code as u8,
        });
        print(&format!("{document:#}\n"));
    } else {
        let (operations, failed) = (operations.len(), failures.len());
        print(&format!("\n{operations} operations, {cases} cases, {runs} runs, {failed} failures\n"));
        failures.iter().for_each(|failure| print(&describe::<S>(failure)));
    }
    code
}

fn replay<S: Subject>(operation: &dyn Operation, case: &Case, json: bool) -> ExitCode {
    match sweep::replay(operation, case) {
        Ok(()) if json => {
            print(&format!("{:#}\n", json!({ "cases": 1, "failures": [], "exit_code": 0 })));
            ExitCode::Ok
        }
        Ok(()) => {
            print(&format!("{}, {case}: passes\n", operation.name()));
            ExitCode::Ok
        }
        Err(Objection::NoSuchCase(why)) => {
            usage(S::PROGRAM, &format!("--case {case}: '{}' has no such case: {why}", operation.name()))
        }
        Err(Objection::Failure(failure)) => {
            let code = exit_code(Some(failure.violation.class));
            print(&if json {
                format!(
                    "{:#}\n",
                    json!({ "cases": 1, "failures": [document::<S>(&failure)], "exit_code": code as u8 })
                )
            } else {
                describe::<S>(&failure)
            });
            code
        }
    }
}

/// The failure, its last line the command that repeats it.
fn describe<S: Subject>(failure: &Failure) -> String {
    let Failure { subject, case, violation } = failure;
    format!("\n{violation}\n  operation {subject}\n  case      {case}\n\n{}\n", command::<S>(failure))
}

fn document<S: Subject>(failure: &Failure) -> serde_json::Value {
    json!({
        "operation": failure.subject,
        "case": failure.case.to_string(),
        "finding": failure.violation,
        "command": command::<S>(failure),
    })
}

fn command<S: Subject>(failure: &Failure) -> String {
    format!("{} sweep --only '{}' --case {}", S::PROGRAM, failure.subject, failure.case)
}

fn exit_code(class: Option<Class>) -> ExitCode {
    class.map_or(ExitCode::Ok, ExitCode::from)
}
