//! Under the randomised scheduler: shuttle's own types, with its locks in the facade's shape.

use std::ops::{Deref, DerefMut};
use std::time::Instant;

pub(crate) use shuttle::sync::atomic;
pub(crate) use shuttle::thread_local;

/// `std::cell::UnsafeCell` behind loom's access shape; shuttle runs one thread at a time and does not track cells.
#[derive(Debug, Default)]
pub(crate) struct UnsafeCell<T>(std::cell::UnsafeCell<T>);

impl<T> UnsafeCell<T> {
    pub(crate) const fn new(value: T) -> Self {
        Self(std::cell::UnsafeCell::new(value))
    }

    pub(crate) fn with<R>(&self, f: impl FnOnce(*const T) -> R) -> R {
        f(self.0.get())
    }

    pub(crate) fn with_mut<R>(&self, f: impl FnOnce(*mut T) -> R) -> R {
        f(self.0.get())
    }
}

/// shuttle's mutex, with a lock call that hands out its guard directly.
#[derive(Debug, Default)]
pub(crate) struct Mutex<T>(shuttle::sync::Mutex<T>);

/// The guard of [`Mutex`]. Empty only while [`Condvar`] has taken the inner guard through a `&mut`.
pub(crate) struct MutexGuard<'a, T> {
    mutex: &'a Mutex<T>,
    inner: Option<shuttle::sync::MutexGuard<'a, T>>,
}

impl<T> Mutex<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(shuttle::sync::Mutex::new(value))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        MutexGuard { mutex: self, inner: Some(self.lock_inner()) }
    }

    pub(crate) fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        self.0.try_lock().ok().map(|inner| MutexGuard { mutex: self, inner: Some(inner) })
    }

    fn lock_inner(&self) -> shuttle::sync::MutexGuard<'_, T> {
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

/// shuttle's condition variable, in parking_lot's shape.
#[derive(Debug)]
pub(crate) struct Condvar(shuttle::sync::Condvar);

impl Condvar {
    pub(crate) fn new() -> Self {
        Self(shuttle::sync::Condvar::new())
    }

    pub(crate) fn wait<T>(&self, guard: &mut MutexGuard<'_, T>) {
        let inner = guard.inner.take().expect("a guard that is not waiting");
        guard.inner = Some(self.0.wait(inner).unwrap_or_else(|poisoned| poisoned.into_inner()));
    }

    /// shuttle has no clock either: see the loom facade.
    pub(crate) fn wait_until<T>(&self, guard: &mut MutexGuard<'_, T>, _deadline: Instant) -> bool {
        drop(guard.inner.take());
        shuttle::thread::yield_now();
        guard.inner = Some(guard.mutex.lock_inner());
        true
    }

    pub(crate) fn notify_one(&self) {
        self.0.notify_one();
    }
}

/// Does not look at all: what follows a spin has to be right without it.
pub(crate) fn spin_while(_waiting: impl Fn() -> bool) {}

/// Marks an allocation for the model checker; nothing here.
#[derive(Debug)]
pub(crate) struct Tracked;

impl Tracked {
    pub(crate) const fn new() -> Self {
        Self
    }

    pub(crate) fn touch(&self) {}
}

/// Threads that the runtime starts itself.
pub(crate) mod thread {
    use std::io;

    pub(crate) use shuttle::thread::{JoinHandle, current};

    pub(crate) fn spawn(_: String, body: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
        Ok(shuttle::thread::spawn(body))
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
