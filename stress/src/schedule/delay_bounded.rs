use std::collections::VecDeque;

use super::{CHANGE, FiberId, Pick, Readiness, Scheduler};
use crate::tape::Stream;

/// On average a window of this many steps holds d delays.
const WINDOW: u32 = 1024;

/// Delay-bounded scheduling (Emmi, Qadeer and Rakamaric, POPL 2011): a fixed order, here first come, first served, with
/// with the disk as one of the contenders. At a few drawn points the next in the order is moved behind all others.
///
/// As with PCT, the delays recur in every window, since connections never end.
#[derive(Debug)]
pub struct DelayBounded {
    queue: VecDeque<FiberId>,
    /// How many of those who came before the disk go before it.
    before_disk: Option<usize>,
    delays: u32,
    until_delay: u32,
}

impl DelayBounded {
    /// At most about `delays` in a window of steps, at least one.
    pub fn new(delays: u32) -> DelayBounded {
        DelayBounded { queue: VecDeque::new(), before_disk: None, delays: delays.max(1), until_delay: 0 }
    }

    /// Whether a delay falls on this step.
    fn delays_now(&mut self, stream: &mut Stream) -> bool {
        if self.until_delay == 0 {
            // 0, the default choice, is no delay before the window is over.
            let gap = stream.choose(CHANGE, 2 * WINDOW / self.delays);
            self.until_delay = if gap == 0 { WINDOW + 1 } else { gap + 1 };
        }
        self.until_delay -= 1;
        self.until_delay == 1
    }
}

impl Scheduler for DelayBounded {
    fn ready(&mut self, fiber: FiberId, why: Readiness, _lane: &mut Stream) {
        if why == Readiness::Continued {
            // Only a delay preempts it.
            self.queue.push_front(fiber);
            self.before_disk = self.before_disk.map(|before| before + 1);
        } else {
            self.queue.push_back(fiber);
        }
    }

    fn pick(&mut self, due: u32, stream: &mut Stream) -> Option<Pick> {
        if due == 0 {
            self.before_disk = None;
        } else if self.before_disk.is_none() {
            self.before_disk = Some(self.queue.len());
        }
        if self.queue.is_empty() && due == 0 {
            return None;
        }
        if self.delays_now(stream) {
            match self.before_disk {
                Some(0) => self.before_disk = Some(self.queue.len()),
                _ => self.queue.rotate_left(usize::from(!self.queue.is_empty())),
            }
        }
        match self.before_disk {
            Some(before) if before == 0 || self.queue.is_empty() => {
                self.before_disk = None;
                Some(Pick::Delivery(0))
            }
            before => {
                self.before_disk = before.map(|before| before - 1);
                self.queue.pop_front().map(Pick::Fiber)
            }
        }
    }

    fn clear(&mut self) {
        self.queue.clear();
        self.before_disk = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::tests::run_with;
    use crate::tape::{Actor, Source, Tape};

    #[test]
    fn without_delays_it_is_first_come_first_served_with_the_disk_in_the_queue() {
        let mut default = Source::from(Tape::default()).stream(Actor::SCHEDULER, false);
        let picked = run_with(&mut DelayBounded::new(2), &mut default, 2, 1, 6);
        let [a, b, io] = [Pick::Fiber(0), Pick::Fiber(1), Pick::Delivery(0)];
        assert_eq!(picked, [a, b, io, a, b, io]);
    }
}
