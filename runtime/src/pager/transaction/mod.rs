//! Transactions: reading a snapshot, changing pages, and making that durable.

pub(super) mod acquire;
mod begin;
mod call;
mod commit;
mod read;
mod room;
mod savepoint;
pub(super) mod snapshot_reader;
mod spill;
mod upgrade;
mod vacuum;
mod write;

pub use begin::BeginWrite;
pub use commit::Commit;
pub use read::ReadTransaction;
pub use savepoint::Savepoint;
pub use upgrade::Upgrade;
pub use vacuum::Vacuum;
pub use write::WriteTransaction;
