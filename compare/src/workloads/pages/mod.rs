//! Pages that many connections share: point reads, and transactions that change four pages, through the pager, through
//! the same pager on tokio, and through two embedded databases.
//!
//! Each contender stores the same [`PAGES`] pages of [`BYTES`] bytes in a real file: a mark, a counter, and filling. A read
//! copies one page out; a transaction reads four pages, counts each up, and is acknowledged once it is as durable as the
//! row says. Connections of the pager are state machines that yield after each operation. The databases block, so their
//! connections are threads, as many as there are processors to read and one to write: more of them were slower.

mod bare;
pub(in crate::workloads) mod connection;
mod mixed;
pub(in crate::workloads) mod pager;
mod redb;
mod sqlite;
mod tokio_io;

use crate::contender::Latencies;
use crate::goal::Goal;
use crate::row::{Entry, Extent, Plan, Row, Workload};

pub(crate) const WORKLOAD: Workload = Workload {
    name: "pages",
    about: "point reads and 4-page transactions of 1 to 10,000 connections, beside SQLite, redb and tokio",
    plans,
};

pub(crate) use mixed::MIXED;

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
pub(in crate::workloads) enum Durable {
    /// When it survives a power loss.
    Full,
    /// When it survives the death of the process; after a power loss the newest may be missing.
    Normal,
}

/// Connections, and reads in a snapshot.
const READS_OF: [(u64, u64, Extent); 5] = [
    (1, 1, Extent::Quick),
    (64, 1, Extent::Quick),
    (1_000, 1, Extent::Normal),
    (10_000, 1, Extent::Normal),
    (64, 16, Extent::Normal),
];

/// Connections, and when a commit counts.
const WRITES_OF: [(u64, Durable, Extent); 6] = [
    (1, Durable::Full, Extent::Quick),
    (64, Durable::Full, Extent::Quick),
    (1_000, Durable::Full, Extent::Normal),
    (1, Durable::Normal, Extent::Quick),
    (64, Durable::Normal, Extent::Quick),
    (1_000, Durable::Normal, Extent::Normal),
];

fn plans() -> Vec<Plan> {
    let reads = READS_OF.map(|(connections, in_snapshot, extent)| match in_snapshot {
        1 => {
            let name = format!("page reads, {connections} connections");
            let plan = Plan::new(name, move || read_row(connections, in_snapshot));
            plan.each("page reads", "connections", connections).from(extent)
        }
        _ => {
            let name = format!("page reads, {in_snapshot} in a snapshot, {connections} connections");
            Plan::new(name, move || read_row(connections, in_snapshot)).from(extent)
        }
    });
    let writes = WRITES_OF.map(|(connections, durable, extent)| {
        let series = durable.series();
        let plan = Plan::new(format!("{series}, {connections} connections"), move || {
            write_row(connections, durable)
        });
        plan.each(series, "connections", connections).from(extent)
    });
    reads.into_iter().chain(writes).collect()
}

impl Durable {
    fn series(self) -> &'static str {
        match self {
            Self::Full => "transactions, full",
            Self::Normal => "transactions, normal",
        }
    }
}

/// The granule of reads: what it costs to begin a connection is not what is asked here.
const READS: u64 = 16;

fn read_row(connections: u64, in_snapshot: u64) -> Row {
    let mut row = Row::timed("read", SQLITE);
    row.about = match in_snapshot {
        1 => "each in a snapshot of its own, from the cache, copied out",
        _ => "from the cache, copied out",
    };
    row.granule = connections * READS;
    row.expected = Box::new(move |reads| marks_of(connections, reads));
    row.contenders = vec![
        Entry::ours(OURS, pager::Reads::new(pager::Ours::start(), connections, in_snapshot)),
        Entry::new(TOKIO, pager::Reads::new(pager::Tokio::start(), connections, in_snapshot)),
        Entry::new(SQLITE, sqlite::Reads::new(connections, in_snapshot)),
        Entry::new(REDB, redb::Reads::new(connections, in_snapshot)),
        Entry::new(COPY, bare::Copies::new(connections)),
    ];
    row.goals = vec![Goal::ratio(OURS, COPY, 3.0), Goal::ratio(OURS, TOKIO, 0.5)];
    row
}

fn write_row(connections: u64, durable: Durable) -> Row {
    let mut row = Row::timed("commit", SQLITE);
    row.about = match durable {
        Durable::Full => "four pages changed; acknowledged when synced",
        Durable::Normal => "four pages changed; acknowledged when written",
    };
    row.granule = connections;
    row.contenders = vec![
        Entry::ours(OURS, pager::Writes::new(pager::Ours::start(), connections, durable)),
        Entry::new(TOKIO, pager::Writes::new(pager::Tokio::start(), connections, durable)),
        Entry::new(SQLITE, sqlite::Writes::new(durable)),
        Entry::new(REDB, redb::Writes::new(durable)),
    ];
    row.goals = vec![Goal::ratio(OURS, TOKIO, 0.5)];
    match durable {
        Durable::Full if connections > 1 => row.goals.push(Goal::ratio(OURS, SQLITE, 0.25)),
        Durable::Full => {}
        Durable::Normal => row.goals.extend([Goal::ratio(OURS, SQLITE, 1.0), Goal::ratio(OURS, REDB, 1.0)]),
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
pub(in crate::workloads) struct Ledger(u64);

impl Ledger {
    pub(in crate::workloads) fn add(&mut self, commits: u64) {
        self.0 += commits;
    }

    #[cfg(test)]
    fn commits(&self) -> u64 {
        self.0
    }

    /// # Panics
    ///
    /// When the store has lost a commit that it acknowledged, or has made one of its own.
    pub(in crate::workloads) fn check(&self, who: &str, counters: u64) {
        assert_eq!(counters, self.0 * CHANGED, "{who}: the counters do not add up to the commits");
    }
}
