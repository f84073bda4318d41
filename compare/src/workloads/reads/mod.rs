//! Pages of a file in the page cache, read at random, several at a time: what completions, hand-overs and system calls
//! add to the copy.

mod blocking;
mod completions;

use std::fs::File;
use std::io::Write;
use std::num::NonZero;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use tempfile::TempDir;
use tenterhook_runtime::io::{IO, IoError, ThreadsIO, UringIO};

use crate::contender::{Entry, Row, Workload};
use crate::goal::Goal;
use crate::sync::AtomicU64;
use blocking::{PreadLoop, SpawnBlocking, TokioFs};
use completions::Completions;

pub(crate) const WORKLOAD: Workload = Workload {
    name: "reads",
    about: "4 KiB reads from a file in the page cache, 1, 8 and 64 at a time",
    rows,
};

const PREAD: &str = "pread loop";
const STEPPED: &str = "tenterhook threads, stepped";
const THREADS: &str = "tenterhook threads";
const URING_STEPPED: &str = "tenterhook uring, stepped";
const URING: &str = "tenterhook uring";
const SPAWN_BLOCKING: &str = "tokio spawn_blocking per read";
const TOKIO_FS: &str = "tokio::fs";

const PAGE: usize = 4096;
/// 16 MiB: beyond the processor's caches, well within the page cache.
const PAGES: u64 = 4096;

fn rows() -> Vec<Row> {
    let book = Arc::new(Book::write());
    [1, 8, 64].map(|depth| row(&book, depth)).into()
}

fn row(book: &Arc<Book>, depth: usize) -> Row {
    let mut row = Row::timed(format!("reads, {depth} at a time"), "read", PREAD);
    row.about = "4 KiB reads at random from a file in the page cache";
    row.expected = Box::new(|reads| Walk::new().take(reads as usize).map(mark_of).fold(0, u64::wrapping_add));
    row.contenders = vec![Entry::new(PREAD, PreadLoop::new(book))];
    for (name, start) in OURS {
        match start() {
            Ok(io) => row.contenders.push(Entry::new(name, Completions::new(io, book, depth))),
            // The table lacks a line then, and here is why.
            Err(error) => eprintln!("tenterhook-compare: without {name}: {error}"),
        }
    }
    row.contenders.push(Entry::new(SPAWN_BLOCKING, SpawnBlocking::new(book, depth)));
    row.contenders.push(Entry::new(TOKIO_FS, TokioFs::new(book, depth)));
    for ours in [STEPPED, URING_STEPPED] {
        if row.contenders.iter().any(|entry| entry.name == ours) {
            row.goals.push(Goal::ratio(ours, PREAD, 1.1));
            row.goals.push(Goal::ratio(ours, SPAWN_BLOCKING, 0.2));
        }
    }
    row
}

type Start = fn() -> Result<Arc<dyn IO>, IoError>;

/// Our backends, and how they are started.
const OURS: [(&str, Start); 4] = [
    (STEPPED, || Ok(Arc::new(ThreadsIO::stepped(WORKERS)?))),
    (THREADS, || Ok(Arc::new(ThreadsIO::new(WORKERS)?))),
    (URING_STEPPED, || Ok(Arc::new(UringIO::stepped(ENTRIES)?))),
    (URING, || Ok(Arc::new(UringIO::new(ENTRIES)?))),
];

const WORKERS: NonZero<usize> = NonZero::new(2).unwrap();
const ENTRIES: NonZero<u32> = NonZero::new(128).unwrap();

/// The file, each of whose pages begins with its own mark.
struct Book {
    _folder: TempDir,
    path: PathBuf,
}

impl Book {
    fn write() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("book");
        let mut file = File::create(&path).expect("a new file");
        let mut page = [0x5a; PAGE];
        for number in 0..PAGES {
            page[..8].copy_from_slice(&mark_of(number).to_le_bytes());
            file.write_all(&page).expect("16 MiB fit");
        }
        Self { _folder: folder, path }
    }
}

/// What page `number` begins with.
fn mark_of(number: u64) -> u64 {
    (number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20
}

/// The mark of a page that was read.
fn mark_in(page: &[u8]) -> u64 {
    u64::from_le_bytes(page[..8].try_into().expect("eight bytes"))
}

/// Which pages are read, the same for all contenders.
struct Walk(u64);

impl Walk {
    fn new() -> Self {
        Self(0x2545_f491_4f6c_dd1d)
    }
}

impl Iterator for Walk {
    type Item = u64;

    /// Marsaglia's xorshift.
    fn next(&mut self) -> Option<u64> {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        Some(self.0 % PAGES)
    }
}

/// A sum that many threads add to.
struct Sum(AtomicU64);

impl Sum {
    /// Lives as long as the program, so that a callback can capture a plain reference.
    fn leak() -> &'static Self {
        Box::leak(Box::new(Self(AtomicU64::new(0))))
    }

    fn add(&self, value: u64) {
        self.0.fetch_add(value, Relaxed);
    }

    fn take(&self) -> u64 {
        self.0.swap(0, Relaxed)
    }
}
