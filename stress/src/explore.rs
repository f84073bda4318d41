//! Every schedule of a tiny run, depth first.
//!
//! The run must be small: the tree has as many leaves as there are schedules. The search replays from the start for
//! each leaf, so it needs nothing from the system but that it can be run again.

use crate::tape::{Actor, Slot, Source, Tape};
use crate::world::RunOutcome;

/// What a search came to.
#[derive(Debug)]
pub struct Explored {
    /// Schedules that were run.
    pub schedules: u64,
    /// Whether these were all.
    pub complete: bool,
    /// The first that broke a promise.
    pub failure: Option<RunOutcome>,
}

/// Runs `play`, which must use the exhaustive scheduler and record its tape, once for every schedule, or for
/// `at_most` of them; stops at the first violation. Choices that are not the scheduler's stay those of `base`.
pub fn schedules(base: &Tape, at_most: u64, play: impl Fn(&Source) -> RunOutcome) -> Explored {
    let slot = Slot { actor: Actor::SCHEDULER, choice_point: crate::schedule::FIBER.index() };
    let mut tape = base.clone();
    *tape.values_mut(slot) = Vec::new();
    let mut schedules = 0;
    while schedules < at_most {
        let outcome = play(&Source::Recorded(tape.clone()));
        schedules += 1;
        if outcome.violation.is_some() {
            return Explored { schedules, complete: false, failure: Some(outcome) };
        }
        let Some(next) = successor(outcome.tape.values(slot), &outcome.branching) else {
            return Explored { schedules, complete: true, failure: None };
        };
        *tape.values_mut(slot) = next;
    }
    Explored { schedules, complete: false, failure: None }
}

/// The path after `path`: its deepest choice that has another alternative takes it.
fn successor(path: &[u32], branching: &[u32]) -> Option<Vec<u32>> {
    let deepest = path.iter().zip(branching).rposition(|(&chosen, &count)| chosen + 1 < count)?;
    let mut next = path[..=deepest].to_vec();
    next[deepest] += 1;
    Some(next)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn successors_walk_a_whole_tree_once() {
        let mut path = vec![0, 0];
        let mut seen = vec![path.clone()];
        while let Some(next) = successor(&path, &[2, 3]) {
            path = next;
            path.resize(2, 0);
            seen.push(path.clone());
        }
        assert_eq!(seen.len(), 6);
        assert!(seen.is_sorted());
    }
}
