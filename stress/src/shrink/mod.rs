//! From a failing tape to a small one that fails the same way.
//!
//! First the schedule of any scheduler becomes choices of the random scheduler, in which 0 is "no preemption". Then
//! the setup gets smaller: fewer connections, an earlier end. Then choices become default, in chunks that halve (delta
//! debugging: Zeller and Hildebrandt, "Simplifying and isolating failure-inducing input", TSE 2002), whole actors
//! first, then choice points, then single choices; what is left gets lower values. After each success the tape is what the
//! run really drew, so that what became unreachable falls off.
//!
//! A budget of simulated steps bounds the work, and no clock does: the same tape shrinks to the same tape.

pub mod artifacts;
mod passes;

use crate::tape::{Actor, Slot, Source, Tape, TapeFile};
use crate::violation::{Class, Violation};
use crate::world::{Keep, RunOutcome};

/// A system with its setup, to be run again and again.
pub trait Replay: Clone {
    /// Runs it. The outcome has what `keep` says.
    fn play(&self, source: &Source, keep: Keep) -> RunOutcome;

    /// The same with the random scheduler.
    fn with_random_scheduler(&self) -> Self;

    /// Setups that are smaller in one way each, the smallest first; the run failed at step `failed_at`.
    fn smaller(&self, source: &Source, failed_at: u64) -> Vec<Self>;

    /// The line of a regression test that plays the file `tape`.
    fn test(&self, tape: &str) -> String {
        format!("// A `shrink::Replay` of yours that plays {tape}.")
    }

    /// The run as a file.
    fn file(&self, source: &Source, oracle: Option<String>) -> TapeFile;
}

/// How much work a shrinker may do.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Simulated steps over all runs.
    pub steps: u64,
}

impl Default for Budget {
    /// About ten seconds of a core.
    fn default() -> Self {
        Budget { steps: 12_000_000 }
    }
}

/// How large a failing run is.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Size {
    /// Steps until the violation.
    pub steps: u64,
    /// Choices that were drawn.
    pub choices: usize,
    /// Of those, choices that are not default.
    pub deviations: usize,
    /// Of those, fibers that went ahead of the one whose turn it was.
    pub preemptions: usize,
}

impl Size {
    fn of(outcome: &RunOutcome) -> Size {
        let (choices, deviations) = outcome.tape.choices();
        let slot = Slot { actor: Actor::SCHEDULER, choice_point: crate::schedule::FIBER.index() };
        let preemptions = outcome.tape.values(slot).iter().filter(|&&value| value != 0).count();
        Size { steps: outcome.steps, choices, deviations, preemptions }
    }
}

/// What came of shrinking.
#[derive(Debug)]
pub struct Shrunk<R> {
    /// The smallest setup that was found.
    pub setup: R,
    /// Its choices.
    pub source: Source,
    /// Its run, with its story.
    pub outcome: RunOutcome,
    /// Its violation.
    pub violation: Violation,
    /// The failing run's violation.
    pub original: Violation,
    /// The failing run's size.
    pub before: Size,
    /// The small one's.
    pub after: Size,
    /// Runs that this took.
    pub runs: u64,
    /// Whether the budget ended before there was nothing left to try.
    pub cut_short: bool,
}

impl<R: Replay> Shrunk<R> {
    /// The small run as a file.
    pub fn file(&self) -> TapeFile {
        self.setup.file(&self.source, Some(self.violation.oracle.clone()))
    }
}

/// Shrinks the run of `setup` from `source`. `None` if it does not fail at all.
pub fn shrink<R: Replay>(setup: &R, source: &Source, budget: Budget) -> Option<Shrunk<R>> {
    let outcome = setup.play(source, Keep::Tape);
    let violation = outcome.violation.clone()?;
    let (before, original) = (Size::of(&outcome), violation.clone());
    let mut search = Search {
        setup: setup.clone(),
        tape: outcome.tape.clone(),
        violation,
        steps: outcome.steps,
        left: budget.steps,
        runs: 1,
    };
    search.transcribe(outcome);
    search.exhaust();
    let source = Source::Recorded(search.tape);
    let outcome = search.setup.play(&source, Keep::Story);
    let after = Size::of(&outcome);
    let violation = outcome.violation.clone().unwrap_or(search.violation);
    let cut_short = search.left == 0;
    Some(Shrunk {
        setup: search.setup,
        source,
        outcome,
        violation,
        original,
        before,
        after,
        runs: search.runs,
        cut_short,
    })
}

/// The smallest failing run so far.
struct Search<R> {
    setup: R,
    tape: Tape,
    violation: Violation,
    /// The step at which it fails.
    steps: u64,
    /// Steps that may still be simulated.
    left: u64,
    runs: u64,
}

impl<R: Replay> Search<R> {
    /// Whether `setup` with `tape` fails the same way; if it does, that is the new smallest.
    fn accepts(&mut self, setup: &R, tape: Tape) -> bool {
        self.accepts_within(setup, tape, u64::MAX)
    }

    /// The same, and within `limit` steps.
    fn accepts_within(&mut self, setup: &R, tape: Tape, limit: u64) -> bool {
        if self.left == 0 {
            return false;
        }
        let outcome = setup.play(&Source::Recorded(tape), Keep::Tape);
        self.runs += 1;
        // A run has a cost even if it makes no step.
        self.left = self.left.saturating_sub(outcome.steps.max(500));
        let same = outcome.violation.as_ref().is_some_and(|violation| is_same(violation, &self.violation))
            && outcome.steps <= limit;
        if same {
            self.setup = setup.clone();
            self.steps = outcome.steps;
            self.tape = outcome.tape;
        }
        same
    }

    fn transcribe(&mut self, mut outcome: RunOutcome) {
        let setup = self.setup.with_random_scheduler();
        let mut tape = std::mem::take(&mut outcome.tape);
        tape.put(Actor::SCHEDULER, outcome.transcript);
        self.accepts(&setup, tape);
    }
}

/// Whether two runs fail the same way: the same oracle says so, and a panic comes from the same place.
fn is_same(one: &Violation, other: &Violation) -> bool {
    let place = |violation: &Violation| violation.seen.rsplit(" at ").next().unwrap_or_default().to_owned();
    one.oracle == other.oracle
        && one.class == other.class
        && (one.class != Class::Panic || place(one) == place(other))
}

#[cfg(test)]
mod tests;
