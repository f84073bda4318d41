//! The right to spawn.

use std::fmt;
use std::sync::Arc;

use super::handle::Task;
use super::local::Local;
use super::pool::Pool;
use crate::IOResult;

/// Spawns machines on an [`Executor`](super::Executor), from any thread and from machines. Doesn't keep it running.
#[derive(Clone)]
pub struct Spawner {
    pool: Arc<Pool>,
}

impl Spawner {
    pub(super) fn new(pool: Arc<Pool>) -> Self {
        Self { pool }
    }

    pub(super) fn pool(&self) -> &Arc<Pool> {
        &self.pool
    }

    /// Whether this is called from one of the executor's machines.
    pub(super) fn is_current(&self) -> bool {
        Local::with(&self.pool, |local| local.is_some())
    }

    /// Like [`Executor::spawn`](super::Executor::spawn).
    ///
    /// When the executor is gone, or drains and this is not called from one of its machines, the machine is dropped
    /// unstepped and the task is cancelled.
    pub fn spawn<T, E>(&self, machine: impl FnMut() -> Result<IOResult<T>, E> + Send + 'static) -> Task<T, E>
    where
        T: Send + 'static,
        E: Send + 'static,
    {
        self.pool.spawn(machine)
    }
}

impl fmt::Debug for Spawner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Spawner").field("tasks", &self.pool.live()).finish()
    }
}
