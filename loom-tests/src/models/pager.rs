//! The pager's synchronisation, on the pager itself over a backend in memory: pins against eviction, shared reads, the write
//! right, read marks against checkpoints and against a reset of the log.
//!
//! The file is prepared before the second thread starts, so that only the race is explored. One thread steps the backend.

use std::path::Path;
use std::sync::Arc;

use loom::thread;
use tenterhook_runtime::io::{IO, MemoryIO};
use tenterhook_runtime::pager::{
    BeginWrite, Checkpoint, CheckpointMode, CheckpointOutcome, CheckpointReport, Commit, PageRef, Pager,
    PagerError, PagerOptions, ReadTransaction, WriteTransaction,
};
use tenterhook_runtime::{Completion, IOCompletions, IOResult};

use crate::model::{EXHAUSTIVE, Model, models, preemptions};

pub(crate) fn models() -> Vec<Model> {
    models![
        EXHAUSTIVE => page_pinned_vs_evicted, page_missed_vs_missed, page_missed_vs_read_ends,
            right_granted_vs_waiter_looks, right_granted_vs_waiter_drops, right_granted_vs_turn_cancelled,
            right_taken_vs_given_up, right_asked_for_vs_commit_abandoned,
            snapshot_vs_commit_and_checkpoint, snapshot_ends_vs_log_reset,
            snapshot_vs_checkpoint_and_log_reset, reader_ends_vs_full_checkpoint,
            reader_asks_for_the_right_vs_restart_that_awaits_it;
        preemptions(2) => snapshot_reads_vs_log_reset
    ]
}

pub(super) type Step<T> = Result<IOResult<T>, PagerError>;

/// A pager, and the backend that the model's main thread steps.
pub(super) struct House {
    pub(super) io: Arc<MemoryIO>,
    pub(super) pager: Arc<Pager>,
}

impl House {
    /// Pages 2 and up, as many, filled with 1 in commit 1, in the log only.
    pub(super) fn with(pages: u32, cache_pages: usize) -> Self {
        let io = Arc::new(MemoryIO::new());
        let options = PagerOptions { page_size: 512, cache_pages, ..PagerOptions::default() };
        let mut open = Pager::open(io.clone(), Path::new("model.db"), options);
        let pager = drive(&io, || open.step());
        let house = Self { io, pager };
        let mut writer = house.begin();
        for _ in 0..pages {
            let page = drive(&house.io, || writer.allocate());
            house.fill(&mut writer, page, 1);
        }
        house.commit(writer);
        house
    }

    pub(super) fn begin(&self) -> WriteTransaction {
        let mut begin = self.pager.begin_write();
        drive(&self.io, || begin.step())
    }

    pub(super) fn fill(&self, writer: &mut WriteTransaction, page: u32, fill: u8) {
        drive(&self.io, || writer.page_mut(page).map(|bytes| bytes.map(|bytes| bytes.fill(fill))));
    }

    fn commit(&self, writer: WriteTransaction) {
        let mut commit = writer.commit();
        drive(&self.io, || commit.step());
    }

    /// Page 2 again.
    fn commit_fill(&self, fill: u8) {
        let mut writer = self.begin();
        self.fill(&mut writer, 2, fill);
        self.commit(writer);
    }

    fn checkpoint(&self) {
        let mut checkpoint = self.pager.checkpoint(CheckpointMode::Passive);
        drive(&self.io, || checkpoint.step());
    }

    fn read(&self, reader: &mut ReadTransaction, page: u32) -> PageRef {
        drive(&self.io, || reader.page(page))
    }

    /// Nothing is left behind, and the write lock is there to be had.
    pub(super) fn assert_idle(&self) {
        while self.io.step().unwrap() > 0 {}
        let audit = self.pager.audit();
        assert!(audit.is_idle(), "{audit:?}");
        drop(self.pager.try_begin_write().expect("the write lock is free"));
    }
}

pub(super) fn drive<T>(io: &MemoryIO, mut step: impl FnMut() -> Step<T>) -> T {
    loop {
        match step().expect("no fault") {
            IOResult::Done(value) => return value,
            IOResult::IO(_) => drop(io.step()),
        }
    }
}

/// The completion that a step waits for.
pub(super) fn waits_for<T>(step: Step<T>) -> Completion {
    match step {
        Ok(IOResult::IO(IOCompletions::Single(completion))) => completion,
        _ => panic!("it has to wait"),
    }
}

/// Page 2 is found while page 3 takes the cache's only place. Once it is found it is pinned, and is found again without a
/// read until it is let go.
fn page_pinned_vs_evicted() {
    let house = House::with(2, 1);
    house.checkpoint();
    let mut reader = house.pager.begin_read().unwrap();
    drop(house.read(&mut reader, 2));
    let pinner = {
        let pager = Arc::clone(&house.pager);
        thread::spawn(move || {
            let mut reader = pager.begin_read().unwrap();
            match reader.page(2).unwrap() {
                IOResult::Done(page) => {
                    let again = reader.page(2).unwrap();
                    assert!(matches!(again, IOResult::Done(_)), "a pinned page was evicted");
                    Some((page, reader))
                }
                // Evicted before: it is being read.
                IOResult::IO(_) => None,
            }
        })
    };
    drop(house.read(&mut reader, 3));
    if let Some((page, mut its)) = pinner.join().unwrap() {
        assert!(page.number() == 2 && page.iter().all(|byte| *byte == 1));
        assert!(matches!(its.page(2), Ok(IOResult::Done(_))), "a pinned page was evicted");
    }
    drop(reader);
    house.assert_idle();
}

/// Steps once; later, when the read has ended, to the end.
fn begin_to_read(pager: &Arc<Pager>) -> ReadTransaction {
    let mut reader = pager.begin_read().unwrap();
    drop(reader.page(3));
    reader
}

/// A house whose cache lacks page 3.
fn house_without_page_3() -> House {
    let house = House::with(2, 1);
    let mut reader = house.pager.begin_read().unwrap();
    drop(house.read(&mut reader, 2));
    house
}

/// Two miss one page: one reads, both get it.
fn page_missed_vs_missed() {
    let house = house_without_page_3();
    let before = house.pager.cache_counters();
    let pager = Arc::clone(&house.pager);
    let other = thread::spawn(move || begin_to_read(&pager));
    let mut readers = [begin_to_read(&house.pager), other.join().unwrap()];
    assert_eq!(house.io.step().unwrap(), 1, "one read");
    for reader in &mut readers {
        assert!(matches!(reader.page(3), Ok(IOResult::Done(page)) if page.iter().all(|byte| *byte == 1)));
    }
    let after = house.pager.cache_counters();
    assert_eq!((after.misses, after.shared_reads), (before.misses + 1, before.shared_reads + 1));
    drop(readers);
    house.assert_idle();
}

/// The second comes while the first one's read ends: it is woken, or finds the page.
fn page_missed_vs_read_ends() {
    let house = house_without_page_3();
    let first = begin_to_read(&house.pager);
    let pager = Arc::clone(&house.pager);
    let other = thread::spawn(move || begin_to_read(&pager));
    house.io.step().unwrap();
    for mut reader in [first, other.join().unwrap()] {
        assert!(
            matches!(reader.page(3), Ok(IOResult::Done(_))),
            "the read has ended, and there is no other read"
        );
    }
    house.assert_idle();
}

/// The right, and a waiter for it that has looked once.
fn holder_and_waiter(house: &House) -> (WriteTransaction, BeginWrite, Completion) {
    let holder = house.begin();
    let mut waiter = house.pager.begin_write();
    let turn = waits_for(waiter.step());
    (holder, waiter, turn)
}

/// A waiter that looks while it is granted the right has it, or is told to look again.
fn right_granted_vs_waiter_looks() {
    let house = House::with(1, 4);
    let (holder, mut waiter, turn) = holder_and_waiter(&house);
    let other = thread::spawn(move || {
        let step = waiter.step();
        (step, waiter)
    });
    drop(holder);
    let (step, mut waiter) = other.join().unwrap();
    if step.expect("it was not cancelled").is_io() {
        assert!(turn.succeeded(), "its turn has come");
        assert!(matches!(waiter.step(), Ok(IOResult::Done(_))));
    }
    drop(waiter);
    house.assert_idle();
}

/// Whichever is first, the one behind gets the right.
fn right_granted_vs_waiter_drops() {
    let house = House::with(1, 4);
    let (holder, waiter, _) = holder_and_waiter(&house);
    let mut behind = house.pager.begin_write();
    let turn = waits_for(behind.step());
    let other = thread::spawn(move || drop(waiter));
    drop(holder);
    other.join().unwrap();
    assert!(turn.succeeded(), "the lock is held by no one");
    assert!(matches!(behind.step(), Ok(IOResult::Done(_))));
    drop(behind);
    house.assert_idle();
}

/// A cancelled wait ends in the right or in an error, and the right is not lost with it.
fn right_granted_vs_turn_cancelled() {
    let house = House::with(1, 4);
    let (holder, mut waiter, turn) = holder_and_waiter(&house);
    let other = thread::spawn(move || {
        turn.cancel();
        match waiter.step() {
            Ok(IOResult::IO(_)) => panic!("it was cancelled or granted"),
            ended => drop(ended),
        }
    });
    drop(holder);
    other.join().unwrap();
    house.assert_idle();
}

/// Two want it while it is given up: one has it, the other gets it.
fn right_taken_vs_given_up() {
    let house = House::with(1, 4);
    let holder = house.begin();
    let pager = Arc::clone(&house.pager);
    let other = thread::spawn(move || {
        let mut begin = pager.begin_write();
        let step = begin.step().unwrap();
        (step, begin)
    });
    drop(holder);
    let (step, mut begin) = other.join().unwrap();
    if step.is_io() {
        assert!(matches!(begin.step(), Ok(IOResult::Done(_))), "given up, and no waiter was woken");
    }
    drop((step, begin));
    house.assert_idle();
}

/// R6: a commit that is dropped before its frames are handed over keeps nothing; the one who waits gets the right.
fn right_asked_for_vs_commit_abandoned() {
    let house = House::with(1, 4);
    house.checkpoint();
    let mut writer = house.begin();
    house.fill(&mut writer, 2, 9);
    // The log is to be reset first, so it waits and has handed nothing over.
    let mut commit: Commit = writer.commit();
    drop(waits_for(commit.step()));
    assert!(!commit.is_submitted());
    let mut waiter = house.pager.begin_write();
    drop(waits_for(waiter.step()));
    let other = thread::spawn(move || {
        let step = waiter.step().unwrap();
        (step, waiter)
    });
    drop(commit);
    let (step, mut waiter) = other.join().unwrap();
    let mut next = match step {
        IOResult::Done(writer) => writer,
        IOResult::IO(_) => drive(&house.io, || waiter.step()),
    };
    let page = drive(&house.io, || next.page(2));
    assert!(page.iter().all(|byte| *byte == 1), "what was abandoned is seen");
    drop((page, next, waiter));
    house.assert_idle();
}

/// What a snapshot shows: page 2 as its commit left it.
fn assert_view(house: &House, mut reader: ReadTransaction) {
    let fill = reader.commit_sequence() as u8;
    let page = house.read(&mut reader, 2);
    assert!(page.iter().all(|byte| *byte == fill), "commit {fill} shows {}", page[0]);
}

/// A snapshot that is taken while a commit is published and copied. One of the commit before reads the database file only,
/// and the checkpoint goes no further than it.
fn snapshot_vs_commit_and_checkpoint() {
    let house = House::with(1, 1);
    house.checkpoint();
    let pager = Arc::clone(&house.pager);
    let other = thread::spawn(move || pager.begin_read().unwrap());
    house.commit_fill(2);
    house.checkpoint();
    assert_view(&house, other.join().unwrap());
    house.assert_idle();
}

/// A snapshot in the log looks a page up and reads it there: its frames stay where they are, though all of them are copied.
fn snapshot_reads_vs_log_reset() {
    let house = House::with(2, 1);
    let mut reader = house.pager.begin_read().unwrap();
    let mut writer = house.begin();
    house.fill(&mut writer, 2, 2);
    drop(house.read(&mut reader, 3));
    house.checkpoint();
    let other = thread::spawn(move || {
        drop(reader.page(2).unwrap());
        reader
    });
    house.commit(writer);
    assert_view(&house, other.join().unwrap());
    house.assert_idle();
}

/// The last snapshot in the log ends while the log may be reset.
fn snapshot_ends_vs_log_reset() {
    let house = House::with(1, 1);
    let reader = house.pager.begin_read().unwrap();
    house.checkpoint();
    let other = thread::spawn(move || drop(reader));
    house.commit_fill(2);
    other.join().unwrap();
    assert_view(&house, house.pager.begin_read().unwrap());
    house.assert_idle();
}

/// A snapshot that reads the log keeps it; one that does not is not in the way.
fn snapshot_vs_checkpoint_and_log_reset() {
    let house = House::with(1, 1);
    let pager = Arc::clone(&house.pager);
    let other = thread::spawn(move || pager.begin_read().unwrap());
    house.checkpoint();
    house.commit_fill(2);
    assert_view(&house, other.join().unwrap());
    house.assert_idle();
}

/// Steps until it has ended, or waits for something other than the disk, which it returns.
fn until_it_waits(house: &House, checkpoint: &mut Checkpoint) -> Result<CheckpointReport, Completion> {
    loop {
        match checkpoint.step().expect("no fault") {
            IOResult::Done(report) => return Ok(report),
            IOResult::IO(io) if house.io.step().unwrap() == 0 => {
                return Err(waits_for::<()>(Ok(IOResult::IO(io))));
            }
            IOResult::IO(_) => {}
        }
    }
}

/// A full checkpoint waits for the reader of an older commit while that ends.
fn reader_ends_vs_full_checkpoint() {
    let house = House::with(1, 1);
    let reader = house.pager.begin_read().unwrap();
    house.commit_fill(2);
    let other = thread::spawn(move || drop(reader));
    let mut checkpoint = house.pager.checkpoint(CheckpointMode::Full);
    let reached = until_it_waits(&house, &mut checkpoint);
    other.join().unwrap();
    let report = reached.unwrap_or_else(|wait| {
        assert!(wait.finished(), "the last reader has gone, and no waiter was woken");
        drive(&house.io, || checkpoint.step())
    });
    assert_eq!(report.outcome, CheckpointOutcome::Complete);
    drop(checkpoint);
    house.assert_idle();
}

/// A reader asks for the write lock while a checkpoint that has it waits for readers, of which it is one: it gets the right
/// before, or is sent away, or is not let in.
fn reader_asks_for_the_right_vs_restart_that_awaits_it() {
    let house = House::with(1, 1);
    let mut upgrade = house.pager.begin_read().unwrap().upgrade();
    let other = thread::spawn(move || (upgrade.step(), upgrade));
    let mut checkpoint = house.pager.checkpoint(CheckpointMode::Restart);
    let reached = until_it_waits(&house, &mut checkpoint);
    let (step, upgrade) = other.join().unwrap();
    let awaits_readers = checkpoint.waits_for_readers();
    match step {
        Ok(IOResult::Done(writer)) => drop(writer),
        Ok(IOResult::IO(IOCompletions::Single(turn))) => {
            assert!(!awaits_readers || turn.finished(), "each waits for the other");
        }
        Ok(IOResult::IO(_)) => unreachable!("it waits for one thing"),
        Err(error) => assert_eq!(error, PagerError::AwaitedByCheckpoint),
    }
    drop(upgrade);
    let report = reached.unwrap_or_else(|_| drive(&house.io, || checkpoint.step()));
    assert_eq!(report.outcome, CheckpointOutcome::Restarted);
    drop(checkpoint);
    house.assert_idle();
}
