//! One level of group.

use loom::thread;
use tenterhook_runtime::{Completer, Completion, CompletionError, CompletionGroup, Outcome};

use crate::model::{EXHAUSTIVE, Model, models, preemptions};
use crate::support::{CountingWaker, Trace, poll, settled};

const FULL: CompletionError = CompletionError::NoSpace;

pub(crate) fn models() -> Vec<Model> {
    models![
        EXHAUSTIVE => build_vs_two_children_finishing, build_vs_child_failing, build_of_prefailed_vs_child_finishing,
            drain_build_vs_child_failing, drain_of_prefailed_vs_child_finishing, duplicate_child_vs_finish,
            shared_child_fails_vs_two_builds, prefinished_and_pending_vs_finish, group_handle_dropped_vs_child_finishing,
            unbuilt_group_dropped_vs_child_finishing, group_poll_vs_last_child, group_wait_vs_last_child,
            group_waiter_woken_once_vs_two_children, last_child_is_finished_inside_group_callback,
            abandoned_children_vs_group_poll;
        preemptions(3) => two_children_vs_each_other, failing_child_vs_finishing_child, two_failing_children_agree_on_the_first,
            drain_failing_child_vs_finishing_child, drain_two_failing_children, shared_child_vs_two_builds_in_two_threads,
            handle_dropped_vs_two_children;
    ]
}

fn pair() -> (Completion, Completer) {
    Completion::new(|_| {})
}

/// A fail-fast group over `children` with a trace, not yet built.
fn group(children: &[&Completion]) -> (CompletionGroup, Trace) {
    fill(CompletionGroup::new, children)
}

/// The same, draining.
fn drain(children: &[&Completion]) -> (CompletionGroup, Trace) {
    fill(CompletionGroup::drain, children)
}

fn fill(
    new: impl FnOnce(Box<dyn FnOnce(Outcome) + Send>) -> CompletionGroup,
    children: &[&Completion],
) -> (CompletionGroup, Trace) {
    let trace = Trace::new();
    let mut group = new(Box::new(trace.callback()));
    for child in children {
        group.add(child);
    }
    (group, trace)
}

/// The group has ended with `outcome`, says so everywhere, and called back once.
#[track_caller]
fn assert_ended(group: &Completion, trace: &Trace, outcome: Outcome) {
    assert_eq!(settled(group), outcome);
    assert_eq!(trace.only(), outcome);
}

fn build_vs_two_children_finishing() {
    let ((left, finish_left), (right, finish_right)) = (pair(), pair());
    let (group, trace) = group(&[&left, &right]);
    let ender = thread::spawn(move || {
        let _ = finish_left.complete(1);
        let _ = finish_right.complete(2);
    });
    let built = group.build();
    ender.join().unwrap();
    assert_ended(&built, &trace, Ok(0));
}

fn build_vs_child_failing() {
    let ((left, finish_left), (right, finish_right)) = (pair(), pair());
    let (group, trace) = group(&[&left, &right]);
    let ender = thread::spawn(move || finish_left.fail(FULL));
    let built = group.build();
    ender.join().unwrap();
    assert_ended(&built, &trace, Err(FULL));
    let _ = finish_right.complete(0);
    assert_ended(&built, &trace, Err(FULL));
}

/// D3: the children that end after the group has failed neither wrap a counter nor un-finish it.
fn build_of_prefailed_vs_child_finishing() {
    let ((left, finish_left), (right, finish_right)) = (pair(), pair());
    let _ = finish_right.fail(FULL);
    let (group, trace) = group(&[&left, &right]);
    let ender = thread::spawn(move || finish_left.complete(1));
    let built = group.build();
    assert_ended(&built, &trace, Err(FULL));
    ender.join().unwrap();
    assert_ended(&built, &trace, Err(FULL));
}

fn drain_build_vs_child_failing() {
    let ((left, finish_left), (right, finish_right)) = (pair(), pair());
    let (group, trace) = drain(&[&left, &right]);
    let ender = thread::spawn(move || finish_left.fail(FULL));
    let built = group.build();
    ender.join().unwrap();
    assert!(!built.finished(), "the sibling still runs");
    let _ = finish_right.complete(0);
    assert_ended(&built, &trace, Err(FULL));
}

fn drain_of_prefailed_vs_child_finishing() {
    let ((left, finish_left), (right, finish_right)) = (pair(), pair());
    let _ = finish_right.fail(FULL);
    let (group, trace) = drain(&[&left, &right]);
    let ender = thread::spawn(move || finish_left.complete(1));
    let built = group.build();
    ender.join().unwrap();
    assert_ended(&built, &trace, Err(FULL));
}

fn duplicate_child_vs_finish() {
    let (child, finish) = pair();
    let (group, trace) = group(&[&child, &child]);
    let ender = thread::spawn(move || finish.complete(1));
    let built = group.build();
    ender.join().unwrap();
    assert_ended(&built, &trace, Ok(0));
}

fn shared_child_fails_vs_two_builds() {
    let (child, finish) = pair();
    let (first, first_trace) = group(&[&child]);
    let (second, second_trace) = drain(&[&child]);
    let ender = thread::spawn(move || finish.fail(FULL));
    let (first, second) = (first.build(), second.build());
    ender.join().unwrap();
    assert_ended(&first, &first_trace, Err(FULL));
    assert_ended(&second, &second_trace, Err(FULL));
}

fn prefinished_and_pending_vs_finish() {
    let ((left, finish_left), (right, finish_right)) = (pair(), pair());
    let (group, trace) = group(&[&left, &right]);
    let _ = finish_right.complete(0);
    let ender = thread::spawn(move || finish_left.complete(1));
    let built = group.build();
    ender.join().unwrap();
    assert_ended(&built, &trace, Ok(0));
}

fn group_handle_dropped_vs_child_finishing() {
    let (child, finish) = pair();
    let (group, trace) = group(&[&child]);
    let built = group.build();
    let ender = thread::spawn(move || finish.complete(1));
    drop(built);
    drop(child);
    ender.join().unwrap();
    assert_eq!(trace.only(), Ok(0), "the callback runs without a handle of the group");
}

fn unbuilt_group_dropped_vs_child_finishing() {
    let (child, finish) = pair();
    let (group, _trace) = group(&[&child]);
    let ender = thread::spawn(move || finish.complete(1));
    drop(group);
    ender.join().unwrap();
    assert_eq!(settled(&child), Ok(1));
}

fn group_poll_vs_last_child() {
    let (child, finish) = pair();
    let (group, trace) = group(&[&child]);
    let mut built = group.build();
    let ender = thread::spawn(move || finish.complete(1));
    let (counter, waker) = CountingWaker::new();
    let pending = poll(&mut built, &waker).is_pending();
    ender.join().unwrap();
    counter.assert_woken_if(pending);
    assert_ended(&built, &trace, Ok(0));
}

fn group_wait_vs_last_child() {
    let (child, finish) = pair();
    let (group, trace) = group(&[&child]);
    let built = group.build();
    let ender = thread::spawn(move || finish.fail(FULL));
    assert_eq!(built.wait(), Err(FULL));
    assert_eq!(trace.only(), Err(FULL));
    ender.join().unwrap();
}

/// A group's waiter is woken for the group, not for each child.
fn group_waiter_woken_once_vs_two_children() {
    let ((left, finish_left), (right, finish_right)) = (pair(), pair());
    let (group, trace) = group(&[&left, &right]);
    let mut built = group.build();
    let (counter, waker) = CountingWaker::new();
    assert!(poll(&mut built, &waker).is_pending());
    let ender = thread::spawn(move || finish_left.complete(1));
    let _ = finish_right.complete(1);
    ender.join().unwrap();
    counter.assert_woken_if(true);
    assert_ended(&built, &trace, Ok(0));
}

/// D13.
fn last_child_is_finished_inside_group_callback() {
    let (child, finish) = pair();
    let seen = child.clone();
    let mut group = CompletionGroup::new(move |_| assert_eq!(settled(&seen), Ok(1)));
    group.add(&child);
    let ender = thread::spawn(move || finish.complete(1));
    let built = group.build();
    ender.join().unwrap();
    assert_eq!(settled(&built), Ok(0));
}

fn abandoned_children_vs_group_poll() {
    let (child, finish) = pair();
    let (group, trace) = group(&[&child]);
    let mut built = group.build();
    let ender = thread::spawn(move || drop(finish));
    let (counter, waker) = CountingWaker::new();
    let pending = poll(&mut built, &waker).is_pending();
    ender.join().unwrap();
    counter.assert_woken_if(pending);
    assert_ended(&built, &trace, Err(CompletionError::Abandoned));
}

/// Ends two children in two threads of their own while this one builds their group.
fn ended_in_two_threads(
    make: fn(&[&Completion]) -> (CompletionGroup, Trace),
    left_ends: Outcome,
    right_ends: Outcome,
) -> (Completion, Trace) {
    let (left_trace, right_trace) = (Trace::new(), Trace::new());
    let (left, finish_left) = Completion::new(left_trace.callback());
    let (right, finish_right) = Completion::new(right_trace.callback());
    let (group, trace) = make(&[&left, &right]);
    let built = group.build();
    let ender = thread::spawn(move || finish_left.finish(left_ends));
    let _ = finish_right.finish(right_ends);
    ender.join().unwrap();
    (built, trace)
}

/// The group's callback sees what both children's callbacks wrote.
fn two_children_vs_each_other() {
    let (left_trace, right_trace) = (Trace::new(), Trace::new());
    let (left, finish_left) = Completion::new(left_trace.callback());
    let (right, finish_right) = Completion::new(right_trace.callback());
    let mut group = CompletionGroup::new(move |_| {
        assert_eq!(left_trace.only(), Ok(1));
        assert_eq!(right_trace.only(), Ok(2));
    });
    group.add(&left);
    group.add(&right);
    let built = group.build();
    let first = thread::spawn(move || finish_left.complete(1));
    let second = thread::spawn(move || finish_right.complete(2));
    assert_eq!(built.wait(), Ok(0));
    first.join().unwrap();
    second.join().unwrap();
}

fn failing_child_vs_finishing_child() {
    let (built, trace) = ended_in_two_threads(group, Err(FULL), Ok(1));
    assert_ended(&built, &trace, Err(FULL));
}

fn two_failing_children_agree_on_the_first() {
    let (built, trace) = ended_in_two_threads(group, Err(FULL), Err(CompletionError::Cancelled));
    let outcome = settled(&built);
    assert!(outcome == Err(FULL) || outcome == Err(CompletionError::Cancelled));
    assert_ended(&built, &trace, outcome);
}

fn drain_failing_child_vs_finishing_child() {
    let (built, trace) = ended_in_two_threads(drain, Err(FULL), Ok(1));
    assert_ended(&built, &trace, Err(FULL));
}

fn drain_two_failing_children() {
    let (built, trace) = ended_in_two_threads(drain, Err(FULL), Err(CompletionError::Cancelled));
    let outcome = settled(&built);
    assert!(outcome.is_err());
    assert_ended(&built, &trace, outcome);
}

fn shared_child_vs_two_builds_in_two_threads() {
    let (child, finish) = pair();
    let (first, first_trace) = group(&[&child]);
    let (second, second_trace) = group(&[&child]);
    let builder = thread::spawn(move || first.build());
    let ender = thread::spawn(move || finish.complete(1));
    let second = second.build();
    let first = builder.join().unwrap();
    ender.join().unwrap();
    assert_ended(&first, &first_trace, Ok(0));
    assert_ended(&second, &second_trace, Ok(0));
}

fn handle_dropped_vs_two_children() {
    let ((left, finish_left), (right, finish_right)) = (pair(), pair());
    let (group, trace) = group(&[&left, &right]);
    let built = group.build();
    drop((left, right));
    let first = thread::spawn(move || finish_left.complete(1));
    let second = thread::spawn(move || finish_right.fail(FULL));
    drop(built);
    first.join().unwrap();
    second.join().unwrap();
    assert_eq!(trace.only(), Err(FULL));
}
