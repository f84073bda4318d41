//! What a completion waits for, where that is a machine of an executor: tells a wait that can never end from one that can.

use std::cell::Cell;
use std::collections::HashSet;
use std::ptr;

use super::group::GroupCore;
use super::node::{NodeRef, behind, has_children};
use crate::sync::thread_local;

thread_local! {
    // The executor that has this thread for a worker; null elsewhere.
    static EXECUTOR: Cell<*const ()> = Cell::new(ptr::null());
}

/// A machine that ends a completion, and the executor that steps it. The addresses are compared and never followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Behind {
    pub(crate) machine: *const (),
    pub(crate) executor: *const (),
}

/// Runs `worker`, which steps the machines of `executor` in this thread.
pub(crate) fn as_worker_of<R>(executor: *const (), worker: impl FnOnce() -> R) -> R {
    /// Also when `worker` unwinds.
    struct Leave(*const ());
    impl Drop for Leave {
        fn drop(&mut self) {
            EXECUTOR.with(|current| current.set(self.0));
        }
    }
    let _leave = Leave(EXECUTOR.with(|current| current.replace(executor)));
    worker()
}

/// Whether `node`, or a completion that it is a group of, is ended by a machine that this thread may have to step. To block
/// on it here may block without end.
pub(crate) fn waits_for_this_thread(node: &NodeRef) -> bool {
    let executor = EXECUTOR.with(Cell::get);
    if executor.is_null() {
        return false;
    }
    let (mut pending, mut seen) = (vec![node], HashSet::new());
    while let Some(node) = pending.pop() {
        if node.state.is_finished() {
            continue;
        }
        if has_children(node) {
            // Groups may share children, and those theirs: each is looked at once.
            if seen.insert(node.as_ptr()) {
                // SAFETY: a built group, kept alive by `node` or by the group that has it as a member.
                let members = unsafe { GroupCore::members(node.as_ptr().cast()) };
                pending.extend(members.map(|member| &member.child));
            }
        } else if behind(node).is_some_and(|behind| behind.executor == executor) {
            return true;
        }
    }
    false
}
