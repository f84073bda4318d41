//! Blocks one thread until it is woken: what turns a [`Waker`](std::task::Waker) into a blocking wait.

use std::sync::Arc;
use std::task::Wake;
use std::time::Instant;

use super::{Condvar, Mutex};

/// A token that is given by `wake` and taken by `park`. Waking an awake thread keeps one token, never two.
#[derive(Debug)]
pub(crate) struct Parker {
    notified: Mutex<bool>,
    condvar: Condvar,
}

impl Parker {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { notified: Mutex::new(false), condvar: Condvar::new() })
    }

    /// Blocks until there is a token, and takes it.
    pub(crate) fn park(&self) {
        let mut notified = self.notified.lock();
        while !*notified {
            self.condvar.wait(&mut notified);
        }
        *notified = false;
    }

    /// Blocks until there is a token or `deadline` has passed; true when it took a token.
    pub(crate) fn park_until(&self, deadline: Instant) -> bool {
        let mut notified = self.notified.lock();
        while !*notified {
            if self.condvar.wait_until(&mut notified, deadline) {
                break;
            }
        }
        std::mem::take(&mut *notified)
    }

    /// Gives the token.
    pub(crate) fn unpark(&self) {
        *self.notified.lock() = true;
        self.condvar.notify_one();
    }
}

impl Wake for Parker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.unpark();
    }
}
