//! SQLite: the pages are blobs, keyed by number.
//!
//! Write-ahead log, prepared statements, a cache that holds everything, no locking between processes, and one thread that
//! writes: its commits follow one another, and its best is not to wait for a lock that another connection has.

use std::hint::black_box;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags, Transaction};
use tempfile::TempDir;

use super::{
    BYTES, Durable, Ledger, PAGES, Walk, count_up, counter_in, fresh_page, mark_in, on_threads, timed,
};
use crate::contender::{Contender, Evidence, Latencies};

const READ: &str = "SELECT bytes FROM pages WHERE number = ?1";
const WRITE: &str = "UPDATE pages SET bytes = ?2 WHERE number = ?1";

fn make(path: &Path, durable: Durable) -> Connection {
    let mut store = open(path, durable);
    store
        .execute("CREATE TABLE pages (number INTEGER PRIMARY KEY, bytes BLOB NOT NULL)", ())
        .expect("a table");
    let transaction = store.transaction().expect("a transaction");
    for number in 0..PAGES {
        let row = (number.cast_signed(), fresh_page(number));
        transaction.execute("INSERT INTO pages VALUES (?1, ?2)", row).expect("a row");
    }
    transaction.commit().expect("a commit");
    store
}

fn open(path: &Path, durable: Durable) -> Connection {
    let flags =
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let store = Connection::open_with_flags(path, flags).expect("a database");
    // A page holds one of ours and what SQLite adds, instead of two halves.
    store.pragma_update(None, "page_size", 8192).expect("a page size");
    store.pragma_update(None, "journal_mode", "WAL").expect("a log");
    store
        .pragma_update(None, "synchronous", if durable == Durable::Full { "FULL" } else { "NORMAL" })
        .expect("a level");
    store.pragma_update(None, "cache_size", -(64 << 10)).expect("a cache");
    store.pragma_update(None, "mmap_size", 256 << 20).expect("a mapping");
    store
}

pub(super) struct Reads {
    path: PathBuf,
    connections: u64,
    in_snapshot: usize,
    _folder: TempDir,
}

impl Reads {
    pub(super) fn new(connections: u64, in_snapshot: u64) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("pages");
        let store = make(&path, Durable::Full);
        store.query_row("PRAGMA wal_checkpoint(TRUNCATE)", (), |_| Ok(())).expect("a checkpoint");
        Self { path, connections, in_snapshot: in_snapshot as usize, _folder: folder }
    }
}

fn read(store: &Connection, number: u64, copy: &mut [u8; BYTES]) -> u64 {
    let mut query = store.prepare_cached(READ).expect("a statement");
    let found = query.query_row((number.cast_signed(),), |row| {
        copy.copy_from_slice(row.get_ref(0)?.as_blob()?);
        Ok(mark_in(black_box(&*copy)))
    });
    found.expect("a row")
}

/// Reads one page at a time, so many in a snapshot. A statement outside of a transaction has one of its own.
struct Reader<'a> {
    store: &'a Connection,
    in_snapshot: usize,
    /// What holds the snapshot, and how many more pages are read in it.
    snapshot: Option<(Transaction<'a>, usize)>,
    copy: [u8; BYTES],
}

impl<'a> Reader<'a> {
    fn new(store: &'a Connection, in_snapshot: usize) -> Self {
        Self { store, in_snapshot, snapshot: None, copy: [0; BYTES] }
    }

    fn read(&mut self, number: u64) -> u64 {
        if self.in_snapshot > 1 && self.snapshot.is_none() {
            let snapshot = self.store.unchecked_transaction().expect("a snapshot");
            self.snapshot = Some((snapshot, self.in_snapshot));
        }
        let mark = read(self.store, number, &mut self.copy);
        if let Some((_, left)) = &mut self.snapshot {
            *left -= 1;
            if *left == 0 {
                self.snapshot = None;
            }
        }
        mark
    }
}

impl Contender for Reads {
    fn run(&mut self, operations: u64) -> Evidence {
        let each = operations / self.connections;
        Evidence::results(on_threads(self.connections, |connections| {
            let store = open(&self.path, Durable::Full);
            let mut reader = Reader::new(&store, self.in_snapshot);
            let pages = connections.flat_map(|connection| Walk::new(connection).take(each as usize));
            pages.map(|page| reader.read(page)).fold(0, u64::wrapping_add)
        }))
    }

    fn latencies(&mut self, operations: u64) -> Option<Latencies> {
        let (store, mut walk) = (open(&self.path, Durable::Full), Walk::new(0));
        let mut reader = Reader::new(&store, self.in_snapshot);
        Some(timed(operations, || {
            reader.read(walk.next().expect("endless"));
        }))
    }
}

pub(super) struct Writes {
    store: Connection,
    walk: Walk,
    ledger: Ledger,
    _folder: TempDir,
}

impl Writes {
    pub(super) fn new(durable: Durable) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let store = make(&folder.path().join("pages"), durable);
        Self { store, walk: Walk::new(0), ledger: Ledger::default(), _folder: folder }
    }

    fn commit(&mut self) {
        let transaction = self.store.unchecked_transaction().expect("a transaction");
        let mut copy = [0; BYTES];
        for page in self.walk.four() {
            read(&transaction, page, &mut copy);
            count_up(&mut copy);
            let mut update = transaction.prepare_cached(WRITE).expect("a statement");
            assert_eq!(update.execute((page.cast_signed(), copy)).expect("an update"), 1);
        }
        transaction.commit().expect("a commit");
        self.ledger.add(1);
    }
}

impl Contender for Writes {
    fn prepare(&mut self, _: u64) {
        let mut copy = [0; BYTES];
        let counters = (0..PAGES).map(|page| {
            read(&self.store, page, &mut copy);
            counter_in(&copy)
        });
        self.ledger.check("SQLite", counters.sum());
    }

    fn run(&mut self, operations: u64) -> Evidence {
        (0..operations).for_each(|_| self.commit());
        Evidence::results(operations)
    }

    fn latencies(&mut self, operations: u64) -> Option<Latencies> {
        Some(timed(operations, || self.commit()))
    }
}
