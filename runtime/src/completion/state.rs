//! The state word: everything about a completion that more than one party may change.
//!
//! One atomic pointer. Its upper bits are the head of the stack of [`Link`]s to parent groups, its lower three bits
//! are flags; [`Link`] is aligned so that they are free. See the truth table in the protocol README.

use std::ptr;

use super::link::Link;
use crate::sync::atomic::AtomicPtr;
use crate::sync::atomic::Ordering::{self, AcqRel, Acquire, Relaxed, Release};

/// The waker in the first waiter's place is the publisher's.
const FIRST_WAITER: usize = 1;
/// Two bits for a [`Phase`].
const PHASE: usize = 0b11 << 1;

const FLAGS: usize = FIRST_WAITER | PHASE;
const _: () = assert!(align_of::<Link>() > FLAGS, "the flags live in the alignment bits of a link");

/// The whole word of a finished completion: an address that no link has. The outcome, the callback's effects and the end
/// of everything: no link or waiter is accepted any more.
const FINISHED: usize = FLAGS + 1;

/// See the module.
#[derive(Debug)]
pub(crate) struct State(AtomicPtr<Link>);

/// How far a completion that has not finished has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// The operation is not started: `cancel` ends it.
    Pending = 0,
    /// A thread has won the right to decide the outcome of a pending operation, and does so.
    Claimed = 1 << 1,
    /// In its completer's hands, which alone ends it: `cancel` may only ask.
    Started = 2 << 1,
    /// The same, and its end was requested.
    Cancelling = 3 << 1,
}

/// One value of the word.
#[derive(Clone, Copy)]
struct Word(*mut Link);

impl Word {
    const fn new(phase: Phase) -> Self {
        Self(ptr::without_provenance_mut(phase as usize))
    }

    const FINISHED: Self = Self(ptr::without_provenance_mut(FINISHED));

    fn is_finished(self) -> bool {
        self.0.addr() == FINISHED
    }

    fn has(self, flag: usize) -> bool {
        self.0.addr() & flag != 0
    }

    fn with(self, flag: usize) -> Self {
        Self(self.0.map_addr(|bits| bits | flag))
    }

    fn without(self, flag: usize) -> Self {
        Self(self.0.map_addr(|bits| bits & !flag))
    }

    fn phase(self) -> Phase {
        match (self.0.addr() & PHASE) >> 1 {
            0 => Phase::Pending,
            1 => Phase::Claimed,
            2 => Phase::Started,
            _ => Phase::Cancelling,
        }
    }

    fn with_phase(self, phase: Phase) -> Self {
        Self(self.0.map_addr(|bits| bits & !PHASE | phase as usize))
    }

    /// Whether it is neither finished nor past being claimed or started.
    fn is_pending(self) -> bool {
        !self.is_finished() && self.phase() == Phase::Pending
    }

    fn links(self) -> *mut Link {
        self.0.map_addr(|bits| bits & !FLAGS)
    }

    fn with_links(self, links: *mut Link) -> Self {
        Self(links.map_addr(|bits| bits | (self.0.addr() & FLAGS)))
    }
}

/// What the publisher of a completion owes, now that no waiter can join any more.
#[must_use = "the links and waiters were taken off the completion; no other thread will notify them"]
pub(crate) struct Published {
    /// Head of the stack of parents to be told, newest first.
    pub(crate) links: *const Link,
    /// Whether the waker in the first place is the publisher's, to be taken and woken.
    pub(crate) first_waiter: bool,
}

/// What came of linking a parent to a child.
#[must_use = "a child that has already finished has to be counted by the caller"]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LinkResult {
    /// The child's publisher will tell the parent.
    Linked,
    /// The child is finished and its outcome may be read.
    Finished,
}

/// What a request to cancel makes the caller owe.
#[must_use = "a won claim or a first request puts a duty on the caller"]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CancelRequest {
    /// The caller has claimed the completion and has to conclude it as cancelled.
    Claimed,
    /// The operation is in flight and this is the first request: the caller has to ask its backend.
    Ask,
    /// Decided, or already asked.
    Nothing,
}

impl State {
    /// The word of an operation that is not started.
    pub(crate) fn pending() -> Self {
        Self(AtomicPtr::new(Word::new(Phase::Pending).0))
    }

    /// The word of an operation that runs from the beginning: a group, whose children are its backend.
    pub(crate) fn started() -> Self {
        Self(AtomicPtr::new(Word::new(Phase::Started).0))
    }

    /// Whether the outcome may be read.
    #[inline]
    pub(crate) fn is_finished(&self) -> bool {
        // ORDERING: Acquire, with the Release half of `publish`: who sees FINISHED sees the outcome and everything
        // that the callback wrote.
        Word(self.0.load(Acquire)).is_finished()
    }

    /// Whether cancellation of a started operation has been asked for.
    pub(crate) fn cancel_requested(&self) -> bool {
        // ORDERING: Relaxed. The flag carries no data; a backend that reads it late merely lets the operation end
        // with its real result, which a cancel always allows.
        Word(self.0.load(Relaxed)).phase() == Phase::Cancelling
    }

    /// The completer wins the right to decide the outcome, or learns that a cancel was first.
    ///
    /// A started operation is its completer's: then there is no race, and nothing to be written.
    #[must_use = "the winner has to conclude the completion"]
    #[inline]
    pub(crate) fn claim(&self) -> bool {
        // ORDERING: Relaxed throughout. Exclusivity needs only that the word is changed by read-modify-writes. What
        // the winner uses from here on was written before it got the completer, or by itself.
        let mut current = Word(self.0.load(Relaxed));
        loop {
            match current.phase() {
                _ if current.is_finished() => return false,
                Phase::Claimed => return false,
                Phase::Started | Phase::Cancelling => return true,
                Phase::Pending => {}
            }
            let claimed = current.with_phase(Phase::Claimed);
            match self.0.compare_exchange_weak(current.0, claimed.0, Relaxed, Relaxed) {
                Ok(_) => return true,
                Err(seen) => current = Word(seen),
            }
        }
    }

    /// Hands the operation to a backend; false when it was cancelled first.
    #[must_use = "an operation that was cancelled must not be started"]
    pub(crate) fn start(&self) -> bool {
        // ORDERING: Release on success, with the Acquire in `request_cancel`: who sees a started phase sees the
        // canceller that the backend left. Relaxed on failure: the loser only drops its handle.
        self.update(Release, Relaxed, |word| word.is_pending().then(|| word.with_phase(Phase::Started)))
            // ORDERING: Relaxed. Only the completer starts: it asks about itself.
            || matches!(Word(self.0.load(Relaxed)).phase(), Phase::Started | Phase::Cancelling)
    }

    /// Requests the end: it comes at once if the operation is not started, otherwise through its backend.
    pub(crate) fn request_cancel(&self) -> CancelRequest {
        // ORDERING: Relaxed for the first look; what follows from it is confirmed by the exchange, or is nothing.
        let mut current = Word(self.0.load(Relaxed));
        loop {
            let (next, request) = match current.phase() {
                _ if current.is_finished() => return CancelRequest::Nothing,
                Phase::Claimed | Phase::Cancelling => return CancelRequest::Nothing,
                Phase::Pending => (Phase::Claimed, CancelRequest::Claimed),
                Phase::Started => (Phase::Cancelling, CancelRequest::Ask),
            };
            // ORDERING: Acquire on success, with the Release in `start`, so that the canceller may be read. For the
            // claim of a pending operation Relaxed would do, as in `claim`.
            match self.0.compare_exchange_weak(current.0, current.with_phase(next).0, Acquire, Relaxed) {
                Ok(_) => return request,
                Err(seen) => current = Word(seen),
            }
        }
    }

    /// Adds a parent that the publisher will tell, unless the completion has already finished. The one atomic step
    /// that decides between the two.
    ///
    /// # Safety
    ///
    /// `link` stays valid, and only the publisher touches it, until the publisher has told it.
    pub(crate) unsafe fn link(&self, link: *const Link) -> LinkResult {
        // SAFETY: valid by the caller's promise, and not yet shared.
        let next = unsafe { &(*link).next };
        // ORDERING: Release on success, with the Acquire half of `publish`: the publisher sees `next` and the group
        // behind the link. Acquire on failure, with the Release half of `publish`: FINISHED lets the caller read the
        // outcome.
        let linked = self.update(Release, Acquire, |word| {
            if word.is_finished() {
                return None;
            }
            // SAFETY: the link is not shared before the exchange succeeds, so no other thread touches `next`.
            next.with_mut(|next| unsafe { *next = word.links() });
            Some(word.with_links(link.cast_mut()))
        });
        if linked { LinkResult::Linked } else { LinkResult::Finished }
    }

    /// Hands the waker in the first place to the publisher-to-be; false when the completion has already finished.
    #[must_use = "a waiter that came too late is not told"]
    #[inline]
    pub(crate) fn announce_first_waiter(&self) -> bool {
        // ORDERING: Release on success, with the Acquire half of `publish`, which then takes the waker. Acquire on
        // failure, with its Release half: FINISHED lets the caller read the outcome.
        self.update(Release, Acquire, |word| (!word.is_finished()).then(|| word.with(FIRST_WAITER)))
    }

    /// Makes the slot that the caller has used visible to the publisher-to-be; false when the completion has already
    /// finished.
    ///
    /// A read-modify-write that changes nothing: it reads the newest word, so either it sees FINISHED, or `publish`
    /// comes after it and reads from it. The publisher looks for slots in any case.
    #[must_use = "a waiter that came too late is not told"]
    pub(crate) fn announce_slot(&self) -> bool {
        // ORDERING: as in `announce_first_waiter`, for the slot.
        self.update(Release, Acquire, |word| (!word.is_finished()).then_some(word))
    }

    /// Takes back what [`State::announce_first_waiter`] handed over; false when the completion has finished, and the
    /// waker is the publisher's.
    #[must_use = "the waker is the caller's only if it was taken back"]
    pub(crate) fn withdraw_first_waiter(&self) -> bool {
        // ORDERING: Relaxed on success: while FIRST_WAITER is set no thread writes the waker, and what the owner wrote
        // before is its own. Acquire on failure, with the Release half of `publish`: FINISHED lets it read the outcome.
        self.update(Relaxed, Acquire, |word| {
            debug_assert!(word.is_finished() || word.has(FIRST_WAITER), "its owner announced it");
            (!word.is_finished()).then(|| word.without(FIRST_WAITER))
        })
    }

    /// Ends the completion: from here on every thread sees the outcome, and no waiter can join.
    ///
    /// Only for the decider of the outcome, after it has been written and the callback has returned.
    #[inline]
    pub(crate) fn publish(&self) -> Published {
        // ORDERING: Release, with every Acquire of FINISHED above: the outcome and the callback's effects. Acquire,
        // with the Release of `link` and of both announcements: all changes of the word are read-modify-writes, so their
        // release sequences reach up to this one.
        let last = Word(self.0.swap(Word::FINISHED.0, AcqRel));
        debug_assert!(
            !last.is_finished() && last.phase() != Phase::Pending,
            "published once, by the decider"
        );
        Published { links: last.links(), first_waiter: last.has(FIRST_WAITER) }
    }

    /// The classical loop: true when `next` accepted a value and it was exchanged.
    #[inline]
    #[cfg_attr(tenterhook_orderings, track_caller)] // the orderings are the callers'
    fn update(&self, success: Ordering, failure: Ordering, next: impl Fn(Word) -> Option<Word>) -> bool {
        // ORDERING: the caller's failure ordering, since a refusal by `next` may rest on this load.
        let mut current = Word(self.0.load(failure));
        while let Some(new) = next(current) {
            match self.0.compare_exchange_weak(current.0, new.0, success, failure) {
                Ok(_) => return true,
                Err(seen) => current = Word(seen),
            }
        }
        false
    }
}
