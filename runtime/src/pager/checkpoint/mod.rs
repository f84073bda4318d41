//! Copying the log into the database file, and beginning it anew.

mod machine;
mod pass;
mod report;

pub use machine::Checkpoint;
pub use report::{CheckpointMode, CheckpointOutcome, CheckpointReport};
