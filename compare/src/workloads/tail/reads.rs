//! A read from a file in the page cache: the same system call in a backend's thread and in tokio's.

use std::convert::Infallible;
use std::fs::File as StdFile;
use std::num::NonZero;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use tempfile::TempDir;
use tenterhook_runtime::executor::Executor;
use tenterhook_runtime::io::{Buffer, BufferPool, File, IO, OpenOptions, Submission, ThreadsIO};
use tenterhook_runtime::{Completion, IOCompletions, IOResult};
use tokio::runtime::{Builder, Runtime};

use super::arrivals::{Ends, Serve};

const PAGE: usize = 4096;
const PAGES: u64 = 4096;

/// A file whose pages begin with their marks.
pub(super) struct Book {
    _folder: TempDir,
    path: PathBuf,
}

impl Book {
    pub(super) fn write() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("book");
        let mut bytes = vec![0x5a; PAGE * PAGES as usize];
        for (number, page) in (0..).zip(bytes.chunks_exact_mut(PAGE)) {
            page[..8].copy_from_slice(&mark_of(number).to_le_bytes());
        }
        std::fs::write(&path, bytes).expect("16 MiB fit");
        Self { _folder: folder, path }
    }
}

/// Request `number` reads a page with this mark.
pub(super) fn mark_of(number: u64) -> u64 {
    (number % PAGES + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20
}

fn mark_in(page: &[u8]) -> u64 {
    u64::from_le_bytes(page[..8].try_into().expect("eight bytes"))
}

fn offset_of(number: u64) -> u64 {
    number % PAGES * PAGE as u64
}

/// Threads of each side that read.
const READERS: NonZero<usize> = NonZero::new(2).unwrap();

/// A machine a request, on one worker.
pub(super) struct Ours {
    executor: Executor,
    _io: Arc<dyn IO>,
    file: Arc<dyn File>,
    buffers: BufferPool,
}

impl Ours {
    pub(super) fn start(book: &Book) -> Self {
        let io: Arc<dyn IO> = Arc::new(ThreadsIO::new(READERS).expect("the system gives threads"));
        let file = io.open(&book.path, OpenOptions::default()).expect("the file was written");
        Self { executor: Executor::new(1), _io: io, file, buffers: BufferPool::new(PAGE, 1 << 20) }
    }
}

impl Serve for Ours {
    fn start(&self, number: u64, due: Instant, ends: &Arc<Ends>) {
        let (file, buffers, ends) = (Arc::clone(&self.file), self.buffers.clone(), Arc::clone(ends));
        let mut reading: Option<Completion> = None;
        let mark = Arc::new(parking_lot::Mutex::new(0));
        let step = move || {
            if let Some(read) = reading.take() {
                assert_eq!(read.result(), Some(Ok(PAGE as u64)), "the page is there");
                ends.end(due, *mark.lock());
                return Ok::<_, Infallible>(IOResult::Done(()));
            }
            let buffer = buffers.take().expect("more than requests under way");
            let (buffers, mark) = (buffers.clone(), Arc::clone(&mark));
            let read = file.start(Submission::read(offset_of(number), buffer, move |_, buffer| {
                *mark.lock() = mark_in(&buffer);
                buffers.give_back(buffer);
            }));
            reading = Some(read.clone());
            Ok(IOResult::IO(IOCompletions::Single(read)))
        };
        self.executor.spawn(step).detach();
    }
}

/// A task a request, on one worker; the read runs in tokio's pool of blocking threads, as its docs say for files.
pub(super) struct Tokio {
    runtime: Runtime,
    file: Arc<StdFile>,
}

impl Tokio {
    pub(super) fn start(book: &Book) -> Self {
        // The docs of `spawn_blocking` ask for a bound on threads that compete for the processor; by default it is 512.
        let runtime =
            Builder::new_multi_thread().worker_threads(1).max_blocking_threads(READERS.get()).build();
        let file = Arc::new(StdFile::open(&book.path).expect("the file was written"));
        Self { runtime: runtime.expect("the system gives threads"), file }
    }
}

impl Serve for Tokio {
    fn start(&self, number: u64, due: Instant, ends: &Arc<Ends>) {
        let (file, ends) = (Arc::clone(&self.file), Arc::clone(ends));
        self.runtime.spawn(async move {
            let mut buffer = Buffer::zeroed(PAGE);
            let read = move || {
                file.read_exact_at(&mut buffer, offset_of(number)).expect("the page is there");
                buffer
            };
            let buffer = tokio::task::spawn_blocking(read).await.expect("no panic");
            ends.end(due, mark_in(&buffer));
        });
    }
}
