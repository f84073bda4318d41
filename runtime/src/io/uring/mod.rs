//! Real files, through Linux's io_uring.

mod flight;
mod ring;
mod slots;
mod state;

use std::fmt;
use std::io::Write;
use std::num::NonZero;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::posix::PosixFile;
use super::{File, IO, IoError, OpenOptions, Submission};
use crate::panics::Panics;
use crate::sync::thread::{self, JoinHandle};
use crate::{Completion, CompletionError};
use ring::Ring;

/// How long the kernel is waited for at a time. A waiter that is woken early, or never, looks again.
const PATIENCE: Duration = Duration::from_secs(1);

/// The same where another thread may take the answer, and the waiter has to look for itself.
const SHORT_PATIENCE: Duration = Duration::from_millis(1);

/// A backend on io_uring.
///
/// Operations on one file may run in any order: a caller that needs an order waits in between.
///
/// Dropping it cancels what is in flight, waits until the kernel has let go of it, and abandons the rest.
pub struct UringIO {
    ring: Arc<Ring>,
    /// Ends operations when no thread steps.
    reaper: Option<JoinHandle<()>>,
}

struct UringFile {
    file: Arc<PosixFile>,
    ring: Arc<Ring>,
    /// Submissions wait for `step`.
    stepped: bool,
}

impl UringIO {
    /// With room for `entries` operations in the kernel at a time; more wait their turn. Operations are given to the
    /// kernel at once, and end in a thread of the backend.
    ///
    /// # Errors
    ///
    /// When the system refuses io_uring (`PermissionDenied`), has none or an old one (`Unsupported`), or the number of
    /// entries (`InvalidInput`).
    pub fn new(entries: NonZero<u32>) -> Result<Self, IoError> {
        let mut io = Self::stepped(entries)?;
        let ring = Arc::clone(&io.ring);
        let reaper = thread::spawn("io-uring".into(), move || {
            // A callback's panic has been reported by the panic hook, and everyone has been told.
            reap_until_over(&ring, PATIENCE, drop);
        });
        io.reaper = Some(reaper.map_err(|error| IoError::of("start a thread of io_uring", &error))?);
        Ok(io)
    }

    /// Operations wait until [`IO::step`] is called, which gives all of them to the kernel in one call, and ends
    /// there what the kernel has answered.
    ///
    /// # Errors
    ///
    /// As for [`UringIO::new`].
    pub fn stepped(entries: NonZero<u32>) -> Result<Self, IoError> {
        Ok(Self { ring: Ring::new(entries.get())?, reaper: None })
    }
}

impl IO for UringIO {
    fn open(&self, path: &Path, options: OpenOptions) -> Result<Arc<dyn File>, IoError> {
        let file = Arc::new(PosixFile::open(path, options)?);
        Ok(Arc::new(UringFile { file, ring: Arc::clone(&self.ring), stepped: self.reaper.is_none() }))
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
        if self.reaper.is_some() {
            return Ok(0);
        }
        self.ring.flush()?;
        let mut panics = Panics::new();
        let ended = self.ring.reap(None, &mut panics);
        panics.resume();
        Ok(ended?.unwrap_or(0))
    }

    fn pause(&self, completion: &Completion) -> Result<(), IoError> {
        if self.reaper.is_none() {
            let mut panics = Panics::new();
            let ended = self.ring.reap(Some(SHORT_PATIENCE), &mut panics);
            panics.resume();
            if ended?.is_some() {
                return Ok(());
            }
        }
        // Another thread takes the answers.
        let _ = completion.wait_timeout(SHORT_PATIENCE);
        Ok(())
    }
}

impl File for UringFile {
    fn submit(&self, submission: Submission) {
        self.ring.submit(Arc::clone(&self.file), submission);
        if !self.stepped {
            // A refusal leaves it to the reaper, which flushes after every answer.
            let _ = self.ring.flush();
        }
    }

    fn len(&self) -> Result<u64, CompletionError> {
        self.file.len()
    }
}

impl Drop for UringIO {
    fn drop(&mut self) {
        let mut panics = Panics::new();
        self.ring.close(&mut panics);
        match self.reaper.take() {
            Some(reaper) => {
                self.ring.nudge();
                let _ = self.ring.flush();
                // Dropped by a callback: the reaper ends when the callback has returned.
                if reaper.thread().id() != thread::current().id() {
                    reaper.join().expect("panics of callbacks are contained");
                }
            }
            None => reap_until_over(&self.ring, SHORT_PATIENCE, |more| panics.append(more)),
        }
        panics.resume();
    }
}

/// Ends operations as the kernel answers, until the ring is closed and the kernel has let go of everything.
///
/// Callbacks' panics go to `panicked` after each round.
///
/// Aborts the process when the kernel refuses to be entered, which a system call filter can bring about, while operations are
/// in flight. They could then neither end nor give their buffers back, and all who wait for them would hang without a word.
fn reap_until_over(ring: &Ring, patience: Duration, mut panicked: impl FnMut(Panics)) {
    while !ring.is_over() {
        let mut panics = Panics::new();
        match ring.reap(Some(patience), &mut panics).and_then(|taken| ring.flush().map(|()| taken)) {
            Ok(Some(_)) => {}
            // Another thread takes the answers.
            Ok(None) => std::thread::yield_now(),
            Err(error) if ring.is_busy() => {
                // Not with a macro that panics when the error can't be written.
                let text =
                    format!("tenterhook: {error}; operations in flight can't end, so the process aborts\n");
                let _ = std::io::stderr().write_all(text.as_bytes());
                std::process::abort();
            }
            // Nothing to be reaped. An operation that is submitted now gets into flight, and is found above.
            Err(_) => std::thread::sleep(SHORT_PATIENCE),
        }
        panicked(panics);
    }
}

impl fmt::Debug for UringIO {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UringIO").field("stepped", &self.reaper.is_none()).finish_non_exhaustive()
    }
}
