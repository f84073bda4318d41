//! The counting side of a built group.

use std::ptr::NonNull;

use crate::completion::{Aftermath, Head, Header, Kind, Link, LinkResult, NodeRef};
use crate::sync::UnsafeCell;
use crate::sync::atomic::Ordering::{AcqRel, Relaxed};
use crate::sync::atomic::{AtomicBool, AtomicUsize};
use crate::{CompletionError, Outcome};

/// When a group resolves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Policy {
    /// As soon as the outcome is known: at the first error, or when all children have ended well.
    FailFast,
    /// When every child has ended: until then siblings of a failed child may still use the caller's buffers.
    Drain,
}

/// What a group's node has beyond that of other completions.
#[derive(Debug)]
pub(crate) struct GroupCore {
    policy: Policy,
    /// Children that have not ended, plus one for `build` until it is through. Counted down once by each edge, never
    /// up, so it can't wrap. While it is above 0 it stands for one reference to the group's node.
    remaining: AtomicUsize,
    /// Whether some child has failed; its setter owns `first_error` until it counts down.
    failed: AtomicBool,
    first_error: UnsafeCell<CompletionError>,
    /// Set once by `build`, before the node is shared; read-only from then on.
    members: UnsafeCell<Box<[Link]>>,
}

impl Kind for GroupCore {
    fn cancel(head: NonNull<Head<Self>>, groups: &mut Vec<NonNull<Header>>) {
        groups.push(head.cast());
    }

    fn dismantle(&mut self, release: &mut dyn FnMut(NodeRef)) {
        // SAFETY: `&mut self`.
        let members = self.members.with_mut(|members| unsafe { std::mem::take(&mut *members) });
        for member in members {
            release(member.child);
        }
    }
}

impl GroupCore {
    pub(crate) fn new(policy: Policy) -> Self {
        Self {
            policy,
            remaining: AtomicUsize::new(1),
            failed: AtomicBool::new(false),
            first_error: UnsafeCell::new(CompletionError::Cancelled),
            members: UnsafeCell::new(Box::default()),
        }
    }

    /// The edges to the children.
    ///
    /// # Safety
    ///
    /// `group` has been built and is kept alive by the caller for `'a`.
    pub(crate) unsafe fn members<'a>(group: NonNull<Head<Self>>) -> &'a [Link] {
        // SAFETY: alive by the caller's promise.
        let core = unsafe { &(*group.as_ptr()).kind };
        // SAFETY: not written after the node was shared.
        core.members.with(|members| unsafe { &**members })
    }

    /// Installs the members and links each to its child; ends the group if that was already due.
    ///
    /// # Safety
    ///
    /// Called once, on a node that is not shared yet, whose link references point to it. The caller holds two
    /// references to the node, gives up one of them here, and keeps the other for the whole call.
    pub(crate) unsafe fn build(group: NonNull<Head<Self>>, members: Box<[Link]>) {
        // SAFETY: alive by the caller's promise.
        let core = unsafe { &(*group.as_ptr()).kind };
        // ORDERING: Relaxed. Not shared yet; the links publish it.
        core.remaining.store(members.len() + 1, Relaxed);
        // SAFETY: not shared yet.
        core.members.with_mut(|cell| unsafe { *cell = members });
        let mut aftermath = Aftermath::new();
        let mut ended = 1;
        // SAFETY: built as of now; alive by the caller's promise.
        for member in unsafe { Self::members(group) } {
            // SAFETY: the member array lives as long as the group, and the group until all its edges are told.
            match unsafe { member.child.state.link(member) } {
                LinkResult::Linked => {}
                LinkResult::Finished => {
                    ended += 1;
                    // SAFETY: the link attempt saw FINISHED with Acquire.
                    if let Err(error) = unsafe { member.child.outcome() } {
                        // SAFETY: alive, and not counted down for this child yet.
                        unsafe { Self::note_failure(group, error, &mut aftermath) };
                    }
                }
            }
        }
        // SAFETY: one for `build` itself and one for each child that had ended, none counted before.
        unsafe { Self::count_down(group, ended, &mut aftermath) };
        aftermath.settle();
    }

    /// Tells the group of one linked child that has finished.
    ///
    /// # Safety
    ///
    /// `link` was linked to a child that has finished, and has not been told before. It may be gone afterwards.
    pub(crate) unsafe fn child_ended(link: *const Link, aftermath: &mut Aftermath) {
        // SAFETY: untold, so its group is alive and so is its array.
        let (group, outcome) = unsafe { ((*link).group, (*link).child.outcome()) };
        if let Err(error) = outcome {
            // SAFETY: alive, and not counted down for this child yet.
            unsafe { Self::note_failure(group, error, aftermath) };
        }
        // SAFETY: this edge is told once.
        unsafe { Self::count_down(group, 1, aftermath) };
    }

    /// Keeps the first error and, unless the group drains, ends it with that.
    ///
    /// # Safety
    ///
    /// The child that failed has not been counted down, so the group is alive.
    unsafe fn note_failure(group: NonNull<Head<Self>>, error: CompletionError, aftermath: &mut Aftermath) {
        // SAFETY: alive by the caller's promise.
        let Head { header, kind: core } = unsafe { group.as_ref() };
        // ORDERING: Relaxed. Decides who writes; what is written is published by the writer's `count_down`.
        if core.failed.swap(true, Relaxed) {
            return;
        }
        // SAFETY: the swap is won once; readers come after the last count-down, which is after ours.
        core.first_error.with_mut(|cell| unsafe { *cell = error });
        if core.policy == Policy::FailFast && header.state.claim() {
            // SAFETY: claimed just now; alive until this child is counted down, and then by its own parents' edges
            // or by nobody who would have to be told.
            unsafe { aftermath.conclude(header, Err(error)) };
        }
    }

    /// Counts `ended` children as ended; the last ends the group, unless it has failed fast before, and gives up the
    /// reference that the edges shared.
    ///
    /// # Safety
    ///
    /// The counted children are counted for the first time.
    unsafe fn count_down(group: NonNull<Head<Self>>, ended: usize, aftermath: &mut Aftermath) {
        // SAFETY: alive while the count is above 0, see `remaining`.
        let Head { header, kind: core } = unsafe { group.as_ref() };
        // ORDERING: AcqRel. Release: a child's effects and a noted error happen before the group's callback, which
        // whoever counts last runs. Acquire: the last sees them all, through the release sequence of decrements.
        let before = core.remaining.fetch_sub(ended, AcqRel);
        debug_assert!(before >= ended, "each child is counted once");
        if before != ended {
            return;
        }
        // SAFETY: the count stood for one reference, and has just reached 0 once and for all.
        let shared = unsafe { NodeRef::from_raw(group.cast()) };
        if header.state.claim() {
            // SAFETY: claimed just now; `shared` is alive. Its parents' edges keep it alive until they are told.
            unsafe { aftermath.conclude(header, core.resolution()) };
        }
        drop(shared);
    }

    /// The outcome, once every child has ended.
    fn resolution(&self) -> Outcome {
        // ORDERING: Relaxed. Ordered by the last count-down.
        if !self.failed.load(Relaxed) {
            return Ok(0);
        }
        // SAFETY: written before its writer counted down, and that was before the last count-down.
        Err(self.first_error.with(|error| unsafe { *error }))
    }
}
