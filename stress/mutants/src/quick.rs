//! A fixed dozen, each before the detector and in the place that find it soonest: that the detectors still bite.

use std::path::Path;
use std::time::Duration;

use crate::bench::{Bench, Fault};
use crate::detector::{Budget, Detector};
use crate::mutant::Mutant;
use crate::report::Figure;
use crate::source::Source;

/// Mutant, detector, and what narrows the detector down.
const DOZEN: [(&str, Detector, &str); 12] = [
    ("group-tests-then-links", Detector::Loom, "complete_vs_build"),
    ("group-both-failures-decide", Detector::Loom, "two_failing_children_agree_on_the_first"),
    ("group-counts-down-relaxed", Detector::Loom, "build_of_prefailed_vs_child_finishing"),
    ("completion-published-relaxed", Detector::Loom, "complete_vs_poll"),
    ("completion-waiter-announces-once", Detector::Loom, "two_threads_join_vs_complete"),
    ("completion-claimed-twice", Detector::Loom, "complete_vs_cancel"),
    ("executor-park-ignores-wake", Detector::Loom, "executor_park_vs_complete"),
    ("executor-sleep-without-second-look", Detector::Loom, "executor_spawn_vs_worker_falls_asleep"),
    ("pager-acknowledges-before-the-sync", Detector::Sim, ""),
    ("pager-checkpoint-ignores-readers", Detector::Sim, ""),
    ("pager-database-is-not-synced", Detector::Sim, ""),
    ("pager-writer-is-not-woken", Detector::Sim, ""),
];

/// Runs the dozen; those that were not found.
pub(crate) fn run(mutants: &[Mutant], state: &Path) -> Result<Vec<String>, Fault> {
    let source = Source::freeze(Path::new("."), state)?;
    let bench = Bench::new(source.root(), state, 0)?;
    let mut objections = Vec::new();
    for (id, detector, filter) in DOZEN {
        let Some(mutant) = mutants.iter().find(|mutant| mutant.id == id) else {
            objections.push(format!("{id} is not in the catalogue any more"));
            continue;
        };
        let budget = Budget { time: Duration::from_secs(60), repetitions: 1, seeds: 300 };
        let extra: Vec<String> = if filter.is_empty() { Vec::new() } else { vec![filter.into()] };
        let figure = Figure::new(&bench.judge(Some(mutant), detector, budget, &extra)?);
        println!("{id:<44} {detector:<10} {}", figure.line());
        if figure.found == 0 {
            objections.push(format!("{id} is missed by {detector}"));
        }
    }
    Ok(objections)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_dozen_is_in_the_catalogue_and_its_detectors_are_expected_to_find_it() {
        let mutants = crate::mutant::catalogue(Path::new(".")).expect("a catalogue without mistakes");
        for (id, detector, _) in DOZEN {
            let mutant = mutants.iter().find(|mutant| mutant.id == id);
            assert!(mutant.is_some_and(|mutant| mutant.found_by.contains(&detector)), "{id}");
        }
    }
}
