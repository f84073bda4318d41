//! References to nodes of which the kind is known.

use std::marker::PhantomData;
use std::ops::Deref;
use std::ptr::NonNull;

use super::node::{Head, Header, Kind, NodeRef};
use super::state::State;
use crate::Outcome;

/// One counted reference to a node of kind `K`: made by [`NodeOf::allocate`], so the kind is what it says.
#[derive(Debug)]
pub(super) struct NodeOf<K> {
    node: NodeRef,
    kind: PhantomData<fn() -> K>,
}

impl<K: Kind> NodeOf<K> {
    /// A new node that is not shared.
    #[inline]
    pub(super) fn allocate<F>(state: State, kind: K, callback: F) -> Self
    where
        F: FnOnce(&K, Outcome) + Send + 'static,
    {
        Self { node: NodeRef::allocate(state, kind, callback, 1), kind: PhantomData }
    }

    /// A new node, for two who know it.
    #[inline]
    pub(super) fn allocate_pair<F>(state: State, kind: K, callback: F) -> [Self; 2]
    where
        F: FnOnce(&K, Outcome) + Send + 'static,
    {
        let first = NodeRef::allocate(state, kind, callback, 2);
        // SAFETY: allocated with two references, of which this is the second.
        let second = unsafe { NodeRef::from_raw(first.as_ptr()) };
        [first, second].map(|node| Self { node, kind: PhantomData })
    }

    /// Takes over a counted reference.
    ///
    /// # Safety
    ///
    /// `head` is of a live node, and the caller owns one of its references, which it gives up.
    #[inline]
    pub(super) unsafe fn from_head(head: NonNull<Head<K>>) -> Self {
        // SAFETY: the caller's promise is the same.
        Self { node: unsafe { NodeRef::from_raw(head.cast()) }, kind: PhantomData }
    }

    /// A second reference, by the holder of the only one.
    #[inline]
    pub(super) fn clone_unshared(&self) -> Self {
        Self { node: self.node.clone_unshared(), kind: PhantomData }
    }

    /// The address of the part that knows the kind, without a reference.
    #[inline]
    pub(super) fn head(&self) -> NonNull<Head<K>> {
        self.node.as_ptr().cast()
    }

    /// The same reference, for those who don't care for the kind.
    #[inline]
    pub(super) fn into_node(self) -> NodeRef {
        self.node
    }
}

impl<K: Kind> Deref for NodeOf<K> {
    type Target = Head<K>;

    #[inline]
    fn deref(&self) -> &Head<K> {
        // Looked at, so that a model sees the use.
        let _touched: &Header = &self.node;
        // SAFETY: of this kind, see `NodeOf`, and counted, so live.
        unsafe { self.head().as_ref() }
    }
}

/// What is particular to the node's kind.
///
/// # Safety
///
/// `node` is of kind `K`.
#[inline]
pub(super) unsafe fn kind_of<K: Kind>(node: &NodeRef) -> &K {
    // SAFETY: of this kind by the caller's promise, and kept alive by the reference.
    unsafe { &(*node.as_ptr().cast::<Head<K>>().as_ptr()).kind }
}
