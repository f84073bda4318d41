//! A fresh run that hangs in another way has another failure.

use super::*;
use crate::rng;

/// The hang that is found comes after this many operations.
const MANY: u64 = 60;
/// What the first operation draws if it hangs at once. The run that is found draws less there, and no edit makes a choice larger.
const AT_ONCE: u32 = 15;
const LATE: &str = "two wait for each other";

/// Hangs after many operations, in a way that all their choices decide, or at once.
struct Stuck {
    at_once: &'static str,
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
            return Err(Violation::liveness("stall", "each operation ends", self.at_once));
        }
        self.operations += 1;
        self.history = rng::derive(self.history, u64::from(amount));
        if self.operations >= MANY && self.history.is_multiple_of(32) {
            return Err(Violation::liveness("stall", "each operation ends", LATE));
        }
        Ok(Step::Ended)
    }
    fn crash(&mut self, _: Crash) -> Result<(), Box<Violation>> {
        Ok(())
    }
}

#[derive(Clone)]
struct StuckToy {
    at_once: &'static str,
}

impl Replay for StuckToy {
    fn play(&self, source: &Source, keep: Keep) -> RunOutcome {
        let options = WorldOptions { steps: 1_500, ..WorldOptions::default() };
        World::new(Stuck { at_once: self.at_once, operations: 0, history: 0 }, options, source, keep)
            .run(&Watch::default())
    }
    fn smaller(&self, _: &Source, _: u64) -> Vec<StuckToy> {
        Vec::new()
    }
    fn file(&self, source: &Source, oracle: Option<String>) -> TapeFile {
        let tape = source.tape().cloned().unwrap_or_default();
        TapeFile { system: "stuck".into(), oracle, setup: String::new(), tape }
    }
}

fn shrunk(toy: &StuckToy) -> Shrunk<StuckToy> {
    let hangs_late = |seed: &u64| {
        let run = toy.play(&Source::Seed(*seed), Keep::Hash);
        run.violation.is_some_and(|seen| seen.seen == LATE) && run.steps >= MANY
    };
    let seed = (0..100).find(hangs_late).expect("most of them");
    shrink(toy, &Source::Seed(seed), Budget { steps: 2_000_000 }).expect("it fails")
}

#[test]
fn a_fresh_run_that_hangs_in_another_way_is_refused() {
    let shrunk = shrunk(&StuckToy { at_once: "one waits for itself" });
    assert_eq!(shrunk.violation.seen, LATE);
    assert!(shrunk.after.operations >= MANY as usize, "{:?}", shrunk.after);
}

/// Fresh runs are tried, and hang at once.
#[test]
fn a_fresh_run_that_hangs_in_the_same_way_is_taken() {
    let shrunk = shrunk(&StuckToy { at_once: LATE });
    assert!(shrunk.after.operations <= 1, "{:?}", shrunk.after);
}
