//! Pages that many connections share: point reads, and transactions that change four pages, through the pager, through
//! the same pager on tokio, and through two embedded databases.
//!
//! Each contender stores the same [`PAGES`] pages of [`BYTES`] bytes in a real file: a mark, a counter, and filling. A read
//! copies one page out; a transaction reads four pages, counts each up, and is acknowledged once it is as durable as the
//! row says. Connections of the pager are state machines that yield after each operation. The databases block, so their
//! connections are threads, as many as there are processors to read and one to write: more of them were slower.

mod bare;
mod connection;
mod pager;
mod redb;
mod sqlite;
mod tokio_io;

use crate::contender::{Entry, Latencies, Row, Workload};
use crate::goal::Goal;

pub(crate) const WORKLOAD: Workload = Workload {
    name: "pages",
    about: "point reads and 4-page transactions of 1 to 10,000 connections, beside SQLite, redb and tokio",
    rows,
};

const OURS: &str = "tenterhook pager";
const TOKIO: &str = "the same pager on tokio";
const SQLITE: &str = "SQLite, WAL";
const REDB: &str = "redb";
const COPY: &str = "bare 4 KiB copy";

/// Pages that are read and written: 8 MiB, in every contender's cache.
const PAGES: u64 = 2048;
/// Bytes of a page that are the user's: what the pager leaves of 4,096.
const BYTES: usize = 4080;
/// Pages that a transaction changes.
const CHANGED: u64 = 4;
/// Threads, for those who have threads.
const THREADS: usize = 2;

/// When a transaction counts as done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Durable {
    /// When it survives a power loss.
    Full,
    /// When it survives the death of the process; after a power loss the newest may be missing.
    Normal,
}

fn rows() -> Vec<Row> {
    let reads = [(1, 1), (64, 1), (1_000, 1), (10_000, 1), (64, 16)].map(read_row);
    let writes = [
        (1, Durable::Full),
        (64, Durable::Full),
        (1_000, Durable::Full),
        (1, Durable::Normal),
        (64, Durable::Normal),
        (1_000, Durable::Normal),
    ];
    reads.into_iter().chain(writes.map(|(connections, durable)| write_row(connections, durable))).collect()
}

/// The granule of reads: what it costs to begin a connection is not what is asked here.
const READS: u64 = 16;

fn read_row((connections, in_snapshot): (u64, u64)) -> Row {
    let (name, about) = match in_snapshot {
        1 => ("page reads", "each in a snapshot of its own, from the cache, copied out"),
        _ => ("page reads, 16 in a snapshot", "from the cache, copied out"),
    };
    let mut row = Row::timed(format!("{name}, {connections} connections"), "read", SQLITE);
    row.about = about;
    row.granule = connections * READS;
    row.expected = Box::new(move |reads| marks_of(connections, reads));
    row.contenders = vec![
        Entry::new(OURS, pager::Reads::new(pager::Ours::start(), connections, in_snapshot)),
        Entry::new(TOKIO, pager::Reads::new(pager::Tokio::start(), connections, in_snapshot)),
        Entry::new(SQLITE, sqlite::Reads::new(connections, in_snapshot)),
        Entry::new(REDB, redb::Reads::new(connections, in_snapshot)),
        Entry::new(COPY, bare::Copies::new(connections)),
    ];
    row.goals = vec![Goal::ratio(OURS, COPY, 3.0), Goal::ratio(OURS, TOKIO, 0.5)];
    row
}

fn write_row(connections: u64, durable: Durable) -> Row {
    let level = match durable {
        Durable::Full => "full",
        Durable::Normal => "normal",
    };
    let mut row = Row::timed(format!("transactions, {level}, {connections} connections"), "commit", SQLITE);
    row.about = match durable {
        Durable::Full => "four pages changed; acknowledged when synced",
        Durable::Normal => "four pages changed; acknowledged when written",
    };
    row.granule = connections;
    row.contenders = vec![
        Entry::new(OURS, pager::Writes::new(pager::Ours::start(), connections, durable)),
        Entry::new(TOKIO, pager::Writes::new(pager::Tokio::start(), connections, durable)),
        Entry::new(SQLITE, sqlite::Writes::new(durable)),
        Entry::new(REDB, redb::Writes::new(durable)),
    ];
    row.goals = vec![Goal::ratio(OURS, TOKIO, 0.5)];
    if connections > 1 {
        row.goals.push(Goal::ratio(OURS, SQLITE, 1.0));
    }
    row
}

/// A page's content when it is made.
fn fresh_page(number: u64) -> [u8; BYTES] {
    let mut page = [0x5a; BYTES];
    page[..8].copy_from_slice(&mark_of(number).to_le_bytes());
    page[8..16].fill(0);
    page
}

/// What page `number`, from 0, begins with.
fn mark_of(number: u64) -> u64 {
    (number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20
}

fn mark_in(page: &[u8]) -> u64 {
    word(page, 0)
}

fn counter_in(page: &[u8]) -> u64 {
    word(page, 8)
}

/// Counts a page up.
fn count_up(page: &mut [u8]) {
    let counter = counter_in(page) + 1;
    page[8..16].copy_from_slice(&counter.to_le_bytes());
}

fn word(page: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(page[at..at + 8].try_into().expect("eight bytes"))
}

/// What all reads of all connections see together.
fn marks_of(connections: u64, reads: u64) -> u64 {
    let walks = (0..connections).map(|connection| Walk::new(connection).take((reads / connections) as usize));
    walks.flatten().map(mark_of).fold(0, u64::wrapping_add)
}

/// The pages that one connection goes to, the same for all contenders.
#[derive(Clone)]
struct Walk(u64);

impl Walk {
    fn new(connection: u64) -> Self {
        Self((connection + 1).wrapping_mul(0x2545_f491_4f6c_dd1d))
    }

    /// The pages of one transaction, all different.
    fn four(&mut self) -> [u64; CHANGED as usize] {
        let first = self.next().expect("endless");
        std::array::from_fn(|at| (first + at as u64 * (PAGES / CHANGED + 1)) % PAGES)
    }
}

impl Iterator for Walk {
    type Item = u64;

    /// Marsaglia's xorshift.
    fn next(&mut self) -> Option<u64> {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        Some((self.0 >> 11) % PAGES)
    }
}

/// Splits connections among threads, runs `work` on each share, and adds up what they come to.
fn on_threads(connections: u64, work: impl Fn(std::ops::Range<u64>) -> u64 + Sync) -> u64 {
    let threads = (THREADS as u64).min(connections);
    let share = connections.div_ceil(threads);
    std::thread::scope(|scope| {
        let work = &work;
        let shares = (0..threads).map(|at| at * share..((at + 1) * share).min(connections));
        let running: Vec<_> = shares.map(|share| scope.spawn(move || work(share))).collect();
        running.into_iter().map(|thread| thread.join().expect("no panic")).fold(0, u64::wrapping_add)
    })
}

/// Runs `operations` and keeps how long each took.
fn timed(operations: u64, mut operation: impl FnMut()) -> Latencies {
    let mut latencies = Latencies::new();
    for _ in 0..operations {
        let started = std::time::Instant::now();
        operation();
        latencies.record(started);
    }
    latencies
}

/// Commits of earlier runs, against which each preparation holds the counters in the store.
#[derive(Default)]
struct Ledger(u64);

impl Ledger {
    fn add(&mut self, commits: u64) {
        self.0 += commits;
    }

    /// # Panics
    ///
    /// When the store has lost a commit that it acknowledged, or has made one of its own.
    fn check(&self, who: &str, counters: u64) {
        assert_eq!(counters, self.0 * CHANGED, "{who}: the counters do not add up to the commits");
    }
}
