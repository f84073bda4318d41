//! After which choice a failure was likely, and the nearest run that does not fail.
//!
//! A failing run is followed for its first steps and drawn from there on, many times. The share of these continuations that fail
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
pub use self::pair::{Pair, Search};
use crate::shrink::{Replay, is_same};
use crate::tape::{Actor, Source, Tape};
use crate::timeline::{self, Moment};
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
    /// The nearest run that does not fail, or why there is none.
    pub pair: Search,
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

/// Why a run has no explanation.
#[derive(Copy, Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unexplained {
    /// There is nothing to explain.
    #[error("this run breaks no promise: there is nothing to explain")]
    NoFailure,
    /// The run can't be edited.
    #[error(
        "this run fails, but not when its schedule is told in turns: replay and trace show it, explain can't"
    )]
    NotInTurns,
}

/// Explains the run of `setup` from `source`. `go_on` is asked before each round, with the number of runs so far; once it says no,
/// what is known by then is the result.
///
/// # Errors
///
/// The run does not fail, or not when its schedule is told in turns.
pub fn explain<R: Replay>(
    setup: &R,
    source: &Source,
    question: Question,
    mut go_on: impl FnMut(u64) -> bool,
) -> Result<Explanation, Unexplained> {
    let found = setup.play(source, Keep::Tape);
    let violation = found.violation.clone().ok_or(Unexplained::NoFailure)?;
    let tape = found.tape.in_turns();
    let outcome = setup.play(&Source::from(tape.clone()), Keep::Story);
    let fails = outcome.violation.as_ref().is_some_and(|seen| is_same(seen, &violation));
    if !fails {
        return Err(Unexplained::NotInTurns);
    }
    let steps = outcome.steps;
    let mut asked = Asked { setup, tape, outcome, violation, runs: 2, go_on: &mut go_on };
    let (curve, jump) = asked.curve(question);
    let pair = asked.pair();
    let Asked { violation, runs, .. } = asked;
    Ok(Explanation { violation, steps, curve, jump, pair, runs })
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

    /// What a timeline says of the steps from `low` to `high`, each line with the number of its event. A crash or a rest comes
    /// between two steps, and belongs to the one behind it.
    fn said_in_steps(&self, low: u64, high: u64) -> Vec<String> {
        let began = &self.outcome.steps_began;
        let at = |step: u64| began.get(step as usize).map_or(usize::MAX, |&event| event as usize);
        let (steps, before) = (at(low)..at(high), at(low.saturating_sub(1))..at(low));
        let moments = timeline::moments(&self.outcome).into_iter().filter(|moment| {
            let is_cut = moment.actor == Actor::NEMESIS && before.contains(&moment.event);
            is_cut || steps.contains(&moment.event)
        });
        moments.map(|moment| line(&moment)).collect()
    }
}

/// A line of a timeline.
fn line(moment: &Moment) -> String {
    format!("{:>7} {}: {}", moment.event, moment.actor, moment.text)
}

#[cfg(test)]
mod tests;
