//! The completion of a task.
//!
//! It is made when somebody first asks for it: most tasks are spawned by somebody who never does, and weigh less.

use std::ptr::NonNull;

use super::pool;
use super::task::TaskRef;
use crate::completion::{FindBehind, Head, Header, Kind, NodeRef, State};
use crate::{Completer, Completion};

/// Cancelling the completion cancels this task.
struct Joining {
    task: TaskRef,
}

impl Kind for Joining {
    fn cancel(head: NonNull<Head<Self>>, _: &mut Vec<NonNull<Header>>) {
        // SAFETY: the node is alive for the call.
        let joining = unsafe { &(*head.as_ptr()).kind };
        pool::cancel(joining.task.clone());
    }

    const BEHIND: Option<FindBehind<Self>> = Some(|head| {
        // SAFETY: the node is alive for the call.
        let joining = unsafe { &(*head.as_ptr()).kind };
        joining.task.behind()
    });
}

/// A completion that finishes when `task` has ended.
///
/// # Safety
///
/// The caller is the task's only handle, and has not done this before.
pub(super) unsafe fn completion(task: &TaskRef) -> Completion {
    let joining = Joining { task: task.clone() };
    let node = NodeRef::allocate(State::pending(), joining, |_: &_, _| {}, 2);
    // SAFETY: allocated with two references, of which this is the second.
    let mut completer = Completer::from_node(unsafe { NodeRef::from_raw(node.as_ptr()) });
    // From now on a cancel is a request, which goes to the task.
    let started = completer.start();
    debug_assert!(started, "nobody else knows the completion yet");
    // SAFETY: the caller's.
    if let Err(completer) = unsafe { task.join(completer) } {
        // SAFETY: the caller's; it has ended, or the completer would be in its place.
        let ending = unsafe { task.ending() };
        let _ = completer.finish(ending.outcome());
    }
    Completion::from_node(node)
}
