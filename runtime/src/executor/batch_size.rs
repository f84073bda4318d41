//! How many tasks a worker takes at a time: its batch.
//!
//! What is in a batch can't be stolen, so a batch should not be long in time. What is taken one by one costs a lock
//! each. So a batch is what the worker gets done in about [`BATCH_TIME`], going by how long its last batches took.

use std::time::Duration;

use super::queue::BATCH;
use crate::sync::Stopwatch;

/// How long a batch should last: well above the cost of a lock, well below what a user notices.
const BATCH_TIME: Duration = Duration::from_micros(50);

/// After how many tasks the clock is looked at, which costs as much as some steps do. In models, where no
/// time passes, after each: so that their few tasks get into batches of several.
const LOOK: usize = if cfg!(any(tenterhook_loom, tenterhook_shuttle)) { 1 } else { 8 };

/// A running estimate of how long a step takes.
pub(super) struct BatchSize<W = Stopwatch> {
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

impl BatchSize {
    pub(super) fn new() -> Self {
        Self::with(Stopwatch::start())
    }
}

impl<W: Watch> BatchSize<W> {
    /// Nothing is known yet: one task at first.
    fn with(watch: W) -> Self {
        Self { nanos_a_task: BATCH_TIME.as_nanos() as u64, watch, ran: 0 }
    }

    /// How many tasks to take.
    pub(super) fn tasks(&self) -> usize {
        let fits = BATCH_TIME.as_nanos() as u64 / self.nanos_a_task.max(1);
        usize::try_from(fits).unwrap_or(BATCH).clamp(1, BATCH)
    }

    /// Learns from `tasks` tasks that ran since the last call. One look at the clock serves as the end of one batch and
    /// the start of the next, and for several batches if they are small.
    #[inline]
    pub(super) fn ran(&mut self, tasks: usize) {
        self.ran += tasks;
        if self.ran >= LOOK {
            self.look();
        }
    }

    fn look(&mut self) {
        let nanos = self.watch.lap() / std::mem::take(&mut self.ran) as u64;
        // A quarter of the new: one slow task among fast ones makes the next batches shorter, not the next hundred.
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
    fn settled(now: &Cell<u64>) -> BatchSize<Script<'_>> {
        let mut batch_size = BatchSize::with(Script(now, now.get()));
        assert_eq!(batch_size.tasks(), 1, "nothing is known");
        (0..30).for_each(|_| run(&mut batch_size, now, LOOK, 4));
        assert_eq!(batch_size.tasks(), 12);
        batch_size
    }

    fn run(batch_size: &mut BatchSize<Script<'_>>, now: &Cell<u64>, tasks: usize, micros_each: u64) {
        now.set(now.get() + micros_each * tasks as u64);
        batch_size.ran(tasks);
    }

    #[test]
    fn hands_grow_when_tasks_are_quick_and_shrink_when_they_are_slow() {
        let now = Cell::new(7);
        let mut batch_size = settled(&now);
        run(&mut batch_size, &now, LOOK - 1, 37);
        assert_eq!(batch_size.tasks(), 12, "the clock is not looked at for each");
        run(&mut batch_size, &now, 1, 37);
        assert_eq!(batch_size.tasks(), 4, "a quarter of what is new: 12 us");
        batch_size.nanos_a_task = u64::MAX / 8;
        assert_eq!(batch_size.tasks(), 1);
        batch_size.nanos_a_task = 0;
        assert_eq!(batch_size.tasks(), BATCH);
    }

    #[test]
    fn worker_that_sleeps_after_each_task_learns_how_long_they_take() {
        let now = Cell::new(0);
        let mut batch_size = BatchSize::with(Script(&now, 0));
        for _ in 0..30 {
            run(&mut batch_size, &now, 1, 4);
            batch_size.pause();
            // It sleeps for long, which is no work.
            now.set(now.get() + 1_000_000);
            batch_size.slept();
        }
        assert_eq!(batch_size.tasks(), 12);
        batch_size.pause();
        assert_eq!(batch_size.tasks(), 12, "nothing ran");
    }
}
