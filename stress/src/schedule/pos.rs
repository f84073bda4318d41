use std::collections::BinaryHeap;

use super::{DELIVERY, FiberId, PRIORITY, Pick, Readiness, Scheduler};
use crate::tape::Stream;

const PRIORITIES: u32 = 1 << 20;

/// Partial order sampling (Yuan, Yang and Gu, CAV 2018): each step that could be next has a random priority, the
/// highest runs, and steps that conflict with it draw a new priority. Long orders of few conflicts are then as likely as
/// short ones.
///
/// The paper knows what a step will touch. Here that is known only after the step. Deliveries conflict with each other and
/// with no step; a step conflicts with the steps of fibers that were woken with it. Deliveries draw again after each
/// delivery; steps keep what they drew when their fiber was woken.
#[derive(Debug, Default)]
pub struct Pos {
    /// By priority, then by fiber, so that equals have an order.
    ready: BinaryHeap<(u32, FiberId)>,
    disk: Option<u32>,
}

impl Pos {
    fn draw(stream: &mut Stream) -> u32 {
        // 0 is the default choice and the highest priority.
        PRIORITIES - stream.choose(PRIORITY, PRIORITIES)
    }
}

impl Scheduler for Pos {
    fn ready(&mut self, fiber: FiberId, why: Readiness, stream: &mut Stream) {
        // A fiber that spins must not starve the one for which it spins.
        let priority = if why == Readiness::Yielded { 0 } else { Pos::draw(stream) };
        self.ready.push((priority, fiber));
    }

    fn pick(&mut self, due: u32, stream: &mut Stream) -> Option<Pick> {
        if due > 0 {
            let disk = *self.disk.get_or_insert_with(|| Pos::draw(stream));
            if self.ready.peek().is_none_or(|&(top, _)| disk > top) {
                self.disk = None;
                return Some(Pick::Delivery(stream.choose(DELIVERY, due)));
            }
        }
        self.ready.pop().map(|(_, fiber)| Pick::Fiber(fiber))
    }

    fn clear(&mut self) {
        self.ready.clear();
        self.disk = None;
    }
}
