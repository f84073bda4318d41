use super::Asked;
use super::words::describe;
use crate::shrink::Replay;
use crate::tape::Source;
use crate::timeline;
use crate::world::{Keep, RunOutcome};

/// A run that does not fail, and that differs from the failing one in a single choice.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Pair {
    /// The choice, in words, with what the failing run has; the other one has the default.
    pub choice: String,
    /// Events that the two runs have in common.
    pub common: usize,
    /// What the failing run does next.
    pub failing: Vec<String>,
    /// What the other one does next.
    pub passing: Vec<String>,
    /// How many single choices lead to a run that does not fail, of how many.
    pub decisive: (usize, usize),
}

/// More choices than this are not tried one by one: the run has to be shrunk first.
const MANY: usize = 2_000;
/// So many choices are tried at once.
const ROUND: usize = 64;
/// So many lines are told of each run.
const LINES: usize = 6;

impl<R: Replay> Asked<'_, R> {
    /// Sets each choice to the default by itself. Of the runs that do not fail, the nearest is the one that differs last.
    pub(super) fn pair(&mut self) -> Option<Pair> {
        let choices: Vec<_> = self.tape.choices().collect();
        if choices.len() > MANY {
            return None;
        }
        let without = |place| {
            let mut tape = self.tape.clone();
            tape.set(place, 0);
            Source::from(tape)
        };
        let sources: Vec<Source> = choices.iter().map(|&(place, _)| without(place)).collect();
        let mut decisive = 0;
        let mut nearest: Option<(usize, usize)> = None;
        for (round, sources) in sources.chunks(ROUND).enumerate() {
            let outcomes = self.play(sources.to_vec(), Keep::Events)?;
            for (index, outcome) in outcomes.iter().enumerate() {
                // A run that breaks another promise is no run that does not fail.
                if outcome.violation.is_some() {
                    continue;
                }
                decisive += 1;
                let common = common(&self.outcome, outcome);
                if nearest.is_none_or(|(longest, _)| common > longest) {
                    nearest = Some((common, round * ROUND + index));
                }
            }
        }
        let (common, index) = nearest?;
        let (place, value) = choices[index];
        let other = self.setup.play(&sources[index], Keep::Story);
        Some(Pair {
            choice: describe(place, value, &self.outcome.names),
            common,
            failing: next(&self.outcome, common),
            passing: next(&other, common),
            decisive: (decisive, choices.len()),
        })
    }
}

fn common(one: &RunOutcome, other: &RunOutcome) -> usize {
    let all = one.trace.len().min(other.trace.len()) as usize;
    one.trace.first_difference(&other.trace).map_or(all, |(index, ..)| index)
}

/// The lines of a timeline from event `from` on.
fn next(outcome: &RunOutcome, from: usize) -> Vec<String> {
    let moments = timeline::moments(outcome).into_iter().skip_while(|moment| moment.event < from);
    moments
        .take(LINES)
        .map(|moment| format!("{:>7} {}: {}", moment.event, moment.actor, moment.text))
        .collect()
}
