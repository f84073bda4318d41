//! One seed, one trace: on any thread, with anything beside it.

use tenterhook_stress::options::{Overrides, SimOptions};
use tenterhook_stress::sim;
use tenterhook_stress::watch::Watch;
use tenterhook_stress::world::Keep;

/// Hash of a seed's trace, and whether the run was green.
fn trace_hash(seed: u64) -> u64 {
    let overrides = Overrides { steps: Some(4_000), ..Overrides::default() };
    let outcome = sim::run(&SimOptions::draw(seed, &overrides), Keep::Hash, &Watch::default());
    if let Some(violation) = outcome.violation {
        panic!("seed {seed}: {violation}");
    }
    outcome.trace_hash
}

#[test]
fn fifty_seeds_have_one_trace_each_whatever_runs_beside_them() {
    const SEEDS: u64 = 50;
    let alone: Vec<u64> = (0..SEEDS).map(trace_hash).collect();
    let beside: Vec<u64> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..SEEDS).map(|seed| scope.spawn(move || trace_hash(seed))).collect();
        threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
    });
    assert_eq!(alone, beside);
    let mut distinct = alone.clone();
    distinct.sort_unstable();
    distinct.dedup();
    assert_eq!(distinct.len(), alone.len(), "another seed has another trace");
}

#[test]
fn a_recorded_run_of_the_pager_replays_from_its_tape_alone() {
    use tenterhook_stress::tape::Source;
    for seed in 0..10 {
        let overrides = Overrides { steps: Some(3_000), ..Overrides::default() };
        let options = SimOptions::draw(seed, &overrides);
        let recorded = sim::run(&options, Keep::Events, &Watch::default());
        let replayed =
            sim::run_from(&Source::Recorded(recorded.tape), &options, Keep::Hash, &Watch::default());
        assert_eq!(recorded.trace_hash, replayed.trace_hash, "seed {seed}");
    }
}
