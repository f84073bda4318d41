//! Places for the second waiter of a completion and those after it.
//!
//! A slot has two parties, its owner and the publisher:
//!
//! ```text
//!            owner: claim             owner: settle
//!   VACANT ───────────────▶ UPDATING ──────────────▶ WAITING
//!     ▲                        │  ▲                     │
//!     └────────────────────────┘  └─────────────────────┘
//!            owner: leave               owner: update
//!
//!   any ── publisher, once ──▶ NOTIFIED, final
//! ```
//!
//! The waker cell belongs to the owner in UPDATING, to the publisher if it came from WAITING. A publisher that meets
//! UPDATING leaves the waker to the owner, whose next exchange fails and tells it that the completion has finished.

use std::ptr;
use std::task::Waker;

use super::Registration;
use crate::completion::state::State;
use crate::sync::UnsafeCell;
use crate::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use crate::sync::atomic::{AtomicPtr, AtomicU8};

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
struct Entry {
    slot: Slot,
    next: *mut Entry,
}

/// The slots of one completion, as a stack. One word, because every completion has one.
///
/// The pointer's lowest bit says that a slot may be vacant: a hint that saves a new waiter the walk.
#[derive(Debug)]
pub(super) struct Overflow(AtomicPtr<Entry>);

const VACANCY: usize = 1;
const _: () = assert!(align_of::<Entry>() > VACANCY, "the hint lives in the alignment bits of an entry");

/// An entry's address without the hint.
fn untagged(entry: *mut Entry) -> *mut Entry {
    entry.map_addr(|bits| bits & !VACANCY)
}

impl Slot {
    /// For an owner that is about to leave a waker.
    fn updating() -> Self {
        Self { phase: AtomicU8::new(UPDATING), waker: UnsafeCell::new(None) }
    }

    /// Whether the slot looks vacant. A walk asks first, because an exchange that is bound to fail costs too much.
    fn looks_vacant(&self) -> bool {
        // ORDERING: Relaxed. A hint, which the exchange in `acquire` confirms. A walk that must not miss a slot has
        // acquired the hint of who left it.
        self.phase.load(Relaxed) == VACANT
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

    /// Owner, in WAITING: the slot is known to the publisher already, only the waker changes.
    pub(super) fn update(&self, waker: &Waker) -> Registration {
        if let Err(phase) = self.acquire(WAITING) {
            debug_assert_eq!(phase, NOTIFIED, "only the owner leaves WAITING otherwise");
            return Registration::Finished;
        }
        let settled = Settled(self);
        // SAFETY: UPDATING is ours.
        let same =
            self.waker.with(|cell| unsafe { (*cell).as_ref().is_some_and(|old| old.will_wake(waker)) });
        // Clone is user code: should it panic, `settled` puts the slot back with the waker that it had.
        let old = if same { None } else { self.replace(Some(waker.clone())) };
        let waiting = settled.settle();
        drop(old);
        Registration::of(waiting)
    }

    /// Publisher, once: closes the slot and takes the waker of the thread that waits in it.
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
            // The waker that is never going to be called is dropped now, and not with the node.
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

impl Overflow {
    pub(super) fn new() -> Self {
        Self(AtomicPtr::new(ptr::null_mut()))
    }

    /// A slot in which `waker` waits, the caller's from then on; `None` when the completion has finished.
    pub(super) fn join(&self, state: &State, waker: Waker) -> Option<&Slot> {
        let slot = self.vacant_slot().unwrap_or_else(|| self.push_slot());
        let empty = slot.replace(Some(waker));
        debug_assert!(empty.is_none(), "a vacant slot holds no waker");
        if Settled(slot).settle() && state.announce_slot() {
            return Some(slot);
        }
        // The publisher came too early, or is not going to come: the waker goes now, and not with the node.
        self.leave(slot);
        None
    }

    /// A slot in UPDATING that has no other owner.
    ///
    /// The hint stays up while slots are found, so that joiners who come at once all look; it is taken down only after a
    /// walk in vain, and then the walk is repeated, for the thread that left its slot behind the walker.
    fn vacant_slot(&self) -> Option<&Slot> {
        // ORDERING: Relaxed. A hint: a handle's own departure is visible to itself, and a stale look costs a slot or a walk.
        if self.0.load(Relaxed).addr() & VACANCY == 0 {
            return None;
        }
        let claim = || self.slots().find(|slot| slot.looks_vacant() && slot.acquire(VACANT).is_ok());
        if let Some(slot) = claim() {
            return Some(slot);
        }
        // ORDERING: Relaxed. The second walk begins with an Acquire load of this word, which reads this exchange or a later
        // one: they are in the release sequence of each `hint_at_vacancy` that came before, so the walk sees the slots
        // that were left until then. An error is another's clearing, which is in the sequence as well.
        let _ = self.0.fetch_update(Relaxed, Relaxed, |newest| {
            (newest.addr() & VACANCY != 0).then(|| untagged(newest))
        });
        let slot = claim()?;
        // There may be more.
        self.hint_at_vacancy();
        Some(slot)
    }

    fn hint_at_vacancy(&self) {
        let hint = |newest: *mut Entry| Some(newest.map_addr(|bits| bits | VACANCY));
        // ORDERING: Release, with the Acquire of `slots`: the phase of the slot. As a read-modify-write it also lets the
        // release sequence of `push_slot` go on.
        let _ = self.0.fetch_update(Release, Relaxed, hint);
    }

    fn push_slot(&self) -> &Slot {
        let new = Box::into_raw(Box::new(Entry { slot: Slot::updating(), next: ptr::null_mut() }));
        // ORDERING: Relaxed. `next` is only carried along until a thread that walks the stack has acquired its head.
        let mut head = self.0.load(Relaxed);
        loop {
            // SAFETY: not shared before the exchange succeeds.
            unsafe { (*new).next = untagged(head) };
            let tagged = new.map_addr(|bits| bits | (head.addr() & VACANCY));
            // ORDERING: Release, with the Acquire of `slots`: the new slot's content and, through the release
            // sequence, that of the slots below.
            match self.0.compare_exchange_weak(head, tagged, Release, Relaxed) {
                // SAFETY: freed with the node only, and `&self` keeps that alive.
                Ok(_) => return unsafe { &(*new).slot },
                Err(seen) => head = seen,
            }
        }
    }

    fn slots(&self) -> impl Iterator<Item = &Slot> {
        // ORDERING: Acquire, with the Release of `push_slot`: the entries. With the Release of `hint_at_vacancy`: the phases of
        // the slots that were left before.
        let mut next = untagged(self.0.load(Acquire));
        std::iter::from_fn(move || {
            // SAFETY: entries are freed with the node only, and `&self` keeps that alive.
            let entry = unsafe { next.as_ref() }?;
            next = entry.next;
            Some(&entry.slot)
        })
    }

    /// Owner: gives the slot back.
    pub(super) fn leave(&self, slot: &Slot) {
        if let Err(phase) = slot.acquire(WAITING) {
            debug_assert_eq!(phase, NOTIFIED, "only the owner leaves WAITING otherwise");
            return;
        }
        let waker = slot.replace(None);
        if slot.release(VACANT) {
            self.hint_at_vacancy();
        }
        drop(waker);
    }

    /// Whether there has been no slot before the completion was published. For the publisher.
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        // ORDERING: Relaxed. A waiter pushed its slot before its announcement, which `publish` has acquired.
        self.0.load(Relaxed).is_null()
    }

    /// How many there are, vacant ones included.
    #[cfg(any(tenterhook_loom, tenterhook_shuttle))]
    pub(super) fn count(&self) -> usize {
        self.slots().count()
    }

    /// Publisher, once, after the completion was published: hands each waker to `wake`.
    pub(super) fn notify_all(&self, mut wake: impl FnMut(Waker)) {
        for slot in self.slots() {
            if let Some(waker) = slot.notify() {
                wake(waker);
            }
        }
    }
}

impl Drop for Overflow {
    fn drop(&mut self) {
        // ORDERING: Relaxed. Exclusive: the last reference to the node is gone.
        let mut next = untagged(self.0.load(Relaxed));
        while !next.is_null() {
            // SAFETY: came from `Box::into_raw` in `push_slot`, and no thread is left to walk the stack.
            let entry = unsafe { Box::from_raw(next) };
            next = entry.next;
        }
    }
}
