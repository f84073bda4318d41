//! What all connections share, under one lock.

use std::sync::Arc;

use super::header::FileState;
use super::latch::Latch;
use super::log_format::LogHeader;
use super::log_index::{FrameNo, LogIndex};
use super::readers::{Readers, Snapshot};
use super::transfer::Ended;
use super::write_right::WriteRight;
use crate::CompletionError;

/// The end of an operation, or of a group of them, that the pager owns.
pub(super) type IoLatch = Latch<Ended>;

/// What all connections share, under one lock. Held for a few map operations at a time; never while I/O is submitted
/// or a completion is completed.
#[derive(Debug)]
pub(super) struct State {
    /// The file as of the newest published commit.
    pub(super) committed: FileState,
    pub(super) log: Log,
    pub(super) index: LogIndex,
    pub(super) readers: Readers,
    pub(super) right: WriteRight,
    /// What was last begun on the log file. A commit that is dropped leaves it here, and the next one waits for it: it
    /// would write to the same places.
    pub(super) log_io: Option<Arc<IoLatch>>,
    /// The same for the database file and checkpoints.
    pub(super) database_io: Option<Arc<IoLatch>>,
    pub(super) checkpoint_running: bool,
    /// The commit that the database file holds, durably: the one that ends with frame `log.backfilled`.
    pub(super) backfilled_sequence: u64,
    /// How the first failed sync ended. Set once and never taken back.
    pub(super) poison: Option<CompletionError>,
}

/// The log file. Changed by the holder of the write right only, except `backfilled`.
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
    /// The newest attempt to write a commit in this generation.
    pub(super) attempt: u64,
}

impl Log {
    /// A log without frames, whose header is on disk.
    pub(super) fn begun(header: LogHeader) -> Self {
        let (first, last) = (1, 0);
        let chain = header.chain();
        Self { header, header_durable: true, first, end: last, backfilled: last, chain, attempt: 0 }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.end < self.first
    }

    /// The frame's place in the file, from 0.
    pub(super) fn place(&self, frame: FrameNo) -> u64 {
        frame - self.first
    }

    /// An empty generation after this one, for a database file that holds everything up to commit `base`.
    pub(super) fn next_generation(&self, base: u64) -> Self {
        let header = LogHeader { base, generation: self.header.generation + 1, ..self.header };
        let (first, last) = (self.end + 1, self.end);
        let chain = header.chain();
        Self { header, header_durable: false, first, end: last, backfilled: last, chain, attempt: 0 }
    }
}

impl State {
    pub(super) fn new(committed: FileState, log: Log, index: LogIndex, backfilled_sequence: u64) -> Self {
        Self {
            committed,
            log,
            index,
            readers: Readers::default(),
            right: WriteRight::default(),
            log_io: None,
            database_io: None,
            checkpoint_running: false,
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

    /// Where a checkpoint that begins now may get to: the last frame, and the file as of it.
    pub(super) fn checkpoint_target(&self) -> (FrameNo, FileState) {
        let newest = (self.log.end, self.committed);
        self.readers.oldest().map_or(newest, |oldest| if oldest.0 < newest.0 { oldest } else { newest })
    }

    /// Whether the log may be begun anew: all of it is in the database file, and nobody reads it.
    pub(super) fn log_is_done(&self) -> bool {
        let Log { backfilled, end, header, .. } = self.log;
        // A log that has run out of generations grows from then on; it takes four thousand million.
        let has_next = header.generation < u32::MAX;
        !self.log.is_empty() && backfilled == end && !self.readers.any_in_log() && has_next
    }

    /// The operation on a file that has to end before another may be begun.
    pub(super) fn running(io: &Option<Arc<IoLatch>>) -> Option<Arc<IoLatch>> {
        io.as_ref().filter(|latch| !latch.is_set()).cloned()
    }
}
