use serde_json::{Map, Value, json};

use super::ShrunkFailure;
use crate::campaign::{CampaignOptions, Failure, Finding, Summary};
use crate::subject::{self, Subject};
use crate::tape::Source;

/// The campaign as one document. Hashes and seeds are strings: a program that reads numbers as floating point would
/// lose their last digits.
pub fn document<S: Subject>(
    options: &CampaignOptions<S>,
    summary: &Summary,
    shrunk: &[ShrunkFailure],
) -> Value {
    let totals = &summary.totals;
    let single = options.is_single();
    let seed = options.first_seed;
    let drawn = single.then(|| S::describe(&subject::draw::<S>(&Source::Seed(seed), seed, &options.fixed)));
    let hash = match summary.failures.first() {
        Some(failure) if single => failure.trace_hash,
        _ => totals.trace_hash(single),
    };
    let busy = totals.busy_nanos as f64 / 1e9;
    let faults = totals.faults.iter().map(|fault| {
        let counts =
            json!({ "seeds": fault.seeds, "requested": fault.requested, "delivered": fault.delivered, "noticed": fault.noticed });
        (fault.kind.name().to_owned(), counts)
    });
    let counters = totals.counters.iter().map(|(name, value)| (name.clone(), Value::from(*value)));
    json!({
        "tester": format!("{} {}", S::PROGRAM, env!("CARGO_PKG_VERSION")),
        "first_seed": format!("{:#x}", summary.first_seed),
        "fixed": options.fixed,
        "options": drawn.map(|drawn| words(drawn.into_iter())),
        "seeds": totals.seeds,
        "cut_short": totals.cut_short,
        "rechecked": totals.rechecked,
        "steps": totals.steps,
        "thread_points": totals.points,
        "crashes": totals.crashes,
        "elapsed_seconds": summary.elapsed.as_secs_f64(),
        "steps_per_second_and_job": if busy > 0.0 { totals.steps as f64 / busy } else { 0.0 },
        "jobs": options.jobs,
        "slowest": totals.slowest.map(|slowest| {
            json!({ "seed": format!("{:#x}", slowest.seed), "seconds": slowest.nanos as f64 / 1e9, "steps": slowest.steps })
        }),
        "interrupted": summary.interrupted,
        "counters": counters.collect::<Map<_, _>>(),
        "faults": faults.collect::<Map<_, _>>(),
        "sometimes": totals.reached,
        "warnings": summary.warnings,
        "tester_at_fault": summary.internal,
        "violations": summary.failures.iter().map(failure).collect::<Vec<_>>(),
        "shrunk": shrunk,
        "exit_code": summary.exit_code() as u8,
        "trace_hash": format!("{hash:#018x}"),
    })
}

fn failure(failure: &Failure) -> Value {
    let finding = match &failure.finding {
        Finding::Violation(violation) => json!(violation),
        Finding::Nondeterminism { event, first, second } => {
            json!({ "oracle": "determinism", "class": "nondeterminism", "event": event, "expected": first, "seen": second })
        }
    };
    json!({
        "seed": format!("{:#x}", failure.seed),
        "options": words(failure.options.iter().map(|(name, value)| (name.as_str(), value.clone()))),
        "steps": failure.steps,
        "trace_hash": format!("{:#018x}", failure.trace_hash),
        "finding": finding,
        "command": failure.command,
    })
}

fn words<'a>(options: impl Iterator<Item = (&'a str, String)>) -> Map<String, Value> {
    options.map(|(name, value)| (name.replace(' ', "_"), Value::from(value))).collect()
}
