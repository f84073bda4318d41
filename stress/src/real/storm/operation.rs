//! What the storm remembers of one operation, and how it is judged.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};

use tenterhook_runtime::{Completion, CompletionError, Outcome};

use crate::violation::Violation;

/// A broken promise of safety.
pub(super) fn wrong(expected: &str, seen: String) -> Box<Violation> {
    Violation::safety("storm", expected, seen)
}

/// One callback that has to run once: of an operation, a bare completion or a group.
///
/// ORDERING of all its atomics: Relaxed. The judge reads them after it has seen the completion finished with Acquire, and
/// the threads of the round have been joined.
#[derive(Debug)]
pub(super) struct Record {
    what: &'static str,
    /// How many bytes a success moves; nothing where any number will do.
    moves: Option<u64>,
    calls: AtomicU32,
    told: OnceLock<Outcome>,
    /// Its end was requested, or is about to be.
    cancelled: AtomicBool,
    /// It may fail: a group of operations that may, or a completion that the storm fails.
    may_fail: bool,
    panicked: AtomicBool,
    /// It can't end well: its error, if nothing cancels it.
    fails: Option<CompletionError>,
}

impl Record {
    pub(super) fn new(what: &'static str, moves: Option<u64>, may_fail: bool) -> Self {
        Self {
            what,
            moves,
            calls: AtomicU32::new(0),
            told: OnceLock::new(),
            cancelled: AtomicBool::new(false),
            may_fail,
            panicked: AtomicBool::new(false),
            fails: None,
        }
    }

    /// Of an operation that can't end well, but with `error`.
    pub(super) fn failing(what: &'static str, error: CompletionError) -> Self {
        Self { fails: Some(error), ..Self::new(what, None, false) }
    }

    /// Its callback has been called with `outcome`.
    pub(super) fn called(&self, outcome: Outcome) {
        self.calls.fetch_add(1, Relaxed);
        let _ = self.told.set(outcome);
    }

    pub(super) fn panics(&self) {
        self.panicked.store(true, Relaxed);
    }

    /// Before the cancel itself.
    pub(super) fn cancel(&self) {
        self.cancelled.store(true, Relaxed);
    }

    /// What is wrong with its end, if anything is. `closed` says that the backend was dropped.
    pub(super) fn judge(&self, completion: &Completion, closed: bool) -> Result<(), Box<Violation>> {
        let what = self.what;
        let Some(result) = completion.result() else {
            let seen = "it has not ended in the time of a stall";
            return Err(Violation::liveness("storm", format!("{what} that ends"), seen));
        };
        let calls = self.calls.load(Relaxed);
        if calls != 1 {
            let seen = format!("it ran {calls} times; the operation ended with {result:?}");
            return Err(wrong(&format!("one call of the callback of {what}"), seen));
        }
        let told = self.told.get().copied();
        let panicked = result == Err(CompletionError::CallbackPanicked);
        if !panicked && told != Some(result) {
            let expected = format!("{result:?} for the callback of {what}, as for its completion");
            return Err(wrong(&expected, format!("{told:?}")));
        }
        let cancelled = self.cancelled.load(Relaxed);
        let explained = match result {
            Ok(_) if self.fails.is_some() => false,
            Err(error) if self.fails == Some(error) => true,
            Ok(moved) => self.moves.is_none_or(|moves| moved == moves),
            Err(CompletionError::CallbackPanicked) => self.panicked.load(Relaxed) || self.may_fail,
            Err(CompletionError::Cancelled) => cancelled || closed || self.may_fail,
            Err(CompletionError::Abandoned) => closed || self.may_fail,
            Err(_) => self.may_fail,
        };
        let reason = match (cancelled, closed) {
            (false, false) => "nothing cancelled it and its backend lives",
            (true, false) => "it was cancelled, and its backend lives",
            (false, true) => "nothing cancelled it, and its backend is gone",
            (true, true) => "it was cancelled, and its backend is gone",
        };
        match explained {
            true => Ok(()),
            false => Err(wrong(
                &format!("an end of {what} that is explained"),
                format!("{result:?}, although {reason}"),
            )),
        }
    }
}
