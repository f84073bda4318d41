//! How many tasks a worker takes into its hand.
//!
//! What is in a hand can't be stolen, so a hand should not be long in time. What is taken one by one costs a lock
//! each. So a hand is what the worker gets done in about [`HAND`], going by how long its last hands took.

use std::time::Duration;

use super::queue::HANDFUL;
use crate::sync::Stopwatch;

/// How long a hand should last: well above the cost of a lock, well below what anybody notices.
const HAND: Duration = Duration::from_micros(50);

/// After how many tasks the clock is looked at, which costs as much as some steps do.
const LOOK: usize = 8;

/// A running estimate of how long a step takes.
pub(super) struct Pace {
    nanos_a_task: u64,
    /// Since the last look.
    stopwatch: Stopwatch,
    /// Tasks that ran since then.
    ran: usize,
}

impl Pace {
    /// Nothing is known yet: one task at first.
    pub(super) fn new() -> Self {
        Self { nanos_a_task: HAND.as_nanos() as u64, stopwatch: Stopwatch::start(), ran: 0 }
    }

    /// How many tasks to take.
    pub(super) fn hand(&self) -> usize {
        let fits = HAND.as_nanos() as u64 / self.nanos_a_task.max(1);
        usize::try_from(fits).unwrap_or(HANDFUL).clamp(1, HANDFUL)
    }

    /// Learns from `tasks` tasks that ran since the last call. One look at the clock serves as the end of one hand and
    /// the start of the next, and for several hands if they are small.
    #[inline]
    pub(super) fn ran(&mut self, tasks: usize) {
        self.ran += tasks;
        if self.ran >= LOOK {
            self.look();
        }
    }

    fn look(&mut self) {
        let nanos = self.stopwatch.lap() / std::mem::take(&mut self.ran) as u64;
        // A quarter of the new: one slow task among fast ones makes the next hands shorter, not the next hundred.
        self.nanos_a_task = (self.nanos_a_task * 3 + nanos) / 4;
    }

    /// Nothing ran for a while.
    pub(super) fn slept(&mut self) {
        self.ran = 0;
        self.stopwatch.lap();
    }
}

#[cfg(all(test, not(any(tenterhook_loom, tenterhook_shuttle))))]
mod tests {
    use super::*;

    #[test]
    fn hands_grow_when_tasks_are_quick() {
        let mut pace = Pace::new();
        assert_eq!(pace.hand(), 1);
        pace.nanos_a_task = 1;
        assert_eq!(pace.hand(), HANDFUL);
        pace.nanos_a_task = 10_000;
        assert_eq!(pace.hand(), 5);
        pace.nanos_a_task = u64::MAX / 8;
        assert_eq!(pace.hand(), 1);
    }
}
