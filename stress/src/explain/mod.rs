//! After which choice a failure was likely, and the nearest run that does not fail.
//!
//! A failing run is followed for its first steps and drawn anew from there on, many times. The share of these continuations that fail
//! in the same way is small at the beginning and one at the end. Where it rises most, something happened that made the failure
//! likely. The idea is that of rare-event simulation by splitting (Kahn and Harris, 1951), read backwards.
//!
//! The other question is asked of the tape: which single choice, set to the default, gives a run that does not fail and that is the
//! same for longest? The two runs are a *minimal pair*.

mod curve;
mod pair;
mod svg;
mod words;

use rayon::iter::{IntoParallelIterator as _, ParallelIterator as _};

pub use self::curve::{Jump, Share};
pub use self::pair::Pair;
use crate::shrink::{Replay, is_same};
use crate::tape::{Source, Tape};
use crate::timeline;
use crate::violation::Violation;
use crate::world::{Keep, RunOutcome};

/// What was found out about a failing run.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Explanation {
    /// What it breaks.
    pub violation: Violation,
    /// Its steps until then.
    pub steps: u64,
    /// How often continuations fail, by the step from which on they are drawn.
    pub curve: Vec<Share>,
    /// Where that rises most.
    pub jump: Option<Jump>,
    /// The nearest run that does not fail.
    pub pair: Option<Pair>,
    /// Runs that this took.
    pub runs: u64,
}

impl Explanation {
    /// The curve as a picture, one self-contained SVG file.
    pub fn svg(&self) -> String {
        svg::draw(self)
    }
}

/// What is asked.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// Continuations from each point of the curve.
    pub continuations: u32,
    /// Points of the curve beside those that the search for the jump adds.
    pub points: u32,
}

impl Default for Question {
    /// 40 continuations from each of 16 points: a share is within 16 percentage points with 95 %.
    fn default() -> Self {
        Question { continuations: 40, points: 16 }
    }
}

/// A failing run, and what tries others beside it.
struct Asked<'a, R> {
    setup: &'a R,
    tape: Tape,
    outcome: RunOutcome,
    violation: Violation,
    runs: u64,
    go_on: &'a mut dyn FnMut(u64) -> bool,
}

/// Explains the run of `setup` from `source`. `None` if it does not fail, or not when its schedule is told in turns. `go_on` is told
/// after each round how many runs there were; once it says no, what is known by then is the result.
pub fn explain<R: Replay>(
    setup: &R,
    source: &Source,
    question: Question,
    mut go_on: impl FnMut(u64) -> bool,
) -> Option<Explanation> {
    let found = setup.play(source, Keep::Tape);
    let violation = found.violation.clone()?;
    let tape = found.tape.in_turns();
    let outcome = setup.play(&Source::from(tape.clone()), Keep::Story);
    outcome.violation.as_ref().filter(|&seen| is_same(seen, &violation))?;
    let steps = outcome.steps;
    let mut asked = Asked { setup, tape, outcome, violation, runs: 2, go_on: &mut go_on };
    let (curve, jump) = asked.curve(question);
    let pair = asked.pair();
    let Asked { violation, runs, .. } = asked;
    Some(Explanation { violation, steps, curve, jump, pair, runs })
}

impl<R: Replay> Asked<'_, R> {
    /// Plays all of them on all cores. None once the caller has said no.
    fn play(&mut self, sources: Vec<Source>, keep: Keep) -> Option<Vec<RunOutcome>> {
        if !(self.go_on)(self.runs) {
            return None;
        }
        self.runs += sources.len() as u64;
        let setup = self.setup;
        Some(sources.into_par_iter().map(|source| setup.play(&source, keep)).collect())
    }

    fn fails(&self, outcome: &RunOutcome) -> bool {
        outcome.violation.as_ref().is_some_and(|violation| is_same(violation, &self.violation))
    }

    /// What a timeline says of the step that follows `before` others, each line with the number of its event.
    fn said_in_step(&self, before: u64) -> Vec<String> {
        let began = &self.outcome.steps_began;
        let at = |step: u64| began.get(step as usize).map_or(usize::MAX, |&event| event as usize);
        let events = at(before)..at(before + 1);
        let moments = timeline::moments(&self.outcome).into_iter();
        let moments = moments.filter(|moment| events.contains(&moment.event));
        moments.map(|moment| format!("{:>7} {}: {}", moment.event, moment.actor, moment.text)).collect()
    }
}

#[cfg(test)]
mod tests;
