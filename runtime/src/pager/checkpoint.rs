//! Copying the log into the database file.

use std::fmt;
use std::sync::Arc;

use super::begin_write::refuse_if_poisoned;
use super::cache::{IN_DATABASE, Key};
use super::header::{self, FileState, HEADER_PAGE};
use super::latch::{Latch, Wait, transition_if_io};
use super::log_index::FrameNo;
use super::page::Page;
use super::shared::Pager;
use super::state::State;
use super::transfer::{self, Ended, Filled, Piece, ReadBatch};
use super::{Durability, PageNo, PagerError};
use crate::io::Buffer;
use crate::{IOResult, StateMachine, StateTransition, TransitionResult};

/// Bytes of pages that a checkpoint has in memory at a time, at least one page.
const BATCH_SIZE: usize = 256 << 10;

/// Copies committed pages from the log into the database file. Dropped at any time it leaves no more than pages in the
/// database file that the log still has.
#[must_use = "it does nothing until it is stepped"]
pub struct Checkpoint {
    machine: StateMachine<Checkpointing>,
}

/// How far a checkpoint came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckpointOutcome {
    /// All of the log is in the database file.
    Complete,
    /// The log has more: of commits that came meanwhile, or beyond the oldest reader's snapshot.
    Partial,
    /// Another checkpoint was under way; this one did nothing.
    AlreadyRunning,
}

/// What a checkpoint did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CheckpointReport {
    /// How far it came.
    pub outcome: CheckpointOutcome,
    /// The commit that the database file holds now.
    pub sequence: u64,
    /// Frames of the log that the database file holds now, and did not before.
    pub frames: u64,
    /// Pages that were written for that; a page that several frames changed is written once.
    pub pages: u64,
}

impl Checkpoint {
    pub(super) fn new(pager: &Arc<Pager>) -> Self {
        Self {
            machine: StateMachine::new(Checkpointing {
                pager: Arc::clone(pager),
                run: None,
                stage: Stage::Begin,
            }),
        }
    }

    /// Steps until what can be copied has been.
    ///
    /// # Errors
    ///
    /// [`PagerError::Io`], [`PagerError::Corrupt`] for a page that can't be read from the log, which then stays as it
    /// is, and [`PagerError::Poisoned`].
    ///
    /// # Panics
    ///
    /// When it has ended already.
    #[track_caller]
    pub fn step(&mut self) -> Result<IOResult<CheckpointReport>, PagerError> {
        self.machine.step(&())
    }
}

impl fmt::Debug for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Checkpoint").field("ended", &self.machine.is_finished()).finish_non_exhaustive()
    }
}

struct Checkpointing {
    pager: Arc<Pager>,
    run: Option<Run>,
    stage: Stage,
}

/// The one checkpoint that is under way, and what it is to do. Dropping it lets another begin.
struct Run {
    pager: Arc<Pager>,
    /// Frames after `from`, up to and with `until`.
    from: FrameNo,
    until: FrameNo,
    /// The file as of frame `until`.
    state: FileState,
    /// The last page whose turn has been.
    after: PageNo,
    pages: u64,
}

impl Drop for Run {
    fn drop(&mut self) {
        self.pager.state.lock().checkpoint_running = false;
    }
}

/// A checkpoint, from top to bottom; the four from the choice of a batch on repeat. Only frames of published commits are
/// copied, and only once those are durable: with full durability they are before they are published, otherwise the log
/// is synced first.
enum Stage {
    Begin,
    AwaitEarlierCheckpoint(Wait<Ended>),
    BeginCopying,
    SyncLog(Wait<Result<(), PagerError>>),
    ChooseBatch,
    ReadFromLog(Batch, ReadBatch),
    WritePages(Wait<Ended>),
    WriteHeader(Wait<Ended>),
    SyncDatabase(Wait<Ended>),
    CutTail(Wait<Ended>, CheckpointReport),
}

/// Pages in ascending order; those that the cache did not have are being read.
type Batch = Vec<(Key, Option<Arc<Page>>)>;

type Transition = Result<TransitionResult<CheckpointReport>, PagerError>;

impl StateTransition for Checkpointing {
    type Context = ();
    type Output = CheckpointReport;
    type Error = PagerError;

    fn step(&mut self, (): &()) -> Transition {
        let transition = self.advance();
        if !matches!(transition, Ok(TransitionResult::Continue | TransitionResult::Io(_))) {
            self.run = None;
        }
        transition
    }
}

impl Checkpointing {
    fn advance(&mut self) -> Transition {
        let database = &self.pager.database;
        let next = match &mut self.stage {
            Stage::Begin => return self.begin(),
            Stage::AwaitEarlierCheckpoint(wait) => {
                // How that ended was its starter's concern; a failed sync has poisoned the pager.
                let _ = transition_if_io!(
                    wait.poll().map_err(|error| database.error("wait for a write to", error))
                );
                refuse_if_poisoned(&self.pager.state.lock())?;
                Stage::BeginCopying
            }
            Stage::BeginCopying => {
                let run = self.run.as_ref().expect("there until the machine ends");
                let wait = self.pager.sync_log_before_copying(run.state.sequence);
                wait.map_or(Stage::ChooseBatch, Stage::SyncLog)
            }
            Stage::SyncLog(wait) => {
                let log = &self.pager.log;
                transition_if_io!(wait.poll().map_err(|error| log.error("wait for a sync of", error)))?;
                Stage::ChooseBatch
            }
            Stage::ChooseBatch => return self.choose_batch(),
            Stage::ReadFromLog(batch, reads) => {
                let read =
                    transition_if_io!(reads.poll().map_err(|error| self.pager.log.error("read", error)));
                let batch = std::mem::take(batch);
                return self.write_pages(batch, read);
            }
            Stage::WritePages(wait) => {
                transition_if_io!(database.ended(wait, "write pages to"));
                Stage::ChooseBatch
            }
            Stage::WriteHeader(wait) => {
                transition_if_io!(database.ended(wait, "write the header of"));
                if self.pager.options.durability == Durability::Off {
                    let run = self.run.as_ref().expect("there until the machine ends");
                    return Ok(TransitionResult::Done(self.pager.advance_backfill(run)));
                }
                let latch = self.pager.begin_database_io();
                let wait = Wait::new(Arc::clone(&latch));
                self.pager.sync(database, move |ended| latch.set(ended));
                Stage::SyncDatabase(wait)
            }
            Stage::SyncDatabase(wait) => {
                transition_if_io!(database.ended(wait, "sync"));
                let run = self.run.as_ref().expect("there until the machine ends");
                let report = self.pager.advance_backfill(run);
                match self.pager.cut_tail(&run.state)? {
                    Some(wait) => Stage::CutTail(wait, report),
                    None => return Ok(TransitionResult::Done(report)),
                }
            }
            Stage::CutTail(wait, report) => {
                transition_if_io!(database.ended(wait, "truncate"));
                return Ok(TransitionResult::Done(*report));
            }
        };
        self.stage = next;
        Ok(TransitionResult::Continue)
    }

    fn begin(&mut self) -> Transition {
        let mut state = self.pager.state.lock();
        refuse_if_poisoned(&state)?;
        let (until, target) = state.checkpoint_target();
        let (from, end) = (state.log.backfilled, state.log.end);
        if state.checkpoint_running || until <= from {
            let outcome = match state.checkpoint_running {
                true => CheckpointOutcome::AlreadyRunning,
                false if from == end => CheckpointOutcome::Complete,
                false => CheckpointOutcome::Partial,
            };
            let sequence = state.backfilled_sequence;
            return Ok(TransitionResult::Done(CheckpointReport { outcome, sequence, frames: 0, pages: 0 }));
        }
        state.checkpoint_running = true;
        let earlier = State::running(&state.database_io);
        drop(state);
        let pager = Arc::clone(&self.pager);
        self.run = Some(Run { pager, from, until, state: target, after: HEADER_PAGE, pages: 0 });
        self.stage =
            earlier.map_or(Stage::BeginCopying, |latch| Stage::AwaitEarlierCheckpoint(Wait::new(latch)));
        Ok(TransitionResult::Continue)
    }

    /// Takes the next pages in ascending order; after the last, the header page.
    fn choose_batch(&mut self) -> Transition {
        let run = self.run.as_ref().expect("there until the machine ends");
        let pager = &self.pager;
        let count = (BATCH_SIZE / pager.sealer.page_size()).max(1);
        let frames =
            pager.state.lock().index.batch(run.after, run.state.page_count, run.from, run.until, count);
        if frames.is_empty() {
            let latch = pager.begin_database_io();
            let wait = Wait::new(Arc::clone(&latch));
            let header = header::encode(&pager.sealer, pager.id, &run.state);
            let piece = Piece { offset: 0, buffers: vec![header] };
            transfer::write_all(&*pager.database.file, vec![piece], move |ended| latch.set(ended));
            self.stage = Stage::WriteHeader(wait);
            return Ok(TransitionResult::Continue);
        }
        let keys = frames.into_iter().map(|(page, frame)| Key { page, frame });
        let batch: Batch = keys.map(|key| (key, pager.cache.peek(key))).collect();
        let missing = batch.iter().filter(|(_, page)| page.is_none()).map(|(key, _)| {
            let (file, offset, _) = pager.locate(*key);
            (&*file.file, offset, pager.sealer.page_size())
        });
        let reads = ReadBatch::start(missing);
        self.stage = Stage::ReadFromLog(batch, reads);
        Ok(TransitionResult::Continue)
    }

    fn write_pages(&mut self, batch: Batch, read: Vec<Filled>) -> Transition {
        let run = self.run.as_mut().expect("there until the machine ends");
        let pager = &self.pager;
        let mut read = read.into_iter();
        let mut images = Vec::with_capacity(batch.len());
        for (key, cached) in batch {
            let image = match cached {
                Some(page) => Buffer::copy_of(&page.bytes),
                None => {
                    let bytes = read.next().expect("one read for each page that was missing");
                    let (_, _, place) = pager.locate(key);
                    pager.check_page(key.page, place, &bytes)?;
                    bytes.require_whole().map_err(|error| pager.log.error("read", error))?
                }
            };
            images.push((key.page, image));
        }
        // From here on the database file's old versions are gone. Nobody reads them, see the README; a read that was
        // begun for somebody who is gone must not be kept.
        for (page, _) in &images {
            drop(pager.cache.forget(Key { page: *page, frame: IN_DATABASE }));
        }
        run.after = images.last().map_or(run.after, |(page, _)| *page);
        run.pages += images.len() as u64;
        let latch = pager.begin_database_io();
        let wait = Wait::new(Arc::clone(&latch));
        let pieces = runs_of_neighbours(images, pager.sealer.page_size());
        transfer::write_all(&*pager.database.file, pieces, move |ended| latch.set(ended));
        self.stage = Stage::WritePages(wait);
        Ok(TransitionResult::Continue)
    }
}

impl Pager {
    /// As `begin_log_io`, for the database file.
    pub(super) fn begin_database_io(&self) -> Arc<super::state::IoLatch> {
        let latch = Latch::new();
        self.state.lock().database_io = Some(Arc::clone(&latch));
        latch
    }

    /// What `run` was to copy is in the database file, durably.
    fn advance_backfill(&self, run: &Run) -> CheckpointReport {
        let mut state = self.state.lock();
        state.log.backfilled = run.until;
        state.backfilled_sequence = run.state.sequence;
        let outcome = match run.until == state.log.end {
            true => CheckpointOutcome::Complete,
            false => CheckpointOutcome::Partial,
        };
        CheckpointReport {
            outcome,
            sequence: run.state.sequence,
            frames: run.until - run.from,
            pages: run.pages,
        }
    }
}

/// One write for each run of pages whose numbers follow one another.
fn runs_of_neighbours(images: Vec<(PageNo, Buffer)>, page_size: usize) -> Vec<Piece> {
    let mut pieces: Vec<Piece> = Vec::new();
    let mut expected = None;
    for (page, image) in images {
        match pieces.last_mut() {
            Some(piece) if expected == Some(page) => piece.buffers.push(image),
            _ => pieces.push(Piece { offset: u64::from(page - 1) * page_size as u64, buffers: vec![image] }),
        }
        expected = page.checked_add(1);
    }
    pieces
}
