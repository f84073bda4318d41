//! Making a transaction durable, then visible.

use std::fmt;
use std::sync::Arc;

use super::begin_write::refuse_if_poisoned;
use super::cache::{Evicted, Key};
use super::frames::{Unpublished, lay_out};
use super::header::FileState;
use super::latch::{Latch, Wait, transition_if_io};
use super::shared::Pager;
use super::state::{IoLatch, State};
use super::transfer::{self, Ended, Piece};
use super::{PagerError, WriteTransaction};
use crate::{IOResult, StateMachine, StateTransition, TransitionResult};

/// Makes a transaction durable, then visible. Done with the number of the commit, only after the sync that covers it.
///
/// When it fails, or is dropped, the transaction is rolled back: no transaction of this pager ever sees it. Its frames
/// may be in the log by then, all or some, and so a recovery may bring the whole of it back, as long as no later commit
/// has been acknowledged: whoever was not told how a commit ended has to look.
#[must_use = "it does nothing until it is stepped"]
pub struct Commit {
    machine: StateMachine<Committing>,
}

impl Commit {
    pub(super) fn new(transaction: WriteTransaction) -> Self {
        let pager = Arc::clone(&transaction.reader.pager);
        let transaction = Some(transaction);
        Self { machine: StateMachine::new(Committing { pager, transaction, stage: Stage::Begin }) }
    }

    /// Steps until the commit is acknowledged.
    ///
    /// # Errors
    ///
    /// [`PagerError::Io`], [`PagerError::Poisoned`]. The transaction has then been rolled back.
    ///
    /// # Panics
    ///
    /// When it has ended already.
    #[track_caller]
    pub fn step(&mut self) -> Result<IOResult<u64>, PagerError> {
        self.machine.step(&())
    }
}

impl fmt::Debug for Commit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Commit").field("ended", &self.machine.is_finished()).finish_non_exhaustive()
    }
}

struct Committing {
    pager: Arc<Pager>,
    /// Until the commit has ended, one way or the other.
    transaction: Option<WriteTransaction>,
    stage: Stage,
}

/// A commit, from top to bottom. What each stage waits for belongs to the pager and is found by the next commit should
/// this one be dropped.
enum Stage {
    Begin,
    AwaitEarlierWriter(Wait<Ended>),
    PrepareLog,
    WriteLogHeader(Wait<Ended>),
    SyncLogHeader(Wait<Ended>),
    WriteFrames(Option<Unpublished>, Wait<Ended>),
    SyncFrames(Option<Unpublished>, Wait<Ended>),
}

type Transition = Result<TransitionResult<u64>, PagerError>;

impl StateTransition for Committing {
    type Context = ();
    type Output = u64;
    type Error = PagerError;

    fn step(&mut self, (): &()) -> Transition {
        let transition = self.advance();
        if !matches!(transition, Ok(TransitionResult::Continue | TransitionResult::Io(_))) {
            // Ended, well or not: the write right goes on at once, not when the caller drops the machine.
            self.transaction = None;
        }
        transition
    }
}

impl Committing {
    fn advance(&mut self) -> Transition {
        let log = &self.pager.log;
        let next = match &mut self.stage {
            Stage::Begin => return self.begin(),
            Stage::AwaitEarlierWriter(wait) => {
                // How that ended was its starter's concern; a failed sync has poisoned the pager.
                let _ =
                    transition_if_io!(wait.poll().map_err(|error| log.error("wait for a write to", error)));
                Stage::PrepareLog
            }
            Stage::PrepareLog => return self.prepare_log(),
            Stage::WriteLogHeader(wait) => {
                transition_if_io!(log.ended(wait, "write the header of"));
                Stage::SyncLogHeader(self.pager.sync_log())
            }
            Stage::SyncLogHeader(wait) => {
                transition_if_io!(log.ended(wait, "sync"));
                self.pager.state.lock().log.header_durable = true;
                Stage::PrepareLog
            }
            Stage::WriteFrames(unpublished, wait) => {
                transition_if_io!(log.ended(wait, "write frames to"));
                Stage::SyncFrames(unpublished.take(), self.pager.sync_log())
            }
            Stage::SyncFrames(unpublished, wait) => {
                transition_if_io!(log.ended(wait, "sync"));
                let sequence = unpublished.take().map(|unpublished| self.pager.publish(unpublished));
                return Ok(TransitionResult::Done(sequence.expect("published once: the machine ends here")));
            }
        };
        self.stage = next;
        Ok(TransitionResult::Continue)
    }

    fn begin(&mut self) -> Transition {
        let transaction = self.transaction.as_mut().expect("there until the machine ends");
        if transaction.changed.is_empty() {
            return Ok(TransitionResult::Done(transaction.commit_sequence()));
        }
        // It reads nothing any more, and must not keep the log from being begun anew below.
        transaction.reader.leave_log();
        let running = State::running(&self.pager.state.lock().log_io);
        self.stage = running.map_or(Stage::PrepareLog, |latch| Stage::AwaitEarlierWriter(Wait::new(latch)));
        Ok(TransitionResult::Continue)
    }

    /// Begins whatever has to be done to the log next: cutting, the header, or the transaction's frames.
    fn prepare_log(&mut self) -> Transition {
        let (log, durable) = self.pager.renew_log_if_done()?;
        self.stage = if log.header_durable {
            let transaction = self.transaction.as_mut().expect("there until the machine ends");
            let sequence = durable + 1;
            let state = FileState { sequence, ..transaction.state };
            let changed = std::mem::take(&mut transaction.changed);
            let (pieces, unpublished) = lay_out(&self.pager.sealer, &log, durable, state, changed);
            let wait = self.pager.write_frames(&unpublished, pieces);
            Stage::WriteFrames(Some(unpublished), wait)
        } else {
            let latch = self.pager.begin_log_io();
            let wait = Wait::new(Arc::clone(&latch));
            let piece = Piece { offset: log.header.offset(), buffers: vec![log.header.encode()] };
            transfer::write_all(&*self.pager.log.file, vec![piece], move |ended| latch.set(ended));
            Stage::WriteLogHeader(wait)
        };
        Ok(TransitionResult::Continue)
    }
}

/// The log's side of a commit. Called by the holder of the write right only.
impl Pager {
    /// The log to write to, and the newest durable commit. If all of the log is in the database file and nobody reads
    /// it, that is an empty log; on disk it becomes so with its new header.
    fn renew_log_if_done(&self) -> Result<(super::state::Log, u64), PagerError> {
        let evicted: Evicted;
        let result = {
            let mut state = self.state.lock();
            refuse_if_poisoned(&state)?;
            evicted = if state.log_is_done() {
                let evicted = self.cache.move_to_database(&state.index);
                state.index.clear();
                state.log = state.log.next_generation(state.committed.sequence);
                evicted
            } else {
                Evicted::default()
            };
            (state.log, state.committed.sequence)
        };
        drop(evicted);
        Ok(result)
    }

    /// The latch of an operation on the log file that is about to be begun. It is the pager's: should the commit be
    /// dropped, the next one finds it here and waits.
    fn begin_log_io(&self) -> Arc<IoLatch> {
        let latch = Latch::new();
        self.state.lock().log_io = Some(Arc::clone(&latch));
        latch
    }

    fn sync_log(self: &Arc<Self>) -> Wait<Ended> {
        let latch = self.begin_log_io();
        let wait = Wait::new(Arc::clone(&latch));
        self.sync(&self.log, move |ended| latch.set(ended));
        wait
    }

    fn write_frames(&self, unpublished: &Unpublished, pieces: Vec<Piece>) -> Wait<Ended> {
        let latch = Latch::new();
        {
            let mut state = self.state.lock();
            state.log.attempt = unpublished.attempt;
            state.log_io = Some(Arc::clone(&latch));
        }
        let wait = Wait::new(Arc::clone(&latch));
        transfer::write_all(&*self.log.file, pieces, move |ended| latch.set(ended));
        wait
    }

    /// Makes a durable commit the newest that new transactions see. Returns its number.
    fn publish(&self, unpublished: Unpublished) -> u64 {
        let Unpublished { state: committed, end, chain, pages, .. } = unpublished;
        let keys: Vec<Key> = (end + 1 - pages.len() as u64..)
            .zip(&pages)
            .map(|(frame, page)| Key { page: page.number, frame })
            .collect();
        // The cache first: nobody asks for these frames before they are in the index, and then finds them. The pages
        // are given away one by one, since a page that somebody else refers to counts as pinned.
        let evicted: Vec<Evicted> =
            keys.iter().zip(pages).map(|(key, page)| self.cache.insert(*key, page)).collect();
        {
            let mut state = self.state.lock();
            for key in &keys {
                state.index.insert(key.page, key.frame);
            }
            state.log.end = end;
            state.log.chain = chain;
            state.committed = committed;
        }
        drop(evicted);
        committed.sequence
    }
}
