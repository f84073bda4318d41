//! How a completion that finishes tells the world which fiber can run.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Wake, Waker};

use crate::schedule::FiberId;

/// Fibers whose completions have finished and of which the scheduler does not know yet, in the order of their waking.
#[derive(Debug, Default)]
pub(crate) struct ReadyList {
    woken: Mutex<Vec<FiberId>>,
}

/// The waker of one fiber, made once and registered with whatever the fiber waits for.
struct FiberWaker {
    fiber: FiberId,
    list: Arc<ReadyList>,
}

impl ReadyList {
    pub(crate) fn waker(self: &Arc<Self>, fiber: FiberId) -> Waker {
        Waker::from(Arc::new(FiberWaker { fiber, list: Arc::clone(self) }))
    }

    /// Exchanges the woken fibers for `empty`, so that nothing is allocated and the lock is held for a swap.
    #[inline]
    pub(crate) fn take(&self, empty: &mut Vec<FiberId>) {
        let mut woken = self.lock();
        if !woken.is_empty() {
            std::mem::swap(&mut *woken, empty);
        }
    }

    /// The woken fibers, which stay.
    pub(crate) fn peek(&self) -> Vec<FiberId> {
        self.lock().clone()
    }

    pub(crate) fn clear(&self) {
        self.lock().clear();
    }

    #[inline]
    fn lock(&self) -> MutexGuard<'_, Vec<FiberId>> {
        self.woken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wake for FiberWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.list.lock().push(self.fiber);
    }
}
