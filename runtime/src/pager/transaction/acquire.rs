//! Asking for the write lock, and holding it.

use std::sync::Arc;

use crate::pager::PagerError;
use crate::pager::pager::Pager;
use crate::pager::state::{State, refuse_if_poisoned};
use crate::pager::write_lock::{Ticket, Waiter};
use crate::{Completion, CompletionError, IOCompletions, IOResult};

/// Waits for the write lock, first come, first served. Dropping it leaves the queue, or passes the lock on.
pub(in crate::pager) struct AcquireWriteLock {
    pager: Arc<Pager>,
    waiter: Waiter,
    stage: Stage,
}

enum Stage {
    Asking,
    Waiting { claim: WriteLockClaim, turn: Completion },
    Finished,
}

/// A place in the queue for the write lock, or the lock itself: which of them, the pager's state says. Dropping it
/// gives up either.
pub(in crate::pager) struct WriteLockClaim {
    pager: Arc<Pager>,
    ticket: Ticket,
}

impl WriteLockClaim {
    pub(super) fn ticket(&self) -> Ticket {
        self.ticket
    }

    /// Leaves it to the holder of its ticket. Tickets are counted from 1: 0 has nothing to give up.
    pub(super) fn hand_over(&mut self) {
        self.ticket = 0;
    }
}

impl Drop for WriteLockClaim {
    fn drop(&mut self) {
        self.pager.give_up_write_lock(self.ticket);
    }
}

/// What the holder gets: the write lock, and what `begin` made of the state in the moment that it had it.
type Granted<T> = (WriteLockClaim, T);

impl AcquireWriteLock {
    pub(in crate::pager) fn new(pager: &Arc<Pager>, waiter: Waiter) -> Self {
        Self { pager: Arc::clone(pager), waiter, stage: Stage::Asking }
    }

    /// The write lock, if it is free and has no waiter.
    pub(super) fn now<T>(
        pager: &Arc<Pager>,
        begin: impl FnOnce(&mut State) -> T,
    ) -> Result<Granted<T>, PagerError> {
        let (ticket, begun) = {
            let mut state = pager.state.lock();
            refuse_if_poisoned(&state)?;
            let ticket = state.write_lock.try_take().ok_or(PagerError::Busy)?;
            (ticket, begin(&mut state))
        };
        Ok((WriteLockClaim { pager: Arc::clone(pager), ticket }, begun))
    }

    /// Steps until the write lock is there; then `begin` is called in the critical section that finds it.
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
            match state.write_lock.try_take() {
                Some(ticket) => Ok((ticket, begin(&mut state))),
                None => Err(state.write_lock.enqueue(self.waiter).ok_or(PagerError::AwaitedByCheckpoint)?),
            }
        };
        let claim = |ticket| WriteLockClaim { pager: Arc::clone(&self.pager), ticket };
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
        claim: WriteLockClaim,
        turn: Completion,
        begin: impl FnOnce(&mut State) -> T,
    ) -> Result<IOResult<Granted<T>>, PagerError> {
        // Looked at before the state's lock is taken: the write lock is handed over before the turn is completed, so who has
        // seen the turn come sees itself as the holder. The other way round, a grant in between would look like a refusal.
        let turned = turn.result();
        // The claim is a parameter, so it outlives this lock on every path: giving it up takes the lock.
        let granted = {
            let mut state = self.pager.state.lock();
            refuse_if_poisoned(&state)?;
            state.write_lock.is_holder(claim.ticket).then(|| begin(&mut state))
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
        self.pager.database.error("wait for the write lock of", error)
    }

    pub(super) fn is_waiting(&self) -> bool {
        matches!(self.stage, Stage::Waiting { .. })
    }
}
