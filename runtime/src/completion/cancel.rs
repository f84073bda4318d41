//! How a request to cancel travels from a completion to everything below it.

use std::ptr::NonNull;

use super::group::GroupCore;
use super::node::{Header, NodeRef, forward_cancel, has_children};
use super::notifications::Notifications;
use super::state::CancelRequest;
use crate::CompletionError;

/// Cancels `root` and every descendant that has not ended; nothing if `root` has ended. Each group forwards one request only,
/// so shared children and diamonds of groups are visited once; nesting goes through a list, not through the stack.
pub(crate) fn cancel(root: &NodeRef) {
    let (mut notifications, mut groups) = (Notifications::new(), Vec::new());
    let _ = request(root, &mut groups, &mut notifications);
    go_on(groups, notifications);
}

/// Cancels what `members` of a group are, and every descendant, that has not ended.
pub(crate) fn cancel_members<'a>(members: impl IntoIterator<Item = &'a NodeRef>) {
    let (mut notifications, mut groups) = (Notifications::new(), Vec::new());
    for member in members {
        request_below(member, &mut groups, &mut notifications);
    }
    go_on(groups, notifications);
}

/// Cancels everything below `groups`, then notifies all waiters.
fn go_on(mut groups: Vec<NonNull<Header>>, mut notifications: Notifications) {
    while let Some(group) = groups.pop() {
        // SAFETY: only groups queue themselves. A group below a root is a member of one that is kept alive by that
        // root, since members are held until the group that has them is freed.
        for member in unsafe { GroupCore::members(group.cast()) } {
            request_below(&member.child, &mut groups, &mut notifications);
        }
    }
    notifications.settle();
}

/// Asks a member of a group that is cancelled. One that is a group itself and has failed fast may have children that still
/// run.
fn request_below(node: &NodeRef, groups: &mut Vec<NonNull<Header>>, notifications: &mut Notifications) {
    if request(node, groups, notifications) == CancelRequest::Nothing && has_children(node) {
        forward_cancel(node, groups);
    }
}

/// Asks one node; what it comes to is left in `notifications`, groups to go on with in `groups`.
fn request(
    node: &NodeRef,
    groups: &mut Vec<NonNull<Header>>,
    notifications: &mut Notifications,
) -> CancelRequest {
    let request = node.state.request_cancel();
    match request {
        // SAFETY: claimed just now; `node` is a reference.
        CancelRequest::Claimed => unsafe {
            notifications.conclude(node.as_ptr(), Err(CompletionError::Cancelled))
        },
        // A backend's canceller is user code.
        CancelRequest::Ask => notifications.guarded(|| forward_cancel(node, groups)),
        CancelRequest::Nothing => {}
    }
    request
}
