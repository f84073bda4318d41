//! Two hangs of one oracle are two failures.

use super::*;
use crate::rng;

/// So many operations come before the hang that is found.
const MANY: u64 = 60;
/// What the first operation draws if it hangs at once. The run that is found draws less there, and no edit makes a choice larger.
const AT_ONCE: u32 = 15;

/// Hangs after many operations, in a way that all their choices decide, or at once, in another way.
#[derive(Default)]
struct Stuck {
    operations: u64,
    history: u64,
}

impl System for Stuck {
    fn connections(&self) -> u32 {
        1
    }
    fn step(&mut self, context: &mut Context<'_>) -> Result<Step, Box<Violation>> {
        let bound = if self.operations == 0 { AT_ONCE + 1 } else { AT_ONCE };
        let amount = context.stream.choose(AMOUNT, bound);
        if amount == AT_ONCE {
            return Err(Violation::liveness("stall", "each operation ends", "the first waits for itself"));
        }
        self.operations += 1;
        self.history = rng::derive(self.history, u64::from(amount));
        if self.operations >= MANY && self.history.is_multiple_of(32) {
            return Err(Violation::liveness("stall", "each operation ends", "two wait for each other"));
        }
        Ok(Step::Ended)
    }
    fn crash(&mut self, _: Crash) -> Result<(), Box<Violation>> {
        Ok(())
    }
}

#[derive(Clone)]
struct StuckToy;

impl Replay for StuckToy {
    fn play(&self, source: &Source, keep: Keep) -> RunOutcome {
        let options = WorldOptions { steps: 1_500, ..WorldOptions::default() };
        World::new(Stuck::default(), options, source, keep).run(&Watch::default())
    }
    fn smaller(&self, _: &Source, _: u64) -> Vec<StuckToy> {
        Vec::new()
    }
    fn file(&self, source: &Source, oracle: Option<String>) -> TapeFile {
        let tape = source.tape().cloned().unwrap_or_default();
        TapeFile { system: "stuck".into(), oracle, setup: String::new(), tape }
    }
}

#[test]
fn a_fresh_run_that_hangs_in_another_way_is_refused() {
    let hangs_late = |seed: &u64| {
        let violation = StuckToy.play(&Source::Seed(*seed), Keep::Hash).violation;
        violation.is_some_and(|seen| seen.seen.starts_with("two"))
    };
    let seed = (0..100).find(hangs_late).expect("most of them");
    let shrunk = shrink(&StuckToy, &Source::Seed(seed), Budget { steps: 2_000_000 }).expect("it fails");
    assert_eq!(shrunk.violation.seen, "two wait for each other");
    assert!(shrunk.after.operations >= MANY as usize, "{:?}", shrunk.after);
}
