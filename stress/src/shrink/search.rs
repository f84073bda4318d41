use rayon::iter::{IntoParallelRefIterator as _, ParallelIterator as _};

use super::{Budget, Ending, Replay, SoFar, Symptom, is_same};
use crate::tape::{Source, Tape};
use crate::violation::Violation;
use crate::world::{Keep, RunOutcome};

/// What a run costs beside its steps, in steps: one that makes no step is not free.
const RUN: u64 = 500;

/// What the passes may spend before other ways are tried: a run that they can't make small in that may be one that they can't at all.
const QUARTER: u64 = 4;

/// The smallest failing run so far.
pub(super) struct Search<'a, R> {
    pub(super) setup: R,
    pub(super) tape: Tape,
    /// The choices that were played for it. `tape` is what that run drew.
    pub(super) played: Source,
    violation: Violation,
    pub(super) symptom: Symptom,
    /// The step at which it fails.
    pub(super) steps: u64,
    /// The step at which the run failed that was found.
    pub(super) found: u64,
    /// No run may be longer: twice the steps of that one.
    longest: u64,
    /// Steps that may still be simulated.
    pub(super) left: u64,
    /// What is kept for later passes, beside `left`.
    reserve: u64,
    budget: Budget,
    pub(super) runs: u64,
    go_on: &'a mut dyn FnMut(SoFar) -> bool,
    was_stopped: bool,
    /// What is returned to if the present run does not become smaller.
    pub(super) kept: Option<Measure>,
    /// The system offers to begin with a later life, and the run that was found has some.
    pub(super) has_beginnings: bool,
    /// In the run that was found a life could end at any moment.
    pub(super) may_crash: bool,
    /// The part of the budget that the passes had was spent.
    pub(super) was_limited: bool,
    /// With the present setup no combination of this run's parts can go.
    pub(super) combined: Option<Tape>,
}

/// A failing run.
pub(super) struct State<R> {
    setup: R,
    played: Source,
    tape: Tape,
    steps: u64,
    was_limited: bool,
}

impl<R> State<R> {
    pub(super) fn measure(&self) -> Measure {
        Measure::of(&self.tape, self.steps)
    }
}

/// How small a run is: what comes first counts most.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Measure {
    lives: u32,
    operations: usize,
    choices: usize,
    values: u64,
    steps: u64,
}

impl Measure {
    fn of(tape: &Tape, steps: u64) -> Measure {
        let lives = tape.lives();
        let operations = tape.connection_operations().len();
        let values = tape.choices().map(|(_, value)| u64::from(value)).sum();
        Measure { lives, operations, choices: tape.choices().count(), values, steps }
    }

    /// Whether another run than `kept` is returned: one that is smaller, and not by a life that costs more than it was.
    pub(super) fn replaces(self, kept: Measure) -> bool {
        self < kept && self.operations + self.choices <= kept.operations + kept.choices
    }
}

impl<'a, R: Replay> Search<'a, R> {
    /// Begins with the run that `outcome` is of.
    pub(super) fn new(
        setup: &R,
        source: &Source,
        outcome: RunOutcome,
        (violation, symptom): (Violation, Symptom),
        budget: Budget,
        go_on: &'a mut dyn FnMut(SoFar) -> bool,
    ) -> Search<'a, R> {
        Search {
            setup: setup.clone(),
            played: source.clone(),
            has_beginnings: !outcome.beginnings.is_empty(),
            may_crash: outcome.may_crash,
            tape: outcome.tape,
            violation,
            symptom,
            steps: outcome.steps,
            found: outcome.steps,
            longest: outcome.steps.saturating_mul(2),
            left: budget.steps,
            reserve: 0,
            budget,
            runs: 1,
            go_on,
            was_stopped: false,
            kept: None,
            was_limited: false,
            combined: None,
        }
    }

    /// The present run, to be returned to.
    pub(super) fn state(&self) -> State<R> {
        let (setup, played) = (self.setup.clone(), self.played.clone());
        State { setup, played, tape: self.tape.clone(), steps: self.steps, was_limited: self.was_limited }
    }

    pub(super) fn return_to(&mut self, state: State<R>) {
        let State { setup, played, tape, steps, was_limited } = state;
        (self.setup, self.played, self.tape, self.steps) = (setup, played, tape, steps);
        self.was_limited = was_limited;
    }

    pub(super) fn measure(&self) -> Measure {
        Measure::of(&self.tape, self.steps)
    }

    /// What the run that was found broke.
    pub(super) fn violation(&self) -> &Violation {
        &self.violation
    }

    /// Makes the run as small as it gets.
    pub(super) fn search(&mut self) {
        let found = self.state();
        self.exhaust_part(QUARTER);
        self.cut_and_exhaust(found);
        self.try_fresh_runs();
        // Not everything was tried within a part of the budget.
        if self.was_limited {
            self.exhaust();
        }
    }

    /// Goes through all passes with a part of the budget that is left.
    pub(super) fn exhaust_part(&mut self, part: u64) {
        let reserve = self.left - self.left / part;
        self.left -= reserve;
        self.reserve += reserve;
        self.exhaust();
        self.was_limited = self.left == 0 && !self.was_stopped;
        self.reserve -= reserve;
        if !self.was_stopped {
            self.left += reserve;
        }
    }

    /// From here on turns say who goes next, if the run fails in the same way then.
    pub(super) fn follow_turns(&mut self) {
        let source = Source::from(self.tape.clone().in_turns());
        let outcome = self.setup.play(&source, Keep::Tape);
        self.count(&outcome);
        if self.is_same(&outcome) {
            self.take(self.setup.clone(), source, outcome);
        }
    }

    /// Tries setups with the present tape in order, and takes the first that fails the same way and is not larger.
    pub(super) fn try_setups(&mut self, setups: &[R]) -> bool {
        let tape = Source::from(self.tape.clone());
        let runs: Vec<(R, Source)> = setups.iter().map(|setup| (setup.clone(), tape.clone())).collect();
        let Some((index, outcome)) = self.first(&runs, &|now, then| now <= then) else { return false };
        let (setup, source) = runs[index].clone();
        self.combined = None;
        self.take(setup, source, outcome);
        true
    }

    /// Takes a tape whose run fails the same way and is not larger.
    pub(super) fn try_equal(&mut self, tape: Tape) -> bool {
        let runs = [(self.setup.clone(), Source::from(tape))];
        let taken = self.first(&runs, &|now, then| now <= then);
        let [(setup, source)] = runs;
        taken.map(|(_, outcome)| self.take(setup, source, outcome)).is_some()
    }

    /// Takes a tape whose run fails the same way twice, with the same trace, and whose measure `fits`.
    pub(super) fn take_twice(&mut self, tape: Tape, fits: &dyn Fn(Measure, Measure) -> bool) -> bool {
        let run = (self.setup.clone(), Source::from(tape));
        let Some((_, outcome)) = self.first(std::slice::from_ref(&run), fits) else { return false };
        let again = self.setup.play(&run.1, Keep::Tape);
        self.count(&again);
        if again.trace_hash != outcome.trace_hash || !self.is_same(&again) {
            return false;
        }
        self.take(run.0, run.1, outcome);
        true
    }

    /// Tries tapes in order, and takes the first whose run fails the same way and is smaller. Returns which.
    pub(super) fn try_tapes(&mut self, tapes: impl IntoIterator<Item = Tape>) -> Option<usize> {
        self.try_each(&mut tapes.into_iter())
    }

    /// What `try_tapes` does, compiled once for all iterators.
    fn try_each(&mut self, tapes: &mut dyn Iterator<Item = Tape>) -> Option<usize> {
        let width = rayon::current_num_threads().max(1);
        let mut tried = 0;
        loop {
            let runs: Vec<(R, Source)> =
                tapes.take(width).map(|tape| (self.setup.clone(), Source::from(tape))).collect();
            if runs.is_empty() || self.left == 0 {
                return None;
            }
            if let Some((index, outcome)) = self.first(&runs, &|now, then| now < then) {
                let (setup, source) = runs[index].clone();
                self.take(setup, source, outcome);
                return Some(tried + index);
            }
            tried += runs.len();
        }
    }

    /// The first of the runs that fails the same way and whose measure `fits`. Runs behind it count for nothing, so that
    /// it does not matter how many are tried at once.
    pub(super) fn first(
        &mut self,
        runs: &[(R, Source)],
        fits: &dyn Fn(Measure, Measure) -> bool,
    ) -> Option<(usize, RunOutcome)> {
        self.ask();
        if self.left == 0 {
            return None;
        }
        let outcomes: Vec<RunOutcome> =
            runs.par_iter().map(|(setup, source)| setup.play(source, Keep::Tape)).collect();
        let present = self.measure();
        for (index, outcome) in outcomes.into_iter().enumerate() {
            self.count(&outcome);
            let fits = |outcome: &RunOutcome| fits(Measure::of(&outcome.tape, outcome.steps), present);
            if self.is_same(&outcome) && outcome.steps <= self.longest && fits(&outcome) {
                let (setup, source) = &runs[index];
                if self.is_made_by_choices(setup, source) {
                    return Some((index, outcome));
                }
            }
            if self.left == 0 {
                return None;
            }
        }
        None
    }

    /// Asks the caller whether to go on. A search that is told not to has no budget left.
    pub(super) fn ask(&mut self) {
        let present = self.measure();
        let kept = self.kept.filter(|&kept| !present.replaces(kept));
        let Measure { operations, choices, steps, .. } = kept.unwrap_or(present);
        let spent = self.budget.steps - self.left - self.reserve;
        if self.left > 0 && !(self.go_on)(SoFar { steps, operations, choices, runs: self.runs, spent }) {
            (self.left, self.was_stopped) = (0, true);
        }
    }

    /// Why nothing more is tried.
    pub(super) fn ending(&self) -> Ending {
        match self.left {
            _ if self.was_stopped => Ending::Stopped,
            0 => Ending::BudgetSpent,
            _ => Ending::Exhausted,
        }
    }

    pub(super) fn take(&mut self, setup: R, played: Source, outcome: RunOutcome) {
        (self.setup, self.played, self.tape, self.steps) = (setup, played, outcome.tape, outcome.steps);
    }

    pub(super) fn count(&mut self, outcome: &RunOutcome) {
        self.runs += 1;
        self.left = self.left.saturating_sub(outcome.steps + RUN);
    }

    pub(super) fn is_same(&self, outcome: &RunOutcome) -> bool {
        outcome.violation.as_ref().is_some_and(|violation| match self.symptom {
            Symptom::Same => is_same(violation, &self.violation),
            Symptom::Any => {
                violation.oracle == self.violation.oracle && violation.class == self.violation.class
            }
        })
    }
}
