//! Under the model checker: loom's own types, with its locks in the facade's shape.

use std::ops::{Deref, DerefMut};
use std::time::Instant;

pub(crate) use loom::cell::UnsafeCell;
#[cfg(not(tenterhook_orderings))]
pub(crate) use loom::sync::atomic;
pub(crate) use loom::thread_local;

/// loom's mutex, with a lock call that hands out its guard directly.
#[derive(Debug, Default)]
pub(crate) struct Mutex<T>(loom::sync::Mutex<T>);

/// The guard of [`Mutex`]. Empty only while [`Condvar`] has taken the inner guard through a `&mut`.
pub(crate) struct MutexGuard<'a, T> {
    mutex: &'a Mutex<T>,
    inner: Option<loom::sync::MutexGuard<'a, T>>,
}

impl<T> Mutex<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(loom::sync::Mutex::new(value))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        MutexGuard { mutex: self, inner: Some(self.lock_inner()) }
    }

    pub(crate) fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        self.0.try_lock().ok().map(|inner| MutexGuard { mutex: self, inner: Some(inner) })
    }

    fn lock_inner(&self) -> loom::sync::MutexGuard<'_, T> {
        self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl<T> Deref for MutexGuard<'_, T> {
    type Target = T;
    fn deref(&self) -> &T {
        self.inner.as_ref().expect("the guard is only empty inside a wait")
    }
}

impl<T> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        self.inner.as_mut().expect("the guard is only empty inside a wait")
    }
}

/// loom's condition variable, in parking_lot's shape.
#[derive(Debug)]
pub(crate) struct Condvar(loom::sync::Condvar);

impl Condvar {
    pub(crate) fn new() -> Self {
        Self(loom::sync::Condvar::new())
    }

    pub(crate) fn wait<T>(&self, guard: &mut MutexGuard<'_, T>) {
        let inner = guard.inner.take().expect("a guard that is not waiting");
        guard.inner = Some(self.0.wait(inner).unwrap_or_else(|poisoned| poisoned.into_inner()));
    }

    /// loom has no clock: a timed wait lets go of the lock, so that both ends of the race between notification and
    /// deadline are explored, and then always says that the deadline passed.
    pub(crate) fn wait_until<T>(&self, guard: &mut MutexGuard<'_, T>, _deadline: Instant) -> bool {
        drop(guard.inner.take());
        loom::thread::yield_now();
        guard.inner = Some(guard.mutex.lock_inner());
        true
    }

    pub(crate) fn notify_one(&self) {
        self.0.notify_one();
    }
}

/// Does not look at all: what follows a spin has to be right without it.
pub(crate) fn spin_while(_waiting: impl Fn() -> bool) {}

/// An allocation that loom watches: a leaked one fails the model, and so does a touch that is not ordered before its end.
///
/// loom's `Track` sees the leak only, and its `get_ref` checks nothing. The touch is a read of the cell, the end a write,
/// so a touch that races with the end, on whichever side of it this execution puts it, is a race that loom reports.
#[derive(Debug)]
pub struct Tracked {
    _leak: loom::alloc::Track<()>,
    alive: UnsafeCell<()>,
}

impl Tracked {
    /// Alive from now on.
    #[allow(clippy::new_without_default, reason = "the other facades have none")]
    pub fn new() -> Self {
        Self { _leak: loom::alloc::Track::new(()), alive: UnsafeCell::new(()) }
    }

    /// By somebody who relies on its being alive.
    pub fn touch(&self) {
        self.alive.with(|_| ());
    }
}

impl Drop for Tracked {
    fn drop(&mut self) {
        self.alive.with_mut(|_| ());
    }
}

/// Threads that the runtime starts itself.
pub(crate) mod thread {
    use std::io;

    pub(crate) use loom::thread::{JoinHandle, current};

    pub(crate) fn spawn(_: String, body: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
        Ok(loom::thread::spawn(body))
    }
}

/// Time stands still: an execution must not depend on how fast it is explored.
#[derive(Debug)]
pub(crate) struct Stopwatch;

impl Stopwatch {
    pub(crate) fn start() -> Self {
        Self
    }

    pub(crate) fn lap(&mut self) -> u64 {
        0
    }
}
