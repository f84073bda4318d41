//! The shipped implementation: std atomics, parking_lot locks.

use std::time::Instant;

pub use parking_lot::{Mutex, MutexGuard};
pub use std::sync::atomic;

/// std's thread-local with a constant initialiser, in loom's syntax, which knows no other.
macro_rules! const_thread_local {
    (static $name:ident: $type:ty = $value:expr;) => {
        std::thread_local! {
            static $name: $type = const { $value };
        }
    };
}
pub(crate) use const_thread_local as thread_local;

/// `std::cell::UnsafeCell` behind loom's access shape.
#[derive(Debug, Default)]
pub(crate) struct UnsafeCell<T>(std::cell::UnsafeCell<T>);

impl<T> UnsafeCell<T> {
    pub(crate) const fn new(value: T) -> Self {
        Self(std::cell::UnsafeCell::new(value))
    }

    /// Shared access. The pointer is valid for reads while no [`UnsafeCell::with_mut`] is under way.
    #[inline(always)]
    pub(crate) fn with<R>(&self, f: impl FnOnce(*const T) -> R) -> R {
        f(self.0.get())
    }

    /// Exclusive access. The pointer is valid for writes while no other access is under way.
    #[inline(always)]
    pub(crate) fn with_mut<R>(&self, f: impl FnOnce(*mut T) -> R) -> R {
        f(self.0.get())
    }
}

/// parking_lot's condition variable, reduced to what every build has.
#[derive(Debug, Default)]
pub struct Condvar(parking_lot::Condvar);

impl Condvar {
    /// One for which no thread waits.
    pub const fn new() -> Self {
        Self(parking_lot::Condvar::new())
    }

    /// Releases the lock, waits until notified, and takes the lock again.
    pub fn wait<T>(&self, guard: &mut MutexGuard<'_, T>) {
        self.0.wait(guard);
    }

    /// Waits until notified or until `deadline`; true when the deadline passed.
    pub fn wait_until<T>(&self, guard: &mut MutexGuard<'_, T>, deadline: Instant) -> bool {
        self.0.wait_until(guard, deadline).timed_out()
    }

    /// Wakes one thread that waits, if there is one.
    pub fn notify_one(&self) {
        self.0.notify_one();
    }
}

/// Looks again and again, for some microseconds, while `waiting`; returns in any case. To be called before a thread is put
/// to sleep: the wake often comes sooner than a sleep and a wake take (some 20 us).
pub(crate) fn spin_while(waiting: impl Fn() -> bool) {
    let backoff = crossbeam_utils::Backoff::new();
    while waiting() && !backoff.is_completed() {
        backoff.snooze();
    }
}

/// Marks an allocation for the model checker; nothing here.
#[derive(Debug)]
pub(crate) struct Tracked;

impl Tracked {
    pub(crate) const fn new() -> Self {
        Self
    }

    #[inline(always)]
    pub(crate) fn touch(&self) {}
}

/// Threads.
pub mod thread {
    use std::io;
    pub use std::thread::{JoinHandle, current, yield_now};

    /// Starts a thread called `name` that runs `body`.
    ///
    /// # Errors
    ///
    /// When the system gives no more threads.
    pub fn spawn(name: String, body: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
        std::thread::Builder::new().name(name).spawn(body)
    }
}

/// Measures how long something takes.
#[derive(Debug)]
pub(crate) struct Stopwatch(Instant);

impl Stopwatch {
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    /// Nanoseconds since the start or the last lap.
    pub(crate) fn lap(&mut self) -> u64 {
        let now = Instant::now();
        let lap = now - std::mem::replace(&mut self.0, now);
        u64::try_from(lap.as_nanos()).unwrap_or(u64::MAX)
    }
}
