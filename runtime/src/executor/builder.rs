//! Puts an executor together.

use std::io;
use std::num::NonZero;
use std::sync::Arc;

use super::pool::Pool;
use super::worker::Worker;
use super::{Executor, Spawner};
use crate::sync::thread;
use crate::{Completion, CompletionGroup};

/// More than any machine has processors, and few enough that a mistake does not use up the system's processes.
const MOST_WORKERS: usize = 4096;

/// The options of an [`Executor`].
#[derive(Clone, Debug)]
pub struct Builder {
    workers: Option<NonZero<usize>>,
    name: String,
}

impl Builder {
    /// One worker for each processor that this process may use.
    #[must_use]
    pub fn new() -> Self {
        Self { workers: None, name: "executor".into() }
    }

    /// How many threads step machines.
    #[must_use]
    pub fn workers(mut self, workers: NonZero<usize>) -> Self {
        self.workers = Some(workers);
        self
    }

    /// What the threads are called, followed by their number; `executor` unless told.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Starts the workers.
    ///
    /// # Errors
    ///
    /// When the system gives no more threads; those that were started are ended again. `InvalidInput` for more than 4,096.
    pub fn build(self) -> io::Result<Executor> {
        let workers = match self.workers {
            Some(workers) => workers.get(),
            None => std::thread::available_parallelism()?.get(),
        };
        if workers > MOST_WORKERS {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let pool = Arc::new(Pool::new(workers));
        let mut exit = CompletionGroup::new(|_| {});
        let mut threads = Vec::with_capacity(workers);
        for index in 0..workers {
            let (returned, completer) = Completion::new(|_| {});
            let worker = Worker::new(Arc::clone(&pool), index);
            let thread = thread::spawn(format!("{}-{index}", self.name), move || {
                worker.run();
                let _ = completer.complete(0);
            });
            match thread {
                Ok(thread) => threads.push(thread),
                Err(error) => {
                    pool.cancel_all();
                    return Err(error);
                }
            }
            exit.add(&returned);
        }
        Ok(Executor { spawner: Spawner::new(pool), workers: threads, exit: exit.build() })
    }
}

impl Default for Builder {
    fn default() -> Self {
        Self::new()
    }
}
