//! The state word: everything about a completion that more than one party may change.
//!
//! One atomic pointer. Its upper bits are the head of the stack of [`Link`]s to parent groups, its lower five bits
//! are flags; [`Link`] is aligned so that they are free. See the truth table in the protocol README.

use std::ptr;

use super::link::Link;
use crate::sync::atomic::AtomicPtr;
use crate::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};

/// The outcome, the callback's effects and the end of everything: no link or waiter is accepted any more.
const FINISHED: usize = 1;
/// Somebody has won the right to decide the outcome and to run the callback.
const CLAIMED: usize = 1 << 1;
/// The operation is in a backend's hands: `cancel` may only ask.
const STARTED: usize = 1 << 2;
/// Somebody has asked for a started operation to be cancelled.
const CANCEL: usize = 1 << 3;
/// At least one waiter slot has been used.
const WAITERS: usize = 1 << 4;

const FLAGS: usize = FINISHED | CLAIMED | STARTED | CANCEL | WAITERS;
const _: () = assert!(align_of::<Link>() > FLAGS, "the flags live in the alignment bits of a link");

/// See the module.
#[derive(Debug)]
pub(crate) struct State(AtomicPtr<Link>);

/// One value of the word.
#[derive(Clone, Copy)]
struct Word(*mut Link);

impl Word {
    const fn flags(flags: usize) -> Self {
        Self(ptr::without_provenance_mut(flags))
    }

    fn has(self, flag: usize) -> bool {
        self.0.addr() & flag != 0
    }

    fn with(self, flag: usize) -> Self {
        Self(self.0.map_addr(|bits| bits | flag))
    }

    fn links(self) -> *mut Link {
        self.0.map_addr(|bits| bits & !FLAGS)
    }
}

/// What the publisher of a completion owes, now that nobody can join any more.
#[must_use = "the links and waiters were taken off the completion; nobody else will tell them"]
pub(crate) struct Published {
    /// Head of the stack of parents to be told, newest first.
    pub(crate) links: *const Link,
    /// Whether the waiter slots have to be visited.
    pub(crate) waiters: bool,
}

/// What came of linking a parent to a child.
#[must_use = "a child that has already finished has to be counted by the caller"]
pub(crate) enum LinkResult {
    /// The child's publisher will tell the parent.
    Linked,
    /// The child is finished and its outcome may be read.
    Finished,
}

/// What a request to cancel makes the caller owe.
#[must_use = "a won claim or a first request puts a duty on the caller"]
pub(crate) enum CancelRequest {
    /// The caller has claimed the completion and has to conclude it as cancelled.
    Claimed,
    /// The operation is in flight and nobody had asked yet: the caller has to ask its backend.
    Ask,
    /// Decided, or already asked.
    Nothing,
}

impl State {
    /// The word of an operation that nobody has started.
    pub(crate) fn pending() -> Self {
        Self(AtomicPtr::new(Word::flags(0).0))
    }

    /// The word of an operation that runs from the beginning: a group, whose children are its backend.
    pub(crate) fn started() -> Self {
        Self(AtomicPtr::new(Word::flags(STARTED).0))
    }

    /// Whether the outcome may be read.
    #[inline]
    pub(crate) fn is_finished(&self) -> bool {
        // ORDERING: Acquire, with the Release half of `publish`: who sees FINISHED sees the outcome and everything
        // that the callback wrote.
        Word(self.0.load(Acquire)).has(FINISHED)
    }

    /// Whether cancellation of a started operation has been asked for.
    pub(crate) fn cancel_requested(&self) -> bool {
        // ORDERING: Relaxed. The flag carries no data; a backend that reads it late merely lets the operation end
        // with its real result, which a cancel always allows.
        Word(self.0.load(Relaxed)).has(CANCEL)
    }

    /// Whether the outcome has been claimed. For the exclusive owner that frees the node.
    pub(crate) fn callback_consumed(&self) -> bool {
        // ORDERING: Relaxed. The caller holds the last reference; what others did happened before it got that.
        let word = Word(self.0.load(Relaxed));
        word.has(CLAIMED) || word.has(FINISHED)
    }

    /// Tries to win the right to decide the outcome. True for exactly one caller, ever.
    #[must_use = "the winner has to conclude the completion"]
    #[inline]
    pub(crate) fn claim(&self) -> bool {
        // ORDERING: Relaxed. Exclusivity needs only that the word is changed by read-modify-writes; the callback and
        // the operation that the winner goes on to use were written before the winner was handed its handle, or, if
        // a backend wrote them since it started, by the very thread that claims.
        self.update(Relaxed, Relaxed, |word| {
            (!word.has(CLAIMED) && !word.has(FINISHED)).then(|| word.with(CLAIMED))
        })
    }

    /// Hands the operation to a backend; false when it was cancelled first.
    #[must_use = "an operation that was cancelled must not be started"]
    pub(crate) fn start(&self) -> bool {
        // ORDERING: Release on success, with the Acquire in `request_cancel`: who sees STARTED sees the canceller
        // that the backend left. Relaxed on failure: the loser only drops its handle.
        self.update(Release, Relaxed, |word| {
            (!word.has(CLAIMED) && !word.has(FINISHED)).then(|| word.with(STARTED))
        })
    }

    /// Asks for an end: at once if nobody has started the operation, otherwise through its backend.
    pub(crate) fn request_cancel(&self) -> CancelRequest {
        // ORDERING: Relaxed for the first look, every exit below is confirmed by a read-modify-write or needs none.
        let mut current = Word(self.0.load(Relaxed));
        loop {
            if current.has(FINISHED) || current.has(CLAIMED) || current.has(CANCEL) {
                return CancelRequest::Nothing;
            }
            let started = current.has(STARTED);
            let next = current.with(if started { CANCEL } else { CLAIMED });
            // ORDERING: Acquire on success, with the Release in `start`, so that the canceller may be read. For the
            // claim of an operation that is not started Relaxed would do, as in `claim`.
            match self.0.compare_exchange_weak(current.0, next.0, Acquire, Relaxed) {
                Ok(_) if started => return CancelRequest::Ask,
                Ok(_) => return CancelRequest::Claimed,
                Err(seen) => current = Word(seen),
            }
        }
    }

    /// Adds a parent that the publisher will tell, unless the completion has already finished. The one atomic step
    /// that decides between the two.
    ///
    /// # Safety
    ///
    /// `link` stays valid, and is touched by nobody but the publisher, until the publisher has told it.
    pub(crate) unsafe fn link(&self, link: *const Link) -> LinkResult {
        // SAFETY: valid by the caller's promise, and not yet shared.
        let next = unsafe { &(*link).next };
        // ORDERING: Release on success, with the Acquire half of `publish`: the publisher sees `next` and the group
        // behind the link. Acquire on failure, with the Release half of `publish`: FINISHED lets the caller read the
        // outcome.
        let linked = self.update(Release, Acquire, |word| {
            if word.has(FINISHED) {
                return None;
            }
            // SAFETY: the link is not shared before the exchange succeeds, so nobody else touches `next`.
            next.with_mut(|next| unsafe { *next = word.links() });
            Some(Word(link.cast_mut().map_addr(|bits| bits | (word.0.addr() & FLAGS))))
        });
        if linked { LinkResult::Linked } else { LinkResult::Finished }
    }

    /// Tells the publisher-to-be that a waiter slot is in use; false when the completion has already finished.
    ///
    /// Always a read-modify-write, also when the flag is set already: it reads the newest word, so either it sees
    /// FINISHED, or `publish` comes after it, reads from it and sees the slot.
    #[must_use = "a waiter that came too late is not told"]
    pub(crate) fn announce_waiter(&self) -> bool {
        // ORDERING: Release on success, with the Acquire half of `publish`, which then visits the slot. Acquire on
        // failure, with its Release half: FINISHED lets the caller read the outcome.
        self.update(Release, Acquire, |word| (!word.has(FINISHED)).then(|| word.with(WAITERS)))
    }

    /// Ends the completion: from here on everybody sees the outcome, and nobody can join.
    ///
    /// Only for whoever won the claim, after the outcome has been written and the callback has returned.
    #[inline]
    pub(crate) fn publish(&self) -> Published {
        // ORDERING: Release, with every Acquire of FINISHED above: the outcome and the callback's effects. Acquire,
        // with the Release of `link` and `announce_waiter`: all changes of the word are read-modify-writes, so their
        // release sequences reach up to this one.
        let last = Word(self.0.swap(Word::flags(FINISHED).0, AcqRel));
        debug_assert!(last.has(CLAIMED) && !last.has(FINISHED), "published once, by the claimer");
        Published { links: last.links(), waiters: last.has(WAITERS) }
    }

    /// The classical loop: true when `next` accepted a value and it was exchanged.
    #[inline]
    fn update(
        &self,
        success: crate::sync::atomic::Ordering,
        failure: crate::sync::atomic::Ordering,
        next: impl Fn(Word) -> Option<Word>,
    ) -> bool {
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
