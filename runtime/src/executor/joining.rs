//! The completion of a task.
//!
//! It is made at the first request for it. Most tasks never get one, and need less memory.

use std::ptr::NonNull;

use super::pool;
use super::task::TaskRef;
use crate::Completion;
use crate::completion::{FindBehind, Head, Header, Kind};

/// Cancelling the completion cancels this task.
struct Joining {
    task: TaskRef,
}

impl Kind for Joining {
    fn cancel(head: &Head<Self>, _: &mut Vec<NonNull<Header>>) {
        pool::cancel(head.kind.task.clone());
    }

    const BEHIND: Option<FindBehind<Self>> = Some(|joining| joining.task.behind());
}

/// A completion that finishes when `task` has ended.
///
/// # Safety
///
/// The caller is the task's only handle, and has not done this before.
pub(super) unsafe fn completion(task: &TaskRef) -> Completion {
    let joining = Joining { task: task.clone() };
    let (completion, completer) = Completion::of_kind(joining, |_: &_, _| {});
    let mut completer = completer.into_completer();
    // From now on a cancel is a request, which goes to the task.
    let started = completer.start();
    debug_assert!(started, "the completion is not shared yet");
    // SAFETY: the caller's.
    if let Err(completer) = unsafe { task.join(completer) } {
        // SAFETY: the caller's; it has ended, or the completer would be in its place.
        let ending = unsafe { task.ending() };
        let _ = completer.finish(ending.outcome());
    }
    completion
}
