//! What a storm is.

use std::time::Duration;

use super::counts::{Action, Counts};
use super::meeting::Meeting;
use crate::real::stacks::stacks;
use crate::violation::Violation;

/// What threads do with one part of the runtime, and how it is judged. A value of the type is shared by the threads of one epoch.
pub(super) trait Storm: Send + Sync + Sized + 'static {
    /// What the thread that has set a case up keeps of it.
    type Case: Send;
    /// What each thread gets of it.
    type Hand: Send;
    /// What each thread gives back.
    type Seen: Send;

    /// Cases that each thread sets up for a round.
    const CASES: usize;
    /// What has to have been done in a run of some length; what never was fails it.
    const ACTIONS: &'static [Action];

    /// For an epoch with so many threads.
    fn begin(key: u64, threads: usize, stall: Duration) -> Self;

    /// Sets a case up: `hands` gets one for each thread.
    fn set_up(&self, key: u64, hands: &mut Vec<Self::Hand>) -> Self::Case;

    /// One thread's part in a case.
    fn act(&self, hand: Self::Hand, meeting: &mut Meeting<'_>) -> Result<Self::Seen, Box<Violation>>;

    /// When all threads have done theirs: `seen` has what they give back, by thread.
    fn judge(
        &self,
        case: Self::Case,
        seen: &mut Vec<Self::Seen>,
        counts: &mut Counts,
    ) -> Result<(), Box<Violation>>;

    /// The end of the epoch: no thread is left.
    fn finish(self) -> Result<(), Box<Violation>> {
        Ok(())
    }
}

/// A broken promise of safety.
pub(super) fn wrong(expected: impl Into<String>, seen: impl Into<String>) -> Box<Violation> {
    Violation::safety("storm", expected, seen)
}

/// Something has not ended in the time of a stall: says what the threads do.
pub(super) fn stalled(expected: impl Into<String>, seen: impl Into<String>) -> Box<Violation> {
    let mut violation = Violation::liveness("storm", expected, seen);
    violation.notes.extend(stacks().iter().map(ToString::to_string));
    violation
}

/// Everything that was given away has come back: `count` owners are left of what one should have.
pub(super) fn nothing_left(what: &str, count: usize) -> Result<(), Box<Violation>> {
    match count {
        1 => Ok(()),
        _ => Err(wrong(
            format!("{what} that is dropped with its completion"),
            format!("{count} owners where one should be"),
        )),
    }
}
