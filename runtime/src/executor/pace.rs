//! How many tasks a worker takes into its hand.
//!
//! What is in a hand can't be stolen, so a hand should not be long in time. What is taken one by one costs a lock
//! each. So a hand is what the worker gets done in about [`HAND`], going by how long its last hands took.

use std::time::Duration;

use super::queue::HANDFUL;
use crate::sync::Stopwatch;

/// How long a hand should last: well above the cost of a lock, well below what anybody notices.
const HAND: Duration = Duration::from_micros(50);

/// After how many tasks the clock is looked at, which costs as much as some steps do. In models, where no
/// time passes, after each: so that their few tasks get into hands of several.
const LOOK: usize = if cfg!(any(tenterhook_loom, tenterhook_shuttle)) { 1 } else { 8 };

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

    /// Nothing will run for a while: what ran counts, however little it was.
    pub(super) fn pause(&mut self) {
        if self.ran > 0 {
            self.look();
        }
    }

    /// Nothing ran since the pause began.
    pub(super) fn slept(&mut self) {
        self.stopwatch.lap();
    }
}

#[cfg(all(test, not(any(tenterhook_loom, tenterhook_shuttle))))]
mod tests {
    use std::thread::sleep;

    use super::*;

    /// More than often enough, should the test be held up now and then.
    const OFTEN: usize = 10_000;

    /// One that has found tasks to be quick.
    fn quick() -> Pace {
        let mut pace = Pace::new();
        assert_eq!(pace.hand(), 1, "nothing is known");
        assert!((0..OFTEN).any(|_| {
            pace.ran(LOOK);
            pace.hand() == HANDFUL
        }));
        pace
    }

    #[test]
    fn hands_grow_when_tasks_are_quick_and_shrink_when_they_are_slow() {
        let mut pace = quick();
        sleep(HAND * 5 * LOOK as u32);
        pace.ran(LOOK - 1);
        assert_eq!(pace.hand(), HANDFUL, "the clock is not looked at for each");
        pace.ran(1);
        assert_eq!(pace.hand(), 1);
    }

    #[test]
    fn worker_that_sleeps_after_each_task_learns_how_long_they_take() {
        let mut pace = Pace::new();
        assert!((0..OFTEN).any(|_| {
            pace.slept();
            pace.ran(1);
            pace.pause();
            pace.hand() == HANDFUL
        }));
        sleep(HAND * 5);
        pace.ran(1);
        pace.pause();
        assert_eq!(pace.hand(), 1);
    }

    #[test]
    fn sleep_is_no_work() {
        let sleeps = |pace: &mut Pace| {
            pace.pause();
            sleep(HAND * 5);
            pace.slept();
            pace.ran(1);
            pace.pause();
            pace.hand()
        };
        assert!((0..100).any(|_| sleeps(&mut quick()) > 1), "one task, and no time that it did not run");
    }
}
