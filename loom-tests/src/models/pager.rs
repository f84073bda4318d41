//! The pager's synchronisation, on the pager itself over a backend in memory: pins against eviction, shared reads, the write
//! lock, read marks against checkpoints and against a reset of the log.
//!
//! The file is prepared before the second thread starts, so that only the race is explored. One thread steps the backend.

use std::sync::Arc;

use loom::thread;
use tenterhook_runtime::io::IO;
use tenterhook_runtime::pager::{
    BeginWrite, Checkpoint, CheckpointMode, CheckpointOutcome, CheckpointReport, Commit, Pager, PagerError,
    ReadTransaction, WriteTransaction,
};
use tenterhook_runtime::{Completion, IOCompletions, IOResult};

use super::pager_fixture::{Fixture, drive, waits_for};
use crate::model::{EXHAUSTIVE, Model, models, preemptions};

pub(crate) fn models() -> Vec<Model> {
    models![
        EXHAUSTIVE => page_pinned_vs_evicted, page_missed_vs_missed, page_missed_vs_read_ends,
            write_lock_granted_vs_waiter_looks, write_lock_granted_vs_waiter_drops, write_lock_granted_vs_turn_cancelled,
            write_lock_taken_vs_given_up, write_lock_asked_for_vs_commit_abandoned,
            snapshot_vs_commit_and_checkpoint, snapshot_ends_vs_log_reset,
            snapshot_vs_checkpoint_and_log_reset, reader_ends_vs_full_checkpoint,
            reader_asks_for_the_write_lock_vs_restart_that_awaits_it;
        preemptions(2) => snapshot_reads_vs_log_reset
    ]
}

/// Page 2 is found while page 3 takes the cache's only place. Once it is found it is pinned, and is found again without a
/// read until it is let go.
fn page_pinned_vs_evicted() {
    let fixture = Fixture::with(2, 1);
    fixture.checkpoint();
    let mut reader = fixture.pager.begin_read().unwrap();
    drop(fixture.read(&mut reader, 2));
    let pinner = {
        let pager = Arc::clone(&fixture.pager);
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
    drop(fixture.read(&mut reader, 3));
    if let Some((page, mut its)) = pinner.join().unwrap() {
        assert!(page.number() == 2 && page.iter().all(|byte| *byte == 1));
        assert!(matches!(its.page(2), Ok(IOResult::Done(_))), "a pinned page was evicted");
    }
    drop(reader);
    fixture.assert_idle();
}

/// Steps once; later, when the read has ended, to the end.
fn begin_to_read(pager: &Arc<Pager>) -> ReadTransaction {
    let mut reader = pager.begin_read().unwrap();
    drop(reader.page(3));
    reader
}

/// A fixture whose cache lacks page 3.
fn fixture_without_page_3() -> Fixture {
    let fixture = Fixture::with(2, 1);
    let mut reader = fixture.pager.begin_read().unwrap();
    drop(fixture.read(&mut reader, 2));
    fixture
}

/// Two miss one page: one reads, both get it.
fn page_missed_vs_missed() {
    let fixture = fixture_without_page_3();
    let before = fixture.pager.cache_counters();
    let pager = Arc::clone(&fixture.pager);
    let other = thread::spawn(move || begin_to_read(&pager));
    let mut readers = [begin_to_read(&fixture.pager), other.join().unwrap()];
    assert_eq!(fixture.io.step().unwrap(), 1, "one read");
    for reader in &mut readers {
        assert!(matches!(reader.page(3), Ok(IOResult::Done(page)) if page.iter().all(|byte| *byte == 1)));
    }
    let after = fixture.pager.cache_counters();
    assert_eq!((after.misses, after.shared_reads), (before.misses + 1, before.shared_reads + 1));
    drop(readers);
    fixture.assert_idle();
}

/// The second comes while the first one's read ends: it is woken, or finds the page.
fn page_missed_vs_read_ends() {
    let fixture = fixture_without_page_3();
    let first = begin_to_read(&fixture.pager);
    let pager = Arc::clone(&fixture.pager);
    let other = thread::spawn(move || begin_to_read(&pager));
    fixture.io.step().unwrap();
    for mut reader in [first, other.join().unwrap()] {
        assert!(
            matches!(reader.page(3), Ok(IOResult::Done(_))),
            "the read has ended, and there is no other read"
        );
    }
    fixture.assert_idle();
}

/// The right, and a waiter for it that has looked once.
fn holder_and_waiter(fixture: &Fixture) -> (WriteTransaction, BeginWrite, Completion) {
    let holder = fixture.begin();
    let mut waiter = fixture.pager.begin_write();
    let turn = waits_for(waiter.step());
    (holder, waiter, turn)
}

/// A waiter that looks while it is granted the right has it, or is told to look again.
fn write_lock_granted_vs_waiter_looks() {
    let fixture = Fixture::with(1, 4);
    let (holder, mut waiter, turn) = holder_and_waiter(&fixture);
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
    fixture.assert_idle();
}

/// Whichever is first, the one behind gets the right.
fn write_lock_granted_vs_waiter_drops() {
    let fixture = Fixture::with(1, 4);
    let (holder, waiter, _) = holder_and_waiter(&fixture);
    let mut behind = fixture.pager.begin_write();
    let turn = waits_for(behind.step());
    let other = thread::spawn(move || drop(waiter));
    drop(holder);
    other.join().unwrap();
    assert!(turn.succeeded(), "the lock is held by no one");
    assert!(matches!(behind.step(), Ok(IOResult::Done(_))));
    drop(behind);
    fixture.assert_idle();
}

/// A cancelled wait ends in the right or in an error, and the right is not lost with it.
fn write_lock_granted_vs_turn_cancelled() {
    let fixture = Fixture::with(1, 4);
    let (holder, mut waiter, turn) = holder_and_waiter(&fixture);
    let other = thread::spawn(move || {
        turn.cancel();
        match waiter.step() {
            Ok(IOResult::IO(_)) => panic!("it was cancelled or granted"),
            ended => drop(ended),
        }
    });
    drop(holder);
    other.join().unwrap();
    fixture.assert_idle();
}

/// Two want it while it is given up: one has it, the other gets it.
fn write_lock_taken_vs_given_up() {
    let fixture = Fixture::with(1, 4);
    let holder = fixture.begin();
    let pager = Arc::clone(&fixture.pager);
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
    fixture.assert_idle();
}

/// R6: a commit that is dropped before its frames are handed over keeps nothing; the one who waits gets the right.
fn write_lock_asked_for_vs_commit_abandoned() {
    let fixture = Fixture::with(1, 4);
    fixture.checkpoint();
    let mut writer = fixture.begin();
    fixture.fill(&mut writer, 2, 9);
    // The log is to be reset first, so it waits and has handed nothing over.
    let mut commit: Commit = writer.commit();
    drop(waits_for(commit.step()));
    assert!(!commit.is_submitted());
    let mut waiter = fixture.pager.begin_write();
    drop(waits_for(waiter.step()));
    let other = thread::spawn(move || {
        let step = waiter.step().unwrap();
        (step, waiter)
    });
    drop(commit);
    let (step, mut waiter) = other.join().unwrap();
    let mut next = match step {
        IOResult::Done(writer) => writer,
        IOResult::IO(_) => drive(&fixture.io, || waiter.step()),
    };
    let page = drive(&fixture.io, || next.page(2));
    assert!(page.iter().all(|byte| *byte == 1), "what was abandoned is seen");
    drop((page, next, waiter));
    fixture.assert_idle();
}

/// What a snapshot shows: page 2 as its commit left it.
fn assert_view(fixture: &Fixture, mut reader: ReadTransaction) {
    let fill = reader.commit_sequence() as u8;
    let page = fixture.read(&mut reader, 2);
    assert!(page.iter().all(|byte| *byte == fill), "commit {fill} shows {}", page[0]);
}

/// A snapshot that is taken while a commit is published and copied. One of the commit before reads the database file only,
/// and the checkpoint goes no further than it.
fn snapshot_vs_commit_and_checkpoint() {
    let fixture = Fixture::with(1, 1);
    fixture.checkpoint();
    let pager = Arc::clone(&fixture.pager);
    let other = thread::spawn(move || pager.begin_read().unwrap());
    fixture.commit_fill(2);
    fixture.checkpoint();
    assert_view(&fixture, other.join().unwrap());
    fixture.assert_idle();
}

/// A snapshot in the log looks a page up and reads it there: its frames stay where they are, though all of them are copied.
fn snapshot_reads_vs_log_reset() {
    let fixture = Fixture::with(2, 1);
    let mut reader = fixture.pager.begin_read().unwrap();
    let mut writer = fixture.begin();
    fixture.fill(&mut writer, 2, 2);
    drop(fixture.read(&mut reader, 3));
    fixture.checkpoint();
    let other = thread::spawn(move || {
        drop(reader.page(2).unwrap());
        reader
    });
    fixture.commit(writer);
    assert_view(&fixture, other.join().unwrap());
    fixture.assert_idle();
}

/// The last snapshot in the log ends while the log may be reset.
fn snapshot_ends_vs_log_reset() {
    let fixture = Fixture::with(1, 1);
    let reader = fixture.pager.begin_read().unwrap();
    fixture.checkpoint();
    let other = thread::spawn(move || drop(reader));
    fixture.commit_fill(2);
    other.join().unwrap();
    assert_view(&fixture, fixture.pager.begin_read().unwrap());
    fixture.assert_idle();
}

/// A snapshot that reads the log keeps it; one that does not is not in the way.
fn snapshot_vs_checkpoint_and_log_reset() {
    let fixture = Fixture::with(1, 1);
    let pager = Arc::clone(&fixture.pager);
    let other = thread::spawn(move || pager.begin_read().unwrap());
    fixture.checkpoint();
    fixture.commit_fill(2);
    assert_view(&fixture, other.join().unwrap());
    fixture.assert_idle();
}

/// Steps until it has ended, or waits for something other than the disk, which it returns.
fn until_it_waits(fixture: &Fixture, checkpoint: &mut Checkpoint) -> Result<CheckpointReport, Completion> {
    loop {
        match checkpoint.step().expect("no fault") {
            IOResult::Done(report) => return Ok(report),
            IOResult::IO(io) if fixture.io.step().unwrap() == 0 => {
                return Err(waits_for::<()>(Ok(IOResult::IO(io))));
            }
            IOResult::IO(_) => {}
        }
    }
}

/// A full checkpoint waits for the reader of an older commit while that ends.
fn reader_ends_vs_full_checkpoint() {
    let fixture = Fixture::with(1, 1);
    let reader = fixture.pager.begin_read().unwrap();
    fixture.commit_fill(2);
    let other = thread::spawn(move || drop(reader));
    let mut checkpoint = fixture.pager.checkpoint(CheckpointMode::Full);
    let reached = until_it_waits(&fixture, &mut checkpoint);
    other.join().unwrap();
    let report = reached.unwrap_or_else(|wait| {
        assert!(wait.finished(), "the last reader has gone, and no waiter was woken");
        drive(&fixture.io, || checkpoint.step())
    });
    assert_eq!(report.outcome, CheckpointOutcome::Complete);
    drop(checkpoint);
    fixture.assert_idle();
}

/// A reader asks for the write lock while a checkpoint that has it waits for readers, of which it is one: it gets the right
/// before, or is sent away, or is not let in.
fn reader_asks_for_the_write_lock_vs_restart_that_awaits_it() {
    let fixture = Fixture::with(1, 1);
    let mut upgrade = fixture.pager.begin_read().unwrap().upgrade();
    let other = thread::spawn(move || (upgrade.step(), upgrade));
    let mut checkpoint = fixture.pager.checkpoint(CheckpointMode::Restart);
    let reached = until_it_waits(&fixture, &mut checkpoint);
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
    let report = reached.unwrap_or_else(|_| drive(&fixture.io, || checkpoint.step()));
    assert_eq!(report.outcome, CheckpointOutcome::Restarted);
    drop(checkpoint);
    fixture.assert_idle();
}
