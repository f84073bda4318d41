//! One pass of a checkpoint: what is in the log up to some commit, into the database file.

use std::sync::Arc;

use crate::TransitionResult;
use crate::io::Buffer;
use crate::pager::cache::{IN_DATABASE, Key};
use crate::pager::format::header::{self, FileState, HEADER_PAGE};
use crate::pager::format::page::Page;
use crate::pager::latch::{Latch, Wait, transition_if_io};
use crate::pager::log::index::FrameNo;
use crate::pager::pager::Pager;
use crate::pager::state::{IoLatch, State, refuse_if_poisoned};
use crate::pager::transfer::{self, Ended, Filled, Piece, ReadBatch};
use crate::pager::{Durability, PageNo, PagerError};

/// Bytes of pages that a pass has in memory at a time, at least one page.
const BATCH_SIZE: usize = 256 << 10;

/// Copies pages in ascending order, then the header page, then syncs, and says how far the database file is. Only the one
/// checkpoint that is under way has one.
pub(super) struct Pass {
    pager: Arc<Pager>,
    scope: Scope,
    /// The last page whose turn has been.
    after: PageNo,
    pages: u64,
    stage: Stage,
}

/// What a pass is to copy.
pub(super) struct Scope {
    /// Frames after `from`, up to and with `until`.
    from: FrameNo,
    until: FrameNo,
    /// The file as of frame `until`.
    state: FileState,
}

/// What a pass has copied.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Copied {
    pub(super) frames: u64,
    pub(super) pages: u64,
}

/// A pass, from top to bottom; the three from the choice of a batch on repeat. Only frames of published commits are
/// copied, and only once those are durable: with full durability they are before they are published, otherwise the log
/// is synced first.
enum Stage {
    Begin,
    AwaitEarlierPass(Wait<Ended>),
    PrepareLog,
    SyncLog(Wait<Result<(), PagerError>>),
    ChooseBatch,
    ReadFromLog(Batch, ReadBatch),
    WritePages(Wait<Ended>),
    WriteHeader(Wait<Ended>),
    SyncDatabase(Wait<Ended>),
    CutTail(Wait<Ended>, Copied),
}

/// Pages in ascending order; those that the cache did not have are being read.
type Batch = Vec<(Key, Option<Arc<Page>>)>;

type Transition = Result<TransitionResult<Copied>, PagerError>;

impl Scope {
    /// What can be copied now, if anything: up to the oldest reader's snapshot.
    pub(super) fn of(state: &State) -> Option<Self> {
        let (until, target) = state.checkpoint_target();
        let from = state.log.backfilled;
        (until > from).then_some(Self { from, until, state: target })
    }
}

impl Pass {
    pub(super) fn new(pager: &Arc<Pager>, scope: Scope) -> Self {
        Self { pager: Arc::clone(pager), scope, after: HEADER_PAGE, pages: 0, stage: Stage::Begin }
    }

    /// One step; not after it has ended.
    pub(super) fn advance(&mut self) -> Transition {
        let database = &self.pager.database;
        let next = match &mut self.stage {
            Stage::Begin => {
                // A checkpoint that was dropped may have left it behind, and would write to the same places.
                let earlier = State::running(&self.pager.state.lock().database_io);
                earlier.map_or(Stage::PrepareLog, |latch| Stage::AwaitEarlierPass(Wait::new(latch)))
            }
            Stage::AwaitEarlierPass(wait) => {
                // How that ended was its starter's concern; a failed sync has poisoned the pager.
                let _ = transition_if_io!(
                    wait.poll().map_err(|error| database.error("wait for a write to", error))
                );
                refuse_if_poisoned(&self.pager.state.lock())?;
                Stage::PrepareLog
            }
            Stage::PrepareLog => {
                let wait = self.pager.sync_log_before_copying(self.scope.state.sequence)?;
                wait.map_or(Stage::ChooseBatch, Stage::SyncLog)
            }
            Stage::SyncLog(wait) => {
                let log = &self.pager.log;
                transition_if_io!(wait.poll().map_err(|error| log.error("wait for a sync of", error)))?;
                Stage::PrepareLog
            }
            Stage::ChooseBatch => self.choose_batch(),
            Stage::ReadFromLog(batch, reads) => {
                let read =
                    transition_if_io!(reads.poll().map_err(|error| self.pager.log.error("read", error)));
                let batch = std::mem::take(batch);
                self.write_pages(batch, read)?
            }
            Stage::WritePages(wait) => {
                transition_if_io!(database.ended(wait, "write pages to"));
                Stage::ChooseBatch
            }
            Stage::WriteHeader(wait) => {
                transition_if_io!(database.ended(wait, "write the header of"));
                if self.pager.options.durability == Durability::Off {
                    return Ok(TransitionResult::Done(self.advance_backfill()));
                }
                let latch = self.pager.begin_database_io();
                let wait = Wait::new(Arc::clone(&latch));
                self.pager.sync(database, move |ended| latch.set(ended));
                Stage::SyncDatabase(wait)
            }
            Stage::SyncDatabase(wait) => {
                transition_if_io!(database.ended(wait, "sync"));
                let copied = self.advance_backfill();
                match self.pager.cut_tail(&self.scope.state)? {
                    Some(wait) => Stage::CutTail(wait, copied),
                    None => return Ok(TransitionResult::Done(copied)),
                }
            }
            Stage::CutTail(wait, copied) => {
                transition_if_io!(database.ended(wait, "truncate"));
                return Ok(TransitionResult::Done(*copied));
            }
        };
        self.stage = next;
        Ok(TransitionResult::Continue)
    }

    /// Takes the next pages in ascending order; after the last, the header page.
    fn choose_batch(&self) -> Stage {
        let Self { pager, scope, .. } = self;
        let count = (BATCH_SIZE / pager.sealer.page_size()).max(1);
        let Scope { from, until, state } = scope;
        let frames = pager.state.lock().index.batch(self.after, state.page_count, *from, *until, count);
        if frames.is_empty() {
            let latch = pager.begin_database_io();
            let wait = Wait::new(Arc::clone(&latch));
            let header = header::encode(&pager.sealer, pager.id, state);
            let piece = Piece { offset: 0, buffers: vec![header] };
            transfer::write_all(&*pager.database.file, vec![piece], move |ended| latch.set(ended));
            return Stage::WriteHeader(wait);
        }
        let keys = frames.into_iter().map(|(page, frame)| Key { page, frame });
        let batch: Batch = keys.map(|key| (key, pager.cache.peek(key))).collect();
        let missing = batch.iter().filter(|(_, page)| page.is_none()).map(|(key, _)| {
            let (file, offset, _) = pager.locate(*key);
            (&*file.file, offset, pager.sealer.page_size())
        });
        let reads = ReadBatch::start(missing);
        Stage::ReadFromLog(batch, reads)
    }

    fn write_pages(&mut self, batch: Batch, read: Vec<Filled>) -> Result<Stage, PagerError> {
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
        // From here on the database file's old versions are gone. No one reads them, see the README; a read that was
        // begun for a caller that is gone must not be kept.
        for (page, _) in &images {
            drop(pager.cache.forget(Key { page: *page, frame: IN_DATABASE }));
        }
        self.after = images.last().map_or(self.after, |(page, _)| *page);
        self.pages += images.len() as u64;
        let latch = pager.begin_database_io();
        let wait = Wait::new(Arc::clone(&latch));
        let page_size = pager.sealer.page_size() as u64;
        let pieces = images
            .into_iter()
            .map(|(page, image)| Piece { offset: u64::from(page - 1) * page_size, buffers: vec![image] });
        let pieces = transfer::merge(pieces);
        transfer::write_all(&*pager.database.file, pieces, move |ended| latch.set(ended));
        Ok(Stage::WritePages(wait))
    }

    /// What the pass was to copy is in the database file, durably.
    fn advance_backfill(&self) -> Copied {
        let Scope { from, until, state: target } = &self.scope;
        let mut state = self.pager.state.lock();
        state.log.backfilled = *until;
        state.backfilled_sequence = target.sequence;
        Copied { frames: until - from, pages: self.pages }
    }
}

impl Pager {
    /// As for the log, `log_io`, but one at a time: what is begun on the database file.
    pub(in crate::pager) fn begin_database_io(&self) -> Arc<IoLatch> {
        let latch = Latch::new();
        self.state.lock().database_io = Some(Arc::clone(&latch));
        latch
    }
}
