//! The backend's end of an operation.

use std::fmt;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::ops::Deref;

use super::node::{Kind, NodeRef};
use super::notifications::{end, end_uncalled};
use super::typed::{NodeOf, kind_of};
use crate::{CompletionError, Outcome};

/// The one right to finish an operation.
///
/// Dropped unused, it finishes its completion with [`CompletionError::Abandoned`]: a completion is never forgotten.
#[must_use = "dropping a completer abandons its operation"]
pub struct Completer {
    node: NodeRef,
}

/// A completer of an operation of kind `K`.
#[must_use = "dropping a completer abandons its operation"]
pub(crate) struct CompleterOf<K> {
    /// Of a node of that kind.
    completer: Completer,
    kind: PhantomData<fn() -> K>,
}

impl<K: Kind> CompleterOf<K> {
    pub(super) fn new(node: NodeOf<K>) -> Self {
        Self { completer: Completer { node: node.into_node() }, kind: PhantomData }
    }

    /// What the operation's node has beyond that of others.
    #[inline]
    pub(crate) fn kind(&self) -> &K {
        // SAFETY: made of a node of this kind, and never given another.
        unsafe { kind_of(&self.completer.node) }
    }

    /// As [`Completer::start`]. The completer itself is not to be had by `&mut`, or it could be exchanged for one of another
    /// kind.
    #[must_use = "an operation that was cancelled must not be started"]
    pub(crate) fn start(&mut self) -> bool {
        self.completer.start()
    }

    /// The same right, for those who don't care for the kind.
    pub(crate) fn into_completer(self) -> Completer {
        self.completer
    }
}

impl<K> Deref for CompleterOf<K> {
    type Target = Completer;

    fn deref(&self) -> &Completer {
        &self.completer
    }
}

impl Completer {
    /// Ends the operation well; `value` is the number of bytes it moved.
    ///
    /// False when a cancel came first: then nothing happens, and the completion ends as `Cancelled`.
    ///
    /// # Panics
    ///
    /// With the panic of a callback or waker that ran because of this, after all waiters have been woken. The same goes for
    /// all that can end a completion: `fail`, `finish`, `cancel`, `build`, and dropping a completer.
    #[must_use = "false says that a cancel came first"]
    pub fn complete(self, value: u64) -> bool {
        self.settle(Ok(value))
    }

    /// Ends the operation with `error`; false when a cancel came first.
    #[must_use = "false says that a cancel came first"]
    pub fn fail(self, error: CompletionError) -> bool {
        self.settle(Err(error))
    }

    /// Ends the operation with `outcome`; false when a cancel came first.
    #[must_use = "false says that a cancel came first"]
    pub fn finish(self, outcome: Outcome) -> bool {
        self.settle(outcome)
    }

    /// Ends the operation as though its callback had panicked. The callback is not called, and is leaked.
    pub(crate) fn end_without_callback(self) {
        // Taken as a whole: a drop would call the callback, or find the completion ended.
        let this = ManuallyDrop::new(self);
        // SAFETY: as in `settle`.
        let node = unsafe { std::ptr::read(&raw const this.node) };
        if node.state.claim() {
            // SAFETY: claimed above; `node` is a reference.
            unsafe { end_uncalled(node.as_ptr()) }.tell(&node);
        }
    }

    #[inline(always)] // see `end`
    fn settle(self, outcome: Outcome) -> bool {
        let this = ManuallyDrop::new(self);
        // SAFETY: `this` is not dropped and not used again, so its reference is moved out once.
        let node = unsafe { std::ptr::read(&raw const this.node) };
        settle(&node, outcome)
    }

    /// Declares that the operation is under way: from now on `cancel` is a request, to be found with
    /// [`Completer::cancel_requested`], and only this completer ends it.
    ///
    /// False when it was cancelled first. Then it must not be started: it has ended, or is about to.
    #[must_use = "an operation that was cancelled must not be started"]
    pub fn start(&mut self) -> bool {
        self.node.state.start()
    }

    /// Whether the end of the started operation was requested.
    #[must_use]
    pub fn cancel_requested(&self) -> bool {
        self.node.state.cancel_requested()
    }
}

/// Claims, concludes and notifies all waiters; false when a cancel came first.
#[inline(always)] // see `end`
fn settle(node: &NodeRef, outcome: Outcome) -> bool {
    if !node.state.claim() {
        return false;
    }
    // SAFETY: claimed above; `node` is a reference.
    unsafe { end(node.as_ptr(), outcome) }.tell(node);
    true
}

impl Drop for Completer {
    fn drop(&mut self) {
        settle(&self.node, Err(CompletionError::Abandoned));
    }
}

impl fmt::Debug for Completer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Completer").finish_non_exhaustive()
    }
}
