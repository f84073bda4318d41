//! The wakers of the tasks that wait for one completion.
//!
//! Each waiting handle owns a slot for as long as it waits. The first slot is part of the completion's own
//! allocation; more are allocated when several tasks wait at once, and reused when their owners go, so that memory
//! is bounded by the greatest number of simultaneous waiters. A slot has two parties, its owner and the publisher:
//!
//! ```text
//!            owner: claim             owner: settle
//!   VACANT ───────────────▶ UPDATING ──────────────▶ WAITING
//!     ▲                        │  ▲                     │
//!     └────────────────────────┘  └─────────────────────┘
//!            owner: leave               owner: update
//!
//!   any ── publisher, once ──▶ NOTIFIED, for ever
//! ```
//!
//! The waker cell belongs to the owner in UPDATING, to the publisher if it came from WAITING. A publisher that meets
//! UPDATING leaves the waker to the owner, whose next exchange fails and tells it that the completion has finished.

use std::ptr::{self, NonNull};
use std::task::Waker;

use super::state::State;
use crate::sync::UnsafeCell;
use crate::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use crate::sync::atomic::{AtomicPtr, AtomicU8, AtomicU32};

const VACANT: u8 = 0;
const UPDATING: u8 = 1;
const WAITING: u8 = 2;
const NOTIFIED: u8 = 3;

/// See the module.
#[derive(Debug)]
pub(crate) struct Slot {
    phase: AtomicU8,
    waker: UnsafeCell<Option<Waker>>,
}

/// A slot with an allocation of its own. Never freed before the node, so that a walk over the stack needs no
/// protection.
#[derive(Debug)]
#[repr(C)] // `slot` first: a pointer to it is a pointer to the whole
struct Overflow {
    slot: Slot,
    next: *mut Overflow,
}

/// All slots of one completion.
#[derive(Debug)]
pub(crate) struct Waiters {
    inline: Slot,
    overflow: AtomicPtr<Overflow>,
    /// How many overflow slots are vacant; a hint that saves a new waiter the walk.
    vacant: AtomicU32,
}

/// What came of a registration.
#[must_use]
pub(crate) enum Registration {
    /// The publisher will wake the waker.
    Waiting,
    /// The completion has finished; its outcome may be read.
    Finished,
}

impl Slot {
    fn new(phase: u8) -> Self {
        Self { phase: AtomicU8::new(phase), waker: UnsafeCell::new(None) }
    }

    /// Owner: from `from` to UPDATING, which gives it the waker cell.
    fn acquire(&self, from: u8) -> Result<(), u8> {
        // ORDERING: Acquire on success, with the Release of `release`: the cell's last content is visible to a new
        // owner. Acquire on failure, with the Release half of `notify`: NOTIFIED implies that the publication of the
        // completion is visible.
        self.phase.compare_exchange(from, UPDATING, Acquire, Acquire).map(drop)
    }

    /// Owner: out of UPDATING; false when the publisher was here in between.
    fn release(&self, to: u8) -> bool {
        // ORDERING: Release on success, with the Acquire half of `notify` (and of `acquire`): the waker's new value.
        // Acquire on failure, as in `acquire`.
        self.phase.compare_exchange(UPDATING, to, Release, Acquire).is_ok()
    }

    /// Owner, in UPDATING: exchanges the waker.
    fn replace(&self, waker: Option<Waker>) -> Option<Waker> {
        // SAFETY: the phase is UPDATING or it is NOTIFIED after a publisher that met UPDATING; either way the
        // publisher does not touch the cell, and no second handle owns this slot.
        self.waker.with_mut(|cell| unsafe { std::mem::replace(&mut *cell, waker) })
    }

    /// Publisher, once: closes the slot and takes the waker of whoever waits in it.
    fn notify(&self) -> Option<Waker> {
        // ORDERING: Acquire, with the Release of `release`: the waker. Release, with the Acquire of a failed
        // `acquire` or `release`: its owner then sees the publication that came before.
        let phase = self.phase.swap(NOTIFIED, AcqRel);
        debug_assert_ne!(phase, NOTIFIED, "a completion is published once");
        if phase != WAITING {
            return None;
        }
        // SAFETY: from WAITING only the publisher comes to the cell; the owner's exchanges fail from now on.
        self.waker.with_mut(|cell| unsafe { (*cell).take() })
    }
}

/// An owner's stay in UPDATING; ends in WAITING, also when user code panics meanwhile.
struct Settled<'a>(&'a Slot);

impl Settled<'_> {
    /// False when the publisher was here in between.
    fn settle(self) -> bool {
        let slot = std::mem::ManuallyDrop::new(self).0;
        Self::end(slot)
    }

    fn end(slot: &Slot) -> bool {
        let waiting = slot.release(WAITING);
        if !waiting {
            // The waker that nobody is going to call goes now, and not with the node.
            drop(slot.replace(None));
        }
        waiting
    }
}

impl Drop for Settled<'_> {
    fn drop(&mut self) {
        Self::end(self.0);
    }
}

impl Waiters {
    pub(crate) fn new() -> Self {
        Self {
            inline: Slot::new(VACANT),
            overflow: AtomicPtr::new(ptr::null_mut()),
            vacant: AtomicU32::new(0),
        }
    }

    /// Registers `waker` in the slot that `key` names, or in a new one that `key` names from then on.
    pub(crate) fn register(
        &self,
        state: &State,
        key: &mut Option<NonNull<Slot>>,
        waker: &Waker,
    ) -> Registration {
        match *key {
            Some(slot) => {
                // SAFETY: slots live as long as the node, which the owner of the key keeps alive.
                let slot = unsafe { slot.as_ref() };
                Self::update(slot, waker)
            }
            None => self.join(state, key, waker),
        }
    }

    /// The slot is known to the publisher already: only the waker changes.
    fn update(slot: &Slot, waker: &Waker) -> Registration {
        if let Err(phase) = slot.acquire(WAITING) {
            debug_assert_eq!(phase, NOTIFIED, "only the owner leaves WAITING otherwise");
            return Registration::Finished;
        }
        let settled = Settled(slot);
        // SAFETY: UPDATING is ours.
        let same =
            slot.waker.with(|cell| unsafe { (*cell).as_ref().is_some_and(|old| old.will_wake(waker)) });
        // Clone is user code: should it panic, `settled` puts the slot back with the waker that it had.
        let old = if same { None } else { slot.replace(Some(waker.clone())) };
        let waiting = settled.settle();
        drop(old);
        if waiting { Registration::Waiting } else { Registration::Finished }
    }

    fn join(&self, state: &State, key: &mut Option<NonNull<Slot>>, waker: &Waker) -> Registration {
        let waker = waker.clone();
        let Some(slot) = self.claim_slot() else { return Registration::Finished };
        *key = Some(NonNull::from(slot));
        let empty = slot.replace(Some(waker));
        debug_assert!(empty.is_none(), "a vacant slot holds no waker");
        if Settled(slot).settle() && state.announce_waiter() {
            return Registration::Waiting;
        }
        // The publisher came too early, or is not going to come: the waker goes now, and not with the node.
        *key = None;
        self.leave(NonNull::from(slot));
        Registration::Finished
    }

    /// A slot in UPDATING that nobody else owns; `None` when the completion has finished.
    fn claim_slot(&self) -> Option<&Slot> {
        match self.inline.acquire(VACANT) {
            Ok(()) => return Some(&self.inline),
            Err(NOTIFIED) => return None,
            Err(_) => {}
        }
        // ORDERING: Relaxed. A hint: a stale 0 costs an allocation, a stale count a walk. A handle's own departures
        // are visible to itself, so one thread that comes and goes stays at one slot.
        if self.vacant.load(Relaxed) > 0 {
            for slot in self.overflow() {
                if slot.acquire(VACANT).is_ok() {
                    // ORDERING: Relaxed, see above.
                    self.vacant.fetch_sub(1, Relaxed);
                    return Some(slot);
                }
            }
        }
        Some(self.push_slot())
    }

    fn push_slot(&self) -> &Slot {
        let new = Box::into_raw(Box::new(Overflow { slot: Slot::new(UPDATING), next: ptr::null_mut() }));
        // ORDERING: Relaxed. `next` is only carried along until whoever walks the stack has acquired its head.
        let mut head = self.overflow.load(Relaxed);
        loop {
            // SAFETY: not shared before the exchange succeeds.
            unsafe { (*new).next = head };
            // ORDERING: Release, with the Acquire of `overflow()`: the new slot's content and, through the release
            // sequence, that of the slots below.
            match self.overflow.compare_exchange_weak(head, new, Release, Relaxed) {
                // SAFETY: freed with the node only, and `&self` keeps that alive.
                Ok(_) => return unsafe { &(*new).slot },
                Err(seen) => head = seen,
            }
        }
    }

    fn overflow(&self) -> impl Iterator<Item = &Slot> {
        // ORDERING: Acquire, with the Release of `push_slot`.
        let mut next = self.overflow.load(Acquire);
        std::iter::from_fn(move || {
            // SAFETY: overflow slots are freed with the node only, and `&self` keeps that alive.
            let overflow = unsafe { next.as_ref() }?;
            next = overflow.next;
            Some(&overflow.slot)
        })
    }

    /// Gives the slot back. The handle that owned `key` waits no longer.
    pub(crate) fn leave(&self, key: NonNull<Slot>) {
        // SAFETY: slots live as long as the node, which the owner of the key keeps alive.
        let slot = unsafe { key.as_ref() };
        if let Err(phase) = slot.acquire(WAITING) {
            debug_assert_eq!(phase, NOTIFIED, "only the owner leaves WAITING otherwise");
            return;
        }
        let waker = slot.replace(None);
        if slot.release(VACANT) && !ptr::eq(slot, &self.inline) {
            // ORDERING: Relaxed, see `claim_slot`.
            self.vacant.fetch_add(1, Relaxed);
        }
        drop(waker);
    }

    /// Publisher, once, after [`State::publish`] said that there are waiters: hands each waker to `wake`.
    pub(crate) fn notify_all(&self, mut wake: impl FnMut(Waker)) {
        if let Some(waker) = self.inline.notify() {
            wake(waker);
        }
        for slot in self.overflow() {
            if let Some(waker) = slot.notify() {
                wake(waker);
            }
        }
    }
}

impl Drop for Waiters {
    fn drop(&mut self) {
        // ORDERING: Relaxed. Exclusive: the last reference to the node is gone.
        let mut next = self.overflow.load(Relaxed);
        while !next.is_null() {
            // SAFETY: came from `Box::into_raw` in `push_slot`, and nobody is left to walk the stack.
            let overflow = unsafe { Box::from_raw(next) };
            next = overflow.next;
        }
    }
}
