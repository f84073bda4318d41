//! What the harness lends to a system.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tenterhook_runtime::io::IO;

use super::faults::Faults;
use crate::real::layer::Layer;

/// A backend under faults, a directory, and what a run has been told to do.
pub struct Environment {
    pub(super) layer: Arc<Layer<Faults>>,
    pub(super) directory: PathBuf,
    pub(super) connections: u64,
    pub(super) stall: Duration,
}

impl Environment {
    /// The backend. Operations on it are struck while connections work, and only then.
    pub fn io(&self) -> Arc<dyn IO> {
        Arc::clone(&self.layer) as Arc<dyn IO>
    }

    /// Where the files are: a directory of this run and backend alone.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// How many connections work at a time.
    pub fn connections(&self) -> u64 {
        self.connections
    }

    /// How long nothing may move before that is a violation.
    pub fn stall(&self) -> Duration {
        self.stall
    }

    /// The faults, to see which of them explain an error.
    pub fn faults(&self) -> &Faults {
        self.layer.watcher()
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let directory = &self.directory;
        f.debug_struct("Environment").field("directory", directory).finish_non_exhaustive()
    }
}
