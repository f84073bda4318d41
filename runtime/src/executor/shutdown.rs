//! How an executor goes.

use std::fmt;
use std::time::Duration;

/// What becomes of the machines that have not ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shutdown {
    /// They go on to their ends.
    Drain,
    /// Each is dropped at the yield that it has reached.
    Cancel,
}

/// Machines did not end within the bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unfinished {
    /// How many.
    pub tasks: usize,
    /// How long they had.
    pub after: Duration,
}

impl fmt::Display for Unfinished {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} tasks had not ended after {:?}", self.tasks, self.after)
    }
}

impl std::error::Error for Unfinished {}
