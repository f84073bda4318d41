use std::fmt::Write as _;
use std::time::Duration;

use crate::campaign::{CampaignOptions, Failure, Finding, Summary};
use crate::subject::{self, Subject};
use crate::tape::Source;

/// Notes of a violation that are shown without `--verbose`: a note for each of a thousand fibers is no help.
const NOTES: usize = 8;

/// What is printed before anything runs: the seed with all that was drawn from it, or the campaign's frame.
pub fn heading<S: Subject>(options: &CampaignOptions<S>) -> String {
    if options.is_single() {
        let seed = options.first_seed;
        return subject::describe::<S>(&subject::draw::<S>(&Source::Seed(seed), seed, &options.fixed));
    }
    let flags = options.fixed.flags();
    let fixed = if flags.is_empty() { "nothing; the seed draws everything" } else { flags.trim_start() };
    let much = match (options.seeds, options.duration) {
        (Some(seeds), None) => format!("{seeds} seeds"),
        (Some(seeds), Some(duration)) => format!("{seeds} seeds, at most {}", seconds(duration)),
        (None, Some(duration)) => seconds(duration),
        (None, None) => "until interrupted".into(),
    };
    let mut text = format!("first seed       {:#x}\n", options.first_seed);
    let recheck =
        if options.recheck == 0 { "none".into() } else { format!("one in {} seeds", options.recheck) };
    for (name, value) in
        [("for", much), ("jobs", options.jobs.to_string()), ("fixed", fixed.into()), ("run twice", recheck)]
    {
        line(&mut text, name, &value);
    }
    text
}

/// Every count: the counters of the system, each kind of fault, each point of [`sometimes!`](crate::sometimes!).
pub fn tables(summary: &Summary) -> String {
    let totals = &summary.totals;
    let mut text = String::from("\n");
    line(&mut text, "crashes", &grouped(totals.crashes));
    for (name, value) in &totals.counters {
        line(&mut text, name, &grouped(*value));
    }
    let _ = writeln!(
        text,
        "{:<28} {:>8} {:>12} {:>12} {:>12}",
        "fault", "seeds", "requested", "delivered", "noticed"
    );
    for fault in totals.faults.iter().filter(|fault| fault.seeds > 0 || fault.requested > 0) {
        let (seeds, requested) = (grouped(fault.seeds), grouped(fault.requested));
        let (delivered, noticed) = (grouped(fault.delivered), grouped(fault.noticed));
        let _ = writeln!(
            text,
            "  {:<26} {seeds:>8} {requested:>12} {delivered:>12} {noticed:>12}",
            fault.kind.name()
        );
    }
    if !totals.reached.is_empty() {
        let width = totals.reached.keys().map(|name| name.chars().count()).max().unwrap_or(0);
        let _ = writeln!(text, "{:<width$} {:>14}", "point", "reached");
        for (name, count) in &totals.reached {
            let _ = writeln!(text, "  {name:<width$} {:>12}", grouped(*count));
        }
    }
    for warning in &summary.warnings {
        line(&mut text, "warning", warning);
    }
    text
}

/// Each failure: its violation, and with `verbose` all notes and the options that its seed drew.
pub fn failures<S: Subject>(options: &CampaignOptions<S>, summary: &Summary, verbose: bool) -> String {
    let drawn = verbose && !options.is_single();
    let one =
        |failure| format!("\n{}", one_failure(failure, drawn, if verbose { usize::MAX } else { NOTES }));
    summary.failures.iter().map(one).collect()
}

fn one_failure(failure: &Failure, drawn: bool, notes: usize) -> String {
    let mut text = format!("FAILED: seed {:#x} after {} steps\n", failure.seed, failure.steps);
    match &failure.finding {
        Finding::Violation(violation) => {
            let mut shown = violation.clone();
            shown.notes.truncate(notes);
            let _ = writeln!(text, "{shown}");
            if let Some(more) = violation.notes.len().checked_sub(notes).filter(|&more| more > 0) {
                let _ = writeln!(text, "  and {more} more notes, with --verbose");
            }
        }
        Finding::Nondeterminism { event, first, second } => {
            let place =
                event.map_or_else(|| "in its trace".into(), |index| format!("first at event {index}"));
            let _ = writeln!(text, "NONDETERMINISM: two runs of one seed differ {place}");
            let _ = writeln!(text, "  expected  {first}");
            let _ = writeln!(text, "  seen      {second}");
        }
    }
    if drawn {
        for (name, value) in &failure.options {
            line(&mut text, name, value);
        }
        line(&mut text, "trace hash", &format!("{:#018x}", failure.trace_hash));
        line(&mut text, "command", &failure.command);
    }
    text
}

pub(super) fn line(text: &mut String, name: &str, value: &str) {
    // Writing to a string cannot fail.
    let width = if name.len() > 16 { 28 } else { 16 };
    let _ = writeln!(text, "{name:<width$} {value}");
}

pub(super) fn seconds(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}

/// 1234567 as 1,234,567.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_by_thousands() {
        assert_eq!(["0", "999", "1,000", "1,234,567"], [0, 999, 1000, 1_234_567].map(grouped).as_slice());
    }
}
