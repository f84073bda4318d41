//! Where workers with nothing to do sleep, and how they are found.
//!
//! A sleeper declares itself and only then looks into the queues a last time; a thread that pushes looks for sleepers
//! after its push. Both go through the queue's lock, so one of them comes second there and sees the other.

use std::sync::Arc;

use crate::sync::atomic::AtomicUsize;
use crate::sync::atomic::Ordering::Relaxed;
use crate::sync::{Mutex, Parker};

/// The sleepers of one executor.
pub(super) struct Idle {
    state: Mutex<State>,
    /// How many sleep; written under the lock.
    sleepers: AtomicUsize,
    parkers: Box<[Arc<Parker>]>,
}

struct State {
    /// Whom to wake, the last to fall asleep first: its cache is the warmest.
    sleeping: Vec<usize>,
    /// There will never be anything to do again.
    over: bool,
}

/// Why a worker is awake again.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Awake {
    /// There may be something to do.
    Search,
    /// Nothing will ever be.
    Over,
}

impl Idle {
    pub(super) fn new(workers: usize) -> Self {
        Self {
            state: Mutex::new(State { sleeping: Vec::with_capacity(workers), over: false }),
            sleepers: AtomicUsize::new(0),
            parkers: (0..workers).map(|_| Parker::new()).collect(),
        }
    }

    /// Whether a worker sleeps; a hint.
    #[inline]
    pub(super) fn has_sleepers(&self) -> bool {
        // ORDERING: Relaxed: see `wake_one`.
        self.sleepers.load(Relaxed) > 0
    }

    /// Wakes a sleeper, if there is one. For a thread that has just pushed a task.
    #[inline]
    pub(super) fn wake_one(&self) {
        // ORDERING: Relaxed is enough. If a sleeper's last look into the queue came before our push, its declaration
        // happens before our push, by way of the queue's lock, and so this load sees it or something later.
        if self.has_sleepers() {
            self.wake_a_sleeper();
        }
    }

    #[cold]
    fn wake_a_sleeper(&self) {
        let sleeper = {
            let mut state = self.state.lock();
            let sleeper = state.sleeping.pop();
            self.sleepers.store(state.sleeping.len(), Relaxed);
            sleeper
        };
        if let Some(worker) = sleeper {
            self.parkers[worker].unpark();
        }
    }

    /// Puts `worker` to sleep until it is woken, unless `has_work` finds something after the worker has declared that
    /// it sleeps.
    pub(super) fn sleep(&self, worker: usize, has_work: impl FnOnce() -> bool) -> Awake {
        {
            let mut state = self.state.lock();
            if state.over {
                return Awake::Over;
            }
            state.sleeping.push(worker);
            self.sleepers.store(state.sleeping.len(), Relaxed);
        }
        if has_work() && self.retract(worker) {
            return Awake::Search;
        }
        // Also if a wake was quicker than the retraction: then there is a token, which must not stay behind.
        self.parkers[worker].park();
        if self.state.lock().over { Awake::Over } else { Awake::Search }
    }

    /// Takes back the declaration; false when the worker is being woken already.
    fn retract(&self, worker: usize) -> bool {
        let mut state = self.state.lock();
        let position = state.sleeping.iter().position(|sleeper| *sleeper == worker);
        position.map(|position| state.sleeping.remove(position));
        self.sleepers.store(state.sleeping.len(), Relaxed);
        position.is_some()
    }

    /// Wakes all workers for the last time.
    pub(super) fn end(&self) {
        let sleeping = {
            let mut state = self.state.lock();
            state.over = true;
            self.sleepers.store(0, Relaxed);
            std::mem::take(&mut state.sleeping)
        };
        for worker in sleeping {
            self.parkers[worker].unpark();
        }
    }
}
