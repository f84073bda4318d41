//! Making a transaction durable, then visible.

use std::fmt;
use std::sync::Arc;

use super::acquire::WriteLockClaim;
use super::snapshot_reader::SnapshotReader;
use super::spill::Spilled;
use super::write::WriteTransaction;
use crate::pager::PagerError;
use crate::pager::format::header::FileState;
use crate::pager::latch::{Latch, Wait};
use crate::pager::log::frames::{LaidOut, lay_out};
use crate::pager::pager::Pager;
use crate::pager::state::{CommitLatch, Flight, refuse_if_poisoned};
use crate::{IOCompletions, IOResult, StateMachine, StateTransition, TransitionResult};

/// Makes a transaction durable, then visible. Done with the number of the commit, at full durability only
/// after the sync that covers it.
///
/// Once its frames have been handed to the log it holds the write lock no longer: the next writer builds
/// upon it, and one write and one sync may be for them both. A transaction that has spilled may share them
/// with those before it; no other transaction builds on it, since it keeps the write lock until its commit is acknowledged or
/// has failed. Once handed over, a commit continues without its machine, while the pager exists. Dropping the machine
/// before that rolls the transaction back; dropping it after that, or cancelling what it waits for, leaves
/// the caller without an answer, and the commit as it is. A thread that then drops the last reference to the pager
/// drops with it the frames that still wait for their write.
///
/// When it fails, no transaction of this pager but writers that are bound to fail too has ever seen it. Its frames may be
/// in the log by then, all or some, and so a recovery may bring the whole of it back, as long as no later commit has been
/// acknowledged: a caller without an answer has to look.
#[must_use = "it does nothing until it is stepped"]
pub struct Commit {
    machine: StateMachine<Committing>,
}

impl WriteTransaction {
    /// Makes the changes durable and visible. A transaction without changes ends without I/O.
    pub fn commit(self) -> Commit {
        Commit::new(self)
    }
}

impl Commit {
    fn new(mut transaction: WriteTransaction) -> Self {
        transaction.give_up_call();
        let pager = Arc::clone(&transaction.reader.pager);
        Self { machine: StateMachine::new(Committing { pager, stage: Stage::Begin(transaction) }) }
    }

    /// Steps until the commit is acknowledged.
    ///
    /// # Errors
    ///
    /// [`PagerError::Io`], [`PagerError::EarlierCommitFailed`], [`PagerError::Poisoned`]: it has failed, and has been
    /// rolled back. [`PagerError::OutcomeUnknown`] when the wait was cancelled.
    ///
    /// # Panics
    ///
    /// When it has ended already.
    #[track_caller]
    pub fn step(&mut self) -> Result<IOResult<u64>, PagerError> {
        self.machine.step(&())
    }

    /// Whether it has been handed to the log, so that dropping it does not roll it back.
    #[must_use]
    pub fn is_submitted(&self) -> bool {
        matches!(self.machine.transitions().stage, Stage::AwaitOutcome { .. })
    }
}

impl fmt::Debug for Commit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Commit").field("ended", &self.machine.is_finished()).finish_non_exhaustive()
    }
}

struct Committing {
    pager: Arc<Pager>,
    stage: Stage,
}

/// A commit, from top to bottom. What the stages wait for belongs to the pager, and continues if this one is dropped.
enum Stage {
    Begin(WriteTransaction),
    PrepareLog(WriteTransaction),
    AwaitOutcome {
        sequence: u64,
        wait: Wait<Result<u64, PagerError>>,
    },
    /// It changes nothing, but what it has read is in flight.
    AwaitBase {
        sequence: u64,
        wait: Wait<Result<u64, PagerError>>,
    },
    Ended,
}

type Transition = Result<TransitionResult<u64>, PagerError>;

impl StateTransition for Committing {
    type Context = ();
    type Output = u64;
    type Error = PagerError;

    /// Takes the stage out. When it ends, well or not, what that held goes at once, not when the caller drops the machine.
    fn step(&mut self, (): &()) -> Transition {
        match std::mem::replace(&mut self.stage, Stage::Ended) {
            Stage::Begin(transaction) => self.begin(transaction),
            Stage::PrepareLog(transaction) => self.prepare_log(transaction),
            Stage::AwaitOutcome { sequence, mut wait } => match wait.poll() {
                Ok(IOResult::Done(outcome)) => outcome.map(TransitionResult::Done),
                Ok(IOResult::IO(io)) => self.suspend(Stage::AwaitOutcome { sequence, wait }, io),
                Err(_) => Err(PagerError::OutcomeUnknown { sequence }),
            },
            Stage::AwaitBase { sequence, mut wait } => match wait.poll() {
                Ok(IOResult::Done(Err(poisoned @ PagerError::Poisoned { .. }))) => Err(poisoned),
                Ok(IOResult::Done(Err(_))) => Err(PagerError::EarlierCommitFailed { sequence }),
                Ok(IOResult::Done(Ok(sequence))) => Ok(TransitionResult::Done(sequence)),
                Ok(IOResult::IO(io)) => self.suspend(Stage::AwaitBase { sequence, wait }, io),
                Err(_) => Err(PagerError::OutcomeUnknown { sequence }),
            },
            Stage::Ended => unreachable!("the driver steps no machine that has ended"),
        }
    }
}

impl Committing {
    fn go_on(&mut self, next: Stage) -> Transition {
        self.stage = next;
        Ok(TransitionResult::Continue)
    }

    fn suspend(&mut self, stage: Stage, io: IOCompletions) -> Transition {
        self.stage = stage;
        Ok(TransitionResult::Io(io))
    }

    fn begin(&mut self, mut transaction: WriteTransaction) -> Transition {
        if let IOResult::IO(io) = transaction.conclude()? {
            return self.suspend(Stage::Begin(transaction), io);
        }
        if !transaction.has_changes() {
            let sequence = transaction.commit_sequence();
            let base = self.pager.base_on_its_way(&transaction.reader.snapshot)?;
            return match base {
                None => Ok(TransitionResult::Done(sequence)),
                Some(wait) => self.go_on(Stage::AwaitBase { sequence, wait }),
            };
        }
        // It reads nothing any more, and must not prevent a reset of the log.
        transaction.reader.leave_log();
        self.go_on(Stage::PrepareLog(transaction))
    }

    /// Hands the frames to the log once that is ready for them.
    fn prepare_log(&mut self, mut transaction: WriteTransaction) -> Transition {
        let WriteTransaction { reader, spill, claim, changed, state, .. } = &mut transaction;
        let place = match spill.place(reader)? {
            IOResult::Done(place) => place,
            IOResult::IO(io) => return self.suspend(Stage::PrepareLog(transaction), io),
        };
        let sequence = place.tip.state.sequence + 1;
        let state = FileState { sequence, ..*state };
        let laid_out = lay_out(&self.pager.sealer, &place, Some(state), std::mem::take(changed));
        let wait = self.pager.submit_commit(reader, laid_out, spill.take_spilled(), claim)?;
        self.go_on(Stage::AwaitOutcome { sequence, wait })
    }
}

impl Pager {
    /// Hands a commit's frames to the log, the last ones if it has spilled. From here on it continues by
    /// itself, and so does the claim to the write lock if it has. The snapshot goes in the same moment: once
    /// the write lock may be another's, no reader may be registered that has seen a commit that is not published.
    fn submit_commit(
        self: &Arc<Self>,
        reader: &mut SnapshotReader,
        laid_out: LaidOut,
        mut spilled: Option<Box<Spilled>>,
        claim: &mut WriteLockClaim,
    ) -> Result<Wait<Result<u64, PagerError>>, PagerError> {
        let LaidOut { pieces, tip, pages } = laid_out;
        let outcome: Arc<CommitLatch> = Latch::new();
        let wait = Wait::new(Arc::clone(&outcome));
        let (due, departed) = {
            let mut state = self.state.lock();
            // Whatever ended its run since it was laid out has taken what it was laid out upon.
            refuse_if_poisoned(&state)?;
            state.require_base(&reader.snapshot)?;
            debug_assert!(state.tip().end == reader.snapshot.mark && !state.log.run_is_over);
            let write_lock = spilled.as_ref().map(|_| claim.ticket());
            let spilled = spilled.as_mut().map(|spilled| spilled.hand_over()).unwrap_or_default();
            let due = state.pending.push(Flight { tip, pages, spilled, write_lock, outcome }, pieces);
            state.begin_log_io(&due);
            (due, reader.unregister(&mut state))
        };
        if spilled.is_some() {
            claim.hand_over();
        }
        self.start(due);
        departed.tell();
        Ok(wait)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::{MemoryIO, drive};
    use crate::pager::PagerOptions;

    /// The write lock of one that has spilled may be another's at once after that: see `Readers::register`.
    #[test]
    fn snapshot_is_gone_as_soon_as_the_frames_are_handed_over() {
        for spill_pages in [9, 1] {
            let io = Arc::new(MemoryIO::new());
            let options = PagerOptions { spill_pages, ..PagerOptions::default() };
            let mut open = Pager::open(io.clone(), "test.db".as_ref(), options);
            let pager = drive(&*io, || open.step()).expect("open");
            let mut transaction = pager.try_begin_write().expect("free");
            for _ in 0..3 {
                drive(&*io, || transaction.allocate()).expect("allocate");
            }
            assert_eq!(transaction.pages_spilled() > 0, spill_pages == 1);
            let WriteTransaction { reader, spill, claim, changed, state, .. } = &mut transaction;
            let place = drive(&*io, || spill.place(reader)).expect("a place");
            let state = FileState { sequence: 1, ..*state };
            let laid_out = lay_out(&pager.sealer, &place, Some(state), std::mem::take(changed));
            let mut wait =
                pager.submit_commit(reader, laid_out, spill.take_spilled(), claim).expect("handed over");
            assert_eq!((pager.audit().readers, pager.audit().commits_pending), (0, 1));
            drop(transaction);
            let outcome = drive(&*io, || wait.poll().map_err(|error| pager.log.error("wait for", error)));
            assert_eq!(outcome, Ok(Ok(1)));
            assert!(pager.audit().is_idle());
        }
    }
}
