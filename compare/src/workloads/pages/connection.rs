//! Connections to the pager: one state machine each, the same for every driver.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use parking_lot::Mutex;
use tenterhook_runtime::pager::{
    BeginWrite, Checkpoint, CheckpointMode, Commit, Pager, PagerError, ReadTransaction, WriteTransaction,
};
use tenterhook_runtime::{IOCompletions, IOResult, return_if_io};

use super::{BYTES, CHANGED, Walk, count_up, mark_in};
use crate::contender::Latencies;

/// Where a connection keeps how long its operations took, if that is wanted.
pub(in crate::workloads) type Clock = Option<Arc<Mutex<Latencies>>>;

pub(in crate::workloads) type Step = Result<IOResult<u64>, PagerError>;

/// The page of the file that has page `number` of the workload: the first is the pager's.
pub(super) fn place_of(number: u64) -> u32 {
    number as u32 + 2
}

/// Reads one page at a time, so many in a snapshot.
pub(super) struct Reader {
    pager: Arc<Pager>,
    walk: Walk,
    left: u64,
    in_snapshot: u64,
    sum: u64,
    snapshot: Option<ReadTransaction>,
    /// The page that is being read.
    reading: Option<u64>,
    clock: Clock,
    started: Option<Instant>,
}

impl Reader {
    pub(super) fn new(
        pager: &Arc<Pager>,
        connection: u64,
        reads: u64,
        in_snapshot: u64,
        clock: Clock,
    ) -> Self {
        let (pager, walk) = (Arc::clone(pager), Walk::new(connection));
        let (snapshot, reading, started) = (None, None, None);
        Self { pager, walk, left: reads, in_snapshot, sum: 0, snapshot, reading, clock, started }
    }

    /// So many reads more.
    pub(super) fn add(&mut self, reads: u64) {
        self.left += reads;
    }

    /// Whether all reads so far are done.
    pub(super) fn rests(&self) -> bool {
        self.left == 0
    }

    /// One read, then a yield. Done with the sum of the marks.
    pub(super) fn step(&mut self) -> Step {
        if self.left == 0 {
            return Ok(IOResult::Done(self.sum));
        }
        let number = *self.reading.get_or_insert_with(|| {
            self.started = self.clock.as_ref().map(|_| Instant::now());
            self.walk.next().expect("endless")
        });
        let snapshot = match &mut self.snapshot {
            Some(snapshot) => snapshot,
            none => none.insert(self.pager.begin_read()?),
        };
        let page = return_if_io!(snapshot.page(place_of(number)));
        let copy: [u8; BYTES] = page[..BYTES].try_into().expect("so many");
        drop(page);
        self.sum = self.sum.wrapping_add(mark_in(black_box(&copy)));
        self.reading = None;
        self.left -= 1;
        if self.left.is_multiple_of(self.in_snapshot) {
            self.snapshot = None;
        }
        note(&self.clock, self.started);
        Ok(IOResult::IO(IOCompletions::Yield))
    }
}

/// Changes four pages at a time, and checkpoints when that is due.
pub(in crate::workloads) struct Writer {
    pager: Arc<Pager>,
    walk: Walk,
    left: u64,
    commits: u64,
    stage: Stage,
    clock: Clock,
    started: Option<Instant>,
}

enum Stage {
    Idle,
    Begin(BeginWrite),
    /// The pages still to be changed, the next one last.
    Change(WriteTransaction, Vec<u64>),
    Commit(Commit),
    Checkpoint(Checkpoint),
}

impl Writer {
    pub(in crate::workloads) fn new(pager: &Arc<Pager>, connection: u64, commits: u64, clock: Clock) -> Self {
        let (pager, walk) = (Arc::clone(pager), Walk::new(connection));
        Self { pager, walk, left: commits, commits: 0, stage: Stage::Idle, clock, started: None }
    }

    /// So many commits more.
    pub(super) fn add(&mut self, commits: u64) {
        self.left += commits;
    }

    /// Whether there is no commit left, although a checkpoint may be under way.
    pub(in crate::workloads) fn has_committed(&self) -> bool {
        self.left == 0
    }

    /// Whether all commits so far are done, and the checkpoint after the last of them.
    pub(super) fn rests(&self) -> bool {
        self.left == 0 && matches!(self.stage, Stage::Idle)
    }

    /// Steps to the next commit, then yields. Done with the number of commits.
    pub(in crate::workloads) fn step(&mut self) -> Step {
        loop {
            self.stage = match &mut self.stage {
                Stage::Idle if self.left == 0 => return Ok(IOResult::Done(self.commits)),
                Stage::Idle => {
                    self.started = self.clock.as_ref().map(|_| Instant::now());
                    Stage::Begin(self.pager.begin_write())
                }
                Stage::Begin(begin) => {
                    let transaction = return_if_io!(begin.step());
                    Stage::Change(transaction, self.walk.four().into())
                }
                Stage::Change(transaction, pages) => {
                    while let Some(page) = pages.last() {
                        count_up(return_if_io!(transaction.page_mut(place_of(*page))));
                        pages.pop();
                    }
                    let Stage::Change(transaction, _) = std::mem::replace(&mut self.stage, Stage::Idle)
                    else {
                        unreachable!("matched above")
                    };
                    Stage::Commit(transaction.commit())
                }
                Stage::Commit(commit) => {
                    return_if_io!(commit.step());
                    note(&self.clock, self.started);
                    self.commits += 1;
                    self.left -= 1;
                    let Some(mode) = self.pager.checkpoint_due() else {
                        self.stage = Stage::Idle;
                        return Ok(IOResult::IO(IOCompletions::Yield));
                    };
                    Stage::Checkpoint(self.pager.checkpoint(mode))
                }
                Stage::Checkpoint(checkpoint) => {
                    return_if_io!(checkpoint.step());
                    Stage::Idle
                }
            };
        }
    }
}

/// Makes the pages, in one transaction.
pub(super) struct Filler {
    pager: Arc<Pager>,
    next: u64,
    stage: Stage,
}

impl Filler {
    pub(super) fn new(pager: &Arc<Pager>) -> Self {
        Self { pager: Arc::clone(pager), next: 0, stage: Stage::Begin(pager.begin_write()) }
    }

    pub(super) fn step(&mut self) -> Step {
        loop {
            self.stage = match &mut self.stage {
                Stage::Begin(begin) => Stage::Change(return_if_io!(begin.step()), Vec::new()),
                Stage::Change(transaction, made) => {
                    while self.next < super::PAGES {
                        if made.is_empty() {
                            let page = return_if_io!(transaction.allocate());
                            assert_eq!(page, place_of(self.next), "a new file's pages come in order");
                            made.push(u64::from(page));
                        }
                        let bytes = return_if_io!(transaction.page_mut(place_of(self.next)));
                        bytes[..BYTES].copy_from_slice(&super::fresh_page(self.next));
                        made.clear();
                        self.next += 1;
                    }
                    let Stage::Change(transaction, _) = std::mem::replace(&mut self.stage, Stage::Idle)
                    else {
                        unreachable!("matched above")
                    };
                    Stage::Commit(transaction.commit())
                }
                Stage::Commit(commit) => {
                    return_if_io!(commit.step());
                    Stage::Checkpoint(self.pager.checkpoint(CheckpointMode::Passive))
                }
                Stage::Checkpoint(checkpoint) => {
                    return_if_io!(checkpoint.step());
                    return Ok(IOResult::Done(0));
                }
                Stage::Idle => unreachable!("only while a transaction becomes a commit"),
            };
        }
    }
}

/// Adds up all counters, in one snapshot.
pub(super) fn counters(pager: &Arc<Pager>) -> impl FnMut() -> Step + Send + 'static {
    let (pager, mut snapshot, mut next, mut sum) = (Arc::clone(pager), None, 0, 0);
    move || {
        let snapshot = match &mut snapshot {
            Some(snapshot) => snapshot,
            none => none.insert(pager.begin_read()?),
        };
        while next < super::PAGES {
            sum += super::counter_in(&return_if_io!(snapshot.page(place_of(next))));
            next += 1;
        }
        Ok(IOResult::Done(sum))
    }
}

const _: () = assert!(CHANGED == 4, "`Walk::four` is named after it");

fn note(clock: &Clock, started: Option<Instant>) {
    if let (Some(clock), Some(started)) = (clock, started) {
        clock.lock().record(started);
    }
}
