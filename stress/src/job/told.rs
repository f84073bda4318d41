//! What a job has come to, as a document, in a few lines, and as an exit code.

use std::path::Path;

use serde_json::Value;

use super::JobError;
use super::catalogue::Cause;
use super::totals::read;
use crate::exit::ExitCode;
use crate::subject::Subject;
use crate::words::many;

/// What the job in `folder` has come to, as one document.
///
/// # Errors
///
/// When there is no job of `S` that can be read.
pub fn document<S: Subject>(folder: &Path) -> Result<Value, JobError> {
    Ok(read::<S>(folder)?.document())
}

/// The same in a few lines: the verdict first.
///
/// # Errors
///
/// When there is no job of `S` that can be read.
pub fn glance<S: Subject>(folder: &Path) -> Result<String, JobError> {
    use std::fmt::Write as _;
    let whole = read::<S>(folder)?;
    let totals = &whole.summary.totals;
    let mut text = String::new();
    let mut line = |name: &str, value: String| {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{name:<16} {value}");
    };
    let open = whole.open().count();
    line("verdict", whole.verdict().0);
    line(
        "seeds",
        format!(
            "{} from {:#x}, {} of them failed",
            totals.seeds, whole.summary.first_seed, whole.failing_seeds
        ),
    );
    line("steps", totals.steps.to_string());
    let elapsed = whole.summary.elapsed.as_secs_f64();
    line("elapsed", format!("{elapsed:.1} s in {}", many(whole.sittings, "sitting")));
    for (mode, row) in whole.by_mode.iter().filter(|(mode, row)| !mode.is_folded() && row.seeds > 0) {
        line(mode.name(), format!("{}, {:.1} s", many(row.seeds, "unit"), row.nanos as f64 / 1e9));
    }
    let reached = totals.reached.values().filter(|&&count| count > 0).count();
    line("points reached", format!("{reached} of {}", totals.reached.len()));
    line("canary", whole.told_canary());
    line("causes", format!("{open} open, {} in all", whole.causes.len()));
    for cause in whole.causes.iter().take(8) {
        line("", glance_at(cause));
    }
    if let Some(more) = whole.causes.len().checked_sub(8).filter(|&more| more > 0) {
        line("", format!("and {more} more: {} failures {}", S::PROGRAM, folder.display()));
    }
    line("trace hash", format!("{:#018x}", totals.trace_digest));
    Ok(text)
}

/// A cause in a line.
pub fn glance_at(cause: &Cause) -> String {
    let state: &'static str = cause.state.into();
    format!("{:<26} {state:<9} {:>6}  {}", cause.signature, cause.count, cause.what())
}

/// The exit code of a program that has worked on the job in `folder`: that of the verdict which a report begins with.
///
/// # Errors
///
/// When there is no job of `S` that can be read.
pub fn exit_code<S: Subject>(folder: &Path) -> Result<ExitCode, JobError> {
    Ok(read::<S>(folder)?.verdict().1)
}
