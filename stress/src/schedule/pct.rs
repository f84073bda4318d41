use std::collections::BinaryHeap;

use super::{CHANGE, DELIVERY, FiberId, PRIORITY, Pick, Readiness, Scheduler};
use crate::tape::Stream;

/// Drawn priorities lie below this; what was demoted lies below them all.
const PRIORITIES: u32 = 1 << 16;
/// On average a window of this many steps holds d - 1 change points.
const WINDOW: u32 = 2048;

/// Probabilistic concurrency testing (Burckhardt, Kothari, Musuvathi and Nagarakatte, ASPLOS 2010): the runnable
/// fiber with the highest priority runs until it blocks, and at d - 1 drawn points the running fiber is demoted.
///
/// Two things differ from the paper. Connections never end, so an operation, not a fiber, gets a priority, and the
/// change points recur in every window of steps. The disk is a contender whose priority is drawn again for each
/// delivery, so that I/O can be held back behind a whole operation or overtake one.
#[derive(Debug)]
pub struct Pct {
    ready: BinaryHeap<Entry>,
    /// The fiber that ran last and can go straight on: most steps neither push nor pop.
    running: Option<Entry>,
    /// Priority of each fiber's current operation.
    priorities: Vec<u32>,
    disk: Option<u32>,
    depth: u32,
    until_change: u32,
    /// Counts down, so that of two equal priorities the one that came first goes first.
    arrivals: u32,
}

/// A fiber with its priority and the order of its arrival, in one number: the greater goes first.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Entry(u64);

impl Entry {
    const FIBER_BITS: u32 = 24;
    const ARRIVAL_BITS: u32 = 22;

    fn new(priority: u32, arrival: u32, fiber: FiberId) -> Entry {
        let arrival = arrival & ((1 << Entry::ARRIVAL_BITS) - 1);
        let rank = u64::from(priority) << Entry::ARRIVAL_BITS | u64::from(arrival);
        Entry(rank << Entry::FIBER_BITS | u64::from(fiber))
    }

    fn fiber(self) -> FiberId {
        (self.0 & ((1 << Entry::FIBER_BITS) - 1)) as FiberId
    }

    fn priority(self) -> u32 {
        (self.0 >> (Entry::FIBER_BITS + Entry::ARRIVAL_BITS)) as u32
    }
}

impl Pct {
    /// PCT with depth `depth`, the d of the paper: 1 means no change points.
    pub fn new(depth: u32) -> Pct {
        Pct {
            ready: BinaryHeap::new(),
            running: None,
            priorities: Vec::new(),
            disk: None,
            depth: depth.max(1),
            until_change: 0,
            arrivals: u32::MAX,
        }
    }

    fn priority(&mut self, fiber: FiberId) -> &mut u32 {
        let index = fiber as usize;
        if self.priorities.len() <= index {
            self.priorities.resize(index + 1, 0);
        }
        &mut self.priorities[index]
    }

    /// Whether a change point falls on this step.
    fn changes_now(&mut self, stream: &mut Stream) -> bool {
        if self.depth == 1 {
            return false;
        }
        if self.until_change == 0 {
            self.until_change = 1 + stream.choose(CHANGE, 2 * WINDOW / (self.depth - 1));
        }
        self.until_change -= 1;
        self.until_change == 0
    }

    fn entry(&mut self, fiber: FiberId) -> Entry {
        self.arrivals = self.arrivals.wrapping_sub(1);
        Entry::new(*self.priority(fiber), self.arrivals, fiber)
    }

    /// The highest priority that can run, if any can.
    fn top(&self) -> Option<Entry> {
        self.running.max(self.ready.peek().copied())
    }

    fn pop(&mut self) -> Option<Entry> {
        if self.running.is_some() && self.running >= self.ready.peek().copied() {
            return self.running.take();
        }
        self.ready.pop()
    }

    fn draw_priority(stream: &mut Stream) -> u32 {
        // 0 is the default choice and the highest priority: all equal, first come, first served.
        2 * PRIORITIES - stream.choose(PRIORITY, PRIORITIES)
    }
}

impl Scheduler for Pct {
    fn ready(&mut self, fiber: FiberId, why: Readiness, stream: &mut Stream) {
        match why {
            Readiness::Fresh => *self.priority(fiber) = Pct::draw_priority(stream),
            // A fiber that spins must not starve the one for which it spins.
            Readiness::Yielded => *self.priority(fiber) = 0,
            // A change point inside a step: the thread that was stopped has the lowest priority from here on.
            Readiness::Stopped => *self.priority(fiber) = 1,
            Readiness::Woken | Readiness::Continued => {}
        }
        let entry = self.entry(fiber);
        if why == Readiness::Continued && self.running.is_none() {
            self.running = Some(entry);
        } else {
            self.ready.push(entry);
        }
    }

    fn pick(&mut self, due: u32, stream: &mut Stream) -> Option<Pick> {
        if due == 0 && self.top().is_none() {
            return None;
        }
        if self.changes_now(stream)
            && let Some(demoted) = self.pop()
        {
            *self.priority(demoted.fiber()) = 1;
            let entry = self.entry(demoted.fiber());
            self.ready.push(entry);
        }
        if due > 0 {
            let disk = *self.disk.get_or_insert_with(|| Pct::draw_priority(stream));
            if self.top().is_none_or(|top| disk > top.priority()) {
                self.disk = None;
                return Some(Pick::Delivery(stream.choose(DELIVERY, due)));
            }
        }
        self.pop().map(|entry| Pick::Fiber(entry.fiber()))
    }

    fn clear(&mut self) {
        self.ready.clear();
        self.running = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tape::{Actor, Source};

    #[test]
    fn the_highest_priority_runs_until_it_blocks() {
        let mut pct = Pct::new(1);
        let mut stream = Source::Seed(1).stream(Actor::SCHEDULER, false);
        for fiber in 0..4 {
            pct.ready(fiber, Readiness::Fresh, &mut stream);
        }
        let Some(Pick::Fiber(first)) = pct.pick(0, &mut stream) else { panic!("a fiber is ready") };
        for _ in 0..50 {
            pct.ready(first, Readiness::Continued, &mut stream);
            assert_eq!(pct.pick(0, &mut stream), Some(Pick::Fiber(first)));
        }
        assert_ne!(pct.pick(0, &mut stream), Some(Pick::Fiber(first)), "it blocked");
    }

    #[test]
    fn a_fiber_that_yields_lets_all_others_pass() {
        let mut pct = Pct::new(1);
        let mut stream = Source::Seed(1).stream(Actor::SCHEDULER, false);
        pct.ready(0, Readiness::Yielded, &mut stream);
        pct.ready(1, Readiness::Fresh, &mut stream);
        assert_eq!(pct.pick(0, &mut stream), Some(Pick::Fiber(1)));
        assert_eq!(pct.pick(0, &mut stream), Some(Pick::Fiber(0)));
    }
}
