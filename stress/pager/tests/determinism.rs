//! One seed, one trace: on any thread, with anything beside it.

use tenterhook::PagerSubject;
use tenterhook_stress::sim::{Setup, run_from};
use tenterhook_stress::subject::{Fixed, FixedWorld};
use tenterhook_stress::tape::{Place, Source, Tape};
use tenterhook_stress::watch::Watch;
use tenterhook_stress::world::Keep;

fn setup(seed: u64, steps: u64) -> Setup<PagerSubject> {
    let world = FixedWorld { steps: Some(steps), ..FixedWorld::default() };
    Setup { seed, fixed: Fixed { world, ..Fixed::default() } }
}

/// Hash of a seed's trace, and whether the run was green.
fn trace_hash(seed: u64) -> u64 {
    let setup = setup(seed, 4_000);
    let source = Source::Seed(seed);
    let drawn = setup.draw(&source);
    let outcome = run_from::<PagerSubject>(&source, &drawn, Keep::Hash, &Watch::default());
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
    for seed in 0..10 {
        let source = Source::Seed(seed);
        let drawn = setup(seed, 3_000).draw(&source);
        let play = |source, keep| run_from::<PagerSubject>(source, &drawn, keep, &Watch::default());
        let recorded = play(&source, Keep::Events);
        let replayed = play(&Source::from(recorded.tape), Keep::Hash);
        assert_eq!(recorded.trace_hash, replayed.trace_hash, "seed {seed}");
    }
}

#[test]
fn the_schedule_of_any_run_told_in_turns_gives_the_same_run() {
    for seed in 0..60 {
        let source = Source::Seed(seed);
        let drawn = setup(seed, 3_000).draw(&source);
        let play = |source, keep| run_from::<PagerSubject>(source, &drawn, keep, &Watch::default());
        let recorded = play(&source, Keep::Tape);
        let replayed = play(&Source::from(recorded.tape.clone().in_turns()), Keep::Tape);
        assert_eq!((recorded.lives, recorded.steps), (replayed.lives, replayed.steps), "seed {seed}");
        assert_eq!(recorded.counters, replayed.counters, "seed {seed}");
    }
}

/// The first choice in which two tapes differ.
fn difference(one: &Tape, other: &Tape) -> Option<(Place, u32)> {
    let is_other =
        |of: &Tape, (place, value): (Place, u32)| (of.get(place) != value).then_some((place, value));
    let mut missing = one.choices().filter_map(|choice| is_other(other, choice));
    missing.next().or_else(|| other.choices().find_map(|choice| is_other(one, choice)))
}

/// A shrinker cuts the past off. What is left of a run that breaks no promise breaks none, and is the same to the last choice: nothing
/// that outlives a life is forgotten.
#[test]
fn a_run_of_the_pager_that_begins_with_a_later_life_goes_on_as_the_whole_run_did() {
    let mut begun = 0;
    for seed in 0..40 {
        let source = Source::Seed(seed);
        let drawn = setup(seed, 3_000).draw(&source);
        let play = |source: &Source, keep| run_from::<PagerSubject>(source, &drawn, keep, &Watch::default());
        let drawn = play(&source, Keep::Tape);
        let whole = play(&Source::from(drawn.tape.in_turns()), Keep::Beginnings);
        let tape = &whole.tape;
        for beginning in &whole.beginnings {
            let rest = tape.since(beginning);
            let outcome = play(&Source::from(rest.clone()), Keep::Tape);
            let life = beginning.life;
            assert!(outcome.violation.is_none(), "seed {seed}, life {life}: {:?}", outcome.violation);
            assert_eq!(outcome.lives, whole.lives - u64::from(life), "seed {seed}, life {life}");
            let other = difference(&outcome.tape, &rest);
            assert!(other.is_none(), "seed {seed}, life {life} of {}: {other:?}", whole.lives);
            begun += 1;
        }
        let Some(last) = whole.beginnings.last() else { continue };
        let dull = play(&Source::from(tape.since(last).dull()), Keep::Hash);
        assert!(dull.violation.is_none(), "seed {seed}: {:?}", dull.violation);
    }
    assert!(begun > 100, "{begun}");
}
