//! What follows from finishing a completion: callback, publication, wake-ups, and the same for every group that
//! finishes because of it.
//!
//! Nesting is walked with a work list that is made of the links themselves, so a chain of a million groups takes no
//! stack and no allocation. User code (callbacks, wakers) runs with no lock held and nothing half done; a panic in it
//! is kept until all waiters have been woken, and then continues in this thread.

use std::ptr::{self, NonNull};
use std::task::Waker;

use super::group::GroupCore;
use super::link::Link;
use super::node::{Header, NodeRef, run_callback};
use super::state::Published;
use crate::panics::{Panics, Payload};
use crate::{CompletionError, Outcome};

/// Everything still to be done because some completion was decided.
#[must_use = "parents and waiters in here have to be told"]
pub(crate) struct Notifications {
    /// Parents of completions that have finished, as a queue through `Link::next`.
    first: *const Link,
    last: *const Link,
    /// Waiters of those completions. Woken when all parents have been told: a waker may fail another child of a group
    /// that is to hear of this one's failure first.
    waker: Option<Waker>,
    more_wakers: Vec<Waker>,
    panics: Panics,
}

/// What the end of one completion makes its publisher owe.
#[must_use = "parents, waiters and a panic in here have to be seen to"]
pub(crate) struct Ended {
    published: Published,
    callback: Result<(), Payload>,
}

impl Ended {
    /// Notifies waiters and parents. `header` is of the completion that has ended.
    ///
    /// The common cases need no work list: no waiter, one waiter, or one parent and so on upwards.
    #[inline(always)] // the first round where the end is; the next are a function of their own
    pub(crate) fn tell(self, header: &Header) {
        if let Some((parent, outcome)) = self.tell_one_level(header) {
            climb(parent, outcome);
        }
    }

    /// Notifies waiters and parents of this end; a group that ends by it is the caller's to end.
    #[inline(always)]
    fn tell_one_level(self, header: &Header) -> Option<(NodeRef, Outcome)> {
        match self.duty(header) {
            Duty::None => {}
            Duty::FirstWaiter => header.waiters.take_first().wake(),
            // SAFETY: says `duty`.
            Duty::Parent(link) => return unsafe { GroupCore::child_ended_well(link) },
            Duty::All => self.tell_all(header),
        }
        None
    }

    #[inline(always)]
    fn duty(&self, header: &Header) -> Duty {
        let Published { links, first_waiter } = self.published;
        match &self.callback {
            Ok(()) if header.waiters.no_more() => {}
            _ => return Duty::All,
        }
        match (links.is_null(), first_waiter) {
            (true, false) => Duty::None,
            (true, true) if !std::thread::panicking() => Duty::FirstWaiter,
            // SAFETY: taken off the completion just now, and untold; it has been published by this thread.
            (false, false) if unsafe { is_alone(links) && header.outcome().is_ok() } => Duty::Parent(links),
            _ => Duty::All,
        }
    }

    #[cold]
    fn tell_all(self, header: &Header) {
        let mut notifications = Notifications::new();
        notifications.take_over(header, self);
        notifications.settle();
    }
}

/// Who has to be told of an end.
enum Duty {
    None,
    /// The waker in the first place, and no other.
    FirstWaiter,
    /// One parent, untold, of a child that has ended well; and no other.
    Parent(*const Link),
    /// All others: several waiters, or a failure's parents, or a panic is kept.
    All,
}

/// Ends a group with `outcome`, then the one group that this ends, and so on. `parent` was counted down to its end by
/// this thread, which so decides the outcome.
fn climb(parent: NodeRef, outcome: Outcome) {
    let mut next = Some((parent, outcome));
    while let Some((group, outcome)) = next {
        // SAFETY: decided by this thread, once; `group` is a reference.
        next = unsafe { end(group.as_ptr(), outcome) }.tell_one_level(&group);
    }
}

/// Whether there is exactly one link on the list.
///
/// # Safety
///
/// `links` was taken off a completion by the caller, its publisher, who has told none of them.
unsafe fn is_alone(links: *const Link) -> bool {
    // SAFETY: untold, so its group keeps it alive; its `next` is the publisher's.
    unsafe { links.as_ref() }.is_some_and(|link| link.next.with(|next| unsafe { (*next).is_null() }))
}

/// Ends a completion with `outcome`: callback, then publication.
///
/// # Safety
///
/// The caller is the one who decides the outcome, and keeps the node alive for the call.
#[inline(always)] // so that a caller's constant `Ok` is stored as such, and not copied about
pub(crate) unsafe fn end(node: NonNull<Header>, outcome: Outcome) -> Ended {
    // SAFETY: alive by the caller's promise.
    let header = unsafe { node.as_ref() };
    // SAFETY: the caller is the decider, and publishes below.
    unsafe { header.set_outcome(outcome) };
    // SAFETY: set above, and ended once.
    let callback = unsafe { run_callback(node) };
    if callback.is_err() {
        // SAFETY: as above.
        unsafe { header.set_outcome(Err(CompletionError::CallbackPanicked)) };
    }
    Ended { published: header.state.publish(), callback }
}

/// Ends a completion as though its callback had panicked, without calling it: publication alone. The callback is leaked.
///
/// # Safety
///
/// As for [`end`].
pub(crate) unsafe fn end_uncalled(node: NonNull<Header>) -> Ended {
    // SAFETY: alive by the caller's promise.
    let header = unsafe { node.as_ref() };
    // SAFETY: the caller is the decider, and publishes below.
    unsafe { header.set_outcome(Err(CompletionError::CallbackPanicked)) };
    Ended { published: header.state.publish(), callback: Ok(()) }
}

impl Notifications {
    pub(crate) fn new() -> Self {
        Self {
            first: ptr::null(),
            last: ptr::null(),
            waker: None,
            more_wakers: Vec::new(),
            panics: Panics::new(),
        }
    }

    /// Ends a completion with `outcome` and takes over the duty to tell its parents.
    ///
    /// # Safety
    ///
    /// As for [`end`].
    pub(crate) unsafe fn conclude(&mut self, node: NonNull<Header>, outcome: Outcome) {
        // SAFETY: the caller's promise is the same.
        let ended = unsafe { end(node, outcome) };
        // SAFETY: alive by the caller's promise.
        self.take_over(unsafe { node.as_ref() }, ended);
    }

    /// Takes over the duties that the end of a completion created.
    pub(crate) fn take_over(&mut self, header: &Header, ended: Ended) {
        if let Err(panic) = ended.callback {
            self.panics.keep(panic);
        }
        header.waiters.notify_all(&ended.published, |waker| self.owe(waker));
        if !ended.published.links.is_null() {
            self.push(ended.published.links);
        }
    }

    /// Runs user code; its panic is kept for the end.
    pub(crate) fn guarded(&mut self, user: impl FnOnce()) {
        self.panics.guard(user);
    }

    fn owe(&mut self, waker: Waker) {
        if self.waker.is_none() {
            self.waker = Some(waker);
        } else {
            self.more_wakers.push(waker);
        }
    }

    /// Appends a completion's parents, which come newest first, oldest first.
    fn push(&mut self, newest: *const Link) {
        let (mut stack, mut reversed) = (newest, ptr::null());
        while !stack.is_null() {
            let rest = exchange_next(stack, reversed);
            reversed = stack;
            stack = rest;
        }
        if self.first.is_null() {
            self.first = reversed;
        } else {
            exchange_next(self.last, reversed);
        }
        self.last = newest;
    }

    fn pop(&mut self) -> Option<*const Link> {
        if self.first.is_null() {
            return None;
        }
        let link = self.first;
        self.first = exchange_next(link, ptr::null());
        Some(link)
    }

    /// Does what is left, if anything is.
    #[inline]
    pub(crate) fn settle(self) {
        if !self.first.is_null() || self.waker.is_some() || !self.panics.is_empty() {
            self.settle_all();
        } else {
            // Empty, `more_wakers` too, since it only follows `waker`: there is nothing to drop, and nothing to look for.
            std::mem::forget(self);
        }
    }

    /// Tells every parent, and the parents of those that finish by it, and so on; wakes the waiters; then lets a kept
    /// panic go on.
    ///
    /// A panic that would start while this thread already unwinds (a `Completer` dropped by another panic) is
    /// swallowed: it would abort the process.
    fn settle_all(mut self) {
        while let Some(link) = self.pop() {
            // SAFETY: a link on the list belongs to a finished child and has not been told.
            unsafe { GroupCore::child_ended(link, &mut self) };
        }
        let more = std::mem::take(&mut self.more_wakers);
        for waker in self.waker.take().into_iter().chain(more) {
            self.guarded(|| waker.wake());
        }
        self.panics.resume();
    }
}

/// Exchanges the `next` of a link that is on our list, or on its way there.
fn exchange_next(link: *const Link, next: *const Link) -> *const Link {
    // SAFETY: taken off the child by its one publisher, so ours alone; untold, so its group keeps it alive.
    unsafe { &*link }.next.with_mut(|cell| {
        // SAFETY: as above.
        unsafe { std::mem::replace(&mut *cell, next) }
    })
}
