//! A backend that does nothing until it is told to: the reordering, deferring disk of a test.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use super::abandon::abandon;
use super::{Descriptor, File, IO, IoError, MemoryIO, OpenOptions, Submission};
use crate::CompletionError;
use crate::panics::Panics;
use crate::sync::Mutex;
use crate::sync::atomic::AtomicBool;
use crate::sync::atomic::Ordering::Relaxed;

/// Files in memory whose operations wait until the test releases them, one by one and in any order.
///
/// [`IO::step`] releases nothing: a machine that is driven by itself stays where it is until the test says so.
#[derive(Default)]
pub struct YieldingIO {
    memory: MemoryIO,
    deferred: Arc<Deferred>,
}

#[derive(Default)]
struct Deferred {
    operations: Mutex<Vec<(Arc<dyn File>, Submission)>>,
    /// No thread is going to release any more. Under the lock of `operations`.
    closed: AtomicBool,
}

struct YieldingFile {
    file: Arc<dyn File>,
    deferred: Arc<Deferred>,
}

impl YieldingIO {
    /// A backend without files.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// One on which no file grows beyond `most` bytes.
    #[must_use]
    pub fn limited(most: u64) -> Self {
        Self { memory: MemoryIO::limited(most), deferred: Arc::default() }
    }

    /// What waits to be released, the oldest first. Operations that were cancelled meanwhile are still among them.
    #[must_use]
    pub fn deferred(&self) -> Vec<Descriptor> {
        self.deferred.operations.lock().iter().map(|(_, submission)| submission.descriptor()).collect()
    }

    /// Runs the operation at `position` of [`YieldingIO::deferred`]; its callback has run when this returns.
    ///
    /// # Panics
    ///
    /// When there is none at that position.
    #[track_caller]
    pub fn release(&self, position: usize) {
        let waiting = self.deferred.operations.lock().len();
        let released = self.try_release(position);
        assert!(released, "operation {position} was to be released, and {waiting} are deferred");
    }

    /// Releases the oldest, until nothing is deferred: also what callbacks submit meanwhile.
    pub fn release_all(&self) {
        while self.try_release(0) {}
    }

    fn try_release(&self, position: usize) -> bool {
        let (file, submission) = {
            let mut operations = self.deferred.operations.lock();
            if position >= operations.len() {
                return false;
            }
            operations.remove(position)
        };
        file.submit(submission);
        while self.memory.step().is_ok_and(|ended| ended > 0) {}
        true
    }
}

impl IO for YieldingIO {
    fn open(&self, path: &Path, options: OpenOptions) -> Result<Arc<dyn File>, IoError> {
        let file = self.memory.open(path, options)?;
        Ok(Arc::new(YieldingFile { file, deferred: Arc::clone(&self.deferred) }))
    }

    fn remove(&self, path: &Path) -> Result<(), IoError> {
        self.memory.remove(path)
    }

    fn exists(&self, path: &Path) -> bool {
        self.memory.exists(path)
    }

    fn step(&self) -> Result<usize, IoError> {
        Ok(0)
    }
}

impl File for YieldingFile {
    fn submit(&self, submission: Submission) {
        let mut operations = self.deferred.operations.lock();
        // ORDERING: Relaxed: read and written under the lock.
        if self.deferred.closed.load(Relaxed) {
            drop(operations);
            return abandon(submission);
        }
        operations.push((Arc::clone(&self.file), submission));
    }

    fn len(&self) -> Result<u64, CompletionError> {
        self.file.len()
    }
}

impl Drop for YieldingIO {
    /// A callback may hold a file, and a file what is deferred.
    fn drop(&mut self) {
        let abandoned = {
            let mut operations = self.deferred.operations.lock();
            self.deferred.closed.store(true, Relaxed);
            std::mem::take(&mut *operations)
        };
        let mut panics = Panics::new();
        panics.drop_each(abandoned);
        panics.resume();
    }
}

impl fmt::Debug for YieldingIO {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("YieldingIO").field("deferred", &self.deferred().len()).finish()
    }
}
