//! Reads in system calls that block: as bare as it gets, and as tokio does it.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::time::Instant;

use tenterhook_runtime::io::Buffer;
use tokio::io::{AsyncReadExt, AsyncSeekExt};

use super::tasks::{Share, Tasks};
use super::{Book, PAGE, Sum, Walk, mark_in};
use crate::contender::{Contender, Evidence, Latencies};

/// One thread, one buffer, one call after the other.
pub(super) struct PreadLoop {
    file: File,
}

impl PreadLoop {
    pub(super) fn new(book: &Book) -> Self {
        Self { file: book.open().expect("the file was written") }
    }
}

impl Contender for PreadLoop {
    fn run(&mut self, operations: u64) -> Evidence {
        let mut buffer = Buffer::zeroed(PAGE);
        let mut sum = 0_u64;
        for page in Walk::new().take(operations as usize) {
            self.file.read_exact_at(&mut buffer, page * PAGE as u64).expect("the page is there");
            sum = sum.wrapping_add(mark_in(&buffer));
        }
        Evidence::results(sum)
    }

    fn latencies(&mut self, operations: u64) -> Option<Latencies> {
        let (mut buffer, mut latencies) = (Buffer::zeroed(PAGE), Latencies::new());
        for page in Walk::new().take(operations as usize) {
            let started = Instant::now();
            self.file.read_exact_at(&mut buffer, page * PAGE as u64).expect("the page is there");
            latencies.record(started);
        }
        Some(latencies)
    }
}

/// A closure on the pool of blocking threads for each read.
pub(super) struct SpawnBlocking {
    tasks: Tasks<BlockingShare>,
}

struct BlockingShare {
    file: Arc<File>,
    sum: &'static Sum,
}

impl Share for BlockingShare {
    async fn read(&self, pages: Vec<u64>, mut latencies: Option<Latencies>) -> Option<Latencies> {
        let mut buffer = Buffer::zeroed(PAGE);
        for page in pages {
            let (file, started) = (Arc::clone(&self.file), Instant::now());
            let read = move || {
                file.read_exact_at(&mut buffer, page * PAGE as u64).expect("the page is there");
                buffer
            };
            buffer = tokio::task::spawn_blocking(read).await.expect("no page is missing");
            if let Some(latencies) = &mut latencies {
                latencies.record(started);
            }
            self.sum.add(mark_in(&buffer));
        }
        latencies
    }
}

impl SpawnBlocking {
    pub(super) fn new(book: &Book, depth: usize) -> Self {
        let file = Arc::new(book.open().expect("the file was written"));
        Self { tasks: Tasks::new(depth, BlockingShare { file, sum: Sum::leak() }) }
    }
}

impl Contender for SpawnBlocking {
    fn run(&mut self, operations: u64) -> Evidence {
        self.tasks.read(operations, None);
        Evidence::results(self.tasks.share.sum.take())
    }

    fn latencies(&mut self, operations: u64) -> Option<Latencies> {
        let latencies = self.tasks.read(operations, Some(&Latencies::new()));
        self.tasks.share.sum.take();
        latencies
    }
}

/// A closure on the pool of blocking threads for each sixteen reads: the advice of tokio's `fs` module, which says that
/// operations should be batched into as few blocking calls as possible.
pub(super) struct Batched {
    tasks: Tasks<BatchedShare>,
}

/// Reads of one batch.
const BATCH: usize = 16;

struct BatchedShare {
    file: Arc<File>,
    sum: &'static Sum,
}

impl Share for BatchedShare {
    async fn read(&self, pages: Vec<u64>, mut latencies: Option<Latencies>) -> Option<Latencies> {
        let mut buffer = Buffer::zeroed(PAGE);
        for batch in pages.chunks(BATCH) {
            let (file, batch, started) = (Arc::clone(&self.file), batch.to_vec(), Instant::now());
            let read = move || {
                let mut sum = 0_u64;
                for page in &batch {
                    file.read_exact_at(&mut buffer, page * PAGE as u64).expect("the page is there");
                    sum = sum.wrapping_add(mark_in(&buffer));
                }
                (buffer, sum)
            };
            let sum;
            (buffer, sum) = tokio::task::spawn_blocking(read).await.expect("no page is missing");
            if let Some(latencies) = &mut latencies {
                // Each of them had to wait for the whole batch.
                (0..BATCH).for_each(|_| latencies.record(started));
            }
            self.sum.add(sum);
        }
        latencies
    }
}

impl Batched {
    pub(super) fn new(book: &Book, depth: usize) -> Self {
        let file = Arc::new(book.open().expect("the file was written"));
        // As many reads under way as the row says, or one batch.
        Self { tasks: Tasks::new(depth.div_ceil(BATCH), BatchedShare { file, sum: Sum::leak() }) }
    }
}

impl Contender for Batched {
    fn run(&mut self, operations: u64) -> Evidence {
        self.tasks.read(operations, None);
        Evidence::results(self.tasks.share.sum.take())
    }

    fn latencies(&mut self, operations: u64) -> Option<Latencies> {
        let latencies = self.tasks.read(operations, Some(&Latencies::new()));
        self.tasks.share.sum.take();
        latencies
    }
}

/// A `tokio::fs::File` for each task, since it has one position.
pub(super) struct TokioFs {
    tasks: Tasks<FsShare>,
}

struct FsShare {
    /// Kept, since each run opens it again.
    book: Arc<Book>,
    sum: &'static Sum,
}

impl Share for FsShare {
    async fn read(&self, pages: Vec<u64>, mut latencies: Option<Latencies>) -> Option<Latencies> {
        let mut file = tokio::fs::File::open(&self.book.path).await.expect("the file was written");
        let mut buffer = Buffer::zeroed(PAGE);
        for page in pages {
            let started = Instant::now();
            file.seek(std::io::SeekFrom::Start(page * PAGE as u64)).await.expect("the page is there");
            file.read_exact(&mut buffer).await.expect("the page is there");
            if let Some(latencies) = &mut latencies {
                latencies.record(started);
            }
            self.sum.add(mark_in(&buffer));
        }
        latencies
    }
}

impl TokioFs {
    pub(super) fn new(book: &Arc<Book>, depth: usize) -> Self {
        let share = FsShare { book: Arc::clone(book), sum: Sum::leak() };
        Self { tasks: Tasks::new(depth, share) }
    }
}

impl Contender for TokioFs {
    fn run(&mut self, operations: u64) -> Evidence {
        self.tasks.read(operations, None);
        Evidence::results(self.tasks.share.sum.take())
    }

    fn latencies(&mut self, operations: u64) -> Option<Latencies> {
        let latencies = self.tasks.read(operations, Some(&Latencies::new()));
        self.tasks.share.sum.take();
        latencies
    }
}
