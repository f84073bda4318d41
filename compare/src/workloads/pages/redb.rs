//! redb: the pages are values, keyed by number. It writes one transaction at a time.

use std::hint::black_box;
use std::path::Path;

use redb::{Database, Durability, ReadOnlyTable, ReadableDatabase, ReadableTable, TableDefinition};
use tempfile::TempDir;

use super::{
    BYTES, Durable, Ledger, PAGES, Walk, count_up, counter_in, fresh_page, mark_in, on_threads, timed,
};
use crate::contender::{Contender, Evidence, Latencies};

const TABLE: TableDefinition<'_, u64, &[u8; BYTES]> = TableDefinition::new("pages");

fn make(path: &Path) -> Database {
    let store = Database::builder().set_cache_size(64 << 20).create(path).expect("a database");
    let transaction = store.begin_write().expect("a transaction");
    {
        let mut table = transaction.open_table(TABLE).expect("a table");
        for number in 0..PAGES {
            table.insert(number, &fresh_page(number)).expect("a value");
        }
    }
    transaction.commit().expect("a commit");
    store
}

pub(super) struct Reads {
    store: Database,
    connections: u64,
    in_snapshot: usize,
    _folder: TempDir,
}

impl Reads {
    pub(super) fn new(connections: u64, in_snapshot: u64) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let store = make(&folder.path().join("pages"));
        Self { store, connections, in_snapshot: in_snapshot as usize, _folder: folder }
    }
}

/// Reads one page at a time, so many in a snapshot.
struct Reader<'a> {
    store: &'a Database,
    in_snapshot: usize,
    /// The snapshot's table, and how many more pages are read in it.
    table: Option<(ReadOnlyTable<u64, &'static [u8; BYTES]>, usize)>,
    copy: [u8; BYTES],
}

impl<'a> Reader<'a> {
    fn new(store: &'a Database, in_snapshot: usize) -> Self {
        Self { store, in_snapshot, table: None, copy: [0; BYTES] }
    }

    fn read(&mut self, number: u64) -> &[u8; BYTES] {
        let begin = || {
            let snapshot = self.store.begin_read().expect("a snapshot");
            (snapshot.open_table(TABLE).expect("the table"), self.in_snapshot)
        };
        let (table, left) = self.table.get_or_insert_with(begin);
        self.copy.copy_from_slice(table.get(number).expect("a look-up").expect("a value").value());
        *left -= 1;
        if *left == 0 {
            self.table = None;
        }
        black_box(&self.copy)
    }
}

impl Contender for Reads {
    fn run(&mut self, operations: u64) -> Evidence {
        let each = operations / self.connections;
        Evidence::results(on_threads(self.connections, |connections| {
            let mut reader = Reader::new(&self.store, self.in_snapshot);
            let pages = connections.flat_map(|connection| Walk::new(connection).take(each as usize));
            pages.map(|page| mark_in(reader.read(page))).fold(0, u64::wrapping_add)
        }))
    }

    fn latencies(&mut self, operations: u64) -> Option<Latencies> {
        let (mut walk, mut reader) = (Walk::new(0), Reader::new(&self.store, self.in_snapshot));
        Some(timed(operations, || {
            reader.read(walk.next().expect("endless"));
        }))
    }
}

pub(super) struct Writes {
    store: Database,
    durability: Durability,
    walk: Walk,
    ledger: Ledger,
    _folder: TempDir,
}

impl Writes {
    pub(super) fn new(durable: Durable) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let durability = match durable {
            Durable::Full => Durability::Immediate,
            // Its commits without a sync reach the file with the next one that has one.
            Durable::Normal => Durability::None,
        };
        let store = make(&folder.path().join("pages"));
        Self { store, durability, walk: Walk::new(0), ledger: Ledger::default(), _folder: folder }
    }

    fn commit(&mut self) {
        let mut transaction = self.store.begin_write().expect("a transaction");
        transaction.set_durability(self.durability).expect("a level");
        {
            let mut table = transaction.open_table(TABLE).expect("the table");
            for page in self.walk.four() {
                let mut copy = *table.get(page).expect("a look-up").expect("a value").value();
                count_up(&mut copy);
                table.insert(page, &copy).expect("a value");
            }
        }
        transaction.commit().expect("a commit");
        self.ledger.add(1);
    }
}

impl Contender for Writes {
    fn prepare(&mut self, _: u64) {
        let mut reader = Reader::new(&self.store, PAGES as usize);
        let counters = (0..PAGES).map(|page| counter_in(reader.read(page)));
        self.ledger.check("redb", counters.sum());
    }

    fn run(&mut self, operations: u64) -> Evidence {
        (0..operations).for_each(|_| self.commit());
        Evidence::results(operations)
    }

    fn latencies(&mut self, operations: u64) -> Option<Latencies> {
        Some(timed(operations, || self.commit()))
    }
}
