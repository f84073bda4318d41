//! Groups of groups.

use loom::thread;
use tenterhook_runtime::{Completer, Completion, CompletionError, CompletionGroup};

use crate::model::{EXHAUSTIVE, Model, models, preemptions};
use crate::support::{CountingWaker, Trace, poll, settled};

pub(crate) fn models() -> Vec<Model> {
    models![
        EXHAUSTIVE => nested_build_vs_leaf_finishing, nested_build_vs_leaf_failing, nested_poll_vs_last_leaf,
            nested_handles_dropped_vs_last_leaf, three_deep_vs_last_leaf, third_level_built_vs_leaf_failing,
            diamond_vs_last_leaf, third_parent_linked_vs_child_finishing;
        preemptions(3) => two_inner_groups_vs_their_leaves, inner_fails_vs_outer_built;
    ]
}

fn pair() -> (Completion, Completer) {
    Completion::new(|_| {})
}

fn group_over(children: &[&Completion]) -> (Completion, Trace) {
    let trace = Trace::new();
    let mut group = CompletionGroup::new(trace.callback());
    for child in children {
        group.add(child);
    }
    (group.build(), trace)
}

fn nested_build_vs_leaf_finishing() {
    let (leaf, finish) = pair();
    let ender = thread::spawn(move || finish.complete(1));
    let (inner, inner_trace) = group_over(&[&leaf]);
    let (outer, outer_trace) = group_over(&[&inner]);
    ender.join().unwrap();
    assert_eq!(settled(&inner), Ok(0));
    assert_eq!(settled(&outer), Ok(0));
    assert_eq!((inner_trace.only(), outer_trace.only()), (Ok(0), Ok(0)));
}

fn nested_build_vs_leaf_failing() {
    let (leaf, finish) = pair();
    let ender = thread::spawn(move || finish.fail(CompletionError::NoSpace));
    let (inner, _) = group_over(&[&leaf]);
    let (outer, trace) = group_over(&[&inner]);
    ender.join().unwrap();
    assert_eq!(settled(&outer), Err(CompletionError::NoSpace));
    assert_eq!(trace.only(), Err(CompletionError::NoSpace));
}

fn nested_poll_vs_last_leaf() {
    let (leaf, finish) = pair();
    let (inner, _) = group_over(&[&leaf]);
    let (mut outer, trace) = group_over(&[&inner]);
    let ender = thread::spawn(move || finish.complete(1));
    let (counter, waker) = CountingWaker::new();
    let pending = poll(&mut outer, &waker).is_pending();
    ender.join().unwrap();
    counter.assert_woken_if(pending);
    assert_eq!(settled(&outer), Ok(0));
    assert_eq!(trace.only(), Ok(0));
}

/// Who frees the chain: the handles, or the completer's thread.
fn nested_handles_dropped_vs_last_leaf() {
    let (leaf, finish) = pair();
    let (inner, inner_trace) = group_over(&[&leaf]);
    let (outer, outer_trace) = group_over(&[&inner]);
    let ender = thread::spawn(move || finish.complete(1));
    drop(outer);
    drop(inner);
    drop(leaf);
    ender.join().unwrap();
    assert_eq!((inner_trace.only(), outer_trace.only()), (Ok(0), Ok(0)));
}

fn three_deep_vs_last_leaf() {
    let (leaf, finish) = pair();
    let (first, _) = group_over(&[&leaf]);
    let (second, _) = group_over(&[&first]);
    let (third, trace) = group_over(&[&second]);
    let ender = thread::spawn(move || finish.complete(1));
    assert_eq!(third.wait(), Ok(0));
    assert_eq!(trace.only(), Ok(0));
    ender.join().unwrap();
}

fn third_level_built_vs_leaf_failing() {
    let (leaf, finish) = pair();
    let (first, _) = group_over(&[&leaf]);
    let (second, _) = group_over(&[&first]);
    let ender = thread::spawn(move || finish.fail(CompletionError::NoSpace));
    let (third, trace) = group_over(&[&second]);
    ender.join().unwrap();
    assert_eq!(settled(&third), Err(CompletionError::NoSpace));
    assert_eq!(trace.only(), Err(CompletionError::NoSpace));
}

/// One leaf below two groups that are children of a third.
fn diamond_vs_last_leaf() {
    let (leaf, finish) = pair();
    let (left, _) = group_over(&[&leaf]);
    let (right, _) = group_over(&[&leaf]);
    let ender = thread::spawn(move || finish.complete(1));
    let (top, trace) = group_over(&[&left, &right]);
    ender.join().unwrap();
    assert_eq!(settled(&top), Ok(0));
    assert_eq!(trace.only(), Ok(0));
}

fn two_inner_groups_vs_their_leaves() {
    let ((left_leaf, finish_left), (right_leaf, finish_right)) = (pair(), pair());
    let (left, _) = group_over(&[&left_leaf]);
    let (right, _) = group_over(&[&right_leaf]);
    let (top, trace) = group_over(&[&left, &right]);
    let first = thread::spawn(move || finish_left.complete(1));
    let second = thread::spawn(move || finish_right.complete(1));
    first.join().unwrap();
    second.join().unwrap();
    assert_eq!(settled(&top), Ok(0));
    assert_eq!(trace.only(), Ok(0));
}

fn inner_fails_vs_outer_built() {
    let ((left, finish_left), (right, finish_right)) = (pair(), pair());
    let (inner, _) = group_over(&[&left, &right]);
    let first = thread::spawn(move || finish_left.fail(CompletionError::NoSpace));
    let second = thread::spawn(move || finish_right.complete(1));
    let (outer, trace) = group_over(&[&inner]);
    first.join().unwrap();
    second.join().unwrap();
    assert_eq!(settled(&outer), Err(CompletionError::NoSpace));
    assert_eq!(trace.only(), Err(CompletionError::NoSpace));
}

/// A child with two parents gets a third while it ends: each parent hears of it, the new one too.
fn third_parent_linked_vs_child_finishing() {
    let (child, finish) = pair();
    let [(first, first_trace), (second, second_trace)] = [(); 2].map(|()| group_over(&[&child]));
    let ender = thread::spawn(move || finish.complete(1));
    let (third, third_trace) = group_over(&[&child]);
    ender.join().unwrap();
    for (group, trace) in [(first, first_trace), (second, second_trace), (third, third_trace)] {
        assert_eq!((settled(&group), trace.only()), (Ok(0), Ok(0)));
    }
}
