//! What all connections share, under one lock.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::cache::IN_DATABASE;
use super::latch::{Latch, Wait};
use super::readers::{Readers, Snapshot};
use super::transfer::{Ended, Piece};
use super::wakes::Wakes;
use super::write_lock::{Ticket, WriteLock};
use super::{PageNo, PagerError};
use crate::CompletionError;
use crate::pager::format::header::FileState;
use crate::pager::format::log::LogHeader;
use crate::pager::format::page::Page;
use crate::pager::log::index::{FrameNo, LogIndex};
use crate::pager::log::io::LogIo;
use crate::pager::log::pending::Pending;

/// The end of an operation, or of a group of them, that the pager owns.
pub(super) type IoLatch = Latch<Ended>;

/// How a commit ended: its number.
pub(super) type CommitLatch = Latch<Result<u64, PagerError>>;

/// A commit in flight: its frames have been handed to the log.
pub(super) struct Flight {
    /// The log after it.
    pub(super) tip: Tip,
    /// Its pages in the order of their frames, which is that of their numbers. Writers that build upon it find them
    /// here.
    pub(super) pages: Vec<Arc<Page>>,
    /// The newest frames of its other pages: they were spilled, and no reader looks for them before it is published.
    pub(super) spilled: BTreeMap<PageNo, FrameNo>,
    /// The write lock, which it keeps until its end if it has spilled. No other transaction builds on it.
    pub(super) write_lock: Option<Ticket>,
    pub(super) outcome: Arc<CommitLatch>,
}

impl Flight {
    fn page(&self, page: PageNo) -> Option<&Arc<Page>> {
        let place = self.pages.binary_search_by_key(&page, |page| page.number).ok()?;
        self.pages.get(place)
    }
}

/// The log after a commit: where the next one goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tip {
    /// The file as the commit leaves it.
    pub(super) state: FileState,
    /// Its last frame; that before the log's first while the log is empty.
    pub(super) end: FrameNo,
    /// The chain after that.
    pub(super) chain: u64,
    /// The run that it belongs to; 0 while the log is empty.
    pub(super) run: u32,
}

/// A page that a transaction may see.
pub(super) enum Version {
    /// Of a commit that is not published yet.
    Unpublished(Arc<Page>),
    /// In this frame, or in the database file.
    Frame(FrameNo),
}

/// What all connections share, under one lock. Held for a few map operations at a time; never while I/O is submitted
/// or a completion is completed.
pub(super) struct State {
    /// The file as of the newest published commit.
    pub(super) committed: FileState,
    pub(super) log: Log,
    pub(super) index: LogIndex,
    pub(super) readers: Readers,
    pub(super) write_lock: WriteLock,
    /// Commits that writers see and readers do not.
    pub(super) pending: Pending<Flight, Vec<Piece>>,
    pub(super) log_io: LogIo,
    pub(super) commits_published: u64,
    pub(super) log_syncs: u64,
    /// The newest published commit that is known to be durable.
    pub(super) durable_sequence: u64,
    /// The oldest of the commits that failed last.
    pub(super) failed_sequence: u64,
    /// What was last begun on the database file. A checkpoint that is dropped leaves it here, and the next one waits for
    /// it: it would write to the same places.
    pub(super) database_io: Option<Arc<IoLatch>>,
    /// The same for the sync of the log that a checkpoint began last.
    pub(super) log_sync: Option<Arc<Latch<Result<(), PagerError>>>>,
    /// The end of the one checkpoint that is under way.
    pub(super) checkpoint: Option<Arc<Latch<()>>>,
    /// The commit that the database file holds, durably: the one that ends with frame `log.backfilled`.
    pub(super) backfilled_sequence: u64,
    /// How the first failed sync ended. Set once and never taken back.
    pub(super) poison: Option<CompletionError>,
}

/// The log file. Only the holder of the write lock resets it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Log {
    pub(super) header: LogHeader,
    /// Whether the header is known to be on disk. Until then no frame may be written.
    pub(super) header_durable: bool,
    /// The frame at the first place in the file.
    pub(super) first: FrameNo,
    /// The last frame of the newest published commit; `first - 1` while there is none.
    pub(super) end: FrameNo,
    /// Frames up to this one are in the database file, durably.
    pub(super) backfilled: FrameNo,
    /// The chain after frame `end`.
    pub(super) chain: u64,
    /// The run of the newest published commit; 0 while there is none.
    pub(super) run: u32,
    /// The newest run of this generation, from 1; 0 while there is none.
    pub(super) newest_run: u32,
    /// Whether it has come to its end: a commit of it failed, or belongs to an earlier opening. The next commit begins a
    /// new one, once nothing is under way on the log.
    pub(super) run_is_over: bool,
}

impl Log {
    /// A log without frames, whose header is on disk.
    pub(super) fn begun(header: LogHeader) -> Self {
        let (first, last) = (1, 0);
        let chain = header.chain();
        Self {
            header,
            header_durable: true,
            first,
            end: last,
            backfilled: last,
            chain,
            run: 0,
            newest_run: 0,
            run_is_over: true,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.end < self.first
    }

    /// The frame's place in the file, from 0.
    pub(super) fn place(&self, frame: FrameNo) -> u64 {
        frame - self.first
    }

    /// A log that has run out of generations grows from then on; it takes four thousand million.
    pub(super) fn has_next_generation(&self) -> bool {
        self.header.generation < u32::MAX
    }

    /// Frames in it.
    pub(super) fn frames(&self) -> u64 {
        self.end + 1 - self.first
    }

    /// An empty generation after this one, for a database file that holds everything up to commit `base`.
    pub(super) fn next_generation(&self, base: u64) -> Self {
        let header = LogHeader { base, generation: self.header.generation + 1, ..self.header };
        let (first, last) = (self.end + 1, self.end);
        Self { header_durable: false, first, end: last, backfilled: last, ..Self::begun(header) }
    }
}

impl State {
    pub(super) fn new(committed: FileState, log: Log, index: LogIndex, backfilled_sequence: u64) -> Self {
        Self {
            committed,
            log,
            index,
            readers: Readers::default(),
            write_lock: WriteLock::default(),
            pending: Pending::default(),
            log_io: LogIo::default(),
            commits_published: 0,
            log_syncs: 0,
            durable_sequence: committed.sequence,
            failed_sequence: 0,
            database_io: None,
            log_sync: None,
            checkpoint: None,
            backfilled_sequence,
            poison: None,
        }
    }

    /// A registered snapshot of the newest commit.
    pub(super) fn take_snapshot(&mut self) -> Snapshot {
        let log = &self.log;
        let snapshot = Snapshot { state: self.committed, mark: log.end, reads_log: log.backfilled < log.end };
        self.readers.register(&snapshot);
        snapshot
    }

    /// A registered snapshot of the newest commit in flight, for the writer whose turn it is.
    pub(super) fn take_write_snapshot(&mut self) -> Snapshot {
        let Tip { state, end, .. } = self.tip();
        let snapshot = Snapshot { state, mark: end, reads_log: self.log.backfilled < end };
        self.readers.register(&snapshot);
        snapshot
    }

    /// The log after the newest commit in flight, or the newest published one.
    pub(super) fn tip(&self) -> Tip {
        let Log { end, chain, run, .. } = self.log;
        let published = Tip { state: self.committed, end, chain, run };
        self.pending.newest_first().next().map_or(published, |flight| flight.tip)
    }

    /// A wait for the newest commit in flight, if there is one.
    pub(super) fn newest_on_its_way(&self) -> Option<Wait<Result<u64, PagerError>>> {
        self.pending.newest_first().next().map(|flight| Wait::new(Arc::clone(&flight.outcome)))
    }

    /// Whether what a writer started from is there, in flight or published. Only the holder of the write lock adds to
    /// what is in flight, so if that ends before the holder's snapshot, it has lost the snapshot's commit.
    pub(super) fn require_base(&self, snapshot: &Snapshot) -> Result<(), PagerError> {
        if self.tip().end >= snapshot.mark {
            return Ok(());
        }
        Err(match self.poison {
            Some(cause) => PagerError::Poisoned { cause },
            None => PagerError::EarlierCommitFailed { sequence: self.failed_sequence },
        })
    }

    /// Whether what `snapshot` sees in the log can be believed. A sync that fails may have dropped what was not durable, and
    /// what is in its place then may look whole.
    pub(super) fn require_sound(&self, snapshot: &Snapshot) -> Result<(), PagerError> {
        match self.poison {
            Some(cause) if snapshot.state.sequence > self.durable_sequence => {
                Err(PagerError::Poisoned { cause })
            }
            _ => self.require_base(snapshot),
        }
    }

    /// The page as `snapshot`, which reads the log, sees it.
    #[inline]
    pub(super) fn find(&self, page: PageNo, snapshot: &Snapshot) -> Result<Version, PagerError> {
        self.require_sound(snapshot)?;
        if snapshot.mark > self.log.end
            && let Some(page) = self.pending.newest_first().find_map(|flight| flight.page(page))
        {
            return Ok(Version::Unpublished(Arc::clone(page)));
        }
        Ok(Version::Frame(self.index.lookup(page, snapshot.mark).unwrap_or(IN_DATABASE)))
    }

    /// Makes commits that are durable, in order, the newest that new snapshots see.
    pub(super) fn publish(&mut self, flights: &[Flight]) {
        for Flight { tip, pages, spilled, .. } in flights {
            for (page, frame) in spilled {
                self.index.insert(*page, *frame);
            }
            for (frame, page) in flight_frames(tip, pages) {
                self.index.insert(page.number, frame);
            }
            self.log.end = tip.end;
            self.log.chain = tip.chain;
            self.log.run = tip.run;
            self.committed = tip.state;
            self.commits_published += 1;
        }
    }

    /// Gives up the write lock if one of `ended` has kept it.
    pub(super) fn end_write_lock(&mut self, ended: &[Flight]) -> Wakes {
        let ticket = ended.iter().find_map(|flight| flight.write_lock);
        ticket.map(|ticket| self.write_lock.give_up(ticket)).unwrap_or_default()
    }

    /// Where a checkpoint that begins now may get to: the last frame, and the file as of it.
    pub(super) fn checkpoint_target(&self) -> (FrameNo, FileState) {
        let newest = (self.log.end, self.committed);
        self.readers.oldest().map_or(newest, |oldest| if oldest.0 < newest.0 { oldest } else { newest })
    }

    /// Whether the log may be reset: all of it is in the database file, no snapshot reads it, and nothing is in flight.
    pub(super) fn log_is_done(&self) -> bool {
        !self.log.is_empty()
            && self.log.backfilled == self.log.end
            && self.pending.count() == 0
            && !self.readers.any_in_log()
            && self.log.has_next_generation()
    }

    /// The operation on a file that has to end before another may be begun.
    pub(super) fn running<T: Clone>(io: &Option<Arc<Latch<T>>>) -> Option<Arc<Latch<T>>> {
        io.as_ref().filter(|latch| !latch.is_set()).cloned()
    }
}

/// The pages of a commit, each with its frame.
pub(super) fn flight_frames<'a>(
    tip: &Tip,
    pages: &'a [Arc<Page>],
) -> impl Iterator<Item = (FrameNo, &'a Arc<Page>)> {
    (tip.end + 1 - pages.len() as u64..).zip(pages)
}

/// Writes are refused since a sync failed.
pub(super) fn refuse_if_poisoned(state: &State) -> Result<(), PagerError> {
    state.poison.map_or(Ok(()), |cause| Err(PagerError::Poisoned { cause }))
}
