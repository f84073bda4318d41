//! Files in memory: for tests, and for data that may be lost.

mod sparse;

use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::abandon::abandon;
use super::lock::{Claim, Claims};
use super::{File, IO, InFlight, IoError, OpenOptions, Operation, Submission};
use crate::panics::Panics;
use crate::sync::Mutex;
use crate::{CompletionError, Outcome};
use sparse::Sparse;

/// A backend without a disk. Operations queue at submission and run in [`IO::step`], in order if one thread steps.
///
/// Dropping it abandons what is queued, and what is submitted afterwards.
#[derive(Debug)]
pub struct MemoryIO {
    files: Mutex<BTreeMap<PathBuf, Arc<Stored>>>,
    queue: Arc<Mutex<Queue>>,
    /// No file grows beyond so many bytes.
    most: u64,
}

#[derive(Debug, Default)]
struct Queue {
    operations: VecDeque<(Opened, Submission)>,
    /// The backend has been dropped, so no thread steps.
    closed: bool,
}

/// A file, open or not.
#[derive(Debug, Default)]
struct Stored {
    content: Mutex<Sparse>,
    claims: Claims,
}

/// A file that is open. Operations hold it, and so what it has claimed.
#[derive(Clone, Debug)]
struct Opened {
    stored: Arc<Stored>,
    _claim: Option<Claim>,
}

struct MemoryFile {
    opened: Opened,
    queue: Arc<Mutex<Queue>>,
}

impl MemoryIO {
    /// A backend without files.
    #[must_use]
    pub fn new() -> Self {
        Self::limited(u64::MAX)
    }

    /// One on which no file grows beyond `most` bytes: what would goes no further than there, and fails with
    /// [`NoSpace`](CompletionError::NoSpace).
    #[must_use]
    pub fn limited(most: u64) -> Self {
        Self { files: Mutex::default(), queue: Arc::default(), most }
    }
}

impl Default for MemoryIO {
    fn default() -> Self {
        Self::new()
    }
}

impl IO for MemoryIO {
    fn open(&self, path: &Path, options: OpenOptions) -> Result<Arc<dyn File>, IoError> {
        let mut files = self.files.lock();
        let stored = match files.get(path) {
            Some(stored) => Arc::clone(stored),
            None if options.create => Arc::clone(files.entry(path.to_owned()).or_default()),
            None => return Err(not_found("open", path)),
        };
        let claim = if options.exclusive { Some(stored.claims.take(path)?) } else { None };
        Ok(Arc::new(MemoryFile { opened: Opened { stored, _claim: claim }, queue: Arc::clone(&self.queue) }))
    }

    fn remove(&self, path: &Path) -> Result<(), IoError> {
        self.files.lock().remove(path).map(drop).ok_or_else(|| not_found("remove", path))
    }

    fn exists(&self, path: &Path) -> bool {
        self.files.lock().contains_key(path)
    }

    fn step(&self) -> Result<usize, IoError> {
        // What callbacks submit meanwhile waits for the next step, so that a step ends.
        let due = self.queue.lock().operations.len();
        let (mut ended, mut panics) = (0, Panics::new());
        while ended < due {
            let Some((opened, submission)) = self.queue.lock().operations.pop_front() else { break };
            panics.guard(|| match submission.start(None) {
                Ok(mut operation) => {
                    let outcome = run(&opened.stored.content, self.most, &mut operation);
                    // Close the file first: a callback may open it again.
                    drop(opened);
                    operation.finish(outcome);
                }
                Err(unstarted) => {
                    drop(opened);
                    drop(unstarted);
                }
            });
            ended += 1;
        }
        panics.resume();
        Ok(ended)
    }
}

impl Drop for MemoryIO {
    /// A callback may hold a file, and a file the queue: without this the three would keep each other alive.
    fn drop(&mut self) {
        let abandoned = {
            let mut queue = self.queue.lock();
            queue.closed = true;
            std::mem::take(&mut queue.operations)
        };
        let mut panics = Panics::new();
        panics.drop_each(abandoned);
        panics.resume();
    }
}

impl File for MemoryFile {
    fn submit(&self, submission: Submission) {
        let mut queue = self.queue.lock();
        if queue.closed {
            // Its callback is user code, and runs as it is abandoned.
            drop(queue);
            abandon(submission);
        } else {
            queue.operations.push_back((self.opened.clone(), submission));
        }
    }

    fn len(&self) -> Result<u64, CompletionError> {
        Ok(self.opened.stored.content.lock().len())
    }
}

fn run(file: &Mutex<Sparse>, most: u64, operation: &mut InFlight) -> Outcome {
    let mut file = file.lock();
    match operation.operation() {
        Operation::Read { offset, buffer } => Ok(file.read(offset, buffer)),
        Operation::Write { offset, buffers } => {
            let mut at = offset;
            for buffer in buffers {
                // As far as it fits, like a disk that fills up.
                let fits = most.max(file.len()).saturating_sub(at).min(buffer.len() as u64);
                file.write(at, &buffer[..fits as usize])?;
                at += fits;
                if fits < buffer.len() as u64 {
                    return Err(CompletionError::NoSpace);
                }
            }
            Ok(at - offset)
        }
        Operation::Sync => Ok(0),
        Operation::Truncate { len } if len > most.max(file.len()) => Err(CompletionError::NoSpace),
        Operation::Truncate { len } => {
            file.truncate(len);
            Ok(0)
        }
    }
}

fn not_found(operation: &'static str, path: &Path) -> IoError {
    IoError { operation, path: Some(path.to_owned()), kind: std::io::ErrorKind::NotFound, os_code: 0 }
}
