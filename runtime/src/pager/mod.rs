#![doc = include_str!("README.md")]

mod audit;
mod cache;
mod checkpoint;
mod error;
mod format;
mod integrity;
mod latch;
mod log;
mod open;
mod options;
#[expect(clippy::module_inception, reason = "the file of `Pager`; this one is a table of contents")]
mod pager;
mod problem;
mod readers;
mod state;
mod transaction;
mod transfer;
mod wakes;
mod write_lock;

#[cfg(tenterhook_loom)]
#[doc(hidden)]
pub use log::pending;

pub use audit::Audit;
pub use cache::CacheCounters;
pub use checkpoint::{Checkpoint, CheckpointMode, CheckpointOutcome, CheckpointReport};
pub use error::PagerError;
pub use format::page::PageRef;
pub use integrity::{IntegrityCheck, IntegrityProblem, IntegrityReport};
pub use open::Open;
pub use options::{Durability, PagerOptions};
pub use pager::Pager;
pub use problem::{LogProblem, PagePlace, PageProblem};
pub use transaction::{BeginWrite, Commit, ReadTransaction, Savepoint, Upgrade, Vacuum, WriteTransaction};

/// Number of a page, from 1. Page 1 is the header page, which belongs to the pager; a caller's pages begin at 2.
pub type PageNo = u32;
