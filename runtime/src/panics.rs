//! Panics of user code: caught, kept, and passed on once everything else is done.
//!
//! What a panic carries is user code as well, because its drop may panic. [`Payload`] is therefore never dropped in
//! the open: the compiler puts the containment wherever a caught panic ends.

use std::any::Any;
use std::fmt;
use std::mem::{self, ManuallyDrop};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::thread;

/// The drop of a payload may panic with another payload, and so on without end. After so many the next one is leaked.
const MOST_DROPS: u32 = 8;

/// What a caught panic carries. Dropping it contains a panic of its own drop.
pub(crate) struct Payload(ManuallyDrop<Box<dyn Any + Send>>);

/// Runs user code; its panic comes back as an error.
#[inline]
pub(crate) fn catch<R>(user: impl FnOnce() -> R) -> Result<R, Payload> {
    catch_unwind(AssertUnwindSafe(user)).map_err(|payload| Payload(ManuallyDrop::new(payload)))
}

/// Runs user code and drops its panic. The panic hook has reported it, and all waiters have been told.
#[inline]
pub(crate) fn contain(user: impl FnOnce()) {
    drop(catch(user));
}

impl Payload {
    /// What was given to `panic!`.
    pub(crate) fn into_inner(self) -> Box<dyn Any + Send> {
        let mut this = ManuallyDrop::new(self);
        // SAFETY: `this` is not dropped and not used again, so the box is taken once.
        unsafe { ManuallyDrop::take(&mut this.0) }
    }
}

impl Drop for Payload {
    fn drop(&mut self) {
        // SAFETY: this is the drop, and `into_inner` skips it: the box is taken once.
        let mut payload = unsafe { ManuallyDrop::take(&mut self.0) };
        for _ in 0..MOST_DROPS {
            match catch_unwind(AssertUnwindSafe(|| drop(payload))) {
                Ok(()) => return,
                Err(next) => payload = next,
            }
        }
        mem::forget(payload);
    }
}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Payload").finish_non_exhaustive()
    }
}

/// The first panic of several pieces of user code, each of which runs whatever became of the others.
#[must_use = "call `resume`, which lets a kept panic continue"]
#[derive(Debug, Default)]
pub(crate) struct Panics(Vec<Payload>);

impl Panics {
    pub(crate) const fn new() -> Self {
        Self(Vec::new())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Runs user code; `None` when it panicked.
    pub(crate) fn guard<R>(&mut self, user: impl FnOnce() -> R) -> Option<R> {
        catch(user).map_err(|payload| self.keep(payload)).ok()
    }

    /// Drops each of `items`, whatever the drops of the others do.
    pub(crate) fn drop_each<T>(&mut self, items: impl IntoIterator<Item = T>) {
        for item in items {
            self.guard(|| drop(item));
        }
    }

    /// Keeps a panic. It is not dropped before the end: its drop is user code, and the caller is in the middle of telling
    /// others.
    pub(crate) fn keep(&mut self, payload: Payload) {
        self.0.push(payload);
    }

    /// Keeps the panics of `later`, too.
    pub(crate) fn append(&mut self, later: Self) {
        self.0.extend(later.0);
    }

    /// Lets the first panic go on in this thread, and drops the others. While the thread unwinds already, all are dropped: a
    /// second panic would abort the process.
    pub(crate) fn resume(self) {
        let mut kept = self.0.into_iter();
        let Some(first) = kept.next() else { return };
        drop(kept);
        if !thread::panicking() {
            resume_unwind(first.into_inner());
        }
    }
}

#[cfg(all(test, not(any(tenterhook_loom, tenterhook_shuttle))))]
mod tests {
    use std::panic::panic_any;

    use super::*;

    /// Panics when it is dropped, with another of its kind until none is left.
    struct Bomb(u32);

    impl Drop for Bomb {
        fn drop(&mut self) {
            if self.0 > 0 {
                panic_any(Bomb(self.0 - 1));
            }
        }
    }

    #[test]
    fn payload_whose_drop_panics_is_contained() {
        contain(|| panic_any(Bomb(3)));
    }

    /// The unwinding thread drops what it holds, a payload among it.
    #[test]
    fn payload_that_is_dropped_by_another_panic_is_contained() {
        let outer = catch(|| {
            let _kept = catch(|| panic_any(Bomb(3)));
            panic!("outer");
        });
        assert!(outer.is_err_and(|payload| payload.into_inner().is::<&str>()));
    }

    #[test]
    fn first_of_two_panics_continues_after_both_have_run() {
        let mut panics = Panics::new();
        assert_eq!(panics.guard(|| 7), Some(7));
        assert!(panics.is_empty());
        panics.guard(|| panic!("first"));
        panics.guard(|| panic_any(Bomb(1)));
        let first = catch(|| panics.resume()).unwrap_err().into_inner();
        assert_eq!(first.downcast_ref(), Some(&"first"));
    }
}
