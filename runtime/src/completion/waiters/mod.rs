//! The wakers of the tasks that wait for one completion.
//!
//! Each waiting handle owns a place for as long as it waits. The first place is part of the completion's own
//! allocation ([`first`]); more are allocated when several handles wait at once ([`overflow`]), and reused when their
//! owners go, so that memory is bounded by the greatest number of simultaneous waiters.

mod first;
mod overflow;

use std::ptr::NonNull;
use std::task::Waker;

use self::first::First;
use self::overflow::{Overflow, Slot};
use super::state::{Published, State};

/// All places of one completion.
#[derive(Debug)]
pub(crate) struct Waiters {
    first: First,
    overflow: Overflow,
}

/// Where a handle waits: a slot, or [`Place::FIRST`]. One word, because every handle has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place(NonNull<Slot>);

/// What came of a registration.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Registration {
    /// The publisher will wake the waker.
    Waiting,
    /// The completion has finished; its outcome may be read.
    Finished,
}

// SAFETY: a place belongs to one handle, wherever that goes, and is as shareable as the node that it is in: its parts
// are atomics, and a cell that they guard.
unsafe impl Send for Place {}
// SAFETY: a shared place gives no access: only `register` and `leave`, which its owner calls exclusively, use it.
unsafe impl Sync for Place {}

impl Registration {
    fn of(waiting: bool) -> Self {
        if waiting { Self::Waiting } else { Self::Finished }
    }
}

impl Place {
    /// In the completion's own allocation. An address that no slot has.
    const FIRST: Self = Self(NonNull::dangling());

    /// The slot, if it is one beyond the first place.
    fn slot(self) -> Option<NonNull<Slot>> {
        (self != Self::FIRST).then_some(self.0)
    }
}

impl Waiters {
    pub(crate) fn new() -> Self {
        Self { first: First::new(), overflow: Overflow::new() }
    }

    /// Registers `waker` in the caller's `place`, or in a new one that is the caller's from then on.
    pub(crate) fn register(&self, state: &State, place: &mut Option<Place>, waker: &Waker) -> Registration {
        match place.map(Place::slot) {
            None => self.join(state, place, waker),
            Some(None) => self.first.update(state, waker),
            // SAFETY: slots live as long as the node, which the owner of the place keeps alive.
            Some(Some(slot)) => unsafe { slot.as_ref() }.update(waker),
        }
    }

    fn join(&self, state: &State, place: &mut Option<Place>, waker: &Waker) -> Registration {
        let waker = waker.clone();
        if self.first.claim() {
            *place = Some(Place::FIRST);
            return self.first.enter(state, waker);
        }
        match self.overflow.join(state, waker) {
            Some(slot) => {
                *place = Some(Place(NonNull::from(slot)));
                Registration::Waiting
            }
            None => Registration::Finished,
        }
    }

    /// Gives the place back: its owner waits no longer.
    pub(crate) fn leave(&self, state: &State, place: Place) {
        match place.slot() {
            None => self.first.leave(state),
            // SAFETY: slots live as long as the node, which the owner of the place keeps alive.
            Some(slot) => self.overflow.leave(unsafe { slot.as_ref() }),
        }
    }

    /// Publisher, after [`State::publish`]: whether there is no waiter except, perhaps, the first.
    #[inline]
    pub(crate) fn no_more(&self) -> bool {
        self.overflow.is_empty()
    }

    /// Publisher, once, with what [`State::publish`] returned: hands each waker to `wake`.
    pub(crate) fn notify_all(&self, published: &Published, mut wake: impl FnMut(Waker)) {
        if published.first_waiter {
            wake(self.take_first());
        }
        self.overflow.notify_all(wake);
    }

    /// Slots beyond the first place, vacant ones included.
    #[cfg(any(tenterhook_loom, tenterhook_shuttle))]
    pub(crate) fn slots(&self) -> usize {
        self.overflow.count()
    }

    /// Publisher, once, if [`State::publish`] said that there is a first waiter: its waker.
    #[inline]
    pub(crate) fn take_first(&self) -> Waker {
        self.first.take()
    }
}
