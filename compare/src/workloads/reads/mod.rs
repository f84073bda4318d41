//! Pages of a file in the page cache, read at random, several at a time: what completions, hand-overs and system calls
//! add to the copy.

mod blocking;
mod completions;
mod driver;
mod tasks;

use std::fs::File;
use std::io::Write;
use std::num::NonZero;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use tempfile::TempDir;
use tenterhook_runtime::io::{IO, IoError, ThreadsIO, UringIO};

use crate::goal::Goal;
use crate::row::{Absent, Entry, Extent, Plan, Row, Workload};
use crate::sync::AtomicU64;
use blocking::{Batched, PreadLoop, SpawnBlocking, TokioFs};
use completions::Completions;
use driver::DriverTask;

pub(crate) const WORKLOAD: Workload = Workload {
    name: "reads",
    about: "4 KiB reads from a file, 1 to 256 at a time, from the page cache and past it",
    plans,
};

const PREAD: &str = "pread loop";
const STEPPED: &str = "tenterhook threads, stepped";
const THREADS: &str = "tenterhook threads";
const URING_STEPPED: &str = "tenterhook uring, stepped";
const URING: &str = "tenterhook uring";
const BATCHED: &str = "tokio spawn_blocking, 16 a batch";
const DRIVER: &str = "tokio, io_uring in a driver task";
const SPAWN_BLOCKING: &str = "tokio spawn_blocking per read";
const TOKIO_FS: &str = "tokio::fs";

const PAGE: usize = 4096;
/// 16 MiB: beyond the processor's caches, well within the page cache.
const PAGES: u64 = 4096;

/// Reads at a time, and what measures so many from the page cache and past it.
const DEPTHS: [(usize, Extent, Extent); 6] = [
    (1, Extent::Quick, Extent::Normal),
    (8, Extent::Normal, Extent::Full),
    (16, Extent::Full, Extent::Full),
    (64, Extent::Quick, Extent::Normal),
    (128, Extent::Full, Extent::Full),
    (256, Extent::Full, Extent::Full),
];

fn plans() -> Vec<Plan> {
    let cached = DEPTHS.into_iter().map(|(depth, cached, _)| {
        let plan = Plan::new(format!("reads, {depth} at a time"), move || row(depth, false));
        plan.each("reads", "at a time", depth as u64).from(cached)
    });
    let direct = DEPTHS.into_iter().map(|(depth, _, direct)| {
        let plan = Plan::new(format!("reads, O_DIRECT, {depth} at a time"), move || row(depth, true));
        plan.each("reads, O_DIRECT", "at a time", depth as u64).from(direct)
    });
    cached.chain(direct).collect()
}

fn row(depth: usize, direct: bool) -> Row {
    let mut row = Row::timed("read", PREAD);
    row.about = match direct {
        false => "4 KiB reads at random from a file in the page cache",
        true => "4 KiB reads at random with O_DIRECT: each goes to the disk",
    };
    row.expected = Box::new(|reads| Walk::new().take(reads as usize).map(mark_of).fold(0, u64::wrapping_add));
    let book = Arc::new(Book::write(direct));
    if book.direct != direct {
        row.absent
            .push(Absent { name: "O_DIRECT", reason: "the file system refuses it: cached reads".into() });
    }
    row.contenders = vec![Entry::new(PREAD, PreadLoop::new(&book))];
    add_ours(&mut row, &OURS, &book, depth);
    row.contenders.push(Entry::new(SPAWN_BLOCKING, SpawnBlocking::new(&book, depth)));
    row.contenders.push(Entry::new(BATCHED, Batched::new(&book, depth)));
    match DriverTask::new(&book, depth) {
        Ok(driver) => row.contenders.push(Entry::new(DRIVER, driver)),
        Err(error) => row.absent.push(Absent { name: DRIVER, reason: error.to_string() }),
    }
    if !direct {
        row.contenders.push(Entry::new(TOKIO_FS, TokioFs::new(&book, depth)));
    }
    for ours in [STEPPED, URING_STEPPED] {
        if row.contenders.iter().any(|entry| entry.name == ours) && !direct {
            row.goals.push(Goal::ratio(ours, PREAD, 1.1));
            row.goals.push(Goal::ratio(ours, SPAWN_BLOCKING, 0.2));
        }
    }
    row
}

/// Our backends, as far as the system has them: the table says why one is absent.
fn add_ours(row: &mut Row, backends: &[(&'static str, Start)], book: &Book, depth: usize) {
    for &(name, start) in backends {
        match start() {
            Ok(io) => row.contenders.push(Entry::ours(name, Completions::new(io, book, depth))),
            Err(error) => row.absent.push(Absent { name, reason: error.to_string() }),
        }
    }
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
const ENTRIES: NonZero<u32> = NonZero::new(256).unwrap();

/// The file, each of whose pages begins with its own mark.
struct Book {
    _folder: TempDir,
    path: PathBuf,
    /// Whether it is opened with `O_DIRECT`.
    direct: bool,
}

impl Book {
    fn write(direct: bool) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("book");
        let mut file = File::create(&path).expect("a new file");
        let mut page = [0x5a; PAGE];
        for number in 0..PAGES {
            page[..8].copy_from_slice(&mark_of(number).to_le_bytes());
            file.write_all(&page).expect("16 MiB fit");
        }
        // Direct reads would first write back what is dirty.
        file.sync_all().expect("a file that can be synced");
        let mut book = Self { _folder: folder, path, direct };
        // A file system without direct I/O: measured through the page cache, and the row says so.
        book.direct = direct && book.open().is_ok();
        book
    }

    fn open(&self) -> std::io::Result<File> {
        let flags = if self.direct { libc::O_DIRECT } else { 0 };
        File::options().read(true).custom_flags(flags).open(&self.path)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backend_that_the_system_refuses_is_absent_and_its_reason_is_in_the_row() {
        let refused: (&str, Start) = (URING, || {
            let kind = std::io::ErrorKind::PermissionDenied;
            Err(IoError { operation: "set up io_uring", path: None, kind, os_code: libc::EPERM })
        });
        let mut row = Row::timed("read", PREAD);
        add_ours(&mut row, &[OURS[0], refused], &Book::write(false), 1);
        assert_eq!(row.contenders.iter().map(|entry| entry.name).collect::<Vec<_>>(), [STEPPED]);
        assert_eq!(row.absent.len(), 1);
        assert!(
            row.absent[0].name == URING && row.absent[0].reason.contains("permission denied"),
            "{}",
            row.absent[0].reason
        );
    }
}
