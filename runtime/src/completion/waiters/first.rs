//! The place for a waker in the completion's own allocation: most completions have one waiter, or none.
//!
//! Whether there is a waker for the publisher is a bit of the state word, FIRST_WAITER. So registering is one exchange
//! of that word beyond the claim of the place, and the publisher knows from its one swap whether the waker is there.
//!
//! ```text
//!               claim               enter                  publish
//!   vacant ──────────────▶ claimed ───────▶ FIRST_WAITER ─────────▶ the publisher's
//!      ▲                     │   ▲               │
//!      └─────────────────────┘   └───────────────┘
//!               leave             update, leave: withdraw
//! ```
//!
//! The waker cell belongs to the thread that has claimed the place while FIRST_WAITER is not set. While it is set it has no owner:
//! the owner has to withdraw it first, and the publisher to publish. Both change the one word, so one of them is first.

use std::task::Waker;

use super::Registration;
use crate::completion::state::State;
use crate::sync::UnsafeCell;
use crate::sync::atomic::AtomicBool;
use crate::sync::atomic::Ordering::{Acquire, Relaxed, Release};

/// See the module.
#[derive(Debug)]
pub(super) struct First {
    /// Whether some handle owns the place.
    claimed: AtomicBool,
    waker: UnsafeCell<Option<Waker>>,
}

/// An owner's stay at the waker; ends with the announcement, also when user code panics meanwhile.
struct Withdrawn<'a> {
    first: &'a First,
    state: &'a State,
}

impl Withdrawn<'_> {
    fn announce(self) -> Registration {
        let Self { first, state } = *std::mem::ManuallyDrop::new(self);
        first.announce(state)
    }
}

impl Drop for Withdrawn<'_> {
    fn drop(&mut self) {
        let _ = self.first.announce(self.state);
    }
}

impl First {
    pub(super) fn new() -> Self {
        Self { claimed: AtomicBool::new(false), waker: UnsafeCell::new(None) }
    }

    /// Makes the caller the owner, if there is none.
    #[inline]
    pub(super) fn claim(&self) -> bool {
        // ORDERING: Acquire, with the Release in `leave`: the last owner is through with the cell. Relaxed on failure:
        // the caller goes elsewhere.
        self.claimed.compare_exchange(false, true, Acquire, Relaxed).is_ok()
    }

    /// Owner, for the first time.
    #[inline]
    pub(super) fn enter(&self, state: &State, waker: Waker) -> Registration {
        let empty = self.replace(Some(waker));
        debug_assert!(empty.is_none(), "a vacant place holds no waker");
        self.announce(state)
    }

    /// Owner, who has entered before: only the waker changes.
    pub(super) fn update(&self, state: &State, waker: &Waker) -> Registration {
        if !state.withdraw_first_waiter() {
            return Registration::Finished;
        }
        let withdrawn = Withdrawn { first: self, state };
        // SAFETY: withdrawn, so the cell is the owner's.
        let same =
            self.waker.with(|cell| unsafe { (*cell).as_ref().is_some_and(|old| old.will_wake(waker)) });
        // Clone is user code: should it panic, `withdrawn` announces the waker that was there.
        let old = if same { None } else { self.replace(Some(waker.clone())) };
        let registration = withdrawn.announce();
        drop(old);
        registration
    }

    /// Owner: hands the waker to the publisher-to-be.
    #[inline]
    fn announce(&self, state: &State) -> Registration {
        let waiting = state.announce_first_waiter();
        if !waiting {
            // The waker that is never going to be called is dropped now, and not with the node.
            drop(self.replace(None));
        }
        Registration::of(waiting)
    }

    /// Owner: gives the place back. Nothing is left to do on a finished completion, where no waiter joins any more.
    pub(super) fn leave(&self, state: &State) {
        if !state.withdraw_first_waiter() {
            return;
        }
        let waker = self.replace(None);
        // ORDERING: Release, with the Acquire in `claim`: the cell is empty for the next owner.
        self.claimed.store(false, Release);
        drop(waker);
    }

    /// Publisher, once, having found FIRST_WAITER in the word that it replaced.
    #[inline]
    pub(super) fn take(&self) -> Waker {
        self.replace(None).expect("announced with a waker")
    }

    #[inline]
    fn replace(&self, waker: Option<Waker>) -> Option<Waker> {
        // SAFETY: the caller is the owner with FIRST_WAITER not set, or the publisher who has found it set; see the
        // module.
        self.waker.with_mut(|cell| unsafe { std::mem::replace(&mut *cell, waker) })
    }
}
