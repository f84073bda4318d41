use std::collections::VecDeque;

use super::{FiberId, Pick, Readiness, Scheduler};
use crate::tape::Stream;

/// Each fiber in turn, then everything that is due, in order. It draws nothing: the plainest schedule there is, and
/// the one against which the others are worth their cost.
#[derive(Debug, Default)]
pub struct RoundRobin {
    ready: VecDeque<FiberId>,
    /// Fibers still to be stepped before the disk has its turn.
    round: usize,
    /// Operations still to be delivered in the disk's turn.
    deliveries: u32,
}

impl Scheduler for RoundRobin {
    fn ready(&mut self, fiber: FiberId, _why: Readiness, _lane: &mut Stream) {
        self.ready.push_back(fiber);
    }

    fn pick(&mut self, due: u32, _lane: &mut Stream) -> Option<Pick> {
        if self.round == 0 && self.deliveries == 0 {
            self.round = self.ready.len();
            self.deliveries = due;
        }
        self.deliveries = self.deliveries.min(due);
        if self.round > 0
            && let Some(fiber) = self.ready.pop_front()
        {
            self.round -= 1;
            return Some(Pick::Fiber(fiber));
        }
        self.round = 0;
        if due > 0 {
            self.deliveries = self.deliveries.max(1) - 1;
            return Some(Pick::Delivery(0));
        }
        self.ready.pop_front().map(Pick::Fiber)
    }

    fn clear(&mut self) {
        self.ready.clear();
        self.round = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::tests::run;

    #[test]
    fn a_round_steps_each_fiber_once_and_then_delivers_what_was_due() {
        let picked = run(&mut RoundRobin::default(), 1, 3, 2, 10);
        let [a, b, c, io] = [Pick::Fiber(0), Pick::Fiber(1), Pick::Fiber(2), Pick::Delivery(0)];
        assert_eq!(picked, [a, b, c, io, io, a, b, c, io, io]);
    }
}
