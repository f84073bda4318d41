//! What a callback was told, and memory that only the runtime's promises keep from being raced for.

use std::cell::UnsafeCell;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use tenterhook_runtime::{Completion, CompletionError, Outcome};

use super::storm::wrong;
use crate::violation::Violation;

/// A number in ordinary memory, as a callback of a user writes it: no atomic, so that ThreadSanitizer sees who is allowed to read it.
#[derive(Debug, Default)]
pub(super) struct Plain(UnsafeCell<u64>);

// SAFETY: a callback writes, and those read who have seen its operation finished. The runtime promises that the one happens before the other. The
// storm is there to find where it does not; then ThreadSanitizer reports the race, and elsewhere a word is read that is old or new.
unsafe impl Sync for Plain {}

impl Plain {
    /// The writer, once.
    pub(super) fn set(&self, value: u64) {
        // SAFETY: see `Sync`.
        unsafe { *self.0.get() = value }
    }

    /// A reader that has seen the end of what the writer belongs to.
    pub(super) fn get(&self) -> u64 {
        // SAFETY: see `Sync`.
        unsafe { *self.0.get() }
    }
}

/// What one callback was told.
///
/// ORDERING of the count: Relaxed. It is read after the barrier at the end of a round, which all threads pass through one lock.
#[derive(Debug, Default)]
pub(super) struct Told {
    calls: AtomicU32,
    outcome: Plain,
    mark: Plain,
}

impl Told {
    /// The callback: `mark` is what its user writes.
    pub(super) fn tell(&self, outcome: Outcome, mark: u64) {
        self.mark.set(mark);
        self.outcome.set(code(outcome));
        self.calls.fetch_add(1, Relaxed);
    }

    /// What the callback has written, for those that have seen its end.
    pub(super) fn mark(&self) -> u64 {
        self.mark.get()
    }

    pub(super) fn calls(&self) -> u32 {
        self.calls.load(Relaxed)
    }

    /// At the end of a round: `completion` has finished, and its callback was told what it says. The outcome.
    pub(super) fn judge(&self, what: &str, completion: &Completion) -> Result<Outcome, Box<Violation>> {
        let Some(result) = completion.result() else {
            let seen = "it has not, although all that it waits for has ended";
            return Err(Violation::liveness("storm", format!("{what} that has finished"), seen));
        };
        let calls = self.calls();
        if calls != 1 {
            let seen = format!("it ran {calls} times; the end was {result:?}");
            return Err(wrong(format!("one call of the callback of {what}"), seen));
        }
        let panicked = result == Err(CompletionError::CallbackPanicked);
        if !panicked && self.outcome.get() != code(result) {
            let expected = format!("{result:?} for the callback of {what}, as for its completion");
            return Err(wrong(expected, format!("code {:#x}", self.outcome.get())));
        }
        let (succeeded, failed, error) =
            (completion.succeeded(), completion.failed(), completion.get_error());
        if succeeded != result.is_ok() || failed != result.is_err() || error != result.err() {
            let seen = format!("{result:?}, succeeded {succeeded}, failed {failed}, error {error:?}");
            return Err(wrong(format!("one answer of {what}"), seen));
        }
        Ok(result)
    }
}

/// A number for each outcome that the storms make.
pub(super) fn code(outcome: Outcome) -> u64 {
    match outcome {
        Ok(value) => value << 8 | 1,
        Err(CompletionError::Cancelled) => 2,
        Err(CompletionError::Abandoned) => 3,
        Err(CompletionError::CallbackPanicked) => 4,
        Err(CompletionError::Corrupt { page }) => u64::from(page) << 8 | 5,
        Err(CompletionError::MachineFailed) => 6,
        Err(CompletionError::MachinePanicked) => 7,
        Err(_) => 8,
    }
}
