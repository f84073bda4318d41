//! The counting side of a built group.

use std::ptr::NonNull;

use super::members::Members;
use crate::completion::link::Link;
use crate::completion::node::{Head, Header, Kind, NodeRef, Orphans};
use crate::completion::notifications::Notifications;
use crate::completion::state::LinkResult;
use crate::completion::typed::NodeOf;
use crate::sync::UnsafeCell;
use crate::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed};
use crate::sync::atomic::{AtomicBool, AtomicU32};
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
    /// Whether some child has failed. Who sets it decides the outcome of a fail-fast group; in one that drains it owns
    /// the outcome until it counts down, and leaves its error there.
    failed: AtomicBool,
    /// Whether a request to cancel has been forwarded to the children.
    forwarded: AtomicBool,
    /// Children that have not ended or, in `build`, are not linked yet. Counted down once by each edge, never up, so it
    /// can't wrap. Until the last is counted it stands for one reference to the group's node.
    remaining: AtomicU32,
    /// Filled by the builder, before the node is shared; read-only from then on.
    members: UnsafeCell<Members>,
}

impl Kind for GroupCore {
    fn cancel(head: &Head<Self>, groups: &mut Vec<NonNull<Header>>) {
        // ORDERING: Relaxed. Decides which thread walks the members, which every holder of the group may read.
        if !head.kind.forwarded.swap(true, Relaxed) {
            groups.push(NonNull::from(head).cast());
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
            forwarded: AtomicBool::new(false),
            remaining: AtomicU32::new(0),
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
        // SAFETY: no thread writes, by the caller's promise.
        core.members.with(|members| unsafe { (*members).iter() })
    }

    /// Adds the edge to a child.
    ///
    /// # Safety
    ///
    /// The caller is the group's builder, and the node is not shared yet.
    pub(crate) unsafe fn add(group: NonNull<Head<Self>>, child: NodeRef) {
        // SAFETY: alive, since the builder has it.
        let core = unsafe { &(*group.as_ptr()).kind };
        let link = Link { next: UnsafeCell::new(std::ptr::null()), group, child };
        // SAFETY: the node is not shared.
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
        // SAFETY: no thread writes any more.
        let len = core.members.with(|members| unsafe { (*members).len() });
        // ORDERING: Relaxed. Not shared yet; the links publish it.
        core.remaining.store(len, Relaxed);
        // SAFETY: alive by the caller's promise; nothing is added any more.
        let mut members = unsafe { Self::members(group) };
        // SAFETY: the members live as long as the group, and the group until all its edges are told.
        let ended =
            members.find(|member| unsafe { member.child.state.link(*member) } == LinkResult::Finished);
        if ended.is_some() || len == 0 {
            // SAFETY: the caller's promise; these are the members that the search has not linked.
            unsafe { Self::build_with_ended(group, ended.into_iter(), members) };
        }
    }

    /// Continues with a group of which the members in `ended` had finished before they could be linked, and those in `rest`
    /// are not linked yet; or with an empty group.
    ///
    /// # Safety
    ///
    /// As for [`GroupCore::build`]; `ended` and `rest` are members that are not linked, and all other members are.
    #[cold]
    unsafe fn build_with_ended<'a>(
        group: NonNull<Head<Self>>,
        ended: impl Iterator<Item = &'a Link>,
        rest: impl Iterator<Item = &'a Link>,
    ) {
        let mut notifications = Notifications::new();
        let mut count = 0;
        // SAFETY: as in `build`.
        let unlinked =
            rest.filter(|member| unsafe { member.child.state.link(*member) } == LinkResult::Finished);
        for member in ended.chain(unlinked) {
            count += 1;
            // SAFETY: the link attempt saw FINISHED with Acquire.
            if let Err(error) = unsafe { member.child.outcome() } {
                // SAFETY: alive, and not counted down for this child yet.
                unsafe { Self::note_failure(group, error, &mut notifications) };
            }
        }
        // Counted together, and after the last link: until then the count can't come to its end.
        // SAFETY: one for each child that had ended, none counted before; an empty group is counted this once.
        if let Some(shared) = unsafe { Self::count_down(group, count) } {
            Self::all_ended(&shared, &mut notifications);
        }
        notifications.settle();
    }

    /// Tells the group of one linked child that has finished.
    ///
    /// # Safety
    ///
    /// `link` was linked to a child that has finished, and has not been told before. It may be gone afterwards.
    pub(crate) unsafe fn child_ended(link: *const Link, notifications: &mut Notifications) {
        // SAFETY: untold, so its group is alive and so are its members.
        let (group, outcome) = unsafe { ((*link).group, (*link).child.outcome()) };
        if let Err(error) = outcome {
            // SAFETY: alive, and not counted down for this child yet.
            unsafe { Self::note_failure(group, error, notifications) };
        }
        // SAFETY: this edge is told once.
        if let Some(shared) = unsafe { Self::count_down(group, 1) } {
            Self::all_ended(&shared, notifications);
        }
    }

    /// Keeps the first error and, unless the group drains, ends it with that.
    ///
    /// # Safety
    ///
    /// The child that failed has not been counted down, so the group is alive.
    #[cold]
    unsafe fn note_failure(
        group: NonNull<Head<Self>>,
        error: CompletionError,
        notifications: &mut Notifications,
    ) {
        // SAFETY: alive by the caller's promise.
        let core = unsafe { &(*group.as_ptr()).kind };
        // ORDERING: Relaxed. Decides who writes and who ends the group; both are published by the winner's
        // `count_down`, which comes before the last one.
        if core.failed.swap(true, Relaxed) {
            return;
        }
        match core.policy {
            // SAFETY: the winner of `failed` decides, see `outcome_of_all`; alive until this child is counted down.
            Policy::FailFast => unsafe { notifications.conclude(group.cast(), Err(error)) },
            // SAFETY: the swap is won once, and the decider comes after the last count-down, which is after ours.
            Policy::Drain => unsafe { group.cast::<Header>().as_ref().set_outcome(Err(error)) },
        }
    }

    /// Tells the group of one linked child that has ended well. If that decides the group's outcome, the caller is who has
    /// to end it.
    ///
    /// # Safety
    ///
    /// As for [`GroupCore::child_ended`].
    #[inline]
    pub(crate) unsafe fn child_ended_well(link: *const Link) -> Option<(NodeRef, Outcome)> {
        // SAFETY: untold, so alive, and told this once.
        let group = unsafe { Self::count_down((*link).group, 1) }?;
        let outcome = Self::outcome_of_all(&group)?;
        Some((group.into_node(), outcome))
    }

    /// Counts `ended` children as ended. The thread that counts the last gets the reference that the edges shared, and the duty
    /// to call [`GroupCore::all_ended`].
    ///
    /// # Safety
    ///
    /// The counted children are counted for the first time.
    #[must_use = "no other thread ends the group"]
    unsafe fn count_down(group: NonNull<Head<Self>>, ended: u32) -> Option<NodeOf<Self>> {
        // SAFETY: alive while the count is above 0, see `remaining`.
        let core = unsafe { &(*group.as_ptr()).kind };
        // ORDERING: Acquire, with the Release half below. A thread that reads the number that it is about to count counts the last: no other
        // has anything left to count. Saves the read-modify-write.
        let last = core.remaining.load(Acquire) == ended || {
            // ORDERING: AcqRel. Release: a child's effects, and that and how it failed, happen before the group's
            // callback, which the thread that counts the last runs. Acquire: the last sees them all, through the release sequence of
            // decrements.
            let before = core.remaining.fetch_sub(ended, AcqRel);
            debug_assert!(before >= ended, "each child is counted once");
            before == ended
        };
        // SAFETY: the count stood for one reference, and nothing is left to be counted, once and for all.
        last.then(|| unsafe { NodeOf::from_head(group) })
    }

    /// Ends the group, unless it has failed fast before. `group` is what the last count-down returned.
    fn all_ended(group: &NodeOf<Self>, notifications: &mut Notifications) {
        if let Some(outcome) = Self::outcome_of_all(group) {
            // SAFETY: no winner of `failed` decides, and the last count-down happens once. `group` is a reference.
            unsafe { notifications.conclude(group.head().cast(), outcome) };
        }
    }

    /// The outcome, once every child has ended; `None` when the first failure has decided it before. `group` is what the
    /// last count-down returned.
    fn outcome_of_all(group: &NodeOf<Self>) -> Option<Outcome> {
        let Head { header, kind: core } = &**group;
        // ORDERING: Relaxed. Set before its setter counted down, so ordered by the last count-down.
        if !core.failed.load(Relaxed) {
            return Some(Ok(0));
        }
        // SAFETY: the caller decides, unless the first failure did; then the outcome is left alone.
        (core.policy == Policy::Drain).then(|| unsafe { header.outcome() })
    }
}
