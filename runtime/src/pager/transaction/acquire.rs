//! Asking for the write right, and holding it.

use std::sync::Arc;

use crate::pager::PagerError;
use crate::pager::pager::Pager;
use crate::pager::state::{State, refuse_if_poisoned};
use crate::pager::write_lock::{Claimant, Ticket};
use crate::{Completion, CompletionError, IOCompletions, IOResult};

/// Waits for the write right, first come, first served. Dropping it leaves the queue, or passes the right on.
pub(in crate::pager) struct AskForRight {
    pager: Arc<Pager>,
    claimant: Claimant,
    stage: Stage,
}

enum Stage {
    Asking,
    Waiting { claim: RightClaim, turn: Completion },
    Finished,
}

/// A place in the queue for the write right, or the right itself: which of them, the pager's state says. Dropping it
/// gives up either.
pub(in crate::pager) struct RightClaim {
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

/// What the holder gets: the right, and what `begin` made of the state in the moment that it had it.
type Granted<T> = (RightClaim, T);

impl AskForRight {
    pub(in crate::pager) fn new(pager: &Arc<Pager>, claimant: Claimant) -> Self {
        Self { pager: Arc::clone(pager), claimant, stage: Stage::Asking }
    }

    /// The right, if nobody has it and nobody waits for it.
    pub(super) fn now<T>(
        pager: &Arc<Pager>,
        begin: impl FnOnce(&mut State) -> T,
    ) -> Result<Granted<T>, PagerError> {
        let (ticket, begun) = {
            let mut state = pager.state.lock();
            refuse_if_poisoned(&state)?;
            let ticket = state.right.try_take().ok_or(PagerError::Busy)?;
            (ticket, begin(&mut state))
        };
        Ok((RightClaim { pager: Arc::clone(pager), ticket }, begun))
    }

    /// Steps until the right is there; then `begin` is called in the critical section that finds it.
    #[track_caller]
    pub(in crate::pager) fn step<T>(
        &mut self,
        begin: impl FnOnce(&mut State) -> T,
    ) -> Result<IOResult<Granted<T>>, PagerError> {
        match std::mem::replace(&mut self.stage, Stage::Finished) {
            Stage::Asking => self.ask(begin),
            Stage::Waiting { claim, turn } => self.look(claim, turn, begin),
            Stage::Finished => panic!("stepped again after it had ended"),
        }
    }

    fn ask<T>(&mut self, begin: impl FnOnce(&mut State) -> T) -> Result<IOResult<Granted<T>>, PagerError> {
        let entry = {
            let mut state = self.pager.state.lock();
            refuse_if_poisoned(&state)?;
            match state.right.try_take() {
                Some(ticket) => Ok((ticket, begin(&mut state))),
                None => Err(state.right.enqueue(self.claimant).ok_or(PagerError::AwaitedByCheckpoint)?),
            }
        };
        let claim = |ticket| RightClaim { pager: Arc::clone(&self.pager), ticket };
        match entry {
            Ok((ticket, begun)) => Ok(IOResult::Done((claim(ticket), begun))),
            Err((ticket, turn)) => {
                self.stage = Stage::Waiting { claim: claim(ticket), turn: turn.clone() };
                Ok(IOResult::IO(IOCompletions::Single(turn)))
            }
        }
    }

    fn look<T>(
        &mut self,
        claim: RightClaim,
        turn: Completion,
        begin: impl FnOnce(&mut State) -> T,
    ) -> Result<IOResult<Granted<T>>, PagerError> {
        // Looked at before the lock is taken: the right is handed over before the turn is completed, so who has seen
        // the turn come sees itself as the holder. The other way round, a grant in between would look like a refusal.
        let turned = turn.result();
        // The claim is a parameter, so it outlives this lock on every path: giving it up takes the lock.
        let granted = {
            let mut state = self.pager.state.lock();
            refuse_if_poisoned(&state)?;
            state.right.is_holder(claim.ticket).then(|| begin(&mut state))
        };
        if let Some(begun) = granted {
            return Ok(IOResult::Done((claim, begun)));
        }
        match turned {
            None => {
                self.stage = Stage::Waiting { claim, turn: turn.clone() };
                Ok(IOResult::IO(IOCompletions::Single(turn)))
            }
            // Sent away: the holder waits for readers, and this is one.
            Some(Ok(_)) => Err(PagerError::AwaitedByCheckpoint),
            Some(Err(error)) => Err(self.wait_failed(error)),
        }
    }

    fn wait_failed(&self, error: CompletionError) -> PagerError {
        self.pager.database.error("wait for the write right of", error)
    }

    pub(super) fn is_waiting(&self) -> bool {
        matches!(self.stage, Stage::Waiting { .. })
    }
}
