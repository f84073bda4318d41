use super::{FIBER, FiberId, Pick, Readiness, Scheduler};
use crate::tape::Stream;

/// One choice a step, among all fibers and all deliveries: the tape is then a path in the tree of all schedules, and
/// [`crate::explore`] walks the tree depth first (stateless model checking: Godefroid, POPL 1997).
#[derive(Debug, Default)]
pub struct Exhaustive {
    ready: Vec<FiberId>,
    branching: Vec<u32>,
    /// A fiber that yielded waits until another event has happened. Without this rule the tree would be infinite.
    yielded: Vec<FiberId>,
}

impl Scheduler for Exhaustive {
    fn ready(&mut self, fiber: FiberId, why: Readiness, _lane: &mut Stream) {
        if why == Readiness::Yielded {
            self.yielded.push(fiber);
        } else {
            self.ready.push(fiber);
        }
    }

    fn pick(&mut self, due: u32, stream: &mut Stream) -> Option<Pick> {
        if self.ready.is_empty() && due == 0 {
            std::mem::swap(&mut self.ready, &mut self.yielded);
        }
        let fibers = self.ready.len() as u32;
        let count = fibers + due;
        if count == 0 {
            return None;
        }
        let chosen = stream.choose(FIBER, count);
        if count > 1 {
            self.branching.push(count);
        }
        // Who ran last is at the back, and 0 is to go on with that.
        let pick = match fibers.checked_sub(1 + chosen) {
            Some(index) => Pick::Fiber(self.ready.remove(index as usize)),
            None => Pick::Delivery(chosen - fibers),
        };
        self.ready.append(&mut self.yielded);
        Some(pick)
    }

    fn clear(&mut self) {
        self.ready.clear();
        self.yielded.clear();
    }

    fn branching(&mut self) -> Option<Vec<u32>> {
        Some(std::mem::take(&mut self.branching))
    }
}
