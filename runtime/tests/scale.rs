//! Deep and wide structures, on a small stack.

mod support;

use support::{on_small_stack, pair};
use tenterhook_runtime::{Completer, Completion, CompletionError, CompletionGroup};

const MANY: usize = 1_000_000;

fn chain() -> (Completion, Completer) {
    let (leaf, completer) = pair();
    let mut top = leaf;
    for _ in 0..MANY {
        let mut group = CompletionGroup::new(|_| {});
        group.add(&top);
        top = group.build();
    }
    (top, completer)
}

fn wide() -> (Completion, Vec<Completer>) {
    let mut group = CompletionGroup::new(|_| {});
    let completers = (0..MANY)
        .map(|_| {
            let (child, completer) = pair();
            group.add(&child);
            completer
        })
        .collect();
    (group.build(), completers)
}

#[test]
fn chain_a_million_deep_is_notified_and_dropped() {
    on_small_stack(|| {
        let (top, completer) = chain();
        let _ = completer.complete(0);
        assert!(top.succeeded());
    });
}

#[test]
fn chain_a_million_deep_is_cancelled_from_the_top() {
    on_small_stack(|| {
        let (top, _completer) = chain();
        top.cancel();
        assert_eq!(top.get_error(), Some(CompletionError::Cancelled));
    });
}

#[test]
fn chain_a_million_deep_is_dropped_before_its_leaf_ends() {
    on_small_stack(|| {
        let (top, completer) = chain();
        drop(top);
        let _ = completer.complete(0);
    });
}

#[test]
fn group_a_million_wide_is_notified_and_dropped() {
    on_small_stack(|| {
        let (group, completers) = wide();
        completers.into_iter().for_each(|completer| {
            let _ = completer.complete(0);
        });
        assert!(group.succeeded());
    });
}

#[test]
fn group_a_million_wide_is_cancelled() {
    on_small_stack(|| {
        let (group, _completers) = wide();
        group.cancel();
        assert_eq!(group.get_error(), Some(CompletionError::Cancelled));
    });
}

#[test]
fn group_a_million_wide_is_abandoned() {
    on_small_stack(|| {
        let (group, completers) = wide();
        drop(completers);
        assert_eq!(group.get_error(), Some(CompletionError::Abandoned));
    });
}
