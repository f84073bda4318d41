//! What people see of a run: a line when a model begins, one when it has ended, and the sums.

use std::io::{Write, stdout};
use std::time::Duration;

use tenterhook_loom_tests::explored::Explored;

use crate::model::{Bound, Model};

/// How many of the slowest models the end names.
const SLOWEST: usize = 5;

/// The models that have ended.
#[derive(Default)]
pub(crate) struct Summary {
    rows: Vec<Row>,
}

struct Row {
    name: String,
    explored: Explored,
}

pub(crate) fn header() {
    line(format_args!("  {:<60} {:>11} {:>8}  bound", "model", "executions", "seconds"));
}

/// Before it begins: should it abort the process, this is the last that is heard of it.
pub(crate) fn begins(model: &Model) {
    line(format_args!("> {}", model.name));
}

/// A line of the table, at once. The reader of the pipe may be gone.
fn line(text: std::fmt::Arguments<'_>) {
    let mut out = stdout().lock();
    let _ = writeln!(out, "{text}").and_then(|()| out.flush());
}

pub(crate) fn describe(bound: Bound, full: bool) -> String {
    match bound {
        Bound::Preemptions(most) if !full => format!("{most} preemptions"),
        _ => "exhaustive".into(),
    }
}

impl Summary {
    pub(crate) fn ended(&mut self, model: &Model, explored: Explored, full: bool) {
        let verdict = if explored.failure.is_some() { "  FAILED" } else { "" };
        line(format_args!(
            "  {:<60} {:>11} {:>8.2}  {}{verdict}",
            model.name,
            explored.executions,
            explored.seconds,
            describe(model.bound, full),
        ));
        self.rows.push(Row { name: model.name.clone(), explored });
    }

    /// Prints what all came to; true when nothing failed.
    pub(crate) fn end(mut self, elapsed: Duration) -> bool {
        let failed: Vec<_> =
            self.rows.iter().filter_map(|row| Some((&row.name, row.explored.failure.as_ref()?))).collect();
        for (name, failure) in &failed {
            line(format_args!("\nFAILED {name}: {failure}\n  repeat: make loom MODEL={name}"));
        }
        let (failed, executions) =
            (failed.len(), self.rows.iter().map(|row| row.explored.executions).sum::<u64>());
        self.rows.sort_by(|one, other| other.explored.seconds.total_cmp(&one.explored.seconds));
        line(format_args!("\nslowest:"));
        for row in self.rows.iter().take(SLOWEST) {
            let Explored { executions, seconds, .. } = row.explored;
            line(format_args!("  {:<60} {executions:>11} {seconds:>8.2}", row.name));
        }
        let ran = self.rows.len();
        line(format_args!("\n{ran} models, {executions} executions, {:.1} s", elapsed.as_secs_f64()));
        line(format_args!("{} passed, {failed} failed", ran - failed));
        failed == 0
    }
}
