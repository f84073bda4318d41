//! Real files, read and written by a few threads that may block.

use std::collections::VecDeque;
use std::fmt;
use std::num::NonZero;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use super::posix::PosixFile;
use super::{File, IO, InFlight, IoError, OpenOptions, Operation, OperationKind, Submission};
use crate::CompletionError;
use crate::sync::thread::{self, JoinHandle};
use crate::sync::{Condvar, Mutex};

/// The most operations that one thread takes at once: a lock and a wake each would cost more than a read from the page
/// cache.
const BATCH: usize = 16;

/// A backend that runs operations on a pool of threads, with positional system calls.
///
/// Operations on one file may run in any order: whoever needs one after another waits in between.
///
/// Dropping it lets what runs end, and abandons what is queued and what is submitted later.
pub struct ThreadsIO {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

struct Shared {
    queue: Mutex<Queue>,
    filled: Condvar,
    /// Whether submissions wait for `step` first.
    stepped: bool,
}

#[derive(Default)]
struct Queue {
    /// For the threads.
    jobs: VecDeque<Job>,
    /// For `step`.
    submitted: Vec<Job>,
    /// The allocation that `submitted` had in the step before.
    spare: Vec<Job>,
    /// How many threads wait for `filled`.
    idle: usize,
    threads: usize,
    closed: bool,
}

/// An operation and the file that it is on, which it keeps open.
struct Job {
    file: Arc<PosixFile>,
    stage: Stage,
}

enum Stage {
    Submitted(Submission),
    /// A read that the page cache could not serve.
    Started(InFlight),
}

struct ThreadsFile {
    file: Arc<PosixFile>,
    shared: Arc<Shared>,
}

impl ThreadsIO {
    /// Operations go to the threads at once, and end there.
    ///
    /// # Errors
    ///
    /// When the system gives no more threads.
    pub fn new(threads: NonZero<usize>) -> Result<Self, IoError> {
        Self::start(threads, false)
    }

    /// Operations wait until somebody calls [`IO::step`]. A read that the page cache can serve is done there and then, in
    /// the caller's thread; the threads get the rest. For a caller that steps anyhow: no hand-over is cheaper than none.
    ///
    /// # Errors
    ///
    /// As for [`ThreadsIO::new`].
    pub fn stepped(threads: NonZero<usize>) -> Result<Self, IoError> {
        Self::start(threads, true)
    }

    fn start(threads: NonZero<usize>, stepped: bool) -> Result<Self, IoError> {
        let queue = Mutex::new(Queue { threads: threads.get(), ..Queue::default() });
        let shared = Arc::new(Shared { queue, filled: Condvar::new(), stepped });
        // Built first, so that an error below ends the threads that were started.
        let mut io = Self { shared, threads: Vec::with_capacity(threads.get()) };
        for number in 0..threads.get() {
            let shared = Arc::clone(&io.shared);
            let thread = thread::spawn(format!("io-{number}"), move || shared.serve());
            io.threads
                .push(thread.map_err(|error| IoError::of("start a thread for", Path::new(""), &error))?);
        }
        Ok(io)
    }
}

impl Shared {
    /// One of the threads.
    fn serve(&self) {
        let mut batch = Vec::with_capacity(BATCH);
        while self.take(&mut batch) {
            for job in batch.drain(..) {
                // A callback's panic has been reported by the panic hook, and everybody has been told.
                let _ = catch_unwind(AssertUnwindSafe(|| job.run()));
            }
        }
    }

    /// Waits for jobs and takes this thread's share of them; false when there will be none.
    fn take(&self, batch: &mut Vec<Job>) -> bool {
        let mut queue = self.queue.lock();
        while queue.jobs.is_empty() {
            if queue.closed {
                return false;
            }
            queue.idle += 1;
            self.filled.wait(&mut queue);
            queue.idle -= 1;
        }
        let share = queue.jobs.len().div_ceil(queue.threads).min(BATCH);
        while batch.len() < share
            && let Some(job) = queue.jobs.pop_front()
        {
            // What came after it would wait for the device with it, while another thread may be free.
            let is_slow = job.kind() == Some(OperationKind::Sync);
            batch.push(job);
            if is_slow {
                break;
            }
        }
        true
    }

    fn submit(&self, job: Job) {
        let mut queue = self.queue.lock();
        if queue.closed {
            drop(queue);
            return drop(job);
        }
        if self.stepped {
            return queue.submitted.push(job);
        }
        queue.jobs.push_back(job);
        let wake = queue.idle > 0;
        drop(queue);
        if wake {
            self.filled.notify_one();
        }
    }

    /// Gives `jobs` to the threads.
    fn hand_over(&self, jobs: &mut Vec<Job>) {
        let number = jobs.len();
        let mut queue = self.queue.lock();
        queue.jobs.extend(jobs.drain(..));
        let wake = queue.idle.min(number);
        drop(queue);
        (0..wake).for_each(|_| self.filled.notify_one());
    }
}

impl Job {
    /// Of one that was not started yet.
    fn kind(&self) -> Option<OperationKind> {
        match &self.stage {
            Stage::Submitted(submission) => Some(submission.descriptor().kind),
            Stage::Started(_) => None,
        }
    }

    fn run(self) {
        let Some(mut in_flight) = self.stage.start() else { return };
        let outcome = if in_flight.cancel_requested() {
            Err(CompletionError::Cancelled)
        } else {
            self.file.run(&mut in_flight)
        };
        in_flight.finish(outcome);
    }

    /// Runs a read that need not wait for the device; gives back what has to.
    fn run_cached(self) -> Option<Self> {
        if self.kind() != Some(OperationKind::Read) {
            return Some(self);
        }
        let Self { file, stage } = self;
        let mut in_flight = stage.start()?;
        let cached = match in_flight.operation() {
            Operation::Read { offset, buffer } => file.read_cached(offset, buffer),
            Operation::Write { .. } | Operation::Sync | Operation::Truncate { .. } => None,
        };
        let Some(outcome) = cached else { return Some(Self { file, stage: Stage::Started(in_flight) }) };
        in_flight.finish(outcome);
        None
    }
}

impl Stage {
    /// `None` when it was cancelled before.
    fn start(self) -> Option<InFlight> {
        match self {
            Self::Submitted(submission) => submission.start(None),
            Self::Started(in_flight) => Some(in_flight),
        }
    }
}

impl IO for ThreadsIO {
    fn open(&self, path: &Path, options: OpenOptions) -> Result<Arc<dyn File>, IoError> {
        let file = Arc::new(PosixFile::open(path, options)?);
        Ok(Arc::new(ThreadsFile { file, shared: Arc::clone(&self.shared) }))
    }

    fn remove(&self, path: &Path) -> Result<(), IoError> {
        PosixFile::remove(path)
    }

    fn exists(&self, path: &Path) -> bool {
        path.exists()
    }

    fn holder_of(&self, path: &Path) -> Option<u32> {
        super::lock::holder_of(path)
    }

    fn step(&self) -> Result<usize, IoError> {
        if !self.shared.stepped {
            return Ok(0);
        }
        let mut due = {
            let mut queue = self.shared.queue.lock();
            let spare = std::mem::take(&mut queue.spare);
            std::mem::replace(&mut queue.submitted, spare)
        };
        let submitted = due.len();
        let mut slow: Vec<Job> = due.drain(..).filter_map(Job::run_cached).collect();
        let ended = submitted - slow.len();
        self.shared.queue.lock().spare = due;
        if !slow.is_empty() {
            self.shared.hand_over(&mut slow);
        }
        Ok(ended)
    }
}

impl File for ThreadsFile {
    fn submit(&self, submission: Submission) {
        self.shared.submit(Job { file: Arc::clone(&self.file), stage: Stage::Submitted(submission) });
    }

    fn len(&self) -> Result<u64, CompletionError> {
        self.file.len()
    }
}

impl Drop for ThreadsIO {
    fn drop(&mut self) {
        let abandoned = {
            let mut queue = self.shared.queue.lock();
            queue.closed = true;
            (std::mem::take(&mut queue.jobs), std::mem::take(&mut queue.submitted))
        };
        drop(abandoned);
        self.threads.iter().for_each(|_| self.shared.filled.notify_one());
        for thread in self.threads.drain(..) {
            // Dropped by a callback: that thread ends when the callback has returned.
            if thread.thread().id() != thread::current().id() {
                thread.join().expect("panics of callbacks are caught");
            }
        }
    }
}

impl fmt::Debug for ThreadsIO {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ThreadsIO").field("threads", &self.threads.len()).finish_non_exhaustive()
    }
}
