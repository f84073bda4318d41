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
pub(super) struct Pace<W = Stopwatch> {
    nanos_a_task: u64,
    /// Since the last look.
    watch: W,
    /// Tasks that ran since then.
    ran: usize,
}

/// What tells the time: in tests they do.
pub(super) trait Watch {
    /// Nanoseconds since the last lap.
    fn lap(&mut self) -> u64;
}

impl Watch for Stopwatch {
    fn lap(&mut self) -> u64 {
        Stopwatch::lap(self)
    }
}

impl Pace {
    pub(super) fn new() -> Self {
        Self::with(Stopwatch::start())
    }
}

impl<W: Watch> Pace<W> {
    /// Nothing is known yet: one task at first.
    fn with(watch: W) -> Self {
        Self { nanos_a_task: HAND.as_nanos() as u64, watch, ran: 0 }
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
        let nanos = self.watch.lap() / std::mem::take(&mut self.ran) as u64;
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
        self.watch.lap();
    }
}

#[cfg(all(test, not(any(tenterhook_loom, tenterhook_shuttle))))]
mod tests {
    use std::cell::Cell;

    use super::*;

    /// Microseconds, and those at the last lap.
    struct Script<'a>(&'a Cell<u64>, u64);

    impl Watch for Script<'_> {
        fn lap(&mut self) -> u64 {
            let now = self.0.get();
            1000 * (now - std::mem::replace(&mut self.1, now))
        }
    }

    /// One that has found out that a task takes 4 us.
    fn settled(now: &Cell<u64>) -> Pace<Script<'_>> {
        let mut pace = Pace::with(Script(now, now.get()));
        assert_eq!(pace.hand(), 1, "nothing is known");
        (0..30).for_each(|_| run(&mut pace, now, LOOK, 4));
        assert_eq!(pace.hand(), 12);
        pace
    }

    fn run(pace: &mut Pace<Script<'_>>, now: &Cell<u64>, tasks: usize, micros_each: u64) {
        now.set(now.get() + micros_each * tasks as u64);
        pace.ran(tasks);
    }

    #[test]
    fn hands_grow_when_tasks_are_quick_and_shrink_when_they_are_slow() {
        let now = Cell::new(7);
        let mut pace = settled(&now);
        run(&mut pace, &now, LOOK - 1, 37);
        assert_eq!(pace.hand(), 12, "the clock is not looked at for each");
        run(&mut pace, &now, 1, 37);
        assert_eq!(pace.hand(), 4, "a quarter of what is new: 12 us");
        pace.nanos_a_task = u64::MAX / 8;
        assert_eq!(pace.hand(), 1);
        pace.nanos_a_task = 0;
        assert_eq!(pace.hand(), HANDFUL);
    }

    #[test]
    fn worker_that_sleeps_after_each_task_learns_how_long_they_take() {
        let now = Cell::new(0);
        let mut pace = Pace::with(Script(&now, 0));
        for _ in 0..30 {
            run(&mut pace, &now, 1, 4);
            pace.pause();
            // It sleeps for long, which is no work.
            now.set(now.get() + 1_000_000);
            pace.slept();
        }
        assert_eq!(pace.hand(), 12);
        pace.pause();
        assert_eq!(pace.hand(), 12, "nothing ran");
    }
}
