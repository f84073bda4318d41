//! What connections do: one operation a file, each a state machine over the pager.
//!
//! An operation takes one call of the pager a step and reports everything that it saw to the oracles. It draws its
//! plan when it is made, so that a step, called again from the top, does what the last one would have done.

mod aside;
mod churn;
pub(crate) mod layout;
mod multi_page_write;
mod operation_context;
mod prepare;
mod read;
pub(crate) mod record;
mod savepoint_rollback;
mod transfer;
mod upkeep;
mod write;

use std::cell::RefCell;
use std::sync::Arc;

use tenterhook_runtime::IOCompletions;
use tenterhook_runtime::pager::{Pager, PagerError};

pub(crate) use self::aside::Aside;
pub(crate) use self::churn::Churn;
use self::layout::{Layout, Shape};
pub(crate) use self::multi_page_write::MultiPageWrite;
pub(crate) use self::prepare::Prepare;
pub(crate) use self::read::{Plan, Read};
use self::record::Recorder;
pub(crate) use self::savepoint_rollback::SavepointRollback;
pub(crate) use self::transfer::Transfer;
pub(crate) use self::upkeep::{CheckIntegrity, Checkpoints};
pub(crate) use self::write::{Job, Write, WriteEnd};
use crate::oracle::{Observation, Oracles};
use tenterhook_stress::violation::Violation;

/// What an operation works with for one step.
pub(crate) struct Fixture<'a> {
    pub(crate) pager: &'a Arc<Pager>,
    pub(crate) shape: &'a Shape,
    pub(crate) layout: &'a Layout,
    /// Never borrowed across a call of the pager: its thread may be stopped there.
    pub(crate) oracles: &'a RefCell<Oracles>,
    /// The same holds here.
    pub(crate) tally: &'a RefCell<Tally>,
    /// For checkers of other people.
    pub(crate) recorder: Recorder<'a>,
    /// Whether threads are stopped in the middle of a step: what is told of a call may be told late.
    pub(crate) raced: bool,
}

/// What a step of an operation came to.
pub(crate) enum Progress {
    /// There is more to do, and nothing to wait for.
    More,
    /// Suspended.
    Wait(IOCompletions),
    /// The operation has ended.
    Done,
}

/// Why an operation cannot go on.
pub(crate) enum Failure {
    /// The pager said no. Whether it may is for the honesty oracle to say.
    Pager(PagerError),
    /// An oracle fired.
    Violation(Box<Violation>),
}

impl From<PagerError> for Failure {
    fn from(error: PagerError) -> Self {
        Failure::Pager(error)
    }
}

impl From<Box<Violation>> for Failure {
    fn from(violation: Box<Violation>) -> Self {
        Failure::Violation(violation)
    }
}

/// Unwraps what a pager's machine returned, or returns from the enclosing step with what it waits for.
macro_rules! await_io {
    ($step:expr) => {
        match $step? {
            tenterhook_runtime::IOResult::Done(value) => value,
            tenterhook_runtime::IOResult::IO(io) => return Ok($crate::workload::Progress::Wait(io)),
        }
    };
}
pub(crate) use await_io;

impl Fixture<'_> {
    /// The newest commit that has been acknowledged.
    pub(crate) fn acknowledged(&self) -> u64 {
        self.oracles.borrow().history().acknowledged()
    }

    /// Tells the oracles.
    #[inline]
    pub(crate) fn observe(&mut self, seen: &Observation<'_>) -> Result<(), Failure> {
        Ok(self.oracles.borrow_mut().observe(seen)?)
    }
}

/// The sorts of operation.
#[derive(
    Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "kebab-case")]
#[repr(u8)]
#[derive(strum::IntoStaticStr, strum::VariantArray)]
#[strum(serialize_all = "kebab-case")]
pub enum OperationKind {
    /// Moves money between two accounts on one or two pages.
    Transfer,
    /// Stamps all pages of a group in one transaction.
    MultiPageWrite,
    /// Allocates, frees or replaces a leaf of a directory.
    Churn,
    /// Adds up all accounts in one snapshot.
    Sum,
    /// Reads a group, whose pages must agree.
    ReadGroup,
    /// Reads a directory and the leaves that it names.
    ReadDirectory,
    /// Keeps a snapshot open and some of its pages pinned for long.
    LongReader,
    /// Moves committed pages from the log to the database file.
    Checkpoint,
    /// Lets the pager check itself.
    CheckIntegrity,
    /// Rolls part of a transaction back to a savepoint, and continues.
    SavepointRollback,
    /// Reads, and then writes if there was no other commit meanwhile.
    Upgrade,
    /// Gives the free pages at the end of the file back.
    Vacuum,
}

impl OperationKind {
    /// All of them.
    pub const ALL: [OperationKind; 12] = [
        OperationKind::Transfer,
        OperationKind::MultiPageWrite,
        OperationKind::Churn,
        OperationKind::Sum,
        OperationKind::ReadGroup,
        OperationKind::ReadDirectory,
        OperationKind::LongReader,
        OperationKind::Checkpoint,
        OperationKind::CheckIntegrity,
        OperationKind::SavepointRollback,
        OperationKind::Upgrade,
        OperationKind::Vacuum,
    ];

    /// The name on the command line and in reports.
    pub fn name(self) -> &'static str {
        self.into()
    }
}

/// Declares the counters of a run with their names.
macro_rules! tally {
    ($($(#[$doc:meta])* $name:ident: $label:literal,)*) => {
        /// What happened in a run, in numbers.
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        pub(crate) struct Tally {
            /// Stands for the content of every page that was looked at, for the trace.
            pub(crate) content: u64,
            $($(#[$doc])* pub(crate) $name: u64,)*
        }

        impl Tally {
            pub(crate) fn counters(&self) -> Vec<(&'static str, u64)> {
                vec![$(($label, self.$name),)*]
            }
        }
    };
}

tally! {
    /// Operations that ended well.
    operations: "operations",
    /// Commits that were acknowledged.
    commits: "commits",
    /// Transactions rolled back on purpose.
    rollbacks: "rollbacks",
    /// Upgrades that were refused because of another commit.
    stale_upgrades: "stale upgrades",
    /// Pages by which vacuums have shortened the file.
    vacuumed: "pages vacuumed",
    /// Commits that ended with an error.
    failed_commits: "failed commits",
    /// Read transactions that came to their end.
    reads: "reads",
    /// Pages whose content was compared.
    pages: "pages compared",
    /// Checkpoints that ended.
    checkpoints: "checkpoints",
    /// Checkpoints that moved everything.
    complete_checkpoints: "complete checkpoints",
    /// Integrity checks that ended.
    checks: "integrity checks",
    /// Machines dropped at a yield.
    drops: "machines dropped",
    /// Calls on a write transaction given up at a yield, with the transaction going on.
    given_up: "calls given up",
    /// Transactions that went on after an error.
    went_on: "went on after an error",
    /// Completions that were asked to cancel.
    cancels: "cancels asked",
    /// Recoveries that came to their end.
    recoveries: "recoveries",
    /// Restarts that the system asked for.
    restarts: "restarts",
    /// Errors of I/O that operations were told of.
    io_errors: "I/O errors noticed",
    /// Damaged pages that operations were told of.
    corruption: "corruption noticed",
    /// Refusals because an earlier sync had failed.
    poisoned: "refusals after a failed sync",
    /// Other errors.
    other_errors: "other errors noticed",
}

impl Tally {
    /// A page was looked at.
    #[inline]
    pub(crate) fn looked(&mut self, digest: u64) {
        self.pages += 1;
        self.content = (self.content.rotate_left(7) ^ digest).wrapping_mul(0x9fb2_1c65_1e98_df25);
    }

    /// Counts an error that an operation was told of.
    pub(crate) fn notice(&mut self, error: &PagerError) {
        let counter = match error {
            PagerError::Io { .. } | PagerError::Backend(_) => &mut self.io_errors,
            PagerError::Corrupt { .. }
            | PagerError::CorruptHeader { .. }
            | PagerError::CorruptLog { .. }
            | PagerError::CorruptFreelist { .. } => &mut self.corruption,
            PagerError::Poisoned { .. } => &mut self.poisoned,
            _ => &mut self.other_errors,
        };
        *counter += 1;
    }
}
