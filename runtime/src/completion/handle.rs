//! The observer's end of an operation.

use std::fmt;
use std::future::Future;
use std::mem::ManuallyDrop;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use super::Completer;
use super::behind::{Behind, waits_for_this_thread};
use super::cancel::cancel;
use super::completer::CompleterOf;
use super::node::{self, Bare, Kind, NodeRef};
use super::running;
use super::state::State;
use super::typed::NodeOf;
use super::waiters::{Place, Registration};
use crate::sync::{Parker, spin_while};
use crate::{CompletionError, Outcome};

/// A handle to one operation: asks for its outcome, waits for it, cancels it.
///
/// Clones are handles to the same operation. Each is a [`Future`] of its own, with its own waker; dropping a handle
/// that waits unregisters it. Dropping all handles does not cancel the operation.
///
/// ```
/// use tenterhook_runtime::Completion;
/// let (completion, completer) = Completion::new(|outcome| assert_eq!(outcome, Ok(4096)));
/// assert!(!completion.finished());
/// assert!(completer.complete(4096));
/// assert_eq!(completion.result(), Some(Ok(4096)));
/// ```
pub struct Completion {
    node: NodeRef,
    /// Where this handle waits, once it has been polled.
    place: Option<Place>,
}

impl Completion {
    /// A pending operation and the one right to finish it.
    ///
    /// `callback` runs once, in the thread that decides the outcome, before the operation counts as finished. It may
    /// create, add, complete, cancel, poll and drop any completion, this one included. It must not block on one, no more
    /// than a waker may: parents and waiters may be waiting to be told by this very thread. Callbacks that complete one
    /// another nest on the stack.
    pub fn new(callback: impl FnOnce(Outcome) + Send + 'static) -> (Self, Completer) {
        let (completion, completer) = Self::of_kind(Bare, move |_: &_, outcome| callback(outcome));
        (completion, completer.into_completer())
    }

    /// A pending operation whose node has a `kind`, which its callback and its completer get to see.
    #[inline]
    pub(crate) fn of_kind<K: Kind>(
        kind: K,
        callback: impl FnOnce(&K, Outcome) + Send + 'static,
    ) -> (Self, CompleterOf<K>) {
        let [observed, ended] = NodeOf::allocate_pair(State::pending(), kind, callback);
        (Self::from_node(observed.into_node()), CompleterOf::new(ended))
    }

    pub(super) fn from_node(node: NodeRef) -> Self {
        Self { node, place: None }
    }

    pub(super) fn node(&self) -> &NodeRef {
        &self.node
    }

    /// The node alone; a handle that waited waits no longer.
    pub(super) fn into_node(mut self) -> NodeRef {
        self.stop_waiting();
        let this = ManuallyDrop::new(self);
        // SAFETY: `this` is not dropped and not used again, so its reference is moved out once.
        unsafe { std::ptr::read(&raw const this.node) }
    }

    /// Slots that were allocated for its waiters, for models of how many there may be.
    #[cfg(any(tenterhook_loom, tenterhook_shuttle))]
    #[doc(hidden)]
    pub fn waiter_slots(&self) -> usize {
        self.node.waiters.slots()
    }

    #[inline]
    fn stop_waiting(&mut self) {
        if let Some(place) = self.place.take() {
            self.node.waiters.leave(&self.node.state, place);
        }
    }

    /// Whether the operation has ended and its callback has returned.
    #[must_use]
    #[inline]
    pub fn finished(&self) -> bool {
        self.node.state.is_finished()
    }

    /// Whether the operation has ended well.
    #[must_use]
    #[inline]
    pub fn succeeded(&self) -> bool {
        matches!(self.result(), Some(Ok(_)))
    }

    /// Whether the operation has ended with an error.
    #[must_use]
    pub fn failed(&self) -> bool {
        matches!(self.result(), Some(Err(_)))
    }

    /// The error of an operation that failed; `None` while it is pending and when it succeeded.
    #[must_use]
    pub fn get_error(&self) -> Option<CompletionError> {
        self.result().and_then(Result::err)
    }

    /// How the operation ended; `None` while it is pending.
    #[must_use]
    #[inline]
    pub fn result(&self) -> Option<Outcome> {
        // SAFETY: FINISHED was seen with Acquire.
        self.node.state.is_finished().then(|| unsafe { self.node.outcome() })
    }

    /// Asks for the operation's end.
    ///
    /// An operation that no backend has started ends as [`CompletionError::Cancelled`] before this returns, unless
    /// another thread is just then deciding its outcome. One in flight ends when its backend lets go of it, with `Cancelled` or with its real outcome. The request reaches
    /// every descendant of a group. Asking for the end of a finished operation does nothing.
    pub fn cancel(&self) {
        cancel(&self.node);
    }

    /// The machine that ends this completion, if one does.
    #[inline]
    pub(crate) fn behind(&self) -> Option<Behind> {
        node::behind(&self.node)
    }

    /// Blocks this thread until the operation has ended.
    ///
    /// This drives nothing. An operation of a stepped backend ends while some thread calls [`IO::step`](crate::io::IO::step);
    /// where no other thread does, use [`IO::block_on`](crate::io::IO::block_on), which steps.
    ///
    /// # Panics
    ///
    /// At the caller's line when called from inside this operation's own callback, which would wait for itself, and when
    /// a machine waits for another machine of its executor, also as a member of a group: the other may need this
    /// worker. A machine returns such a completion as its `IO`.
    #[track_caller]
    pub fn wait(&self) -> Outcome {
        self.assert_may_block();
        self.block_on(|parker| {
            parker.park();
            true
        })
        .expect("a wait without a deadline ends with an outcome")
    }

    /// Blocks this thread until the operation has ended, but hardly longer than `timeout`; `None` when that passed first.
    /// A look that does not wait is [`Completion::result`]; a timeout of zero still looks for some microseconds.
    ///
    /// # Panics
    ///
    /// At the caller's line when called from inside this operation's own callback.
    #[track_caller]
    #[must_use = "the time may have passed before there was an outcome"]
    pub fn wait_timeout(&self, timeout: Duration) -> Option<Outcome> {
        self.assert_outside_own_callback();
        match Instant::now().checked_add(timeout) {
            Some(deadline) => self.block_on(|parker| parker.park_until(deadline)),
            // Beyond the clock's end: forever.
            None => Some(self.wait()),
        }
    }

    /// Panics where blocking on the completion can never end.
    #[track_caller]
    pub(crate) fn assert_may_block(&self) {
        self.assert_outside_own_callback();
        assert!(
            !waits_for_this_thread(&self.node),
            "a machine blocks its worker to wait for another machine; return the completion as `IO` instead"
        );
    }

    #[track_caller]
    fn assert_outside_own_callback(&self) {
        assert!(
            !running::is_marked(&self.node),
            "a completion's callback waits for the same completion, which finishes only after its callback returns"
        );
    }

    /// Polls until there is an outcome or `park` gives up. A short spin comes first.
    fn block_on(&self, mut park: impl FnMut(&Parker) -> bool) -> Option<Outcome> {
        spin_while(|| !self.finished());
        if let Some(outcome) = self.result() {
            return Some(outcome);
        }
        let parker = Parker::new();
        let waker = Waker::from(Arc::clone(&parker));
        let mut context = Context::from_waker(&waker);
        let mut waiting = self.clone();
        loop {
            if let Poll::Ready(outcome) = Pin::new(&mut waiting).poll(&mut context) {
                return Some(outcome);
            }
            if !park(&parker) {
                return self.result();
            }
        }
    }
}

impl Future for Completion {
    type Output = Outcome;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Outcome> {
        let this = self.get_mut();
        if let Some(outcome) = this.result() {
            return Poll::Ready(outcome);
        }
        match this.node.waiters.register(&this.node.state, &mut this.place, context.waker()) {
            Registration::Waiting => Poll::Pending,
            // SAFETY: `register` saw FINISHED, or a slot closed after it, with Acquire.
            Registration::Finished => Poll::Ready(unsafe { this.node.outcome() }),
        }
    }
}

impl Clone for Completion {
    /// A handle that does not wait yet.
    fn clone(&self) -> Self {
        Self::from_node(self.node.clone())
    }
}

impl Drop for Completion {
    fn drop(&mut self) {
        self.stop_waiting();
    }
}

impl fmt::Debug for Completion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Completion").field("result", &self.result()).finish_non_exhaustive()
    }
}
