use super::words::describe;
use super::{Asked, line};
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
    /// How many single choices lead to a run that does not fail, of how many that were tried.
    pub decisive: (usize, usize),
}

/// What came of the search for a [`Pair`].
#[derive(Clone, Debug, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Search {
    /// The nearest run that does not fail.
    Found(Pair),
    /// So many choices were set to the default by themselves, and the run fails without each of them.
    NoneOf(usize),
    /// There are so many choices that the run has to be shrunk first.
    TooMany(usize),
    /// The caller stopped it after so many choices, and none of them was decisive.
    StoppedAfter(usize),
}

/// More choices than this are not tried one by one: the run has to be shrunk first.
const MANY: usize = 2_000;
/// So many choices are tried at once.
const ROUND: usize = 64;
/// So many lines are told of each run.
const LINES: usize = 6;

impl<R: Replay> Asked<'_, R> {
    /// Sets each choice to the default by itself. Of the runs that do not fail, the nearest is the one that differs last.
    pub(super) fn pair(&mut self) -> Search {
        let choices: Vec<_> = self.tape.choices().collect();
        if choices.len() > MANY {
            return Search::TooMany(choices.len());
        }
        let without = |place| {
            let mut tape = self.tape.clone();
            tape.set(place, 0);
            Source::from(tape)
        };
        let sources: Vec<Source> = choices.iter().map(|&(place, _)| without(place)).collect();
        let (mut decisive, mut tried) = (0, 0);
        let mut nearest: Option<(usize, usize)> = None;
        for (round, sources) in sources.chunks(ROUND).enumerate() {
            let Some(outcomes) = self.play(sources.to_vec(), Keep::Events) else { break };
            tried += outcomes.len();
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
        let Some((common, index)) = nearest else {
            return if tried < choices.len() { Search::StoppedAfter(tried) } else { Search::NoneOf(tried) };
        };
        let (place, value) = choices[index];
        let other = self.setup.play(&sources[index], Keep::Story);
        Search::Found(Pair {
            choice: describe(place, value, &self.outcome.names),
            common,
            failing: next(&self.outcome, common),
            passing: next(&other, common),
            decisive: (decisive, tried),
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
    moments.take(LINES).map(|moment| line(&moment)).collect()
}
