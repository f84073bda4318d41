//! Every schedule of a tiny run, depth first.
//!
//! The run must be small: the tree has as many leaves as there are schedules. The search replays from the start for
//! each leaf, so it needs nothing from the system but that it can be run again.

use crate::schedule::FIBER;
use crate::tape::{Actor, Address, Place, Source, Tape};
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
    let base = without_path(base);
    let mut tape = base.clone();
    let mut schedules = 0;
    while schedules < at_most {
        let outcome = play(&Source::from(tape));
        schedules += 1;
        if outcome.violation.is_some() {
            return Explored { schedules, complete: false, failure: Some(outcome) };
        }
        let path: Vec<u32> = (0..outcome.branching.len()).map(|at| outcome.tape.get(place(at))).collect();
        let Some(next) = successor(&path, &outcome.branching) else {
            return Explored { schedules, complete: true, failure: None };
        };
        tape = base.clone();
        next.iter().enumerate().for_each(|(at, &chosen)| tape.set(place(at), chosen));
    }
    Explored { schedules, complete: false, failure: None }
}

/// Where the scheduler's choice number `at` is.
fn place(at: usize) -> Place {
    let address = Address::operation(0, Actor::SCHEDULER, 0);
    Place { address, choice_point: FIBER.index(), occurrence: at as u32 }
}

fn without_path(tape: &Tape) -> Tape {
    let mut tape = tape.clone();
    let chosen =
        tape.choices().map(|(place, _)| place).filter(|place| place.address.actor == Actor::SCHEDULER);
    for place in chosen.collect::<Vec<Place>>() {
        tape.set(place, 0);
    }
    tape
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
