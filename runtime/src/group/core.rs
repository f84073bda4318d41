//! The counting side of a built group.

use std::ptr::NonNull;

use super::members::Members;
use crate::completion::{Aftermath, Head, Header, Kind, Link, LinkResult, NodeRef, Orphans};
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
    /// Whether some child has failed. Who sets it owns `first_error` until it counts down, and in a fail-fast group
    /// decides the outcome.
    failed: AtomicBool,
    first_error: UnsafeCell<CompletionError>,
    /// Whether a request to cancel has been forwarded to the children.
    forwarded: AtomicBool,
    /// Children that have not ended, plus one for `build` until it is through. Counted down once by each edge, never
    /// up, so it can't wrap. While it is above 0 it stands for one reference to the group's node.
    remaining: AtomicUsize,
    /// Filled by the builder, before the node is shared; read-only from then on.
    members: UnsafeCell<Members>,
}

impl Kind for GroupCore {
    fn cancel(head: NonNull<Head<Self>>, groups: &mut Vec<NonNull<Header>>) {
        // SAFETY: the node is alive for the call.
        let core = unsafe { &(*head.as_ptr()).kind };
        // ORDERING: Relaxed. Decides who walks the members, which anybody who has the group may read.
        if !core.forwarded.swap(true, Relaxed) {
            groups.push(head.cast());
        }
    }

    fn dismantle(&mut self, orphans: &mut Orphans) {
        // SAFETY: `&mut self`.
        self.members.with_mut(|members| unsafe { (*members).release(orphans) });
    }

    const HAS_CHILDREN: bool = true;
}

impl GroupCore {
    pub(crate) fn new(policy: Policy) -> Self {
        Self {
            policy,
            failed: AtomicBool::new(false),
            first_error: UnsafeCell::new(CompletionError::Cancelled),
            forwarded: AtomicBool::new(false),
            remaining: AtomicUsize::new(1),
            members: UnsafeCell::new(Members::new()),
        }
    }

    /// The edges to the children.
    ///
    /// # Safety
    ///
    /// `group` is kept alive by the caller for `'a`, and no child is added meanwhile.
    pub(crate) unsafe fn members<'a>(group: NonNull<Head<Self>>) -> impl Iterator<Item = &'a Link> {
        // SAFETY: alive by the caller's promise.
        let core = unsafe { &(*group.as_ptr()).kind };
        // SAFETY: nobody writes, by the caller's promise.
        core.members.with(|members| unsafe { (*members).iter() })
    }

    /// Adds the edge to a child.
    ///
    /// # Safety
    ///
    /// The caller is the group's builder, and nobody else knows the node yet.
    pub(crate) unsafe fn add(group: NonNull<Head<Self>>, child: NodeRef) {
        // SAFETY: alive, since the builder has it.
        let core = unsafe { &(*group.as_ptr()).kind };
        let link = Link { next: UnsafeCell::new(std::ptr::null()), group, child };
        // SAFETY: nobody else knows the node.
        core.members.with_mut(|members| unsafe { (*members).push(link) });
    }

    /// Links each member to its child; ends the group if that was already due.
    ///
    /// # Safety
    ///
    /// Called once, on a node that is not shared yet. The caller holds two references to the node, gives up one of
    /// them here, and keeps the other for the whole call.
    pub(crate) unsafe fn build(group: NonNull<Head<Self>>) {
        // SAFETY: alive by the caller's promise.
        let core = unsafe { &(*group.as_ptr()).kind };
        // SAFETY: nobody writes any more.
        let len = core.members.with(|members| unsafe { (*members).len() });
        // ORDERING: Relaxed. Not shared yet; the links publish it.
        core.remaining.store(len + 1, Relaxed);
        let mut aftermath = Aftermath::new();
        let mut ended = 1;
        // SAFETY: alive by the caller's promise; nothing is added any more.
        for member in unsafe { Self::members(group) } {
            // SAFETY: the members live as long as the group, and the group until all its edges are told.
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
        // SAFETY: untold, so its group is alive and so are its members.
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
    #[cold]
    unsafe fn note_failure(group: NonNull<Head<Self>>, error: CompletionError, aftermath: &mut Aftermath) {
        // SAFETY: alive by the caller's promise.
        let core = unsafe { &(*group.as_ptr()).kind };
        // ORDERING: Relaxed. Decides who writes and who ends the group; both are published by the winner's
        // `count_down`, which comes before the last one.
        if core.failed.swap(true, Relaxed) {
            return;
        }
        // SAFETY: the swap is won once; readers come after the last count-down, which is after ours.
        core.first_error.with_mut(|cell| unsafe { *cell = error });
        if core.policy == Policy::FailFast {
            // SAFETY: the winner of `failed` decides, see `count_down`; alive until this child is counted down.
            unsafe { aftermath.conclude(group.cast(), Err(error)) };
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
        let core = unsafe { &(*group.as_ptr()).kind };
        // ORDERING: AcqRel. Release: a child's effects, and that and how it failed, happen before the group's
        // callback, which whoever counts last runs. Acquire: the last sees them all, through the release sequence of
        // decrements.
        let before = core.remaining.fetch_sub(ended, AcqRel);
        debug_assert!(before >= ended, "each child is counted once");
        if before != ended {
            return;
        }
        // SAFETY: the count stood for one reference, and has just reached 0 once and for all.
        let shared = unsafe { NodeRef::from_raw(group.cast()) };
        if let Some(outcome) = core.outcome_of_all() {
            // SAFETY: no winner of `failed` decides, and the last count-down happens once. `shared` is alive.
            unsafe { aftermath.conclude(shared.as_ptr(), outcome) };
        }
        drop(shared);
    }

    /// The outcome, once every child has ended; `None` when the first failure has decided it before.
    fn outcome_of_all(&self) -> Option<Outcome> {
        // ORDERING: Relaxed. Set before its setter counted down, so ordered by the last count-down.
        if !self.failed.load(Relaxed) {
            return Some(Ok(0));
        }
        // SAFETY: written before its writer counted down, and that was before the last count-down.
        let error = self.first_error.with(|error| unsafe { *error });
        (self.policy == Policy::Drain).then_some(Err(error))
    }
}
