use std::collections::VecDeque;

use super::{FiberId, Pick, Readiness, Scheduler};
use crate::tape::Stream;

/// Each fiber in turn, and before each step all I/O ends in the order in which it was begun. It draws nothing. This is
/// the schedule of testers that step their connections round robin, kept for comparison.
#[derive(Debug, Default)]
pub struct Lockstep {
    ready: VecDeque<FiberId>,
}

impl Scheduler for Lockstep {
    fn ready(&mut self, fiber: FiberId, _why: Readiness, _lane: &mut Stream) {
        self.ready.push_back(fiber);
    }

    fn pick(&mut self, due: u32, _lane: &mut Stream) -> Option<Pick> {
        if due > 0 {
            return Some(Pick::Delivery(0));
        }
        self.ready.pop_front().map(Pick::Fiber)
    }

    fn clear(&mut self) {
        self.ready.clear();
    }
}
