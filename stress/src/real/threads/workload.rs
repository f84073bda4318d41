//! What a system offers to be run on real threads.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Environment;
use crate::system::Step;
use crate::violation::Violation;

/// A system and what is known of it from one incarnation to the next: who was told of what.
pub trait Workload: Send + Sync {
    /// The system's files in `directory`, whether or not they are there yet: noise is made around them.
    fn files(&self, directory: &Path) -> Vec<PathBuf>;

    /// Opens what is in the environment's directory, recovery and all. No fault strikes meanwhile. `None` if it has to be opened
    /// once more. No I/O for the time of a stall is a violation of liveness.
    ///
    /// # Errors
    ///
    /// A broken promise: nothing explains why it can't be opened.
    fn open(&self, environment: &Arc<Environment>) -> Result<Option<Arc<dyn Incarnation>>, Box<Violation>>;

    /// What was done so far, by name: always the same names in the same order.
    fn counts(&self) -> Vec<(&'static str, u64)> {
        Vec::new()
    }
}

/// A system that has been opened.
pub trait Incarnation: Send + Sync {
    /// A connection, which draws what it does from `key`. No two that work at a time have the same number.
    fn connect(self: Arc<Self>, number: u64, key: u64) -> Box<dyn Connection>;

    /// Checks the system: faults have stopped, and no connection works. No I/O for the time of a stall is a violation of
    /// liveness.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    fn look_over(&self) -> Result<(), Box<Violation>> {
        Ok(())
    }

    /// What it holds, for a person who wants to know why nothing moves.
    fn describe(&self) -> String {
        String::new()
    }
}

/// A connection to a system, stepped by the threads of an executor, by one at a time.
pub trait Connection: Send {
    /// One step. It begins an operation if it is between two, which is where [`Step::Ended`] has left it. After
    /// [`Step::Restart`] no connection begins another operation, and a new incarnation is opened.
    ///
    /// # Errors
    ///
    /// A broken promise. An error that a fault explains is none: count it, and end the operation.
    fn step(&mut self) -> Result<Step, Box<Violation>>;

    /// What it is doing, for a person who wants to know why nothing moves.
    fn describe(&self) -> &'static str {
        "an operation"
    }
}
