//! A request to cancel against those who join what it is about: only the request ends it, so it has to arrive.

use loom::thread;
use tenterhook_runtime::{Completion, CompletionError, CompletionGroup};

use crate::model::{EXHAUSTIVE, Model, models};
use crate::support::{CountingWaker, Trace, poll, settled};

pub(crate) fn models() -> Vec<Model> {
    models![
        EXHAUSTIVE => request_vs_waiter_joins, request_through_two_groups_vs_waiter_joins, request_vs_parent_is_linked;
    ]
}

fn group_over(child: &Completion) -> Completion {
    let mut group = CompletionGroup::new(|_| {});
    group.add(child);
    group.build()
}

/// Polls `completion` while another thread cancels `root`, which has to reach it.
fn poll_while_cancelled(completion: &Completion, root: Completion) {
    let canceller = thread::spawn(move || root.cancel());
    let (counter, waker) = CountingWaker::new();
    let mut waiter = completion.clone();
    let pending = poll(&mut waiter, &waker).is_pending();
    canceller.join().unwrap();
    drop(waker);
    assert_eq!(settled(completion), Err(CompletionError::Cancelled));
    counter.assert_woken_if(pending);
}

/// The waiter's announcement makes the canceller's exchange fail: it tries again.
fn request_vs_waiter_joins() {
    let trace = Trace::new();
    let (completion, _completer) = Completion::new(trace.callback());
    poll_while_cancelled(&completion, completion.clone());
    trace.assert_called();
}

/// The request goes through both groups to the leaf, which only the request ends.
fn request_through_two_groups_vs_waiter_joins() {
    let (leaf, _completer) = Completion::new(|_| {});
    let root = group_over(&group_over(&leaf));
    poll_while_cancelled(&leaf, root.clone());
    assert_eq!(settled(&root), Err(CompletionError::Cancelled));
}

/// The same of a group that links itself meanwhile: it hears of the end that the request brings about.
fn request_vs_parent_is_linked() {
    let (child, _completer) = Completion::new(|_| {});
    let cancelled = child.clone();
    let canceller = thread::spawn(move || cancelled.cancel());
    let parent = group_over(&child);
    canceller.join().unwrap();
    assert_eq!(settled(&parent), Err(CompletionError::Cancelled));
}
