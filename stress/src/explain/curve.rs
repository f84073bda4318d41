use std::sync::Arc;

use super::{Asked, Question};
use crate::shrink::Replay;
use crate::tape::{BranchEnd, Source};
use crate::world::Keep;

/// How many continuations fail that follow a run for so many steps.
#[derive(Copy, Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Share {
    /// Steps of the run that they follow.
    pub after: u64,
    /// How many of them fail in the same way.
    pub failed: u32,
    /// How many there are.
    pub of: u32,
}

impl Share {
    /// The part that fails, from 0 to 1.
    pub fn part(&self) -> f64 {
        f64::from(self.failed) / f64::from(self.of.max(1))
    }
}

/// Where the share rises most.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Jump {
    /// Before the step.
    pub before: Share,
    /// After it.
    pub after: Share,
    /// What happens in between, as a timeline has it.
    pub lines: Vec<String>,
}

/// So many lines of a jump that is wider than a step.
const LINES: usize = 12;

impl<R: Replay> Asked<'_, R> {
    /// The shares at evenly spaced points, then at points between those two where they rise most, until these are a step apart.
    pub(super) fn curve(&mut self, question: Question) -> (Vec<Share>, Option<Jump>) {
        let steps = self.outcome.steps;
        let points = u64::from(question.points.max(1)).min(steps.max(1));
        let mut curve: Vec<Share> = Vec::new();
        for point in 0..=points {
            let Some(share) = self.share(steps * point / points, question.continuations) else { break };
            curve.push(share);
        }
        let Some((mut low, mut high)) = steepest(&curve) else { return (curve, None) };
        while high.after - low.after > 1 {
            let middle = (low.after + high.after) / 2;
            let Some(share) = self.share(middle, question.continuations) else { break };
            curve.push(share);
            if share.part() - low.part() >= high.part() - share.part() {
                high = share;
            } else {
                low = share;
            }
        }
        curve.sort_by_key(|share| share.after);
        let lines = self.said_in_steps(low.after, high.after).into_iter().take(LINES).collect();
        (curve, Some(Jump { before: low, after: high, lines }))
    }

    fn share(&mut self, after: u64, continuations: u32) -> Option<Share> {
        // A promise that is broken between two steps, by a crash for instance, is broken before the run would leave its tape.
        let leaves = if after == self.outcome.steps { u64::MAX } else { after };
        let tape = Arc::new(self.tape.clone());
        let branch = |seed| Source::Branch {
            tape: Arc::clone(&tape),
            after: leaves,
            seed: u64::from(seed),
            end: BranchEnd::Usual,
        };
        let outcomes = self.play((0..continuations).map(branch).collect(), Keep::Hash)?;
        let failed = outcomes.iter().filter(|outcome| self.fails(outcome)).count() as u32;
        Some(Share { after, failed, of: continuations })
    }
}

/// The neighbours between which the share rises most.
fn steepest(curve: &[Share]) -> Option<(Share, Share)> {
    let pairs = curve.windows(2).map(|pair| (pair[0], pair[1]));
    let rise = |(low, high): &(Share, Share)| high.part() - low.part();
    pairs.filter(|pair| rise(pair) > 0.0).max_by(|one, other| rise(one).total_cmp(&rise(other)))
}
