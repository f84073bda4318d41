use super::{CLASS, DELIVERY, FIBER, FiberId, Pick, Readiness, Scheduler};
use crate::tape::{Chance, Lane};

/// Uniform random choice: first between the fibers and the disk, by a weight, then within the class.
///
/// The class comes first because with thousands of runnable fibers one coin over everything would hardly ever
/// deliver an operation.
#[derive(Debug)]
pub struct UniformRandom {
    delivery: Chance,
    ready: Vec<FiberId>,
}

impl UniformRandom {
    /// Delivers in `delivery_weight` of 16 decisions in which both are possible.
    pub fn new(delivery_weight: u32) -> UniformRandom {
        let delivery = Chance::per_million(delivery_weight.clamp(1, 15) * 62_500);
        UniformRandom { delivery, ready: Vec::new() }
    }
}

impl Scheduler for UniformRandom {
    fn ready(&mut self, fiber: FiberId, _why: Readiness, _lane: &mut Lane) {
        self.ready.push(fiber);
    }

    fn pick(&mut self, due: u32, lane: &mut Lane) -> Option<Pick> {
        let deliver = match (self.ready.is_empty(), due) {
            (true, 0) => return None,
            (true, _) => true,
            (false, 0) => false,
            (false, _) => lane.happens(CLASS, self.delivery),
        };
        if deliver {
            return Some(Pick::Delivery(lane.choose(DELIVERY, due)));
        }
        // Counted from the back, where the fiber that ran last was put: 0 means no preemption.
        let back = lane.choose(FIBER, self.ready.len() as u32) as usize;
        Some(Pick::Fiber(self.ready.swap_remove(self.ready.len() - 1 - back)))
    }

    fn clear(&mut self) {
        self.ready.clear();
    }
}
