//! Real files, read and written by a few threads that may block.

mod job;
mod shared;

use std::fmt;
use std::io::ErrorKind;
use std::num::NonZero;
use std::path::Path;
use std::sync::Arc;

use super::posix::PosixFile;
use super::{File, IO, IoError, OpenOptions, Submission};
use crate::CompletionError;
use crate::sync::thread::{self, JoinHandle};
use job::Job;
use shared::Shared;

/// The most threads of one pool: more than any device keeps busy, and few enough that a mistake does not use up the
/// system's processes.
const MOST_THREADS: usize = 4096;

/// A backend that runs operations on a pool of threads, with positional system calls.
///
/// Operations on one file may run in any order. A caller that needs an order waits in between.
///
/// Dropping it lets what runs end, and abandons what is queued and what is submitted later. A panic of an abandoned
/// callback resumes in the thread that drops, after the pool's threads have ended.
pub struct ThreadsIO {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
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
    /// When the system gives no more threads, and `InvalidInput` for more than 4,096.
    pub fn new(threads: NonZero<usize>) -> Result<Self, IoError> {
        Self::start(threads, false)
    }

    /// Operations wait until [`IO::step`] is called. A read that the page cache can serve is done there and then, in
    /// the caller's thread; the threads get the rest. For a caller that steps anyway: no hand-over is cheaper than none.
    ///
    /// # Errors
    ///
    /// As for [`ThreadsIO::new`].
    pub fn stepped(threads: NonZero<usize>) -> Result<Self, IoError> {
        Self::start(threads, true)
    }

    fn start(threads: NonZero<usize>, stepped: bool) -> Result<Self, IoError> {
        let refuse = |error: &std::io::Error| IoError::of("start a pool of threads", error);
        let threads = threads.get();
        if threads > MOST_THREADS {
            return Err(refuse(&ErrorKind::InvalidInput.into()));
        }
        let shared = Arc::new(Shared::new(threads, stepped));
        // Built first, so that an error below ends the threads that were started.
        let mut io = Self { shared, threads: Vec::with_capacity(threads) };
        for number in 0..threads {
            let shared = Arc::clone(&io.shared);
            let thread = thread::spawn(format!("io-{number}"), move || shared.serve(number));
            io.threads.push(thread.map_err(|error| refuse(&error))?);
        }
        Ok(io)
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
        let (ended, panics) = self.shared.step();
        panics.resume();
        Ok(ended)
    }
}

impl File for ThreadsFile {
    fn submit(&self, submission: Submission) {
        self.shared.submit(Job::new(Arc::clone(&self.file), submission));
    }

    fn len(&self) -> Result<u64, CompletionError> {
        self.file.len()
    }
}

impl Drop for ThreadsIO {
    fn drop(&mut self) {
        let panics = self.shared.close();
        for thread in self.threads.drain(..) {
            // Dropped by a callback: that thread ends when the callback has returned.
            if thread.thread().id() != thread::current().id() {
                thread.join().expect("panics of callbacks are contained");
            }
        }
        panics.resume();
    }
}

impl fmt::Debug for ThreadsIO {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ThreadsIO").field("threads", &self.threads.len()).finish_non_exhaustive()
    }
}
