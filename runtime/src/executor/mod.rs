#![doc = include_str!("README.md")]

mod batch_size;
mod builder;
mod error;
mod handle;
mod idle;
mod joining;
mod live;
mod local;
mod machine;
mod pool;
mod queue;
mod registry;
mod shutdown;
mod spawner;
mod task;
mod waker;
mod word;
mod worker;

pub use builder::Builder;
pub use error::{Panic, TaskError};
pub use handle::Task;
pub use shutdown::{Shutdown, Unfinished};
pub use spawner::Spawner;

use std::fmt;
use std::num::NonZero;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::sync::thread::JoinHandle;
use crate::{Completion, IOResult};
use pool::Pool;

/// Steps many state machines on a few threads.
///
/// Dropping it cancels every machine that has not ended and waits for the workers; see [`Executor::shutdown`] for
/// other ways.
///
/// ```
/// use std::convert::Infallible;
/// use tenterhook_runtime::executor::Executor;
/// use tenterhook_runtime::{IOCompletions, IOResult};
/// let executor = Executor::new(2);
/// let mut left = 3;
/// let task = executor.spawn(move || {
///     if left == 0 {
///         return Ok::<_, Infallible>(IOResult::Done("lift-off"));
///     }
///     left -= 1;
///     Ok(IOResult::IO(IOCompletions::Yield))
/// });
/// assert_eq!(task.join().unwrap(), "lift-off");
/// ```
pub struct Executor {
    spawner: Spawner,
    workers: Vec<JoinHandle<()>>,
    /// Finishes when all workers have returned.
    exit: Completion,
}

impl Executor {
    /// With `workers` threads, at least one.
    ///
    /// # Panics
    ///
    /// When the system gives no more threads. [`Builder::build`] returns that as an error.
    #[must_use]
    pub fn new(workers: usize) -> Self {
        let workers = NonZero::new(workers).unwrap_or(NonZero::<usize>::MIN);
        Builder::new().workers(workers).build().expect("the system gives threads")
    }

    /// Steps `machine` until it is done, on any of the workers, never on two at once.
    ///
    /// `IO` parks it until its completion has finished; a yield puts it at the back of the line.
    pub fn spawn<T, E>(&self, machine: impl FnMut() -> Result<IOResult<T>, E> + Send + 'static) -> Task<T, E>
    where
        T: Send + 'static,
        E: Send + 'static,
    {
        self.spawner.spawn(machine)
    }

    /// A handle that spawns, for machines to take with them.
    #[must_use]
    pub fn spawner(&self) -> &Spawner {
        &self.spawner
    }

    /// Waits until every machine has ended, however long that takes, and ends the workers. Machines may go on spawning.
    ///
    /// # Panics
    ///
    /// At the caller's line when called from one of its own machines.
    #[track_caller]
    pub fn drain(mut self) {
        self.assert_outside();
        self.pool().drain();
        self.join();
    }

    /// Ends all machines, as asked, and the workers, but waits no longer than `bound`.
    ///
    /// What has not ended by then is cancelled, and its worker left to itself: it ends when the step that holds it up
    /// returns.
    ///
    /// # Panics
    ///
    /// At the caller's line when called from one of its own machines.
    #[track_caller]
    pub fn shutdown(mut self, how: Shutdown, bound: Duration) -> Result<(), Unfinished> {
        self.assert_outside();
        let started = Instant::now();
        match how {
            Shutdown::Drain => self.pool().drain(),
            Shutdown::Cancel => self.pool().cancel_all(),
        }
        if self.exit.wait_timeout(bound).is_some() {
            self.join();
            return Ok(());
        }
        let unfinished = Unfinished { tasks: self.pool().live(), after: started.elapsed() };
        self.pool().cancel_all();
        self.workers.clear();
        Err(unfinished)
    }

    fn pool(&self) -> &Arc<Pool> {
        self.spawner.pool()
    }

    #[track_caller]
    fn assert_outside(&self) {
        assert!(
            !self.spawner.is_current(),
            "a machine waits for the end of its own executor, which waits for the machine"
        );
    }

    /// Waits for the workers, which have been told to end.
    fn join(&mut self) {
        for worker in self.workers.drain(..) {
            // User code's panics are caught where it is called.
            worker.join().expect("a worker doesn't panic");
        }
    }
}

impl Drop for Executor {
    fn drop(&mut self) {
        self.pool().cancel_all();
        // A machine that owns its executor would wait for itself; the workers end without being waited for.
        if !self.spawner.is_current() {
            self.join();
        }
    }
}

impl fmt::Debug for Executor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Executor")
            .field("workers", &self.pool().workers())
            .field("tasks", &self.pool().live())
            .finish()
    }
}
