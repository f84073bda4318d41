use std::collections::VecDeque;

use super::{CLASS, DELIVERY, FIBER, FiberId, Pick, Readiness, Scheduler};
use crate::tape::{Chance, Stream};

/// Uniform random choice: first between the fibers and the disk, by a weight, then within the class.
///
/// The class comes first because with thousands of runnable fibers one coin over everything would hardly ever
/// deliver an operation.
#[derive(Debug)]
pub struct UniformRandom {
    delivery: Chance,
    gaze: Chance,
    ready: ReadyStack,
}

impl UniformRandom {
    /// Delivers in `delivery_weight` of 16 decisions in which both are possible.
    pub fn new(delivery_weight: u32) -> UniformRandom {
        let parts = delivery_weight.clamp(1, 15) * 62_500;
        UniformRandom {
            delivery: Chance::per_million(parts),
            gaze: Chance::per_million(1_000_000 - parts),
            ready: ReadyStack::default(),
        }
    }
}

impl Scheduler for UniformRandom {
    fn ready(&mut self, fiber: FiberId, why: Readiness, _lane: &mut Stream) {
        self.ready.push(fiber, why);
    }

    fn pick(&mut self, due: u32, stream: &mut Stream) -> Option<Pick> {
        let deliver = match (self.ready.is_empty(), due) {
            (true, 0) => return None,
            (true, _) => true,
            (false, 0) => false,
            (false, _) if self.ready.spins() => !stream.happens(CLASS, self.gaze),
            (false, _) => stream.happens(CLASS, self.delivery),
        };
        if deliver {
            self.ready.delivered();
            return Some(Pick::Delivery(stream.choose(DELIVERY, due)));
        }
        let back = stream.choose(FIBER, self.ready.len() as u32);
        self.ready.take(back).map(Pick::Fiber)
    }

    fn clear(&mut self) {
        self.ready.clear();
    }
}

/// The fibers that can run, by how default it is to run them: first the fiber that ran last, and last the fibers that asked that others
/// go first.
#[derive(Debug, Default)]
pub(super) struct ReadyStack {
    /// The dullest at the back.
    fibers: VecDeque<FiberId>,
    /// Fibers in a row that only asked for others to go first, without a delivery between them.
    yields: usize,
}

impl ReadyStack {
    pub(super) fn push(&mut self, fiber: FiberId, why: Readiness) {
        if why == Readiness::Yielded {
            self.yields += 1;
            self.fibers.push_front(fiber);
        } else {
            self.yields = 0;
            self.fibers.push_back(fiber);
        }
    }

    /// Whether every fiber waits for another one, so that only the disk can make progress.
    pub(super) fn spins(&self) -> bool {
        self.yields >= self.fibers.len()
    }

    pub(super) fn delivered(&mut self) {
        self.yields = 0;
    }

    /// Takes out one; 0 is the dullest.
    pub(super) fn take(&mut self, back: u32) -> Option<FiberId> {
        let index = self.fibers.len().checked_sub(1 + back as usize)?;
        self.fibers.swap_remove_back(index)
    }

    pub(super) fn len(&self) -> usize {
        self.fibers.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.fibers.is_empty()
    }

    pub(super) fn clear(&mut self) {
        self.fibers.clear();
        self.yields = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tape::{Actor, Source, Tape};

    /// The dullest schedule: an empty tape.
    fn default() -> Stream {
        Source::from(Tape::default()).stream(Actor::SCHEDULER, false)
    }

    #[test]
    fn the_default_schedule_continues_with_what_ran_last_and_yields_when_asked() {
        let (mut random, mut stream) = (UniformRandom::new(8), default());
        for fiber in 0..3 {
            random.ready(fiber, Readiness::Fresh, &mut stream);
        }
        assert_eq!(random.pick(1, &mut stream), Some(Pick::Fiber(2)));
        random.ready(2, Readiness::Continued, &mut stream);
        assert_eq!(random.pick(1, &mut stream), Some(Pick::Fiber(2)));
        random.ready(2, Readiness::Yielded, &mut stream);
        assert_eq!(random.pick(1, &mut stream), Some(Pick::Fiber(1)));
    }

    #[test]
    fn the_default_schedule_delivers_once_every_fiber_has_yielded() {
        let (mut random, mut stream) = (UniformRandom::new(8), default());
        random.ready(0, Readiness::Fresh, &mut stream);
        random.ready(1, Readiness::Fresh, &mut stream);
        let mut picked = Vec::new();
        for _ in 0..4 {
            let pick = random.pick(1, &mut stream).unwrap();
            if let Pick::Fiber(fiber) = pick {
                random.ready(fiber, Readiness::Yielded, &mut stream);
            }
            picked.push(pick);
        }
        assert_eq!(picked, [Pick::Fiber(1), Pick::Fiber(0), Pick::Delivery(0), Pick::Fiber(1)]);
    }
}
