use std::cmp::Reverse;
use std::collections::BTreeSet;

use super::{FiberId, Pick};

/// The turn of a step that is taken only when nothing else can happen.
const LAST: u32 = u32::MAX;

/// Who goes next as a tape says: the candidate with the lowest turn.
///
/// A turn is a number that a tape has for a step of an operation or for the delivery of a call. Turns only grow: one that has
/// passed means "now". Without a number a step or a delivery has the turn that is present when it becomes possible. So the
/// schedule of an empty tape runs what ran last until it waits, then what became possible last, then deliveries in the order
/// of submission. A number holds a step back until everything with a lower turn has happened, whatever else is on the tape:
/// an operation that is taken off moves no other one's turn.
///
/// A step that has yielded wants the others to go first. Without a number for its next try it goes when nothing else can.
#[derive(Debug, Default)]
pub(crate) struct Turns {
    /// The present turn.
    now: u32,
    ready: BTreeSet<(u32, Rank, FiberId)>,
    arrivals: u64,
}

/// The delivery that is next by its turn.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) struct NextDelivery {
    /// Its turn.
    pub(crate) turn: u32,
    /// Number of its submission.
    pub(crate) token: u64,
    /// Which of the due ones it is.
    pub(crate) index: u32,
}

/// Who goes first of those with the same turn: fibers that can run, the one that could last first; then deliveries in the order of
/// submission; then fibers that have yielded.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rank {
    Fiber(Reverse<u64>),
    Delivery(u64),
    Yielded(u64),
}

impl Turns {
    /// The present turn.
    pub(crate) fn now(&self) -> u32 {
        self.now
    }

    /// `fiber` can run. `recorded` is what the tape has: 0, or the turn plus one.
    pub(crate) fn ready(&mut self, fiber: FiberId, has_yielded: bool, recorded: u32) {
        self.arrivals += 1;
        let rank =
            if has_yielded { Rank::Yielded(self.arrivals) } else { Rank::Fiber(Reverse(self.arrivals)) };
        let turn = match recorded.checked_sub(1) {
            Some(turn) => turn.max(self.now),
            None if has_yielded => LAST,
            None => self.now,
        };
        self.ready.insert((turn, rank, fiber));
    }

    /// What is next, and its turn.
    pub(crate) fn peek(&self, due: Option<NextDelivery>) -> Option<(u32, Pick)> {
        let fiber = self.ready.first().map(|&(turn, rank, fiber)| (turn, rank, Pick::Fiber(fiber)));
        let due = due.map(|next| (next.turn, Rank::Delivery(next.token), Pick::Delivery(next.index)));
        let next = fiber.into_iter().chain(due).min_by_key(|&(turn, rank, _)| (turn, rank));
        next.map(|(turn, _, pick)| (turn, pick))
    }

    /// What was next happens.
    pub(crate) fn take(&mut self, turn: u32, pick: Pick) {
        if matches!(pick, Pick::Fiber(_)) {
            self.ready.pop_first();
        }
        if turn != LAST {
            self.advance(turn);
        }
    }

    /// It is `turn` now, if it was not later already.
    pub(crate) fn advance(&mut self, turn: u32) {
        self.now = self.now.max(turn);
    }

    /// Fibers that can run, each with whether it has yielded, in the order of their turns.
    pub(crate) fn take_ready(&mut self) -> Vec<(FiberId, bool)> {
        let ready = std::mem::take(&mut self.ready);
        ready.into_iter().map(|(_, rank, fiber)| (fiber, matches!(rank, Rank::Yielded(_)))).collect()
    }

    /// Another life begins, with no fibers and at the first turn.
    pub(crate) fn clear(&mut self) {
        *self = Turns::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(turns: &mut Turns, mut due: Vec<NextDelivery>) -> Vec<Pick> {
        let mut order = Vec::new();
        while let Some((turn, pick)) = turns.peek(due.first().copied()) {
            turns.take(turn, pick);
            if matches!(pick, Pick::Delivery(_)) {
                due.remove(0);
            }
            order.push(pick);
        }
        order
    }

    #[test]
    fn without_numbers_the_last_fiber_goes_first_and_deliveries_and_those_that_yield_follow() {
        let mut turns = Turns::default();
        turns.ready(7, true, 0);
        turns.ready(0, false, 0);
        turns.ready(1, false, 0);
        let due = vec![NextDelivery { turn: 0, token: 3, index: 0 }];
        let expected = [Pick::Fiber(1), Pick::Fiber(0), Pick::Delivery(0), Pick::Fiber(7)];
        assert_eq!(order(&mut turns, due), expected);
    }

    #[test]
    fn a_number_holds_back_until_lower_turns_have_happened_and_a_turn_that_has_passed_is_now() {
        let mut turns = Turns::default();
        turns.ready(0, false, 1 + 5);
        turns.ready(1, false, 1 + 2);
        turns.ready(2, true, 1 + 3);
        let due = vec![NextDelivery { turn: 4, token: 0, index: 0 }];
        let expected = [Pick::Fiber(1), Pick::Fiber(2), Pick::Delivery(0), Pick::Fiber(0)];
        assert_eq!(order(&mut turns, due), expected);
        turns.ready(3, false, 1 + 4);
        assert_eq!(turns.peek(None), Some((5, Pick::Fiber(3))));
    }
}
