//! How many tasks have not ended, and whether more may come.

use crate::sync::atomic::AtomicUsize;
use crate::sync::atomic::Ordering::Relaxed;

/// Only machines may spawn: what they are about to do is part of what is drained.
const DRAINING: usize = 1;
/// No one may.
const CLOSED: usize = 2;
const ONE: usize = 4;

/// The count and the two flags are one word, so that "the last task has ended, and no task can come" is one fact.
///
/// Its orderings are Relaxed: it decides who ends the executor, which the atomicity of read-modify-writes does, and hands
/// over no data. What a task did reaches the thread that waits for the executor's end through the worker that ran it: its thread is
/// joined, or its completion waited for.
pub(super) struct Live(AtomicUsize);

/// Who spawns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// A machine of this executor, which is alive meanwhile.
    Machine,
    /// Any other thread.
    Outside,
}

impl Live {
    pub(super) fn new() -> Self {
        Self(AtomicUsize::new(0))
    }

    /// Counts one more; false when it is too late for that.
    pub(super) fn enter(&self, origin: Origin) -> bool {
        let mut seen = self.0.load(Relaxed);
        loop {
            if seen & CLOSED != 0 || (seen & DRAINING != 0 && origin == Origin::Outside) {
                return false;
            }
            // ORDERING: Relaxed: a count of what is alive; the tasks themselves go through the registry's locks.
            match self.0.compare_exchange_weak(seen, seen + ONE, Relaxed, Relaxed) {
                Ok(_) => return true,
                Err(now) => seen = now,
            }
        }
    }

    /// Counts one less; true when that was the last one and no other can come.
    #[must_use]
    pub(super) fn leave(&self) -> bool {
        // ORDERING: Relaxed: see above. Exactly one thread sees both the flag and a count of 0.
        let before = self.0.fetch_sub(ONE, Relaxed);
        before / ONE == 1 && before & (DRAINING | CLOSED) != 0
    }

    /// Lets only machines spawn; true when there are none.
    #[must_use]
    pub(super) fn drain(&self) -> bool {
        // ORDERING: Relaxed: as in `leave`.
        self.0.fetch_or(DRAINING, Relaxed) / ONE == 0
    }

    /// Forbids further spawns; true when there are no tasks.
    #[must_use]
    pub(super) fn close(&self) -> bool {
        // ORDERING: Relaxed: as in `leave`. `is_closed` sees the flag through the registry's locks.
        self.0.fetch_or(CLOSED, Relaxed) / ONE == 0
    }

    /// Whether it has been closed. Asked after a task has been entered into the registry.
    pub(super) fn is_closed(&self) -> bool {
        // ORDERING: Relaxed. The thread that closes walks the registry next. If the walk missed the task, its lock on the task's list
        // came before the caller's, and so `close` happens before this load.
        self.0.load(Relaxed) & CLOSED != 0
    }

    /// How many have not ended.
    pub(super) fn count(&self) -> usize {
        self.0.load(Relaxed) / ONE
    }
}
