//! The edge between a group and one of its children.

use std::ptr::NonNull;

use super::group::GroupCore;
use super::node::{Head, NodeRef};
use crate::sync::UnsafeCell;

/// One membership: lives in the group's member array, hangs in the child's stack of parents.
///
/// Being an edge and not a child, it lets one completion be in several groups, and in one group twice. The group owns
/// the array and keeps itself alive until every linked edge has been told, so the pointer in a child's stack never
/// dangles.
#[derive(Debug)]
#[repr(align(8))] // frees the low bits of a link's address for the flags of the state word
pub(crate) struct Link {
    /// The next parent in the child's stack. Written by the linker before it publishes the link, then read by the
    /// child's publisher, who is alone with it.
    pub(crate) next: UnsafeCell<*const Link>,
    /// The group that is told. Outlives the edge, see above.
    pub(crate) group: NonNull<Head<GroupCore>>,
    /// What the group waits for.
    pub(crate) child: NodeRef,
}

// SAFETY: the group pointer is followed only while the edge is untold, when the group is alive; `next` passes from
// the linker to the publisher through the child's state word.
unsafe impl Send for Link {}
