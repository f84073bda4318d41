//! The end of operations inside their own submission: their backend is gone, or they were refused.

use std::cell::Cell;

use super::{Submission, Unstarted};
use crate::sync::thread_local;

/// How deep abandoned operations may nest: a callback that submits again is called by that submission. Far fewer than
/// what a small stack holds, far more than an engine that retries on purpose.
const MOST: u32 = 128;

thread_local! {
    static NESTED: Cell<u32> = Cell::new(0);
}

/// Counts one abandonment for as long as it is under way, also when its callback panics.
struct Nesting;

impl Nesting {
    /// `None` when too many are under way on this thread.
    fn enter() -> Option<Self> {
        NESTED.with(|nested| {
            let deeper = nested.get() + 1;
            (deeper <= MOST).then(|| {
                nested.set(deeper);
                Self
            })
        })
    }
}

impl Drop for Nesting {
    fn drop(&mut self) {
        NESTED.with(|nested| nested.set(nested.get() - 1));
    }
}

/// Ends an operation inside its own submission, because it was refused.
///
/// # Panics
///
/// As [`abandon`] does.
pub(super) fn refuse(unstarted: Unstarted) {
    match Nesting::enter() {
        Some(_nesting) => drop(unstarted),
        None => {
            unstarted.end_without_callback();
            panic!("callbacks submitted {MOST} operations inside one another that were refused");
        }
    }
}

/// Ends `submission` as abandoned, in this thread.
///
/// # Panics
///
/// When each callback submits the next operation, so that the recursion would use up the stack. The panic goes through all
/// of these callbacks, and their operations end as [`CallbackPanicked`](crate::CompletionError::CallbackPanicked). The last
/// callback is leaked: to call it is to recurse.
pub(super) fn abandon(submission: Submission) {
    match Nesting::enter() {
        Some(_nesting) => drop(submission),
        None => {
            submission.end_without_callback();
            panic!(
                "callbacks submitted {MOST} operations inside one another to a backend that is gone; \
                 a callback must not submit again after `Abandoned`"
            );
        }
    }
}
