//! From a failing tape to a small one that fails the same way.
//!
//! First the schedule of any scheduler becomes turns, which are not more than a few if the schedule is near the default one
//! (`schedule/turns.rs`). Then what the tape has goes, the large before the small: lives of the system, connections, operations,
//! choices of one kind, single choices, each in chunks that halve (delta debugging: Zeller and Hildebrandt, "Simplifying and
//! isolating failure-inducing input", TSE 2002). Last, what is left gets lower values. After each success the tape is what the
//! run really drew, so that what became unreachable falls off.
//!
//! At last the past is cut off, if it is long: the run begins with the disk of a later life (`cut.rs`), and the passes begin again. What is
//! not small even then may be found in a short run with fresh choices (`fresh.rs`).
//!
//! A run is only taken if it fails in the same way and is smaller, and none is more than twice as long as the one that was found.
//! A budget of simulated steps bounds the work. Runs are tried on all cores, and the first that succeeds in the order of the
//! search is taken: the same tape shrinks to the same tape on any number of cores. A caller may stop the search at any round, by a
//! clock or by a key ([`shrink_while`]), and gets the smallest run so far.

pub mod artifacts;
mod cut;
mod fresh;
mod passes;
mod search;

use self::search::Search;
use crate::tape::{GAVE_WAY, LOCK, Place, SLICE, Schedule, Source, TURN, Tape, TapeFile};
use crate::violation::{Class, Violation};
use crate::words::many;
use crate::world::{Keep, RunOutcome};

/// A system with its setup, to be run again and again.
pub trait Replay: Clone + Send + Sync {
    /// Runs it. The outcome has what `keep` says.
    fn play(&self, source: &Source, keep: Keep) -> RunOutcome;

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
    /// Up to two minutes of a core, for a run that needs it all.
    fn default() -> Self {
        Budget { steps: 40_000_000 }
    }
}

/// What a smaller run has to break.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Symptom {
    /// The same promise in the same words, whatever the numbers. A panic has to come from the same place. Of a hang the oracle is enough.
    Same,
    /// Any promise of the same oracle and class.
    Any,
}

/// How large a failing run is.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Size {
    /// Steps until the violation.
    pub steps: u64,
    /// Operations that connections began.
    pub operations: usize,
    /// Choices that are not default, those of the schedule included.
    pub choices: usize,
    /// Of those, steps in the middle of an operation that were held back until others had happened.
    pub preemptions: usize,
}

impl Size {
    /// That of a run, whose schedule is told in turns whatever scheduler drew it.
    fn of(steps: u64, tape: &Tape) -> Size {
        let tape = tape.clone().in_turns();
        let choices = tape.choices().count();
        let is_preemption = |place: &Place| {
            // An operation that begins late preempts nothing.
            let in_a_step = matches!(place.choice_point, SLICE | LOCK | GAVE_WAY);
            in_a_step || place.address.call == 0 && place.choice_point == TURN && place.occurrence > 0
        };
        let preemptions = tape.choices().filter(|(place, _)| is_preemption(place)).count();
        Size { steps, operations: tape.connection_operations().len(), choices, preemptions }
    }
}

impl std::fmt::Display for Size {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Size { steps, operations, choices, preemptions } = *self;
        let [operations, choices, preemptions] =
            [(operations, "operation"), (choices, "choice"), (preemptions, "preemption")]
                .map(|(count, noun)| many(count as u64, noun));
        write!(f, "{steps} steps, {operations}, {choices} not default, {preemptions}")
    }
}

/// How far a shrinker has come.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct SoFar {
    /// Steps of the smallest run so far.
    pub steps: u64,
    /// Its operations.
    pub operations: usize,
    /// Its choices that are not default, the schedule's as the run was recorded.
    pub choices: usize,
    /// Runs that were tried.
    pub runs: u64,
    /// Steps of the budget that are spent.
    pub spent: u64,
}

/// Why a shrinker has ended.
#[derive(Copy, Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ending {
    /// Nothing was left to try.
    Exhausted,
    /// The budget was spent.
    BudgetSpent,
    /// The caller stopped it.
    Stopped,
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
    /// Why it took no more.
    pub ending: Ending,
}

impl<R: Replay> Shrunk<R> {
    /// The small run as a file.
    pub fn file(&self) -> TapeFile {
        self.setup.file(&self.source, Some(self.violation.oracle.clone()))
    }
}

/// Shrinks the run of `setup` from `source`. `None` if it does not fail at all.
pub fn shrink<R: Replay>(setup: &R, source: &Source, budget: Budget) -> Option<Shrunk<R>> {
    shrink_while(setup, source, Symptom::Same, budget, |_| true)
}

/// The same, asking `go_on` before each round of runs. Once it says no, the smallest run so far is the result.
pub fn shrink_while<R: Replay>(
    setup: &R,
    source: &Source,
    symptom: Symptom,
    budget: Budget,
    mut go_on: impl FnMut(SoFar) -> bool,
) -> Option<Shrunk<R>> {
    let outcome = setup.play(source, Keep::Beginnings);
    let original = outcome.violation.clone()?;
    let found = outcome.steps;
    let failure = (original.clone(), symptom);
    let mut search = Search::new(setup, source, outcome, failure, budget, &mut go_on);
    search.follow_turns();
    let before = Size::of(found, &search.tape);
    search.search();
    let mut source = Source::from(search.tape.clone());
    let mut outcome = search.setup.play(&source, Keep::Story);
    if !search.is_same(&outcome) {
        // What it drew does not tell all: what was played for it is known to fail.
        source = search.played.clone();
        outcome = search.setup.play(&source, Keep::Story);
    }
    let ending = search.ending();
    let Search { setup, runs, .. } = search;
    let after = Size::of(outcome.steps, &outcome.tape);
    let violation = outcome.violation.clone().unwrap_or_else(|| original.clone());
    Some(Shrunk { setup, source, outcome, violation, original, before, after, runs, ending })
}

/// Numbers of steps after which a run that failed at step `failed_at` may end earlier than after `steps`. None if its tape says
/// in turns when it ends: it ends earlier by what is taken off the tape, and a bound would only be in the way.
pub fn earlier_ends(source: &Source, failed_at: u64, steps: u64) -> impl Iterator<Item = u64> {
    let in_turns = source.tape().is_some_and(|tape| tape.schedule == Schedule::Turns);
    let ends = [failed_at / 4, failed_at / 2, failed_at * 3 / 4, failed_at];
    ends.into_iter().filter(move |end| !in_turns && (1..steps).contains(end))
}

/// Whether two runs fail the same way: the same oracle says so in the same words, whatever the numbers, and a panic comes from
/// the same place.
pub(crate) fn is_same(one: &Violation, other: &Violation) -> bool {
    let place = |violation: &Violation| violation.seen.rsplit(" at ").next().unwrap_or_default().to_owned();
    match one.class {
        Class::Panic => one.class == other.class && place(one) == place(other),
        Class::Liveness => one.class == other.class && one.oracle == other.oracle,
        Class::Safety => one.is_alike(other),
    }
}

#[cfg(test)]
mod tests;
