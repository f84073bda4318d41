//! What a group promises, where one thread is enough to see it.
#![allow(clippy::disallowed_types, reason = "tests observe from outside the facade")]

mod support;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};

use proptest::prelude::*;
use support::{Counter, pair, poll};
use tenterhook_runtime::{Completer, Completion, CompletionError, CompletionGroup, Outcome};

const FULL: CompletionError = CompletionError::NoSpace;
const CANCELLED: Outcome = Err(CompletionError::Cancelled);

/// A callback that notes its calls.
fn noted() -> (Arc<Mutex<Vec<Outcome>>>, impl FnOnce(Outcome) + Send + 'static) {
    let calls = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&calls);
    (calls, move |outcome| noted.lock().unwrap().push(outcome))
}

fn over(children: &[&Completion]) -> Completion {
    let mut group = CompletionGroup::new(|_| {});
    for child in children {
        group.add(child);
    }
    group.build()
}

#[test]
fn empty_group_has_ended_well_at_build() {
    for new in [CompletionGroup::new, CompletionGroup::drain] {
        let (calls, callback) = noted();
        let group = new(Box::new(callback) as Box<dyn FnOnce(Outcome) + Send>).build();
        assert_eq!(group.result(), Some(Ok(0)));
        assert_eq!(*calls.lock().unwrap(), [Ok(0)]);
        group.cancel();
        assert_eq!(group.result(), Some(Ok(0)));
    }
}

#[test]
fn group_ends_with_its_last_child() {
    let (calls, callback) = noted();
    let (children, completers): (Vec<_>, Vec<_>) = (0..10).map(|_| pair()).unzip();
    let mut group = CompletionGroup::new(callback);
    children.iter().for_each(|child| group.add(child));
    let group = group.build();
    for completer in completers {
        assert!(!group.finished());
        let _ = completer.complete(1);
    }
    assert_eq!(group.result(), Some(Ok(0)));
    assert_eq!(*calls.lock().unwrap(), [Ok(0)]);
}

#[test]
fn fail_fast_ends_at_the_first_error_and_stays_so() {
    let (calls, callback) = noted();
    let ((first, fail_first), (second, fail_second), (third, complete_third)) = (pair(), pair(), pair());
    let mut group = CompletionGroup::new(callback);
    [&first, &second, &third].into_iter().for_each(|child| group.add(child));
    let group = group.build();
    let _ = fail_second.fail(FULL);
    assert_eq!(group.result(), Some(Err(FULL)));
    let _ = complete_third.complete(0);
    drop(fail_first);
    assert_eq!(group.result(), Some(Err(FULL)));
    assert_eq!(*calls.lock().unwrap(), [Err(FULL)]);
}

#[test]
fn drain_waits_for_the_siblings_of_a_failed_child() {
    let (calls, callback) = noted();
    let ((first, fail_first), (second, complete_second)) = (pair(), pair());
    let mut group = CompletionGroup::drain(callback);
    [&first, &second].into_iter().for_each(|child| group.add(child));
    let group = group.build();
    let _ = fail_first.fail(FULL);
    assert!(!group.finished());
    let _ = complete_second.complete(0);
    assert_eq!(group.result(), Some(Err(FULL)));
    assert_eq!(*calls.lock().unwrap(), [Err(FULL)]);
}

#[test]
fn child_that_failed_before_add_fails_the_group_at_build() {
    let ((failed, fail), (pending, complete)) = (pair(), pair());
    let _ = fail.fail(FULL);
    let group = over(&[&pending, &failed]);
    assert_eq!(group.result(), Some(Err(FULL)));
    let _ = complete.complete(0);
    assert_eq!(group.result(), Some(Err(FULL)));
}

#[test]
fn same_child_twice_and_in_two_groups_counts_each_time() {
    let (child, completer) = pair();
    let (twice, other) = (over(&[&child, &child]), over(&[&child]));
    let _ = completer.complete(0);
    assert!(twice.succeeded() && other.succeeded());
}

#[test]
fn builder_cancel_reaches_children_added_before_and_after() {
    let ((before, _b), (after, _a)) = (pair(), pair());
    let (calls, callback) = noted();
    let mut group = CompletionGroup::new(callback);
    group.add(&before);
    group.cancel();
    group.add(&after);
    let group = group.build();
    assert_eq!((before.result(), after.result()), (Some(CANCELLED), Some(CANCELLED)));
    assert_eq!(group.result(), Some(CANCELLED));
    assert_eq!(*calls.lock().unwrap(), [CANCELLED]);
}

#[test]
fn cancelling_the_root_reaches_every_leaf_of_a_diamond_once() {
    let ((shared, mut started), (leaf, _l)) = (pair(), pair());
    assert!(started.start());
    let (left, right) = (over(&[&shared, &leaf]), over(&[&shared]));
    let root = over(&[&left, &right]);
    root.cancel();
    assert_eq!(leaf.result(), Some(CANCELLED));
    assert!(started.cancel_requested() && !shared.finished(), "in flight: only asked");
    assert_eq!(root.result(), Some(CANCELLED), "the left branch failed fast");
    let _ = started.complete(0);
    assert!(right.succeeded());
}

#[test]
fn cancelled_drain_waits_for_what_is_in_flight() {
    let (calls, callback) = noted();
    let ((flying, mut started), (waiting, _w)) = (pair(), pair());
    assert!(started.start());
    let mut group = CompletionGroup::drain(callback);
    [&flying, &waiting].into_iter().for_each(|child| group.add(child));
    let group = group.build();
    group.cancel();
    assert!(!group.finished(), "a buffer may still be written");
    let _ = started.fail(CompletionError::Cancelled);
    assert_eq!(group.result(), Some(CANCELLED));
    assert_eq!(*calls.lock().unwrap(), [CANCELLED]);
}

#[test]
fn panicking_group_callback_still_notifies_the_group_above_and_the_panic_continues() {
    let (child, completer) = pair();
    let mut inner = CompletionGroup::new(|_| panic!("on purpose"));
    inner.add(&child);
    let inner = inner.build();
    let outer = over(&[&inner]);
    assert!(catch_unwind(AssertUnwindSafe(|| completer.complete(0))).is_err());
    assert_eq!(child.result(), Some(Ok(0)));
    assert_eq!(inner.result(), Some(Err(CompletionError::CallbackPanicked)));
    assert_eq!(outer.result(), Some(Err(CompletionError::CallbackPanicked)));
}

#[test]
fn panicking_cancelled_callback_does_not_keep_its_siblings_from_being_cancelled() {
    let ((first, _f), (last, _l)) = (Completion::new(|_| panic!("on purpose")), pair());
    let group = over(&[&first, &last]);
    assert!(catch_unwind(AssertUnwindSafe(|| group.cancel())).is_err());
    assert_eq!(last.result(), Some(CANCELLED));
}

#[test]
fn parents_are_told_in_the_order_in_which_they_joined() {
    let order = Arc::new(Mutex::new(Vec::new()));
    let (child, completer) = pair();
    let groups: Vec<_> = (0..5)
        .map(|number| {
            let order = Arc::clone(&order);
            let mut group = CompletionGroup::new(move |_| order.lock().unwrap().push(number));
            group.add(&child);
            group.build()
        })
        .collect();
    let _ = completer.complete(0);
    assert!(groups.iter().all(Completion::finished));
    assert_eq!(*order.lock().unwrap(), [0, 1, 2, 3, 4]);
}

#[test]
fn group_of_sixty_four_wakes_its_waiter_once() {
    let (children, completers): (Vec<_>, Vec<_>) = (0..64).map(|_| pair()).unzip();
    let mut group = over(&children.iter().collect::<Vec<_>>());
    let wakes = Counter::default();
    assert!(poll(&mut group, &wakes.waker()).is_pending());
    completers.into_iter().for_each(|completer| {
        let _ = completer.complete(0);
    });
    assert_eq!(wakes.get(), 1);
}

/// A tree drawn by proptest: each child of a group is a leaf or a smaller group.
#[derive(Clone, Debug)]
enum Tree {
    Leaf,
    Group { drain: bool, children: Vec<Tree> },
}

fn tree() -> impl Strategy<Value = Tree> {
    Just(Tree::Leaf).prop_recursive(4, 40, 5, |inner| {
        (any::<bool>(), prop::collection::vec(inner, 0..5))
            .prop_map(|(drain, children)| Tree::Group { drain, children })
    })
}

fn grow(tree: &Tree, leaves: &mut Vec<Completer>) -> Completion {
    match tree {
        Tree::Leaf => {
            let (completion, completer) = pair();
            leaves.push(completer);
            completion
        }
        Tree::Group { drain, children } => {
            let mut group =
                if *drain { CompletionGroup::drain(|_| {}) } else { CompletionGroup::new(|_| {}) };
            for child in children {
                group.add(&grow(child, leaves));
            }
            group.build()
        }
    }
}

proptest! {
    /// Whatever the tree, the order of endings and the failures: all end, well exactly if every leaf did.
    #[test]
    fn any_tree_ends_when_its_leaves_do(tree in tree(), endings in prop::collection::vec(any::<(prop::sample::Index, bool)>(), 60)) {
        let mut leaves = Vec::new();
        let root = grow(&tree, &mut leaves);
        let mut all_well = true;
        for (pick, well) in endings {
            if leaves.is_empty() {
                break;
            }
            let completer = leaves.swap_remove(pick.index(leaves.len()));
            all_well &= well;
            let _ = completer.finish(if well { Ok(0) } else { Err(FULL) });
        }
        if !leaves.is_empty() {
            all_well = false;
            leaves.clear();
        }
        prop_assert!(root.finished());
        prop_assert_eq!(root.succeeded(), all_well);
    }
}

/// Broke once: the walk stopped at a group that had failed fast, and left its running children alone.
#[test]
fn cancel_reaches_what_still_runs_below_a_group_that_has_failed() {
    let ((failed, fail), (running, _r), (other, _o)) = (pair(), pair(), pair());
    let inner = over(&[&failed, &running]);
    let mut outer = CompletionGroup::drain(|_| {});
    [&inner, &other].into_iter().for_each(|child| outer.add(child));
    let outer = outer.build();
    let _ = fail.fail(FULL);
    assert!(inner.failed() && !outer.finished() && !running.finished());
    outer.cancel();
    assert_eq!(running.result(), Some(CANCELLED));
    assert_eq!(outer.result(), Some(Err(FULL)));
}

/// Broke once: the builder's cancel stopped at a member that had failed fast, the built group's did not.
#[test]
fn builders_cancel_reaches_what_still_runs_below_a_group_that_has_failed() {
    for cancel_first in [false, true] {
        let ((failed, fail), (running, _r)) = (pair(), pair());
        let inner = over(&[&failed, &running]);
        let _ = fail.fail(FULL);
        assert!(inner.failed() && !running.finished());
        let mut outer = CompletionGroup::new(|_| {});
        if cancel_first {
            outer.cancel();
            outer.add(&inner);
        } else {
            outer.add(&inner);
            outer.cancel();
        }
        assert_eq!(running.result(), Some(CANCELLED));
    }
}

/// Broke once: parents of children that one cancel ended were told newest first.
#[test]
fn cancelled_group_keeps_the_error_of_the_child_that_ended_first() {
    let ((first, _f), (second, _s)) = (Completion::new(|_| panic!("on purpose")), pair());
    let group = over(&[&first, &second]);
    assert!(catch_unwind(AssertUnwindSafe(|| group.cancel())).is_err());
    assert_eq!(group.get_error(), Some(CompletionError::CallbackPanicked));
}

/// Broke once: a waker that failed a sibling was called before the group had heard of the failure that woke it.
#[test]
fn waker_that_fails_a_sibling_does_not_overtake_the_first_failure() {
    struct FailsAnother(Mutex<Option<Completer>>);
    impl std::task::Wake for FailsAnother {
        fn wake(self: Arc<Self>) {
            let _ = self.0.lock().unwrap().take().expect("woken once").fail(CompletionError::Cancelled);
        }
    }
    let ((first, fail_first), (second, fail_second)) = (pair(), pair());
    let group = over(&[&first, &second]);
    let waker = std::task::Waker::from(Arc::new(FailsAnother(Mutex::new(Some(fail_second)))));
    let mut waiter = first.clone();
    assert!(poll(&mut waiter, &waker).is_pending());
    let _ = fail_first.fail(FULL);
    assert_eq!(group.get_error(), Some(FULL));
}

#[test]
fn child_whose_callback_panics_in_a_cancelled_builder_is_a_member_all_the_same() {
    let (child, _completer) = Completion::new(|_| panic!("on purpose"));
    let mut group = CompletionGroup::new(|_| {});
    group.cancel();
    assert!(catch_unwind(AssertUnwindSafe(|| group.add(&child))).is_err());
    assert_eq!(group.build().get_error(), Some(CompletionError::CallbackPanicked));
}
