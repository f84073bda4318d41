//! Oracles: one property a file. They observe and never steer, and they fail loudly.
//!
//! A fiber tells what it saw as an [`Observation`]. Each oracle judges it against the [`History`], which is what a
//! pager without concurrency, faults and crashes would hold; then the history takes it in.

mod atomicity;
mod durability;
mod fabricated_read;
mod fairness;
mod flight;
mod history;
mod integrity;
mod knowledge;
mod leaks;
mod order;
mod snapshot;
mod unexplained_error;

pub use atomicity::Atomicity;
pub use durability::Durability;
pub use fabricated_read::FabricatedRead;
pub use fairness::Fairness;
pub use history::{ABSENT, History, TransactionId};
pub use integrity::Integrity;
pub(crate) use knowledge::Kept;
pub use leaks::Leaks;
pub use order::CommitOrder;
pub use snapshot::Snapshot;
use tenterhook_runtime::pager::{Audit, IntegrityReport, PageNo, PagerError};
pub use unexplained_error::UnexplainedError;

use tenterhook_stress::system::Crash;
use tenterhook_stress::violation::Violation;

/// What an oracle says of an observation.
pub type Verdict = Result<(), Box<Violation>>;

/// Something that a fiber saw or did. Digests stand for the content of pages; [`ABSENT`] for a page that a snapshot
/// does not have.
#[derive(Copy, Clone, Debug)]
pub enum Observation<'a> {
    /// A life ended.
    Crashed(Crash),
    /// A sync has failed and dropped what it was to make durable. Nothing is lost by that of what must survive, except where
    /// commits are acknowledged before their sync.
    WritesDropped,
    /// The pager was opened and says that this is its newest commit.
    Opened {
        /// The commit.
        sequence: u64,
    },
    /// Everything was read after an open: the digest of each page, by number.
    Recovered {
        /// Index 0 and 1, the header page, stand for nothing.
        pages: &'a [u64],
    },
    /// A read transaction began.
    ReadBegan {
        /// Its snapshot.
        sequence: u64,
        /// The newest commit that had been acknowledged when it was asked for.
        floor: u64,
    },
    /// A page was read in a snapshot that is held.
    PageRead {
        /// The snapshot.
        sequence: u64,
        /// The page.
        page: PageNo,
        /// What it holds.
        digest: u64,
    },
    /// A transaction looked at a page that it has changed itself.
    OwnPage {
        /// The snapshot that it started from.
        sequence: u64,
        /// The page.
        page: PageNo,
        /// What it has made of it.
        expected: u64,
        /// What it holds.
        seen: u64,
    },
    /// A transaction went back to a savepoint: pages that its file had there, and has now.
    TakenBack {
        /// The snapshot that it started from.
        sequence: u64,
        /// Pages at the savepoint.
        expected: u32,
        /// Pages now.
        seen: u32,
    },
    /// A page that was pinned for a while was looked at again.
    PinnedAgain {
        /// The page.
        page: PageNo,
        /// What it held when it was pinned.
        before: u64,
        /// What it holds.
        after: u64,
    },
    /// A transaction gave a page this content. It may be written to the log at once, and is no commit's.
    PageChanged {
        /// The page.
        page: PageNo,
        /// What it holds.
        digest: u64,
    },
    /// A transaction asked for the write lock, and was told to wait. Once for each.
    TurnAwaited {
        /// The transaction.
        id: TransactionId,
        /// How many had been told to wait when it asked.
        asked: u64,
        /// Whether it keeps a snapshot while it waits.
        reads: bool,
    },
    /// A checkpoint with the write lock begins to wait for readers to end: those of them that wait for the right are sent away.
    ReadersAwaited,
    /// It does so no longer, or is gone.
    ReadersAwaitedNoMore,
    /// A transaction with a snapshot was sent away, or not let in.
    TurnRefused {
        /// The transaction.
        id: TransactionId,
    },
    /// A transaction got the write lock, whether or not it had to wait.
    TurnCame {
        /// The transaction.
        id: TransactionId,
        /// How many had been told to wait when it asked.
        asked: u64,
    },
    /// A transaction waits for the write lock no longer, or is about to.
    TurnLeft {
        /// The transaction.
        id: TransactionId,
    },
    /// A write transaction began, with the write lock.
    WriteBegan {
        /// The snapshot that it starts from.
        base: u64,
        /// Whether other threads may have been told of a failure while it began.
        raced: bool,
    },
    /// A write transaction asks for its commit.
    CommitBegan {
        /// The transaction.
        id: TransactionId,
        /// The snapshot that it started from.
        base: u64,
        /// What it makes of each page that it changed.
        changes: &'a [(PageNo, u64)],
    },
    /// A commit was acknowledged.
    Committed {
        /// The transaction.
        id: TransactionId,
        /// The commit's number.
        sequence: u64,
    },
    /// A commit ended with an error: in this life it has not happened.
    CommitFailed {
        /// The transaction.
        id: TransactionId,
    },
    /// A commit's machine was dropped, or it will never say how it ended. What was not handed to the log yet has not
    /// happened in this life; earlier events still count.
    CommitDropped {
        /// The transaction.
        id: TransactionId,
        /// Whether it had been handed to the log.
        submitted: bool,
    },
    /// Values that every committed state has in equal measure: the stamps of a group, a sum and what it must be.
    Invariant {
        /// The snapshot.
        sequence: u64,
        /// What it is.
        what: &'static str,
        /// What it must be.
        expected: i64,
        /// What it is.
        seen: i64,
    },
    /// An operation failed.
    Failed {
        /// What was tried.
        what: &'static str,
        /// The error.
        error: &'a PagerError,
        /// The fault that accounts for it, if there was one.
        cause: Option<&'static str>,
    },
    /// The pager's holdings while every connection is between two operations and no I/O is in flight.
    AtRest(&'a Audit),
    /// A checkpoint has ended.
    Checkpointed {
        /// The commit that the database file holds, durably.
        sequence: u64,
    },
    /// The result of an integrity check; at rest the faults have stopped.
    Checked {
        /// The result.
        report: &'a IntegrityReport,
        /// Whether no fault and no transaction can be behind a problem.
        at_rest: bool,
    },
    /// Every handle was dropped: is the pager gone?
    Freed {
        /// Owners that are left.
        owners: usize,
    },
}

/// One property.
pub trait Oracle {
    /// Judges one observation. `history` does not contain it yet.
    fn judge(&mut self, history: &History, seen: &Observation<'_>) -> Verdict;
}

/// All oracles of the pager, and the history that they share.
#[derive(Debug, Default)]
pub struct Oracles {
    history: History,
    order: CommitOrder,
    fairness: Fairness,
    durability: Durability,
    atomicity: Atomicity,
    snapshot: Snapshot,
    integrity: Integrity,
    leaks: Leaks,
    unexplained_error: UnexplainedError,
    /// Judges in place of the others, except for leaks, when the disk lies.
    fabricated_read: Option<FabricatedRead>,
}

impl Oracles {
    /// Oracles for a disk that says that it has done what it has not.
    pub fn of_a_lying_disk() -> Oracles {
        Oracles { fabricated_read: Some(FabricatedRead::default()), ..Oracles::default() }
    }

    /// Oracles for a pager that acknowledges commits before they are durable. A power loss may take them back, down to
    /// what a checkpoint has copied.
    pub fn of_late_syncs() -> Oracles {
        Oracles { history: History::of_late_syncs(), ..Oracles::default() }
    }

    /// Shows every oracle what was seen, then records it.
    #[inline]
    pub fn observe(&mut self, seen: &Observation<'_>) -> Verdict {
        if let Some(fabricated_read) = &mut self.fabricated_read {
            fabricated_read.judge(&self.history, seen)?;
            self.leaks.judge(&self.history, seen)?;
            self.history.record(seen);
            return Ok(());
        }
        match seen {
            // Nine of ten observations, and only one oracle has an eye for them.
            Observation::PageRead { .. } | Observation::OwnPage { .. } => {
                return self.snapshot.judge(&self.history, seen);
            }
            // What a transaction does before its commit is not checked, unless the disk lies.
            Observation::PageChanged { .. } => return Ok(()),
            _ => {}
        }
        let oracles: [&mut dyn Oracle; 8] = [
            &mut self.durability,
            &mut self.order,
            &mut self.fairness,
            &mut self.atomicity,
            &mut self.snapshot,
            &mut self.integrity,
            &mut self.leaks,
            &mut self.unexplained_error,
        ];
        for oracle in oracles {
            oracle.judge(&self.history, seen)?;
        }
        self.history.record(seen);
        Ok(())
    }

    /// What a pager would hold.
    pub fn history(&self) -> &History {
        &self.history
    }
}

#[cfg(test)]
mod tests;
