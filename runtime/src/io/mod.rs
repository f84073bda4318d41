#![doc = include_str!("README.md")]

mod abandon;
mod backend;
mod buffer;
mod drive;
mod lock;
mod memory;
mod operation;
mod pool;
mod posix;
mod submission;
mod threads;
#[cfg(target_os = "linux")]
mod uring;
mod yielding;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use backend::{Backend, Started, UnknownBackend};
pub use buffer::Buffer;
pub use drive::drive;
pub use memory::MemoryIO;
pub use operation::{DIRECT_ALIGNMENT, Descriptor, Operation, OperationKind};
pub use pool::BufferPool;
pub use submission::{Canceller, InFlight, Submission, Unstarted};
pub use threads::ThreadsIO;
#[cfg(target_os = "linux")]
pub use uring::UringIO;
pub use yielding::YieldingIO;

use crate::{Completion, CompletionError, Outcome};

/// A backend: opens files and runs their operations.
pub trait IO: Send + Sync {
    /// Opens a file. Synchronous: opening is rare, and an engine can do nothing before it.
    fn open(&self, path: &Path, options: OpenOptions) -> Result<Arc<dyn File>, IoError>;

    /// Deletes a file. Files that are still open stay usable.
    fn remove(&self, path: &Path) -> Result<(), IoError>;

    /// Whether there is a file of this name.
    fn exists(&self, path: &Path) -> bool;

    /// The number of the process that has the file of this name open with [`OpenOptions::exclusive`], where that can be known.
    /// For a message: it may be another a moment later.
    fn holder_of(&self, path: &Path) -> Option<u32> {
        let _ = path;
        None
    }

    /// Runs or collects what is ready, without waiting, and runs the callbacks of what ended in this thread. Returns
    /// how many operations ended; 0 means that there is nothing to be done right now.
    fn step(&self) -> Result<usize, IoError>;

    /// Steps until `completion` has finished, and waits where there is nothing to be done. Use this, and not
    /// [`Completion::wait`], where no other thread steps.
    ///
    /// # Panics
    ///
    /// Like [`Completion::wait`], in a machine that waits for another machine of its executor.
    fn block_on(&self, completion: &Completion) -> Result<Outcome, IoError> {
        completion.assert_may_block();
        loop {
            if let Some(outcome) = completion.result() {
                return Ok(outcome);
            }
            if self.step()? == 0 {
                self.pause(completion)?;
            }
        }
    }

    /// Waits a while for `completion`, or for something that [`IO::step`] could bring forward, which it may do by itself.
    /// For a driver whose last step found nothing; it steps again afterwards.
    fn pause(&self, completion: &Completion) -> Result<(), IoError> {
        let _ = completion.wait_timeout(PATIENCE);
        Ok(())
    }
}

/// How long a driver waits before it looks again for itself.
const PATIENCE: std::time::Duration = std::time::Duration::from_millis(1);

/// An open file.
pub trait File: Send + Sync {
    /// Takes an operation over. Never fails: an operation that is refused ends with the error.
    fn submit(&self, submission: Submission);

    /// The length in bytes. Synchronous: metadata that is at hand.
    fn len(&self) -> Result<u64, CompletionError>;

    /// Whether the file has no bytes.
    fn is_empty(&self) -> Result<bool, CompletionError> {
        self.len().map(|len| len == 0)
    }
}

impl dyn File + '_ {
    /// Submits one half of a pair and returns the other: `file.start(Submission::sync(|_| {}))`.
    pub fn start(&self, (completion, submission): (Completion, Submission)) -> Completion {
        self.submit(submission);
        completion
    }
}

/// How to open a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OpenOptions {
    /// Make an empty file when there is none.
    pub create: bool,
    /// Past the page cache: offsets, lengths and addresses of reads and writes have to be multiples of
    /// [`DIRECT_ALIGNMENT`], or the operation fails with [`InvalidInput`](std::io::ErrorKind::InvalidInput). For backends on
    /// real files; the others have no cache to go past.
    pub direct: bool,
    /// One opener at a time: opening fails with [`ResourceBusy`](std::io::ErrorKind::ResourceBusy) while another opener that asked
    /// for the same has the file, in this process or in another. The file is free again when its last handle is gone and the backend
    /// has put away the last operation on it, or when the process ends. A cancelled operation that was not started ends at once,
    /// but the backend puts it away when its turn comes. On real files this is an advisory lock (`flock`): it does not affect
    /// openers that do not ask for it. While the holder is known to run, an opener is refused at once. Otherwise the opener asks
    /// again for up to a second.
    pub exclusive: bool,
}

impl OpenOptions {
    /// Make an empty file when there is none.
    #[must_use]
    pub fn creating() -> Self {
        Self { create: true, ..Self::default() }
    }

    /// The same, for one opener at a time.
    #[must_use]
    pub fn alone(self) -> Self {
        Self { exclusive: true, ..self }
    }
}

/// A file that could not be opened, removed or asked, or a backend that could not go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IoError {
    /// What was tried: "open", "lock", "remove", "enter io_uring".
    pub operation: &'static str,
    /// On which file or folder, if it was on one.
    pub path: Option<PathBuf>,
    /// The portable kind of error.
    pub kind: std::io::ErrorKind,
    /// The system's own number, 0 when there was none.
    pub os_code: i32,
}

impl IoError {
    /// The answer to an opener of a file that another opener has [exclusively](OpenOptions::exclusive).
    #[must_use]
    pub fn locked(path: &Path, os_code: i32) -> Self {
        let path = Some(path.to_owned());
        Self { operation: "lock", path, kind: std::io::ErrorKind::ResourceBusy, os_code }
    }

    /// Whether it is that answer.
    #[must_use]
    pub fn is_locked(&self) -> bool {
        self.operation == "lock" && self.kind == std::io::ErrorKind::ResourceBusy
    }

    /// Of something that was tried on no file.
    pub(crate) fn of(operation: &'static str, error: &std::io::Error) -> Self {
        let os_code = error.raw_os_error().unwrap_or(0);
        Self { operation, path: None, kind: error.kind(), os_code }
    }

    /// Of something that was tried on the file at `path`.
    pub(crate) fn on(path: &Path, operation: &'static str, error: &std::io::Error) -> Self {
        Self { path: Some(path.to_owned()), ..Self::of(operation, error) }
    }
}

impl fmt::Display for IoError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot {}", self.operation)?;
        if let Some(path) = &self.path {
            write!(f, " {}", path.display())?;
        }
        write!(f, ": {}", self.kind)?;
        if self.os_code != 0 {
            write!(f, " (os error {})", self.os_code)?;
        }
        Ok(())
    }
}

impl std::error::Error for IoError {}
