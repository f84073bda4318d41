//! How a request to cancel travels from a completion to everything below it.

use std::ptr::NonNull;

use super::aftermath::Aftermath;
use super::node::{Header, NodeRef, forward_cancel, has_children};
use super::state::CancelRequest;
use crate::CompletionError;
use crate::group::GroupCore;

/// Cancels `roots` and every descendant that has not ended. Each group forwards one request only, so shared children
/// and diamonds of groups are visited once; nesting goes through a list, not through the stack.
pub(crate) fn cancel<'a>(roots: impl IntoIterator<Item = &'a NodeRef>) {
    let mut aftermath = Aftermath::new();
    let mut groups = Vec::new();
    for root in roots {
        let _ = request(root, &mut groups, &mut aftermath);
    }
    while let Some(group) = groups.pop() {
        // SAFETY: only groups queue themselves. A group below a root is a member of one that is kept alive by that
        // root, since members are held until the group that has them is freed.
        for member in unsafe { GroupCore::members(group.cast()) } {
            let request = request(&member.child, &mut groups, &mut aftermath);
            if request == CancelRequest::Nothing && has_children(&member.child) {
                // A group that failed fast may have children that still run.
                forward_cancel(&member.child, &mut groups);
            }
        }
    }
    aftermath.settle();
}

/// Asks one node; what it comes to is left in `aftermath`, groups to go on with in `groups`.
fn request(node: &NodeRef, groups: &mut Vec<NonNull<Header>>, aftermath: &mut Aftermath) -> CancelRequest {
    let request = node.state.request_cancel();
    match request {
        // SAFETY: claimed just now; `node` is a reference.
        CancelRequest::Claimed => unsafe {
            aftermath.conclude(node.as_ptr(), Err(CompletionError::Cancelled))
        },
        // A backend's canceller is user code.
        CancelRequest::Ask => aftermath.guarded(|| forward_cancel(node, groups)),
        CancelRequest::Nothing => {}
    }
    request
}
