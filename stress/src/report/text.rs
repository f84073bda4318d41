use std::fmt::Write as _;
use std::time::Duration;

use super::ShrunkFailure;
use crate::campaign::{CampaignOptions, Failure, Finding, Summary};
use crate::subject::{self, Subject};
use crate::tape::Source;

/// What is printed before anything runs: the seed with all that was drawn from it, or the campaign's frame.
pub fn heading<S: Subject>(options: &CampaignOptions<S>) -> String {
    if options.is_single() {
        let seed = options.first_seed;
        return subject::describe::<S>(&subject::draw::<S>(&Source::Seed(seed), seed, &options.fixed));
    }
    let flags = options.fixed.flags();
    let fixed = if flags.is_empty() { "nothing: the seed draws everything" } else { flags.trim_start() };
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

/// Everything counted.
pub fn summary<S: Subject>(options: &CampaignOptions<S>, summary: &Summary) -> String {
    let totals = &summary.totals;
    let mut text = String::from("\n");
    if summary.interrupted {
        line(&mut text, "interrupted", "yes: this is what there was until then");
    }
    let cut_short = match totals.cut_short {
        0 => String::new(),
        seeds => format!(", and {seeds} cut short"),
    };
    line(&mut text, "seeds", &format!("{}, {} of them run twice{cut_short}", totals.seeds, totals.rechecked));
    let sitting = summary.elapsed.saturating_sub(summary.earlier);
    let busy = Duration::from_nanos(totals.busy_nanos).as_secs_f64().max(1e-9);
    let rate = totals.steps as f64 / busy;
    line(
        &mut text,
        "steps",
        &format!("{}, {} a second and job", grouped(totals.steps), grouped(rate as u64)),
    );
    let elapsed = match summary.earlier {
        Duration::ZERO => seconds(summary.elapsed),
        earlier => format!(
            "{}: {} in this sitting, {} before",
            seconds(summary.elapsed),
            seconds(sitting),
            seconds(earlier)
        ),
    };
    line(&mut text, "elapsed", &elapsed);
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
    let _ = writeln!(text, "{:<50} {:>12}", "sometimes", "reached");
    for (name, count) in &totals.reached {
        let _ = writeln!(text, "  {name:<48} {:>12}", grouped(*count));
    }
    for warning in &summary.warnings {
        line(&mut text, "warning", warning);
    }
    if let Some(problem) = &summary.internal {
        line(&mut text, "TESTER AT FAULT", problem);
    }
    end(&mut text, options, summary);
    text
}

/// A campaign that failed, in a few lines.
pub fn brief<S: Subject>(options: &CampaignOptions<S>, summary: &Summary) -> String {
    let totals = &summary.totals;
    let mut text = String::from("\n");
    if summary.interrupted {
        line(&mut text, "interrupted", "yes: this is what there was until then");
    }
    let (seeds, steps) = (totals.seeds, grouped(totals.steps));
    line(&mut text, "seeds", &format!("{seeds}, {steps} steps, {}", seconds(summary.elapsed)));
    if let Some(problem) = &summary.internal {
        line(&mut text, "TESTER AT FAULT", problem);
    }
    line(&mut text, "counts", "with --verbose, or all of them with --json");
    end(&mut text, options, summary);
    text
}

/// The last lines of a summary, long or short.
fn end<S: Subject>(text: &mut String, options: &CampaignOptions<S>, summary: &Summary) {
    line(text, "failures", &summary.failures.len().to_string());
    let hash = match summary.failures.first() {
        Some(failure) if options.is_single() => failure.trace_hash,
        _ => summary.totals.trace_hash(options.is_single()),
    };
    line(text, "trace hash", &format!("{hash:#018x}"));
}

/// What failed.
pub fn failures<S: Subject>(options: &CampaignOptions<S>, summary: &Summary) -> String {
    let one = |failure| format!("\n{}", one_failure(failure, options.is_single()));
    summary.failures.iter().map(one).collect()
}

/// What was made of the first failure, and the command that repeats it as the last line; nothing if there is none.
pub fn repetition(summary: &Summary, shrunk: Option<&ShrunkFailure>) -> String {
    let mut text = String::new();
    if let Some(shrunk) = shrunk {
        let _ = write!(text, "\n{shrunk}");
    }
    if let Some(first) = summary.failures.first() {
        let _ = write!(text, "\nrepeat with:\n{}\n", first.command);
    }
    text
}

fn one_failure(failure: &Failure, single: bool) -> String {
    let mut text = format!("FAILED: seed {:#x} after {} steps\n", failure.seed, failure.steps);
    match &failure.finding {
        Finding::Violation(violation) => {
            let _ = writeln!(text, "{violation}");
        }
        Finding::Nondeterminism { event, first, second } => {
            let place =
                event.map_or_else(|| "in its trace".into(), |index| format!("first at event {index}"));
            let _ = writeln!(text, "NONDETERMINISM: two runs of one seed differ {place}");
            let _ = writeln!(text, "  expected  {first}");
            let _ = writeln!(text, "  seen      {second}");
        }
    }
    if !single {
        for (name, value) in &failure.options {
            line(&mut text, name, value);
        }
        line(&mut text, "trace hash", &format!("{:#018x}", failure.trace_hash));
        line(&mut text, "command", &failure.command);
    }
    text
}

fn line(text: &mut String, name: &str, value: &str) {
    // Writing to a string cannot fail.
    let width = if name.len() > 16 { 28 } else { 16 };
    let _ = writeln!(text, "{name:<width$} {value}");
}

fn seconds(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}

/// 1234567 as 1,234,567.
fn grouped(number: u64) -> String {
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
