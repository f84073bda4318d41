//! What connections have asked for and been told of, from the first incarnation to the last.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::real::ledger::Committed;

/// One row for each connection, and counts.
#[derive(Debug)]
pub(super) struct Table {
    rows: Box<[Row]>,
    /// The newest commit that was acknowledged: a snapshot that is begun later has it.
    newest_told: AtomicU64,
    commits: AtomicU64,
    reads: AtomicU64,
    checkpoints: AtomicU64,
    errors: AtomicU64,
}

/// How many commits a connection has asked for, and been told of.
#[derive(Debug, Default)]
struct Row {
    asked: AtomicU64,
    told: AtomicU64,
}

impl Table {
    pub(super) fn new(connections: u64) -> Table {
        Table {
            rows: (0..connections).map(|_| Row::default()).collect(),
            newest_told: AtomicU64::new(0),
            commits: AtomicU64::new(0),
            reads: AtomicU64::new(0),
            checkpoints: AtomicU64::new(0),
            errors: AtomicU64::new(0),
        }
    }

    /// The newest commit that is acknowledged by now.
    pub(super) fn newest_told(&self) -> u64 {
        // ORDERING: Acquire, pairs with the maximum in `told`: the commit happened before whatever is begun after this.
        self.newest_told.load(Ordering::Acquire)
    }

    /// `connection` asks for a commit. Its number may be lower than the one before: commits have failed, and what was written of them
    /// may still be found by the next opening.
    pub(super) fn asked(&self, connection: u64, committed: Committed) {
        // ORDERING: Relaxed: read after the connection's machine has been joined, or by itself.
        self.rows[connection as usize].asked.fetch_max(committed.own, Ordering::Relaxed);
    }

    /// `connection` was told of a commit.
    pub(super) fn told(&self, connection: u64, committed: Committed) {
        // ORDERING: Relaxed, as in `asked`.
        self.rows[connection as usize].told.store(committed.own, Ordering::Relaxed);
        // ORDERING: Release, pairs with the load in `newest_told`.
        self.newest_told.fetch_max(committed.number, Ordering::Release);
        self.commits.fetch_add(1, Ordering::Relaxed);
    }

    /// A snapshot was looked at.
    pub(super) fn looked(&self) {
        // ORDERING: Relaxed: a count.
        self.reads.fetch_add(1, Ordering::Relaxed);
    }

    /// A checkpoint has ended.
    pub(super) fn checkpointed(&self) {
        // ORDERING: Relaxed: a count.
        self.checkpoints.fetch_add(1, Ordering::Relaxed);
    }

    /// An operation has ended with an error.
    pub(super) fn failed(&self) {
        // ORDERING: Relaxed: a count.
        self.errors.fetch_add(1, Ordering::Relaxed);
    }

    /// With every machine gone: what each connection has asked for and was told.
    pub(super) fn rows(&self) -> impl Iterator<Item = (u64, u64)> {
        // ORDERING: Relaxed: the machines have been joined.
        self.rows.iter().map(|row| (row.asked.load(Ordering::Relaxed), row.told.load(Ordering::Relaxed)))
    }

    /// An opening has found so many commits of each connection: it has them, and those that it asked for beyond them are gone.
    pub(super) fn settle(&self, cells: &[u64]) {
        for (row, &own) in self.rows.iter().zip(cells) {
            // ORDERING: Relaxed, as in `rows`.
            row.asked.store(own, Ordering::Relaxed);
            row.told.store(own, Ordering::Relaxed);
        }
    }

    pub(super) fn counts(&self) -> Vec<(&'static str, u64)> {
        // ORDERING: Relaxed: counts.
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        vec![
            ("commits", count(&self.commits)),
            ("snapshots looked at", count(&self.reads)),
            ("checkpoints", count(&self.checkpoints)),
            ("errors, all explained", count(&self.errors)),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Broke: a connection whose commits had failed asked for a lower number, and the next opening, which found what had been written
    /// of them, was called wrong.
    #[test]
    fn commits_that_have_failed_stay_asked_for_until_the_next_opening() {
        let table = Table::new(1);
        let asks = |own| table.asked(0, Committed { number: own, own });
        let asked = || table.rows().map(|(asked, _)| asked).collect::<Vec<_>>();
        asks(67);
        asks(68);
        asks(67);
        assert_eq!(asked(), [68]);
        table.settle(&[66]);
        asks(67);
        assert_eq!(asked(), [67]);
    }

    /// Broke: what was asked for and not found stayed asked for, so that a stale commit could come back in a later life.
    #[test]
    fn what_an_opening_finds_is_both_bounds_from_then_on() {
        let table = Table::new(2);
        table.told(0, Committed { number: 1, own: 1 });
        table.asked(0, Committed { number: 4, own: 3 });
        table.settle(&[2, 0]);
        let rows = || table.rows().collect::<Vec<_>>();
        assert_eq!(rows(), [(2, 2), (0, 0)]);
        // A file that has not been made has no cells.
        table.settle(&[]);
        assert_eq!(rows(), [(2, 2), (0, 0)]);
    }
}
