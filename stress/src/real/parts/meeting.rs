//! One thread in one case.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use super::counts::{Action, Counts};
use super::near::{Near, Point};
use crate::rng;

/// One point in so many is delayed, where delays are on.
const SELDOM: u64 = 24;

/// Numbers from a key.
pub(super) struct Draws {
    key: u64,
    drawn: u64,
}

impl Draws {
    pub(super) fn new(key: u64) -> Draws {
        Draws { key, drawn: 0 }
    }

    /// From 0 to below `bound`.
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.drawn += 1;
        rng::below(rng::at(self.key, self.drawn), bound)
    }

    /// Once in so many.
    pub(super) fn one_in(&mut self, many: u64) -> bool {
        self.below(many) == 0
    }
}

/// How points are delayed, for the threads of an epoch.
pub(super) struct Delays<'a> {
    pub(super) near: &'a Near,
    pub(super) begun: Instant,
    pub(super) is_on: bool,
    /// Threads share a processor: a loop would only burn it, so they give it up.
    pub(super) yields: bool,
}

/// A thread in a case: what it draws, and where it may be delayed.
pub(super) struct Meeting<'a> {
    /// The thread's number in its crew.
    pub(super) thread: usize,
    pub(super) stall: Duration,
    pub(super) draws: Draws,
    pub(super) counts: &'a mut Counts,
    pub(super) delays: &'a Delays<'a>,
    /// The last point of any thread in this case: time, thread and point.
    /// ORDERING: Relaxed, as in [`Near`].
    pub(super) last: &'a AtomicU64,
    /// The last point of this thread, for a person who wants to know where it hangs.
    pub(super) doing: &'a AtomicU64,
}

impl Meeting<'_> {
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.draws.below(bound)
    }

    pub(super) fn one_in(&mut self, many: u64) -> bool {
        self.draws.one_in(many)
    }

    /// The thread is about to do something that may meet what others do.
    pub(super) fn point(&mut self, point: Point) {
        // ORDERING: Relaxed: read by a thread that finds that nothing moves any more.
        self.doing.store(point as u64, Relaxed);
        if !self.delays.is_on {
            return self.pause();
        }
        let now = self.delays.begun.elapsed().as_nanos() as u64;
        let own = now << 16 | (self.thread as u64) << 8 | point as u64;
        let before = self.last.swap(own, Relaxed);
        if before >> 8 & 0xff != self.thread as u64
            && let Some(first) = Point::from_repr(before as u8)
        {
            self.delays.near.came(first, point, now.saturating_sub(before >> 16));
        }
        let length = self.delays.near.length(point);
        if length > 0 && self.one_in(SELDOM) {
            self.delay(u64::from(length));
            let met = self.last.load(Relaxed) != own;
            self.delays.near.learn(point, met);
            self.counts.add(Action::Delayed);
            self.counts.add_if(met, Action::Met);
        }
    }

    fn delay(&mut self, length: u64) {
        if self.delays.yields {
            return std::thread::yield_now();
        }
        let turns = self.below(length) + 1;
        (0..turns).for_each(|_| std::hint::spin_loop());
    }

    /// A moment of no fixed length, without which threads that do the same would always meet in the same way.
    fn pause(&mut self) {
        if self.delays.yields {
            if self.one_in(64) {
                std::thread::yield_now();
            }
            return;
        }
        let turns = self.below(8);
        (0..turns).for_each(|_| std::hint::spin_loop());
    }
}
