//! Waiting for the write right.

use std::fmt;
use std::sync::Arc;

use super::shared::Pager;
use super::snapshot_reader::SnapshotReader;
use super::state::State;
use super::write_right::Ticket;
use super::{PagerError, WriteTransaction};
use crate::{Completion, CompletionError, IOCompletions, IOResult};

/// Waits for the write right, first come, first served. Dropping it leaves the queue, or passes the right on.
#[must_use = "it does nothing until it is stepped"]
pub struct BeginWrite {
    pager: Arc<Pager>,
    stage: Stage,
}

enum Stage {
    Asking,
    Waiting { claim: RightClaim, turn: Completion },
    Finished,
}

/// A place in the queue for the write right, or the right itself: which of them, the pager's state says. Dropping it
/// gives up either.
pub(super) struct RightClaim {
    pager: Arc<Pager>,
    ticket: Ticket,
}

impl RightClaim {
    pub(super) fn ticket(&self) -> Ticket {
        self.ticket
    }

    /// Leaves it to whoever has its ticket. Tickets are counted from 1: 0 has nothing to give up.
    pub(super) fn hand_over(&mut self) {
        self.ticket = 0;
    }
}

impl Drop for RightClaim {
    fn drop(&mut self) {
        self.pager.give_up_right(self.ticket);
    }
}

impl BeginWrite {
    pub(super) fn new(pager: &Arc<Pager>) -> Self {
        Self { pager: Arc::clone(pager), stage: Stage::Asking }
    }

    pub(super) fn begin_now(pager: &Arc<Pager>) -> Result<WriteTransaction, PagerError> {
        let (ticket, snapshot) = {
            let mut state = pager.state.lock();
            refuse_if_poisoned(&state)?;
            let ticket = state.right.try_take().ok_or(PagerError::Busy)?;
            (ticket, state.take_write_snapshot())
        };
        let claim = RightClaim { pager: Arc::clone(pager), ticket };
        Ok(WriteTransaction::new(SnapshotReader::new(pager, snapshot), claim))
    }

    /// Steps until the right is there.
    ///
    /// # Errors
    ///
    /// [`PagerError::Poisoned`]; [`PagerError::Io`] when somebody cancelled the wait.
    ///
    /// # Panics
    ///
    /// When it has ended already.
    #[track_caller]
    pub fn step(&mut self) -> Result<IOResult<WriteTransaction>, PagerError> {
        let stage = std::mem::replace(&mut self.stage, Stage::Finished);
        match stage {
            Stage::Asking => self.ask(),
            Stage::Waiting { claim, turn } => self.look(claim, turn),
            Stage::Finished => panic!("BeginWrite was stepped again after it had ended"),
        }
    }

    fn ask(&mut self) -> Result<IOResult<WriteTransaction>, PagerError> {
        let entry = {
            let mut state = self.pager.state.lock();
            refuse_if_poisoned(&state)?;
            match state.right.try_take() {
                Some(ticket) => Ok((ticket, state.take_write_snapshot())),
                None => Err(state.right.enqueue()),
            }
        };
        match entry {
            Ok((ticket, snapshot)) => {
                let claim = RightClaim { pager: Arc::clone(&self.pager), ticket };
                Ok(IOResult::Done(WriteTransaction::new(SnapshotReader::new(&self.pager, snapshot), claim)))
            }
            Err((ticket, turn)) => {
                let claim = RightClaim { pager: Arc::clone(&self.pager), ticket };
                self.stage = Stage::Waiting { claim, turn: turn.clone() };
                Ok(IOResult::IO(IOCompletions::Single(turn)))
            }
        }
    }

    fn look(
        &mut self,
        claim: RightClaim,
        turn: Completion,
    ) -> Result<IOResult<WriteTransaction>, PagerError> {
        // Looked at before the lock is taken: the right is handed over before the turn is completed, so who has seen
        // the turn come sees itself as the holder. The other way round, a grant in between would look like a cancel.
        let turned = turn.result();
        // The claim is a parameter, so it outlives this lock on every path: giving it up takes the lock.
        let granted = {
            let mut state = self.pager.state.lock();
            refuse_if_poisoned(&state)?;
            state.right.is_holder(claim.ticket).then(|| state.take_write_snapshot())
        };
        if let Some(snapshot) = granted {
            let reader = SnapshotReader::new(&self.pager, snapshot);
            return Ok(IOResult::Done(WriteTransaction::new(reader, claim)));
        }
        if let Some(outcome) = turned {
            let error = outcome.err().unwrap_or(CompletionError::Cancelled);
            return Err(self.pager.database.error("wait for the write right of", error));
        }
        self.stage = Stage::Waiting { claim, turn: turn.clone() };
        Ok(IOResult::IO(IOCompletions::Single(turn)))
    }
}

/// Writes are refused since a sync failed.
pub(super) fn refuse_if_poisoned(state: &State) -> Result<(), PagerError> {
    state.poison.map_or(Ok(()), |cause| Err(PagerError::Poisoned { cause }))
}

impl fmt::Debug for BeginWrite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BeginWrite").field("waiting", &matches!(self.stage, Stage::Waiting { .. })).finish()
    }
}
