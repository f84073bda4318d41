//! The hand-over of the pager's group commit: whoever brings the news that makes a sync possible starts it. Threads stand
//! for the callbacks of the I/O, the lock for the pager's state.

use std::sync::Arc;

use loom::sync::Mutex;
use loom::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use loom::thread;
use tenterhook_runtime::pager::pending::{Due, Number, Pending};

use crate::model::{EXHAUSTIVE, Model, models};

pub(crate) fn models() -> Vec<Model> {
    models![
        EXHAUSTIVE => commit_two_written_vs_written, commit_three_written_vs_written_vs_written,
            commit_written_vs_sync_ends, commit_write_fails_vs_sync_ends, commit_write_fails_vs_later_written,
            commit_written_vs_sync_fails;
    ]
}

/// The log, and a disk on which a sync lasts until its thread comes to its end.
struct Log {
    pending: Mutex<Pending<u8>>,
    published: Mutex<Vec<u8>>,
    failed: Mutex<Vec<u8>>,
    /// Syncs under way: one at most.
    syncing: AtomicUsize,
    /// Commits that are written, one bit each.
    written: AtomicUsize,
}

impl Log {
    /// Commits 0, 1 and so on, on their way.
    fn with(commits: u8) -> (Arc<Self>, Vec<Number>) {
        let mut pending = Pending::default();
        let numbers = (0..commits).map(|commit| pending.push(commit)).collect();
        let log = Self {
            pending: Mutex::new(pending),
            published: Mutex::new(Vec::new()),
            failed: Mutex::new(Vec::new()),
            syncing: AtomicUsize::new(0),
            written: AtomicUsize::new(0),
        };
        (Arc::new(log), numbers)
    }

    /// The callback of a commit's writes, and of whatever sync that makes due, one after the other.
    fn end_writes(&self, commit: u8, number: Number) {
        self.written.fetch_or(1 << commit, SeqCst);
        let due = self.pending.lock().unwrap().written(number);
        self.run_syncs(due);
    }

    fn run_syncs(&self, mut due: Due) {
        while due == Due::StartSync {
            self.begin_sync();
            due = self.end_sync();
        }
    }

    fn begin_sync(&self) {
        assert_eq!(self.syncing.fetch_add(1, SeqCst), 0, "two syncs at a time");
    }

    /// The callback of a sync that has succeeded. What it publishes was written before it began.
    fn end_sync(&self) -> Due {
        self.syncing.fetch_sub(1, SeqCst);
        let mut pending = self.pending.lock().unwrap();
        let (commits, due) = pending.synced();
        for commit in &commits {
            assert!(self.written.load(SeqCst) >> commit & 1 == 1, "commit {commit} is published unwritten");
        }
        // In the pager this is the same critical section.
        self.published.lock().unwrap().extend(commits);
        due
    }

    fn fail_writes(&self, number: Number) {
        let failed = self.pending.lock().unwrap().write_failed(number);
        self.failed.lock().unwrap().extend(failed);
    }

    /// Nothing is left behind, and what was published is this.
    fn assert_published(&self, expected: &[u8], failed: &[u8]) {
        assert_eq!(self.pending.lock().unwrap().count(), 0, "a commit that nobody syncs");
        assert_eq!(self.published.lock().unwrap().as_slice(), expected);
        assert_eq!(self.failed.lock().unwrap().as_slice(), failed);
    }
}

/// Each end of writes, on a thread of its own.
fn written_at_once(commits: u8) {
    let (log, numbers) = Log::with(commits);
    let others: Vec<_> = (1..commits)
        .map(|commit| {
            let (log, number) = (Arc::clone(&log), numbers[usize::from(commit)]);
            thread::spawn(move || log.end_writes(commit, number))
        })
        .collect();
    log.end_writes(0, numbers[0]);
    for other in others {
        other.join().unwrap();
    }
    log.assert_published(&(0..commits).collect::<Vec<_>>(), &[]);
}

/// Either starts the sync, of both or of the first and then of the second; none is left to nobody.
fn commit_two_written_vs_written() {
    written_at_once(2);
}

fn commit_three_written_vs_written_vs_written() {
    written_at_once(3);
}

/// The second commit's writes end while the first one's sync does: it is covered by the next sync, which one of them
/// starts.
fn commit_written_vs_sync_ends() {
    let (log, numbers) = Log::with(2);
    log.written.fetch_or(1, SeqCst);
    let due = log.pending.lock().unwrap().written(numbers[0]);
    assert_eq!(due, Due::StartSync);
    log.begin_sync();
    let (other, number) = (Arc::clone(&log), numbers[1]);
    let writer = thread::spawn(move || other.end_writes(1, number));
    let due = log.end_sync();
    log.run_syncs(due);
    writer.join().unwrap();
    log.assert_published(&[0, 1], &[]);
}

/// A failed write takes no commit that the sync covers, and leaves none behind it.
fn commit_write_fails_vs_sync_ends() {
    let (log, numbers) = Log::with(3);
    log.written.fetch_or(0b101, SeqCst);
    assert_eq!(log.pending.lock().unwrap().written(numbers[2]), Due::Nothing);
    assert_eq!(log.pending.lock().unwrap().written(numbers[0]), Due::StartSync);
    log.begin_sync();
    let (other, number) = (Arc::clone(&log), numbers[1]);
    let writer = thread::spawn(move || other.fail_writes(number));
    let due = log.end_sync();
    log.run_syncs(due);
    writer.join().unwrap();
    log.assert_published(&[0], &[1, 2]);
}

/// The later commit fails with the earlier, whichever end comes first.
fn commit_write_fails_vs_later_written() {
    let (log, numbers) = Log::with(2);
    let (other, number) = (Arc::clone(&log), numbers[1]);
    let writer = thread::spawn(move || other.end_writes(1, number));
    log.fail_writes(numbers[0]);
    writer.join().unwrap();
    log.assert_published(&[], &[0, 1]);
}

/// A sync that fails takes all. Writes that end later find nothing, and start nothing.
fn commit_written_vs_sync_fails() {
    let (log, numbers) = Log::with(2);
    assert_eq!(log.pending.lock().unwrap().written(numbers[0]), Due::StartSync);
    log.begin_sync();
    let (other, number) = (Arc::clone(&log), numbers[1]);
    let writer = thread::spawn(move || {
        let due = other.pending.lock().unwrap().written(number);
        assert_eq!(due, Due::Nothing, "a sync runs, or it has failed");
    });
    let failed = log.pending.lock().unwrap().sync_failed();
    log.failed.lock().unwrap().extend(failed.covered.into_iter().chain(failed.later));
    writer.join().unwrap();
    log.assert_published(&[], &[0, 1]);
}
