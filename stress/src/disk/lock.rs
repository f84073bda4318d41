//! The disk's state behind its lock.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::State;
use crate::race::Hold;

#[derive(Debug)]
pub(super) struct Shared {
    state: Mutex<State>,
}

impl Shared {
    pub(super) fn new(state: State) -> Shared {
        Shared { state: Mutex::new(state) }
    }

    /// A panic of the system under test may unwind through a callback, never through this lock's holder. No thread is stopped
    /// while it holds the lock.
    #[inline]
    pub(super) fn lock(&self) -> Locked<'_> {
        let hold = Hold::new();
        Locked { state: self.state.lock().unwrap_or_else(PoisonError::into_inner), _hold: hold }
    }
}

/// The lock's guard. The lock is released before the hold.
pub(super) struct Locked<'a> {
    state: MutexGuard<'a, State>,
    _hold: Hold,
}

impl std::ops::Deref for Locked<'_> {
    type Target = State;

    #[inline]
    fn deref(&self) -> &State {
        &self.state
    }
}

impl std::ops::DerefMut for Locked<'_> {
    #[inline]
    fn deref_mut(&mut self) -> &mut State {
        &mut self.state
    }
}
