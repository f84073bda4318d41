#![doc = include_str!("README.md")]

mod ask_for_right;
mod audit;
mod begin_write;
mod bytes;
mod cache;
mod call;
mod checkpoint;
mod commit;
mod error;
mod frames;
mod header;
mod integrity;
mod latch;
mod log_format;
mod log_index;
mod log_io;
mod log_writer;
mod open;
mod options;
mod page;
#[expect(unreachable_pub, reason = "reached by the models of its hand-over only")]
#[cfg(not(tenterhook_loom))]
mod pending;
mod prepare_log;
mod read_transaction;
mod readers;
mod savepoint;
mod shared;
mod snapshot_reader;
mod spill;
mod state;
mod transfer;
mod upgrade;
mod vacuum;
mod wakes;
mod write_right;
mod write_transaction;

#[cfg(tenterhook_loom)]
#[doc(hidden)]
pub mod pending;

pub use audit::Audit;
pub use begin_write::BeginWrite;
pub use cache::CacheCounters;
pub use checkpoint::{Checkpoint, CheckpointMode, CheckpointOutcome, CheckpointReport};
pub use commit::Commit;
pub use error::{LogProblem, PagePlace, PageProblem, PagerError};
pub use integrity::{IntegrityCheck, IntegrityProblem, IntegrityReport};
pub use open::Open;
pub use options::{Durability, PagerOptions};
pub use page::PageRef;
pub use read_transaction::ReadTransaction;
pub use savepoint::Savepoint;
pub use shared::Pager;
pub use upgrade::Upgrade;
pub use vacuum::Vacuum;
pub use write_transaction::WriteTransaction;

/// Number of a page, from 1. Page 1 is the header page, which belongs to the pager; a caller's pages begin at 2.
pub type PageNo = u32;
