//! What a change of the state leaves to be done once no lock is held.

use std::collections::VecDeque;
use std::sync::Arc;

use super::io;
use super::pending;
use crate::CompletionError;
use crate::pager::PagerError;
use crate::pager::latch::Latch;
use crate::pager::state::{CommitLatch, Flight, State};
use crate::pager::transfer::Piece;
use crate::pager::wakes::Wakes;

/// The end of something that has no value, for a possible waiter.
pub(super) type Outcome = Result<(), PagerError>;

/// With the frames of commits, laid out.
pub(super) type Due = pending::Due<Vec<Piece>>;

type Failed = pending::Failed<Flight, Vec<Piece>>;

/// What a change of the state leaves to be done once no lock is held.
#[derive(Default)]
pub(super) struct Deferred {
    pub(super) published: Vec<Flight>,
    pub(super) due: Due,
    pub(super) failed: Vec<(Flight, PagerError)>,
    /// The frames of those that had not come to be written.
    pub(super) unwritten: Vec<Vec<Piece>>,
    /// Those who are sent away, and the one who has got the write lock.
    pub(super) wakes: [Wakes; 2],
    pub(super) ended: io::Ended,
}

/// What others have to be told, each of them, although a waker may panic.
pub(super) struct Notifications {
    /// In the order of the commits.
    pub(super) outcomes: VecDeque<(Arc<CommitLatch>, Result<u64, PagerError>)>,
    pub(super) wakes: [Wakes; 2],
    pub(super) ended: io::Ended,
}

impl Notifications {
    pub(super) fn tell(&mut self) {
        while let Some((outcome, result)) = self.outcomes.pop_front() {
            outcome.set(result);
        }
        self.wakes.iter_mut().for_each(|wakes| std::mem::take(wakes).wake());
        std::mem::take(&mut self.ended).tell();
    }
}

impl Drop for Notifications {
    /// After a panic, tells the rest. A second one is swallowed by the code that completes while the thread unwinds.
    fn drop(&mut self) {
        self.tell();
    }
}

/// Sets its latch when it is dropped, also when user code has panicked before.
pub(super) struct SetOnDrop(pub(super) Arc<Latch<Outcome>>, pub(super) Outcome);

impl Drop for SetOnDrop {
    fn drop(&mut self) {
        self.0.set(self.1.clone());
    }
}

impl Deferred {
    /// A sync of the log has failed, and with it all that was in flight: what it covered with its error.
    pub(super) fn fail_all(
        &mut self,
        state: &mut State,
        failed: Failed,
        error: PagerError,
        cause: CompletionError,
    ) {
        self.wakes[0] = state.poison(cause);
        (self.failed, self.wakes[1]) = state.fail_all(failed.covered, failed.later, error, cause);
        self.unwritten = failed.unwritten;
    }
}
