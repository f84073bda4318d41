//! How a request to cancel travels from a completion to everything below it.

use std::ptr::NonNull;

use super::aftermath::Aftermath;
use super::node::{Header, NodeRef};
use super::state::CancelRequest;
use crate::CompletionError;
use crate::group::GroupCore;

/// Cancels `roots` and every descendant that has not ended. Each group forwards the first request only, so shared
/// children and diamonds of groups are visited once; nesting goes through a list, not through the stack.
pub(crate) fn cancel<'a>(roots: impl IntoIterator<Item = &'a NodeRef>) {
    let mut aftermath = Aftermath::new();
    let mut groups = Vec::new();
    for root in roots {
        request(root, &mut groups, &mut aftermath);
    }
    while let Some(group) = groups.pop() {
        // SAFETY: only groups queue themselves. A group below a root is a member of one that is kept alive by that
        // root, since members are held until the group that has them is freed.
        for member in unsafe { GroupCore::members(group.cast()) } {
            request(&member.child, &mut groups, &mut aftermath);
        }
    }
    aftermath.settle();
}

/// Asks one node; what it comes to is left in `aftermath`, groups to go on with in `groups`.
fn request(node: &NodeRef, groups: &mut Vec<NonNull<Header>>, aftermath: &mut Aftermath) {
    match node.state.request_cancel() {
        // SAFETY: claimed just now; `node` is a reference.
        CancelRequest::Claimed => unsafe { aftermath.conclude(node, Err(CompletionError::Cancelled)) },
        // A backend's canceller is user code.
        CancelRequest::Ask => aftermath.guarded(|| node.forward_cancel(groups)),
        CancelRequest::Nothing => {}
    }
}
