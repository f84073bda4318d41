//! Copying the log into the database file, and resetting it.

mod machine;
mod pass;
mod report;

pub use machine::Checkpoint;
pub use report::{CheckpointMode, CheckpointOutcome, CheckpointReport};
