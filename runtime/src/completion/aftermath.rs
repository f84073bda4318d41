//! What follows from finishing a completion: callback, publication, wake-ups, and the same for every group that
//! finishes because of it.
//!
//! Nesting is walked with a work list that is made of the links themselves, so a chain of a million groups takes no
//! stack and no allocation. User code (callbacks, wakers) runs with no lock held and nothing half done; a panic in it
//! is kept until everybody has been told, and then goes on in this thread.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::ptr;

use super::link::Link;
use super::node::{Header, Panic};
use crate::group::GroupCore;
use crate::{CompletionError, Outcome};

/// Everything still to be done because some completion was claimed.
#[must_use = "parents wait in here to be told"]
pub(crate) struct Aftermath {
    /// Parents of completions that have finished, as a stack through `Link::next`.
    links: *const Link,
    panic: Option<Panic>,
}

impl Aftermath {
    pub(crate) fn new() -> Self {
        Self { links: ptr::null(), panic: None }
    }

    /// Ends a completion with `outcome` and takes over the duty to tell its parents.
    ///
    /// # Safety
    ///
    /// The caller is the one who decides the outcome, and keeps the node alive for the call.
    #[inline(always)] // so that a caller's constant `Ok` is stored as such, and not copied about
    pub(crate) unsafe fn conclude(&mut self, header: &Header, outcome: Outcome) {
        // SAFETY: the caller is the decider, and publishes below.
        unsafe { header.set_outcome(outcome) };
        // SAFETY: set above, and concluded once.
        if let Err(panic) = unsafe { header.run_callback() } {
            self.keep(panic);
            // SAFETY: as above.
            unsafe { header.set_outcome(Err(CompletionError::CallbackPanicked)) };
        }
        let published = header.state.publish();
        if published.waiters {
            header.waiters.notify_all(|waker| self.guarded(|| waker.wake()));
        }
        if !published.links.is_null() {
            self.push(published.links);
        }
    }

    /// Runs user code; its panic is kept for the end.
    pub(crate) fn guarded(&mut self, user: impl FnOnce()) {
        if let Err(payload) = catch_unwind(AssertUnwindSafe(user)) {
            self.keep(payload);
        }
    }

    fn keep(&mut self, payload: Panic) {
        self.panic.get_or_insert(payload);
    }

    /// Turns a completion's stack of parents, newest first, into work, oldest first.
    fn push(&mut self, mut stack: *const Link) {
        while !stack.is_null() {
            // SAFETY: taken off the child by its one publisher, so ours alone; its group outlives it until told.
            let next = unsafe { &(*stack).next };
            // SAFETY: as above.
            let rest = next.with_mut(|next| unsafe { std::mem::replace(&mut *next, self.links) });
            self.links = stack;
            stack = rest;
        }
    }

    fn pop(&mut self) -> Option<*const Link> {
        if self.links.is_null() {
            return None;
        }
        let link = self.links;
        // SAFETY: on our list, so untold, so its group keeps it alive; nobody else touches it.
        self.links = unsafe { (*link).next.with(|next| *next) };
        Some(link)
    }

    /// Does what is left, if anything is.
    #[inline]
    pub(crate) fn settle(self) {
        if !self.links.is_null() || self.panic.is_some() {
            self.settle_all();
        }
    }

    /// Tells every parent, and the parents of those that finish by it, and so on; then lets a kept panic go on.
    ///
    /// A panic that would start while this thread already unwinds (a `Completer` dropped by another panic) is
    /// swallowed: it would abort the process.
    fn settle_all(mut self) {
        while let Some(link) = self.pop() {
            // SAFETY: a link on the list belongs to a finished child and has not been told.
            unsafe { GroupCore::child_ended(link, &mut self) };
        }
        if let Some(payload) = self.panic.take()
            && !std::thread::panicking()
        {
            resume_unwind(payload);
        }
    }
}
