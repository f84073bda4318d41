//! Files in memory: for tests, and for data that may be lost.

use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::lock::{Claim, Claims};
use super::{File, IO, InFlight, IoError, OpenOptions, Operation, Submission};
use crate::sync::Mutex;
use crate::{CompletionError, Outcome};

/// A backend without a disk. Operations queue at submission and run in [`IO::step`], in order if one thread steps.
///
/// Dropping it abandons what is queued, and what is submitted afterwards.
#[derive(Debug)]
pub struct MemoryIO {
    files: Mutex<BTreeMap<PathBuf, Arc<Stored>>>,
    queue: Arc<Mutex<Queue>>,
    /// No file grows beyond so many bytes.
    most: usize,
}

#[derive(Debug, Default)]
struct Queue {
    operations: VecDeque<(Opened, Submission)>,
    /// Nobody is going to step any more.
    closed: bool,
}

/// A file, open or not.
#[derive(Debug, Default)]
struct Stored {
    bytes: Mutex<Vec<u8>>,
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
        Self {
            files: Mutex::default(),
            queue: Arc::default(),
            most: usize::try_from(most).unwrap_or(usize::MAX),
        }
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
        let mut ended = 0;
        while ended < due {
            let Some((opened, submission)) = self.queue.lock().operations.pop_front() else { break };
            if let Some(mut operation) = submission.start(None) {
                let outcome = run(&opened.stored.bytes, self.most, &mut operation);
                // Before anybody hears of its end, who may open the file again.
                drop(opened);
                operation.finish(outcome);
            }
            ended += 1;
        }
        Ok(ended)
    }
}

impl Drop for MemoryIO {
    /// A callback may hold a file, and a file the queue: without this the three would keep each other for ever.
    fn drop(&mut self) {
        let mut queue = self.queue.lock();
        queue.closed = true;
        let abandoned = std::mem::take(&mut queue.operations);
        drop(queue);
        drop(abandoned);
    }
}

impl File for MemoryFile {
    fn submit(&self, submission: Submission) {
        let mut queue = self.queue.lock();
        if queue.closed {
            // Its callback is user code, and runs as it is abandoned.
            drop(queue);
            drop(submission);
        } else {
            queue.operations.push_back((self.opened.clone(), submission));
        }
    }

    fn len(&self) -> Result<u64, CompletionError> {
        Ok(self.opened.stored.bytes.lock().len() as u64)
    }
}

fn run(bytes: &Mutex<Vec<u8>>, most: usize, operation: &mut InFlight) -> Outcome {
    let mut bytes = bytes.lock();
    match operation.operation() {
        Operation::Read { offset, buffer } => {
            let available =
                usize::try_from(offset).ok().and_then(|offset| bytes.get(offset..)).unwrap_or(&[]);
            let len = available.len().min(buffer.len());
            buffer[..len].copy_from_slice(&available[..len]);
            Ok(len as u64)
        }
        Operation::Write { offset, buffers } => {
            let mut at = usize::try_from(offset).map_err(|_| CompletionError::NoSpace)?;
            for buffer in buffers.iter().filter(|buffer| !buffer.is_empty()) {
                let end = at.checked_add(buffer.len()).ok_or(CompletionError::NoSpace)?;
                grow(&mut bytes, end, most)?;
                bytes[at..end].copy_from_slice(buffer);
                at = end;
            }
            Ok(at as u64 - offset)
        }
        Operation::Sync => Ok(0),
        Operation::Truncate { len } => {
            let len = usize::try_from(len).map_err(|_| CompletionError::NoSpace)?;
            bytes.truncate(len);
            grow(&mut bytes, len, most)?;
            Ok(0)
        }
    }
}

/// Makes the file at least `len` bytes long; a length that memory can't hold is a full disk, not a crash.
fn grow(bytes: &mut Vec<u8>, len: usize, most: usize) -> Result<(), CompletionError> {
    if len > most.max(bytes.len()) {
        return Err(CompletionError::NoSpace);
    }
    let more = len.saturating_sub(bytes.len());
    bytes.try_reserve(more).map_err(|_| CompletionError::NoSpace)?;
    bytes.resize(bytes.len() + more, 0);
    Ok(())
}

fn not_found(operation: &'static str, path: &Path) -> IoError {
    IoError { operation, path: path.to_owned(), kind: std::io::ErrorKind::NotFound, os_code: 0 }
}
