//! Under a model checker: its locks in the facade's shape, and what is the same under each of them.

use std::ops::{Deref, DerefMut};
use std::time::Instant;

#[cfg(tenterhook_loom)]
use loom as checker;
#[cfg(tenterhook_shuttle)]
use shuttle as checker;

#[cfg(not(tenterhook_orderings))]
pub use checker::sync::atomic;
pub(crate) use checker::thread_local;

/// The checker's mutex, with a lock call that hands out its guard directly.
#[derive(Debug, Default)]
pub struct Mutex<T>(checker::sync::Mutex<T>);

/// The guard of [`Mutex`]. Empty only while [`Condvar`] has taken the inner guard through a `&mut`.
pub struct MutexGuard<'a, T> {
    mutex: &'a Mutex<T>,
    inner: Option<checker::sync::MutexGuard<'a, T>>,
}

impl<T> Mutex<T> {
    /// One that is free.
    pub fn new(value: T) -> Self {
        Self(checker::sync::Mutex::new(value))
    }

    /// Waits until it is free, and takes it until the guard is dropped.
    pub fn lock(&self) -> MutexGuard<'_, T> {
        MutexGuard { mutex: self, inner: Some(self.lock_inner()) }
    }

    /// Takes it if it is free.
    pub fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        self.0.try_lock().ok().map(|inner| MutexGuard { mutex: self, inner: Some(inner) })
    }

    fn lock_inner(&self) -> checker::sync::MutexGuard<'_, T> {
        self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl<T> std::fmt::Debug for MutexGuard<'_, T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MutexGuard")
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

/// The checker's condition variable, in parking_lot's shape.
#[derive(Debug)]
pub struct Condvar(checker::sync::Condvar);

#[allow(clippy::new_without_default, reason = "the two checkers' own differ in it")]
impl Condvar {
    /// One for which no thread waits.
    pub fn new() -> Self {
        Self(checker::sync::Condvar::new())
    }

    /// Releases the lock, waits until notified, and takes the lock again.
    pub fn wait<T>(&self, guard: &mut MutexGuard<'_, T>) {
        let inner = guard.inner.take().expect("a guard that is not waiting");
        guard.inner = Some(self.0.wait(inner).unwrap_or_else(|poisoned| poisoned.into_inner()));
    }

    /// A checker has no clock: a timed wait lets go of the lock, so that both ends of the race between notification and
    /// deadline are explored, and then always says that the deadline passed.
    pub fn wait_until<T>(&self, guard: &mut MutexGuard<'_, T>, _deadline: Instant) -> bool {
        drop(guard.inner.take());
        checker::thread::yield_now();
        guard.inner = Some(guard.mutex.lock_inner());
        true
    }

    /// Wakes one thread that waits, if there is one.
    pub fn notify_one(&self) {
        self.0.notify_one();
    }
}

/// Does not look at all: what follows a spin has to be right without it.
pub(crate) fn spin_while(_waiting: impl Fn() -> bool) {}

/// Threads.
pub mod thread {
    use std::io;

    use super::checker;
    pub use checker::thread::{JoinHandle, current, yield_now};

    /// Starts a thread that runs `body`. A checker has no names.
    ///
    /// # Errors
    ///
    /// None here: a checker always gives threads.
    pub fn spawn(_: String, body: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
        Ok(checker::thread::spawn(body))
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
