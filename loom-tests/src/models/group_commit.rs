//! The hand-over of the pager's group commit: the event that makes a write or a sync possible starts it. Threads
//! stand for connections and for the callbacks of the I/O, the lock for the pager's state.

use std::sync::Arc;

use loom::sync::Mutex;
use loom::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use loom::thread;
use tenterhook_runtime::pager::pending::{self, Failed, Pending};

use crate::model::{EXHAUSTIVE, Model, models};

pub(crate) fn models() -> Vec<Model> {
    models![
        EXHAUSTIVE => commit_two_pushed_vs_pushed, commit_three_pushed_vs_pushed_vs_pushed,
            commit_pushed_vs_write_ends, commit_pushed_vs_sync_ends, commit_pushed_vs_write_fails,
            commit_pushed_vs_sync_fails, commit_write_ends_vs_other_sync_fails,
            commit_sync_ends_vs_other_sync_fails;
    ]
}

/// The frames of a commit are its number.
type Due = pending::Due<u8>;

/// The log, and a disk on which an operation lasts until its thread comes to its end.
struct Log {
    pending: Mutex<Pending<u8, u8>>,
    published: Mutex<Vec<u8>>,
    failed: Mutex<Vec<u8>>,
    /// Writes and syncs under way: one at most.
    running: AtomicUsize,
    /// Commits that are written, one bit each.
    written: AtomicUsize,
}

impl Log {
    /// Commits 0, 1 and so on, in flight: the first is being written.
    fn with(commits: u8) -> Arc<Self> {
        let log = Arc::new(Self {
            pending: Mutex::default(),
            published: Mutex::default(),
            failed: Mutex::default(),
            running: AtomicUsize::new(0),
            written: AtomicUsize::new(0),
        });
        for commit in 0..commits {
            let due = log.pending.lock().unwrap().push(commit, commit);
            if due != Due::Nothing {
                log.begin();
            }
        }
        log
    }

    /// A connection hands a commit over, and does whatever that makes due, one after the other.
    fn push(&self, commit: u8) {
        let due = self.pending.lock().unwrap().push(commit, commit);
        self.run(due);
    }

    fn run(&self, mut due: Due) {
        loop {
            due = match due {
                Due::Nothing => return,
                Due::Write(frames) => {
                    self.begin();
                    self.end_write(&frames)
                }
                Due::Sync => {
                    self.begin();
                    self.end_sync()
                }
            };
        }
    }

    fn begin(&self) {
        assert_eq!(self.running.fetch_add(1, SeqCst), 0, "two operations at a time");
    }

    fn end(&self) {
        self.running.fetch_sub(1, SeqCst);
    }

    /// The callback of a write.
    fn end_write(&self, frames: &[u8]) -> Due {
        for commit in frames {
            self.written.fetch_or(1 << commit, SeqCst);
        }
        self.end();
        self.pending.lock().unwrap().written()
    }

    /// The callback of a sync that has succeeded. What it publishes was written before it began.
    fn end_sync(&self) -> Due {
        self.end();
        let mut pending = self.pending.lock().unwrap();
        let (commits, due) = pending.synced();
        for commit in &commits {
            assert!(self.written.load(SeqCst) >> commit & 1 == 1, "commit {commit} is published unwritten");
        }
        // In the pager this is the same critical section.
        self.published.lock().unwrap().extend(commits);
        due
    }

    fn fail_write(&self) {
        self.end();
        let (failed, _) = self.pending.lock().unwrap().write_failed();
        self.failed.lock().unwrap().extend(failed);
    }

    fn fail_sync(&self) {
        self.end();
        let failed = self.pending.lock().unwrap().sync_failed();
        self.take(failed);
    }

    /// A checkpoint's sync has failed.
    fn fail_other_sync(&self) {
        let failed = self.pending.lock().unwrap().other_sync_failed();
        self.take(failed);
    }

    fn take(&self, failed: Failed<u8, u8>) {
        self.failed.lock().unwrap().extend(failed.covered.into_iter().chain(failed.later));
    }

    /// Who pushes first is not said.
    fn sort_published(&self) {
        self.published.lock().unwrap().sort_unstable();
    }

    /// The first has failed. The second with it, if it came before that; else it is published.
    fn assert_second_came_before_or_after(&self) {
        let came_after = self.failed.lock().unwrap().len() == 1;
        let (published, failed): (&[u8], &[u8]) = if came_after { (&[1], &[0]) } else { (&[], &[0, 1]) };
        self.assert_ended(published, failed);
    }

    /// Of so many some of the first are published, and the rest have failed.
    fn assert_first_are_published(&self, commits: u8) {
        let published = self.published.lock().unwrap().len() as u8;
        let [published, failed] = [0..published, published..commits].map(Vec::from_iter);
        self.assert_ended(&published, &failed);
    }

    /// Nothing is left behind, and this has become of the commits, in this order.
    fn assert_ended(&self, published: &[u8], failed: &[u8]) {
        assert_eq!(self.pending.lock().unwrap().count(), 0, "a commit that is never written or synced");
        assert_eq!(self.published.lock().unwrap().as_slice(), published);
        assert_eq!(self.failed.lock().unwrap().as_slice(), failed);
    }
}

/// `other` on a thread of its own, while `first` runs here.
fn race(log: &Arc<Log>, other: impl FnOnce(&Log) + Send + 'static, first: impl FnOnce(&Log)) {
    let there = Arc::clone(log);
    let thread = thread::spawn(move || other(&there));
    first(log);
    thread.join().unwrap();
}

/// Either starts the write, of both or of one and then of the other; none is forgotten.
fn commit_two_pushed_vs_pushed() {
    let log = Log::with(0);
    race(&log, |log| log.push(1), |log| log.push(0));
    log.sort_published();
    log.assert_ended(&[0, 1], &[]);
}

fn commit_three_pushed_vs_pushed_vs_pushed() {
    let log = Log::with(0);
    let there = Arc::clone(&log);
    let third = thread::spawn(move || there.push(2));
    race(&log, |log| log.push(1), |log| log.push(0));
    third.join().unwrap();
    log.sort_published();
    log.assert_ended(&[0, 1, 2], &[]);
}

/// The second commit comes while the first one's write ends: it is written after that one's sync.
fn commit_pushed_vs_write_ends() {
    let log = Log::with(1);
    race(
        &log,
        |log| log.push(1),
        |log| {
            let due = log.end_write(&[0]);
            log.run(due);
        },
    );
    log.assert_ended(&[0, 1], &[]);
}

/// The same while its sync ends.
fn commit_pushed_vs_sync_ends() {
    let log = Log::with(1);
    assert_eq!(log.end_write(&[0]), Due::Sync);
    log.begin();
    race(
        &log,
        |log| log.push(1),
        |log| {
            let due = log.end_sync();
            log.run(due);
        },
    );
    log.assert_ended(&[0, 1], &[]);
}

/// A failed write takes the commit that was pushed before, and leaves the one that is pushed after to be written: no
/// order strands it.
fn commit_pushed_vs_write_fails() {
    let log = Log::with(1);
    race(&log, |log| log.push(1), Log::fail_write);
    log.assert_second_came_before_or_after();
}

/// A failed sync takes all that were pushed before it.
fn commit_pushed_vs_sync_fails() {
    let log = Log::with(1);
    assert_eq!(log.end_write(&[0]), Due::Sync);
    log.begin();
    race(&log, |log| log.push(1), Log::fail_sync);
    log.assert_second_came_before_or_after();
}

/// A checkpoint's sync fails while a write runs. Whichever ends first, all have failed, or what was written before has a sync
/// of its own; nothing is forgotten, and the write's end starts no sync for commits that are gone.
fn commit_write_ends_vs_other_sync_fails() {
    let log = Log::with(2);
    race(&log, Log::fail_other_sync, |log| {
        let due = log.end_write(&[0]);
        log.run(due);
    });
    log.assert_first_are_published(2);
}

/// The same while the commits' own sync runs, and another commit comes after that: it waits for that sync.
fn commit_sync_ends_vs_other_sync_fails() {
    let log = Log::with(1);
    assert_eq!(log.end_write(&[0]), Due::Sync);
    log.begin();
    race(
        &log,
        |log| {
            log.fail_other_sync();
            log.push(1);
        },
        |log| {
            let due = log.end_sync();
            log.run(due);
        },
    );
    let failed: &[u8] = if log.failed.lock().unwrap().is_empty() { &[] } else { &[0] };
    let published: &[u8] = if failed.is_empty() { &[0, 1] } else { &[1] };
    log.assert_ended(published, failed);
}
