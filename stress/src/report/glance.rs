use std::fmt::Write as _;
use std::time::Duration;

use super::ShrunkFailure;
use super::text::{grouped, line, seconds};
use crate::campaign::{CampaignOptions, Summary, Totals};
use crate::disk::FaultGroup;
use crate::subject::Subject;

/// Points that were not reached: so many are listed.
const POINTS: usize = 4;
/// Warnings: so many are listed.
const WARNINGS: usize = 3;
/// Failures that were shrunk beside the first: so many are listed.
const SHRUNK: usize = 3;
/// Counters of the system that are shown: the first of [`System::counters`](crate::system::System::counters).
const COUNTERS: usize = 2;

/// The end of a campaign in at most 25 lines: the verdict first, the command that repeats it last.
pub fn glance<S: Subject>(
    options: &CampaignOptions<S>,
    summary: &Summary,
    shrunk: &[ShrunkFailure],
) -> String {
    let totals = &summary.totals;
    let failed = !summary.failures.is_empty();
    let mut text = format!("\n{:<16} {}\n", "verdict", verdict(summary));
    let mut say = |name: &str, value: &str| line(&mut text, name, value);
    if let (Some(problem), true) = (&summary.internal, failed) {
        say("tester at fault", problem);
    }
    say("seeds", &seeds(summary));
    say("steps", &steps(options.jobs, summary));
    if totals.points > 0 {
        let busy = (totals.busy_nanos as f64 / 1e9).max(1e-9);
        let rate = grouped((totals.points as f64 / busy) as u64);
        say("thread points", &format!("{}: {rate}/s per job", grouped(totals.points)));
    }
    for (name, value) in totals.counters.iter().take(COUNTERS) {
        say(name, &grouped(*value));
    }
    // A failure is what its reader is after: the rest is with --verbose.
    if !failed {
        say("crashes", &grouped(totals.crashes));
        faults(&mut text, totals);
        points(&mut text, summary);
        if let Some(slowest) = totals.slowest {
            let (taken, count) = (Duration::from_nanos(slowest.nanos), grouped(slowest.steps));
            line(
                &mut text,
                "slowest seed",
                &format!("{:#x}, {}, {count} steps", slowest.seed, seconds(taken)),
            );
        }
        for warning in summary.warnings.iter().take(WARNINGS) {
            line(&mut text, "warning", warning);
        }
        if let Some(more) = summary.warnings.len().checked_sub(WARNINGS + 1) {
            line(&mut text, "warning", &format!("{} more, with --verbose", more + 1));
        }
    }
    let hash = match summary.failures.first() {
        Some(failure) if options.is_single() => failure.trace_hash,
        _ => totals.trace_hash(options.is_single()),
    };
    line(&mut text, "trace hash", &format!("{hash:#018x}"));
    if let Some((first, others)) = shrunk.split_first() {
        let _ = write!(text, "\n{first}");
        others.iter().take(SHRUNK).for_each(|other| {
            line(
                &mut text,
                "also",
                &format!("{}: {}", other.violation.oracle, other.files.timeline.display()),
            );
        });
        if let Some(more) = others.len().checked_sub(SHRUNK + 1) {
            line(&mut text, "also", &format!("{} more, beside them", more + 1));
        }
    }
    let command = match summary.failures.first() {
        Some(first) => first.command.clone(),
        None => again(options, summary),
    };
    let _ = writeln!(text, "\nrepeat with:\n{command}");
    text
}

fn verdict(summary: &Summary) -> String {
    let interrupted = if summary.interrupted { ", interrupted: the counts end there" } else { "" };
    match (summary.failures.len(), &summary.internal) {
        (0, None) => format!("passed{interrupted}"),
        (0, Some(problem)) => format!("TESTER AT FAULT: {problem}{interrupted}"),
        (1, _) => format!("FAILED: 1 failure{interrupted}"),
        (many, _) => format!("FAILED: {many} failures{interrupted}"),
    }
}

fn seeds(summary: &Summary) -> String {
    let totals = &summary.totals;
    let mut text = format!("{} from {:#x}", grouped(totals.seeds), summary.first_seed);
    if totals.rechecked > 0 {
        let _ = write!(text, ", {} run twice", grouped(totals.rechecked));
    }
    if totals.cut_short > 0 {
        let _ = write!(text, ", {} cut short", totals.cut_short);
    }
    text
}

fn steps(jobs: usize, summary: &Summary) -> String {
    let totals = &summary.totals;
    let busy = Duration::from_nanos(totals.busy_nanos).as_secs_f64().max(1e-9);
    let rate = grouped((totals.steps as f64 / busy) as u64);
    let jobs = if jobs == 1 { "1 job".into() } else { format!("{jobs} jobs") };
    let earlier = match summary.earlier {
        Duration::ZERO => String::new(),
        earlier => format!(", {} of it in earlier runs", seconds(earlier)),
    };
    format!("{} in {}{earlier}: {rate}/s per job, {jobs}", grouped(totals.steps), seconds(summary.elapsed))
}

/// The faults that reached the system, two groups a line.
fn faults(text: &mut String, totals: &Totals) {
    let of = |group: FaultGroup| {
        let faults = || totals.faults.iter().filter(|fault| fault.kind.group() == group);
        let possible = faults().any(|fault| fault.seeds > 0 || fault.requested > 0);
        possible.then(|| (group, faults().map(|fault| fault.delivered).sum::<u64>()))
    };
    let groups: Vec<_> = FaultGroup::ALL.into_iter().filter_map(of).collect();
    for (index, pair) in groups.chunks(2).enumerate() {
        let cells = pair.iter().map(|(group, count)| format!("{:<17} {:>10}", group.name(), grouped(*count)));
        let cells: Vec<String> = cells.collect();
        line(text, if index == 0 { "faults delivered" } else { "" }, &cells.join("    "));
    }
}

/// How many points of [`sometimes!`](crate::sometimes!) were reached, and which were not.
fn points(text: &mut String, summary: &Summary) {
    let reached = &summary.totals.reached;
    if reached.is_empty() {
        return;
    }
    let missed: Vec<&String> =
        reached.iter().filter(|&(_, &count)| count == 0).map(|(name, _)| name).collect();
    line(text, "points reached", &format!("{} of {}", reached.len() - missed.len(), reached.len()));
    for (index, name) in missed.iter().take(POINTS).enumerate() {
        line(text, if index == 0 { "  not reached" } else { "" }, name);
    }
    if missed.len() > POINTS {
        line(text, "", &format!("and {} more, with --verbose", missed.len() - POINTS));
    }
}

/// The command that runs the same seeds.
fn again<S: Subject>(options: &CampaignOptions<S>, summary: &Summary) -> String {
    let flags = options.fixed.flags();
    let (program, first) = (S::PROGRAM, summary.first_seed);
    match summary.totals.seeds {
        _ if options.is_single() => format!("{program} sim --seed {first:#x}{flags}"),
        seeds => format!("{program} sim --seed {first:#x} --seeds {}{flags}", seeds.max(1)),
    }
}
