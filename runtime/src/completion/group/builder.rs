//! Collecting the children of a group.

use std::mem::ManuallyDrop;

use super::core::{GroupCore, Policy};
use crate::Outcome;
use crate::completion::Completion;
use crate::completion::cancel::cancel_members;
use crate::completion::state::State;
use crate::completion::typed::NodeOf;

/// A group of completions under construction; [`CompletionGroup::build`] turns it into one [`Completion`].
///
/// The group ends well when all its children have, otherwise with the error of the child that failed first; among those
/// that had failed before it was built, of the one that was added first. Children
/// may end at any time, on any thread, before they are added, while the group is built, or after. A completion may be
/// in several groups, and in one group twice; a group's completion may be a child of another group.
///
/// Dropping the group before it is built drops its callback uncalled and leaves the children alone.
///
/// ```
/// use tenterhook_runtime::{Completion, CompletionGroup};
/// let (left, finish_left) = Completion::new(|_| {});
/// let (right, finish_right) = Completion::new(|_| {});
/// let mut group = CompletionGroup::new(|outcome| assert!(outcome.is_ok()));
/// group.add(&left);
/// group.add(&right);
/// assert!(finish_left.complete(0));
/// let both = group.build();
/// assert!(!both.finished());
/// assert!(finish_right.complete(0));
/// assert!(both.succeeded());
/// ```
#[must_use = "a group does nothing until it is built"]
#[derive(Debug)]
pub struct CompletionGroup {
    /// Not shared until it is built.
    node: NodeOf<GroupCore>,
    cancelled: bool,
}

impl CompletionGroup {
    /// A group that ends as soon as its outcome is known: when all children have ended well, or at the first error.
    ///
    /// Siblings of a child that failed may still be running then; where their buffers matter, use
    /// [`CompletionGroup::drain`].
    pub fn new(callback: impl FnOnce(Outcome) + Send + 'static) -> Self {
        Self::with_policy(Policy::FailFast, callback)
    }

    /// A group that ends when every child has ended, still with the error of the child that failed first.
    pub fn drain(callback: impl FnOnce(Outcome) + Send + 'static) -> Self {
        Self::with_policy(Policy::Drain, callback)
    }

    fn with_policy(policy: Policy, callback: impl FnOnce(Outcome) + Send + 'static) -> Self {
        let callback = move |_: &_, outcome| callback(outcome);
        let node = NodeOf::allocate(State::started(), GroupCore::new(policy), callback);
        Self { node, cancelled: false }
    }

    /// Makes the group wait for `child`, whether it is pending or has already ended.
    ///
    /// A child added after [`CompletionGroup::cancel`] is cancelled at once.
    pub fn add(&mut self, child: &Completion) {
        if !child.succeeded() {
            // SAFETY: this is the builder.
            unsafe { GroupCore::add(self.node.head(), child.node().clone()) };
        }
        if self.cancelled {
            cancel_members([child.node()]);
        }
    }

    /// Like [`CompletionGroup::add`] for a caller that has no further use for its handle.
    pub fn adopt(&mut self, child: Completion) {
        if self.cancelled {
            self.add(&child);
        } else if !child.succeeded() {
            // SAFETY: this is the builder.
            unsafe { GroupCore::add(self.node.head(), child.into_node()) };
        }
    }

    /// Cancels every child added so far that has not ended, and every child that is going to be added.
    pub fn cancel(&mut self) {
        self.cancelled = true;
        // SAFETY: alive, and nothing is added during the call.
        cancel_members(unsafe { GroupCore::members(self.node.head()) }.map(|member| &member.child));
    }

    /// The completion of the whole. An empty group has ended well, and its callback has run, when this returns.
    #[must_use = "the group's end is known by its completion alone"]
    pub fn build(self) -> Completion {
        let Self { node, .. } = self;
        let shared = ManuallyDrop::new(node.clone_unshared());
        // SAFETY: `shared` is the second reference to a node that is not shared yet.
        unsafe { GroupCore::build(shared.head()) };
        Completion::from_node(node.into_node())
    }
}
