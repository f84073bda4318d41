//! The allocation behind a completion: header, what is particular to its kind, callback.
//!
//! One `#[repr(C)]` allocation, reached through a thin pointer to its [`Header`]; a table of functions knows the
//! types behind it. References are counted by hand because freeing must be iterative: a chain of groups a million
//! deep is dropped on a small stack.

use std::alloc::Layout;
use std::mem::ManuallyDrop;
use std::ops::Deref;
use std::ptr::NonNull;

use super::behind::Behind;
use super::state::State;
use super::waiters::Waiters;
use super::{blocks, running};
use crate::Outcome;
use crate::panics::{self, Payload};
use crate::sync::atomic::AtomicU32;
use crate::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use crate::sync::{Tracked, UnsafeCell};

/// What all completions have.
#[derive(Debug)]
pub(crate) struct Header {
    pub(crate) state: State,
    vtable: &'static VTable,
    /// Written by the decider before it publishes, read by any thread after.
    outcome: UnsafeCell<Outcome>,
    pub(crate) waiters: Waiters,
    /// Handles, edges, and the completer.
    refs: AtomicU32,
    tracked: Tracked,
}

/// Finds the machine that ends a live completion of kind `K`.
pub(crate) type FindBehind<K> = fn(&K) -> Behind;

/// What differs between kinds of completion: an I/O operation, a group, a bare completion.
pub(crate) trait Kind: Send + Sized + 'static {
    /// Forwards a first request to cancel. Groups queue themselves, so that no nesting is ever recursed into.
    fn cancel(head: &Head<Self>, groups: &mut Vec<NonNull<Header>>);

    /// Gives up the references to other nodes, so that freeing stays iterative.
    fn dismantle(&mut self, orphans: &mut Orphans) {
        let _ = orphans;
    }

    /// The machine that ends such a completion, if one does.
    const BEHIND: Option<FindBehind<Self>> = None;

    /// Whether freeing such a node frees others: then it is not done inside the freeing of another.
    const HAS_CHILDREN: bool = false;
}

/// A completion that belongs to no backend.
#[derive(Debug)]
pub(crate) struct Bare;

impl Kind for Bare {
    /// Nothing to forward: the owner of the `Completer` asks for itself.
    fn cancel(_: &Head<Self>, _: &mut Vec<NonNull<Header>>) {}
}

/// The part of a node whose layout does not depend on the callback.
#[derive(Debug)]
#[repr(C)] // `header` first: a pointer to it is a pointer to the whole
pub(crate) struct Head<K> {
    pub(crate) header: Header,
    pub(crate) kind: K,
}

#[repr(C)] // `head` first, see above
struct Node<K, F> {
    head: Head<K>,
    /// Taken by the decider; dropped with the node if it never finished.
    callback: UnsafeCell<ManuallyDrop<F>>,
}

#[derive(Debug)]
struct VTable {
    run_callback: unsafe fn(NonNull<Header>) -> Result<(), Payload>,
    cancel: unsafe fn(NonNull<Header>, &mut Vec<NonNull<Header>>),
    free: unsafe fn(NonNull<Header>, &mut Orphans),
    behind: Option<unsafe fn(NonNull<Header>) -> Behind>,
    has_children: bool,
}

/// Nodes without a reference that wait to be freed, because freeing them frees others.
#[derive(Debug)]
pub(crate) struct Orphans(Vec<NonNull<Header>>);

impl Orphans {
    /// Gives up one reference; the node goes at once, or, if others hang on it, in its turn.
    pub(crate) fn release(&mut self, node: NodeRef) {
        let node = ManuallyDrop::new(node).0;
        // SAFETY: the reference is given up once, the node having been taken by value.
        if !unsafe { give_up_reference(node) } {
            return;
        }
        // SAFETY: its last reference is gone, and it is whole until freed here.
        let vtable = unsafe { node.as_ref().vtable };
        if vtable.has_children {
            self.0.push(node);
        } else {
            // SAFETY: as above; of the table's type.
            unsafe { (vtable.free)(node, self) };
        }
    }

    fn free(&mut self) {
        while let Some(node) = self.0.pop() {
            // SAFETY: its last reference is gone, and it is whole until freed here.
            let free = unsafe { node.as_ref().vtable.free };
            // SAFETY: as above; of the table's type.
            unsafe { free(node, self) };
        }
    }
}

impl Drop for Orphans {
    /// Also when the drop of a callback has panicked: what was orphaned before goes anyway.
    fn drop(&mut self) {
        self.free();
    }
}

impl<K: Kind, F: FnOnce(&K, Outcome) + Send + 'static> Node<K, F> {
    const VTABLE: VTable = VTable {
        run_callback: Self::run_callback,
        cancel: Self::cancel,
        free: Self::free,
        behind: if K::BEHIND.is_some() { Some(Self::behind) } else { None },
        has_children: K::HAS_CHILDREN,
    };

    /// # Safety
    ///
    /// `node` is the header of a live `Node<K, F>` and the caller decides its outcome.
    unsafe fn run_callback(node: NonNull<Header>) -> Result<(), Payload> {
        // SAFETY: of this type by the caller's promise.
        let node = unsafe { node.cast::<Self>().as_ref() };
        // SAFETY: there is one decider, so the callback is taken once, and no other thread looks at the cell.
        let callback = node.callback.with_mut(|cell| unsafe { ManuallyDrop::take(&mut *cell) });
        // SAFETY: the decider has written it, and is who calls this.
        let outcome = unsafe { node.head.header.outcome() };
        // Caught here, where the callback is known, so that nothing is left of it for one that can't panic.
        running::mark(&node.head.header, || panics::catch(|| callback(&node.head.kind, outcome)))
    }

    /// # Safety
    ///
    /// `node` is the header of a live `Node<K, F>`.
    unsafe fn cancel(node: NonNull<Header>, groups: &mut Vec<NonNull<Header>>) {
        // SAFETY: of this type by the caller's promise.
        K::cancel(unsafe { node.cast::<Head<K>>().as_ref() }, groups);
    }

    /// # Safety
    ///
    /// `node` is the header of a live `Node<K, F>`.
    unsafe fn behind(node: NonNull<Header>) -> Behind {
        let behind = K::BEHIND.expect("in the table only where there is one");
        // SAFETY: of this type by the caller's promise.
        behind(unsafe { &node.cast::<Head<K>>().as_ref().kind })
    }

    /// # Safety
    ///
    /// `node` is the header of a `Node<K, F>` from `allocate`, and no other thread can reach it any more.
    unsafe fn free(node: NonNull<Header>, orphans: &mut Orphans) {
        let remains = Remains(node.cast::<Self>());
        // SAFETY: of this type, and no other holder is left.
        let node = unsafe { &mut *remains.0.as_ptr() };
        node.head.kind.dismantle(orphans);
        if !node.head.header.state.is_finished() {
            // SAFETY: not taken, since there was no decider, and dropped once, since the node goes now.
            node.callback.with_mut(|cell| unsafe { ManuallyDrop::drop(&mut *cell) });
        }
    }
}

/// A node that goes: the rest of it is dropped and its memory given back, also when dropping its callback panics.
struct Remains<K, F>(NonNull<Node<K, F>>);

impl<K, F> Drop for Remains<K, F> {
    fn drop(&mut self) {
        let _memory = Memory(self.0);
        // SAFETY: whole but for the callback, which is not dropped with it, and no other holder is left.
        unsafe { self.0.drop_in_place() };
    }
}

struct Memory<T>(NonNull<T>);

impl<T> Drop for Memory<T> {
    fn drop(&mut self) {
        // SAFETY: from `allocate`, and its content has been dropped.
        unsafe { blocks::free(self.0.cast(), const { Layout::new::<T>() }) };
    }
}

/// One counted reference to a node.
#[derive(Debug)]
pub(crate) struct NodeRef(NonNull<Header>);

// SAFETY: kinds and callbacks are `Send` by the bounds of `allocate`; a callback is reached by the one decider of the
// outcome only; state, count and waiters are built for sharing, and each kind says how its own cells are.
unsafe impl Send for NodeRef {}
// SAFETY: as above; `&NodeRef` gives no more than `NodeRef` does.
unsafe impl Sync for NodeRef {}

impl NodeRef {
    /// A new node with `refs` references, of which the caller gets the first and makes the rest with
    /// [`NodeRef::from_raw`].
    #[inline]
    pub(super) fn allocate<K: Kind, F>(state: State, kind: K, callback: F, refs: u32) -> Self
    where
        F: FnOnce(&K, Outcome) + Send + 'static,
    {
        let block = blocks::allocate(const { Layout::new::<Node<K, F>>() });
        let place = block.as_ptr().cast::<Node<K, F>>();
        // Part by part, in place: moving the whole node from the stack is a good part of a completion's cost.
        // SAFETY: the place is ours and fits; every field is written, once.
        unsafe {
            (&raw mut (*place).head.header).write(Header {
                state,
                vtable: &Node::<K, F>::VTABLE,
                outcome: UnsafeCell::new(Ok(0)),
                waiters: Waiters::new(),
                refs: AtomicU32::new(refs),
                tracked: Tracked::new(),
            });
            (&raw mut (*place).head.kind).write(kind);
            (&raw mut (*place).callback).write(UnsafeCell::new(ManuallyDrop::new(callback)));
        }
        Self(block.cast())
    }

    /// Takes over a counted reference.
    ///
    /// # Safety
    ///
    /// `node` is live and the caller owns one of its references, which it gives up.
    pub(super) unsafe fn from_raw(node: NonNull<Header>) -> Self {
        Self(node)
    }

    /// A second reference, by the holder of the only one.
    pub(super) fn clone_unshared(&self) -> Self {
        // ORDERING: Relaxed. The node is not shared; the thread that shares it synchronises.
        debug_assert_eq!(self.refs.load(Relaxed), 1, "the node is shared already");
        // ORDERING: as above. A store, which costs a fraction of a read-modify-write.
        self.refs.store(2, Relaxed);
        Self(self.0)
    }

    /// The node's address, without a reference.
    pub(crate) fn as_ptr(&self) -> NonNull<Header> {
        self.0
    }
}

impl Deref for NodeRef {
    type Target = Header;

    #[inline]
    fn deref(&self) -> &Header {
        // SAFETY: counted, so live.
        let header = unsafe { self.0.as_ref() };
        header.tracked.touch();
        header
    }
}

impl Clone for NodeRef {
    #[inline]
    fn clone(&self) -> Self {
        // ORDERING: Relaxed. A new reference comes from an old one; the thread that hands it over synchronises.
        let old = self.refs.fetch_add(1, Relaxed);
        if old > u32::MAX / 2 {
            // Only leaked handles can get here; a wrapped count would free what is in use.
            std::process::abort();
        }
        Self(self.0)
    }
}

impl Drop for NodeRef {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: this is the end of the reference.
        if unsafe { give_up_reference(self.0) } {
            // SAFETY: it was the last.
            unsafe { free(self.0) };
        }
    }
}

/// Frees a node and what is left of those below it.
///
/// # Safety
///
/// The node's last reference is gone.
#[inline(never)] // so that the common end of a reference is a few instructions where it happens
unsafe fn free(node: NonNull<Header>) {
    // SAFETY: whole until freed here.
    let vtable = unsafe { node.as_ref().vtable };
    if vtable.has_children {
        // SAFETY: of the table's type. What it leaves is freed with the list.
        unsafe { (vtable.free)(node, &mut Orphans(Vec::new())) };
    } else {
        // A node without children leaves no orphans, so there is nothing to be dropped with the list either.
        // SAFETY: as above.
        unsafe { (vtable.free)(node, &mut ManuallyDrop::new(Orphans(Vec::new()))) };
    }
}

/// Counts one reference down; true when it was the last and the caller has to free the node.
///
/// Looks at the count alone, since another thread may free the node as soon as it is down.
///
/// # Safety
///
/// The caller owns a reference, and gives it up.
#[inline]
unsafe fn give_up_reference(node: NonNull<Header>) -> bool {
    // SAFETY: alive, by the reference that is given up.
    let refs = unsafe { &(*node.as_ptr()).refs };
    // ORDERING: Acquire, with the Release below. A thread that reads 1 while it holds a reference holds the last: no other
    // can make a new one. Saves the read-modify-write in the common case.
    if refs.load(Acquire) == 1 {
        return true;
    }
    // ORDERING: Release: what this handle did happens before the free. Its partner is the load below, or above.
    if refs.fetch_sub(1, Release) != 1 {
        return false;
    }
    // ORDERING: Acquire, with every Release above. A load and not a fence, because ThreadSanitizer knows no fences.
    refs.load(Acquire);
    true
}

impl Header {
    /// The outcome of a finished completion.
    ///
    /// # Safety
    ///
    /// The caller has seen FINISHED with Acquire, or is its publisher.
    pub(crate) unsafe fn outcome(&self) -> Outcome {
        // SAFETY: written before FINISHED was published, never after.
        self.outcome.with(|outcome| unsafe { *outcome })
    }

    /// # Safety
    ///
    /// The caller decides the outcome and has not published yet.
    #[inline]
    pub(crate) unsafe fn set_outcome(&self, outcome: Outcome) {
        // SAFETY: the decider is alone with the cell until it publishes.
        self.outcome.with_mut(|cell| unsafe { *cell = outcome });
    }
}

/// Calls the callback with the outcome that has been set; a panic in it comes back as an error.
///
/// # Safety
///
/// `node` is alive, from [`NodeRef::as_ptr`]. The caller decides its outcome, has set it, and calls this once.
#[inline]
pub(super) unsafe fn run_callback(node: NonNull<Header>) -> Result<(), Payload> {
    // SAFETY: a header is only ever built inside the node that its table belongs to.
    unsafe { (node.as_ref().vtable.run_callback)(node) }
}

/// Forwards a request to cancel to the backend that runs the operation.
pub(super) fn forward_cancel(node: &NodeRef, groups: &mut Vec<NonNull<Header>>) {
    // SAFETY: a header is only ever built inside the node that its table belongs to.
    unsafe { (node.vtable.cancel)(node.0, groups) }
}

/// The machine that ends the completion, if one does.
#[inline]
pub(super) fn behind(node: &NodeRef) -> Option<Behind> {
    // SAFETY: a header is only ever built inside the node that its table belongs to.
    node.vtable.behind.map(|behind| unsafe { behind(node.0) })
}

/// Whether the node is a group.
pub(super) fn has_children(node: &NodeRef) -> bool {
    node.vtable.has_children
}
