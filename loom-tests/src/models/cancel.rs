//! Cancellation from everywhere.

use loom::thread;
use tenterhook_runtime::{Completer, Completion, CompletionError, CompletionGroup, Outcome};

use crate::model::{EXHAUSTIVE, Model, models, preemptions};
use crate::support::{Trace, settled};

const CANCELLED: Outcome = Err(CompletionError::Cancelled);

pub(crate) fn models() -> Vec<Model> {
    models![
        EXHAUSTIVE => two_threads_cancel_vs_late_completer, cancel_vs_start, cancel_of_started_vs_complete, builder_cancel_vs_child_finishing,
            root_cancel_vs_child_finishing, root_cancel_vs_child_failing, drain_cancel_vs_child_finishing,
            nested_cancel_from_root_vs_leaf_finishing, nested_cancel_from_middle_vs_leaf_finishing,
            cancel_vs_build_of_the_group_above, cancel_of_finished_group_vs_drop;
        preemptions(3) => two_roots_cancel_a_shared_child, cancel_vs_two_children_finishing;
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

/// Either the cancel came first, or the real outcome did; the callback heard the same, once.
#[track_caller]
fn assert_either(completion: &Completion, trace: &Trace, outcome: Outcome) {
    let seen = settled(completion);
    assert!(seen == CANCELLED || seen == outcome, "{seen:?}");
    assert_eq!(trace.only(), seen);
}

fn two_threads_cancel_vs_late_completer() {
    let trace = Trace::new();
    let (completion, completer) = Completion::new(trace.callback());
    let other = completion.clone();
    let canceller = thread::spawn(move || other.cancel());
    completion.cancel();
    canceller.join().unwrap();
    assert_eq!(settled(&completion), CANCELLED);
    assert_eq!(trace.only(), CANCELLED);
    assert!(!completer.complete(1), "too late");
}

/// Either the operation starts, and then only its completer ends it, or it does not, and then it has ended.
fn cancel_vs_start() {
    let trace = Trace::new();
    let (completion, mut completer) = Completion::new(trace.callback());
    let other = completion.clone();
    let canceller = thread::spawn(move || other.cancel());
    let started = completer.start();
    if started {
        let _ = completer.complete(1);
    }
    canceller.join().unwrap();
    assert_eq!(settled(&completion), if started { Ok(1) } else { CANCELLED });
    assert_eq!(trace.only(), settled(&completion));
}

/// 3.7: a cancel of what is in flight never ends it by itself.
fn cancel_of_started_vs_complete() {
    let trace = Trace::new();
    let (completion, mut completer) = Completion::new(trace.callback());
    assert!(completer.start());
    let other = completion.clone();
    let canceller = thread::spawn(move || other.cancel());
    let outcome = if completer.cancel_requested() { CANCELLED } else { Ok(1) };
    assert!(!completion.finished(), "only its completer ends a started operation");
    assert!(completer.finish(outcome));
    canceller.join().unwrap();
    assert_eq!(settled(&completion), outcome);
    assert_eq!(trace.only(), outcome);
}

fn builder_cancel_vs_child_finishing() {
    let (child, finish) = pair();
    let trace = Trace::new();
    let mut group = CompletionGroup::new(trace.callback());
    group.add(&child);
    let ender = thread::spawn(move || finish.complete(1));
    group.cancel();
    let built = group.build();
    ender.join().unwrap();
    assert_either(&built, &trace, Ok(0));
}

fn root_cancel_vs_child_finishing() {
    let (child, finish) = pair();
    let (root, trace) = group_over(&[&child]);
    let ender = thread::spawn(move || finish.complete(1));
    root.cancel();
    ender.join().unwrap();
    assert_either(&root, &trace, Ok(0));
}

fn root_cancel_vs_child_failing() {
    let (child, finish) = pair();
    let (root, trace) = group_over(&[&child]);
    let ender = thread::spawn(move || finish.fail(CompletionError::NoSpace));
    root.cancel();
    ender.join().unwrap();
    assert_either(&root, &trace, Err(CompletionError::NoSpace));
}

fn drain_cancel_vs_child_finishing() {
    let ((left, finish_left), (right, _right_is_abandoned_late)) = (pair(), pair());
    let trace = Trace::new();
    let mut group = CompletionGroup::drain(trace.callback());
    group.add(&left);
    group.add(&right);
    let root = group.build();
    let ender = thread::spawn(move || finish_left.complete(1));
    root.cancel();
    ender.join().unwrap();
    assert_eq!(settled(&root), CANCELLED, "the right child was not started");
    assert_eq!(trace.only(), CANCELLED);
}

fn nested_cancel_from_root_vs_leaf_finishing() {
    let (leaf, finish) = pair();
    let (inner, inner_trace) = group_over(&[&leaf]);
    let (root, trace) = group_over(&[&inner]);
    let ender = thread::spawn(move || finish.complete(1));
    root.cancel();
    ender.join().unwrap();
    assert_either(&inner, &inner_trace, Ok(0));
    assert_either(&root, &trace, Ok(0));
    assert_eq!(settled(&root), settled(&inner));
}

fn nested_cancel_from_middle_vs_leaf_finishing() {
    let (leaf, finish) = pair();
    let (middle, _) = group_over(&[&leaf]);
    let (root, trace) = group_over(&[&middle]);
    let ender = thread::spawn(move || finish.complete(1));
    middle.cancel();
    ender.join().unwrap();
    assert_either(&root, &trace, Ok(0));
}

fn cancel_vs_build_of_the_group_above() {
    let (leaf, _finish) = pair();
    let (inner, _) = group_over(&[&leaf]);
    let cancelled = inner.clone();
    let canceller = thread::spawn(move || cancelled.cancel());
    let (root, trace) = group_over(&[&inner]);
    canceller.join().unwrap();
    assert_eq!(settled(&root), CANCELLED);
    assert_eq!(trace.only(), CANCELLED);
}

fn cancel_of_finished_group_vs_drop() {
    let (child, finish) = pair();
    let (root, trace) = group_over(&[&child]);
    let _ = finish.complete(1);
    let other = root.clone();
    let canceller = thread::spawn(move || other.cancel());
    drop(root);
    drop(child);
    canceller.join().unwrap();
    assert_eq!(trace.only(), Ok(0));
}

fn two_roots_cancel_a_shared_child() {
    let (child, _finish) = pair();
    let (first, first_trace) = group_over(&[&child]);
    let (second, second_trace) = group_over(&[&child]);
    let others = first.clone();
    let canceller = thread::spawn(move || others.cancel());
    second.cancel();
    canceller.join().unwrap();
    assert_eq!((settled(&first), settled(&second)), (CANCELLED, CANCELLED));
    assert_eq!((first_trace.only(), second_trace.only()), (CANCELLED, CANCELLED));
}

fn cancel_vs_two_children_finishing() {
    let ((left, finish_left), (right, finish_right)) = (pair(), pair());
    let (root, trace) = group_over(&[&left, &right]);
    let first = thread::spawn(move || finish_left.complete(1));
    let second = thread::spawn(move || finish_right.complete(1));
    root.cancel();
    first.join().unwrap();
    second.join().unwrap();
    assert_either(&root, &trace, Ok(0));
}
