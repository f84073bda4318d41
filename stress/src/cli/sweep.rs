//! The command that takes one operation at a time.

use clap::Args;
use serde_json::json;

use super::{print, usage};
use crate::exit::ExitCode;
use crate::sweep::{self, Bounds, Case, Failure, Objection, Subject, SubjectReport};
use crate::violation::Class;

/// Runs every operation of the pager through every harm, exhaustively.
///
/// Each subset of its I/O pending instead of done at once; others at work at each yield; each fault on each I/O; dropped
/// or cancelled at each yield; the power lost between any two I/Os, with each unsynced sector surviving or not, and again
/// during the recovery from that. What it comes to and what it leaves must not depend on its yields, it leaves all of its
/// effects or none, and whatever it leaves can be built on.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  tenterhook sweep                                           everything
  tenterhook sweep --only checkpoint                         the operations with that in their name
  tenterhook sweep --only 'commit one page' --case dropped:2 one case, as a failure prints it")]
pub(super) struct SweepArguments {
    /// Only operations whose name contains TEXT.
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
    /// Only this case, of the one operation that --only leaves.
    #[arg(long, value_name = "CASE", requires = "only")]
    case: Option<Case>,
    /// Every subset of the I/Os of operations with at most N of them; of larger ones each one, each two, and all.
    #[arg(long, value_name = "N", default_value_t = Bounds::default().subsets, value_parser = clap::value_parser!(u32).range(1..=20))]
    subsets: u32,
    /// Sectors of a file that a power loss spares, takes and tears one by one.
    #[arg(long, value_name = "N", default_value_t = Bounds::default().sectors)]
    sectors: u32,
    /// Print the operations' names, and do nothing.
    #[arg(long)]
    list: bool,
    /// Print one JSON document instead of text.
    #[arg(long)]
    json: bool,
    /// Print no line for each operation, only what came of all.
    #[arg(long)]
    quiet: bool,
}

pub(super) fn run(arguments: SweepArguments) -> ExitCode {
    let mut subjects = sweep::catalogue();
    if let Some(text) = &arguments.only {
        // A whole name means that operation, even if it is part of another's.
        let exact = subjects.iter().any(|subject| subject.name() == *text);
        subjects
            .retain(|subject| if exact { subject.name() == *text } else { subject.name().contains(text) });
        if subjects.is_empty() {
            return usage(&format!("--only {text}: no operation has that in its name; --list prints them"));
        }
    }
    if arguments.list {
        subjects.iter().for_each(|subject| print(&format!("{}\n", subject.name())));
        return ExitCode::Ok;
    }
    match (&arguments.case, subjects.as_slice()) {
        (None, _) => sweep_all(&subjects, &arguments),
        (Some(case), [subject]) => replay(subject.as_ref(), case, arguments.json),
        (Some(_), _) => usage("--case is for one operation: --only leaves more, give its whole name"),
    }
}

fn sweep_all(subjects: &[Box<dyn Subject>], arguments: &SweepArguments) -> ExitCode {
    let bounds = Bounds { subsets: arguments.subsets, sectors: arguments.sectors };
    let is_told = !arguments.json && !arguments.quiet;
    if is_told {
        print(&format!("{}\n", SubjectReport::head()));
    }
    let mut reports = Vec::new();
    let mut failures = Vec::new();
    for subject in subjects {
        match sweep::sweep(subject.as_ref(), bounds) {
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
    let cases: u64 = reports.iter().map(SubjectReport::cases).sum();
    let runs: u64 = reports.iter().map(|report| report.runs).sum();
    let code = exit_code(failures.first().map(|failure| failure.violation.class));
    if arguments.json {
        let failures: Vec<_> = failures.iter().map(document).collect();
        let document = json!({
            "operations": reports, "cases": cases, "runs": runs, "failures": failures, "exit_code": code as u8,
        });
        print(&format!("{document:#}\n"));
    } else {
        let (operations, failed) = (subjects.len(), failures.len());
        print(&format!("\n{operations} operations, {cases} cases, {runs} runs, {failed} failures\n"));
        failures.iter().for_each(|failure| print(&describe(failure)));
    }
    code
}

fn replay(subject: &dyn Subject, case: &Case, json: bool) -> ExitCode {
    match sweep::replay(subject, case) {
        Ok(()) if json => {
            print(&format!("{:#}\n", json!({ "cases": 1, "failures": [], "exit_code": 0 })));
            ExitCode::Ok
        }
        Ok(()) => {
            print(&format!("{}, {case}: keeps its promises\n", subject.name()));
            ExitCode::Ok
        }
        Err(Objection::NoSuchCase(why)) => {
            usage(&format!("--case {case}: '{}' has no such case: {why}", subject.name()))
        }
        Err(Objection::Failure(failure)) => {
            let code = exit_code(Some(failure.violation.class));
            print(&if json {
                format!(
                    "{:#}\n",
                    json!({ "cases": 1, "failures": [document(&failure)], "exit_code": code as u8 })
                )
            } else {
                describe(&failure)
            });
            code
        }
    }
}

/// The failure, its last line the command that repeats it.
fn describe(failure: &Failure) -> String {
    let Failure { subject, case, violation } = failure;
    format!("\n{violation}\n  operation {subject}\n  case      {case}\n\n{}\n", command(failure))
}

fn document(failure: &Failure) -> serde_json::Value {
    json!({
        "operation": failure.subject,
        "case": failure.case.to_string(),
        "finding": failure.violation,
        "command": command(failure),
    })
}

fn command(failure: &Failure) -> String {
    format!("tenterhook sweep --only '{}' --case {}", failure.subject, failure.case)
}

fn exit_code(class: Option<Class>) -> ExitCode {
    match class {
        None => ExitCode::Ok,
        Some(Class::Liveness) => ExitCode::Liveness,
        Some(Class::Safety | Class::Panic) => ExitCode::Violation,
    }
}
