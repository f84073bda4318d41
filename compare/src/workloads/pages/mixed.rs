//! Connections that read, scan and write: the pager's workload as a whole, with state machines and with `async fn`s.
//!
//! All contenders share the cache and the log: each is the pager. What differs is how a connection is written and who steps it.

use std::sync::Arc;

use tenterhook_runtime::pager::{Pager, PagerError};
use tenterhook_runtime::{IOCompletions, IOResult, MachineFuture};
use tokio::task::coop::consume_budget;

use super::connection::{Reader, Writer, place_of};
use super::pager::{Ours, Steps, Store, Tokio};
use super::{BYTES, Durable, Ledger, OURS, TOKIO, Walk, count_up, mark_in};
use crate::contender::{Contender, Evidence};
use crate::goal::Goal;
use crate::row::{Entry, Extent, Plan, Row, Workload};

pub(crate) const MIXED: Workload = Workload {
    name: "mixed",
    about: "the pager read-mostly, write-heavy and with scans, 1 to 10,000 connections, beside async fns on tokio",
    plans,
};

const ASYNC: &str = "async fn over the pager, tokio";

/// Pages of a scan.
const SCAN: u64 = 64;

/// Of a hundred operations. The rest are point reads.
#[derive(Clone, Copy, Debug)]
struct Mix {
    series: &'static str,
    about: &'static str,
    writes: u64,
    scans: u64,
}

const MIXES: [Mix; 3] = [
    Mix {
        series: "mixed, read-mostly",
        about: "95 % point reads, 5 % commits of four pages",
        writes: 5,
        scans: 0,
    },
    Mix {
        series: "mixed, write-heavy",
        about: "50 % point reads, 50 % commits of four pages",
        writes: 50,
        scans: 0,
    },
    Mix {
        series: "mixed, with scans",
        about: "70 % point reads, 20 % commits of four pages, 10 % scans of 64 pages in a snapshot",
        writes: 20,
        scans: 10,
    },
];

/// Connections, and what measures so many of the first mix and of the others.
const CONNECTIONS: [(u64, Extent, Extent); 4] = [
    (1, Extent::Normal, Extent::Full),
    (64, Extent::Quick, Extent::Normal),
    (1_000, Extent::Normal, Extent::Full),
    (10_000, Extent::Full, Extent::Full),
];

/// What a connection does at the least, so that it has done some of each.
const OPERATIONS: u64 = 20;

fn plans() -> Vec<Plan> {
    let mut plans = Vec::new();
    for (at, mix) in MIXES.into_iter().enumerate() {
        for (connections, first, others) in CONNECTIONS {
            let name = format!("{}, {connections} connections", mix.series);
            let plan = Plan::new(name, move || row(mix, connections));
            let extent = if at == 0 { first } else { others };
            plans.push(plan.each(mix.series, "connections", connections).from(extent));
        }
    }
    plans
}

fn row(mix: Mix, connections: u64) -> Row {
    let mut row = Row::timed("operation", TOKIO);
    row.about = mix.about;
    row.granule = connections * OPERATIONS;
    row.contenders = vec![
        Entry::ours(OURS, Machines::new(Ours::start(), mix, connections)),
        Entry::new(TOKIO, Machines::new(Tokio::start(), mix, connections)),
        Entry::new(ASYNC, AsyncFns::new(mix, connections)),
    ];
    row.goals = vec![Goal::ratio(OURS, TOKIO, 0.5), Goal::ratio(OURS, ASYNC, 0.5)];
    row
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Read,
    Scan,
    Write,
}

/// What a connection does, one operation after the other, the same for all contenders.
struct Script {
    mix: Mix,
    walk: Walk,
    left: u64,
}

impl Script {
    fn new(mix: Mix, connection: u64, operations: u64) -> Self {
        // Not the walk that draws pages.
        Self { mix, walk: Walk::new(connection ^ 0x5a5a), left: operations }
    }
}

impl Iterator for Script {
    type Item = Kind;

    fn next(&mut self) -> Option<Kind> {
        self.left = self.left.checked_sub(1)?;
        Some(match self.walk.next()? % 100 {
            draw if draw < self.mix.writes => Kind::Write,
            draw if draw < self.mix.writes + self.mix.scans => Kind::Scan,
            _ => Kind::Read,
        })
    }
}

/// Operations and commits in one number: what the connections of a run come to.
fn tally(kind: Kind) -> u64 {
    1 + (u64::from(kind == Kind::Write) << 32)
}

/// A connection as a state machine: the machines for each kind, one of which works at a time.
struct Connection {
    script: Script,
    now: Option<Kind>,
    reader: Reader,
    scanner: Reader,
    writer: Writer,
    sum: u64,
}

impl Connection {
    fn new(pager: &Arc<Pager>, mix: Mix, connection: u64, operations: u64) -> Self {
        Self {
            script: Script::new(mix, connection, operations),
            now: None,
            reader: Reader::new(pager, connection, 0, 1, None),
            scanner: Reader::new(pager, connection, 0, SCAN, None),
            writer: Writer::new(pager, connection, 0, None),
            sum: 0,
        }
    }

    /// Steps the operation that is under way, or the next one. It yields after each operation and each page.
    fn step(&mut self) -> Result<IOResult<u64>, PagerError> {
        let kind = match self.now {
            Some(kind) => kind,
            None => match self.script.next() {
                Some(kind) => self.begin(kind),
                None => return Ok(IOResult::Done(self.sum)),
            },
        };
        let (stepped, rests) = match kind {
            Kind::Read => (self.reader.step()?, self.reader.rests()),
            Kind::Scan => (self.scanner.step()?, self.scanner.rests()),
            Kind::Write => (self.writer.step()?, self.writer.rests()),
        };
        if rests {
            self.sum += tally(kind);
            self.now = None;
        }
        // What is done here is one operation, and not the connection.
        Ok(IOResult::IO(stepped.io().unwrap_or(IOCompletions::Yield)))
    }

    fn begin(&mut self, kind: Kind) -> Kind {
        match kind {
            Kind::Read => self.reader.add(1),
            Kind::Scan => self.scanner.add(SCAN),
            Kind::Write => self.writer.add(1),
        }
        self.now = Some(kind);
        kind
    }
}

/// Connections as machines.
struct Machines<S> {
    store: Store<S>,
    mix: Mix,
    connections: u64,
    ledger: Ledger,
}

impl<S: Steps> Machines<S> {
    fn new(steps: S, mix: Mix, connections: u64) -> Self {
        let store = Store::make(steps, Durable::Normal);
        Self { store, mix, connections, ledger: Ledger::default() }
    }
}

impl<S: Steps> Contender for Machines<S> {
    fn prepare(&mut self, _: u64) {
        self.store.check(&self.ledger);
    }

    fn run(&mut self, operations: u64) -> Evidence {
        let each = operations / self.connections;
        let sum = self.store.steps.run((0..self.connections).map(|number| {
            let mut connection = Connection::new(&self.store.pager, self.mix, number, each);
            move || connection.step()
        }));
        self.ledger.add(sum >> 32);
        Evidence::results(sum & u64::from(u32::MAX))
    }
}

/// Connections as `async fn`s, as one writes them on tokio: a call of the pager is a future, and what lives across an await
/// is a local variable.
struct AsyncFns {
    store: Store<Tokio>,
    mix: Mix,
    connections: u64,
    ledger: Ledger,
}

impl AsyncFns {
    fn new(mix: Mix, connections: u64) -> Self {
        let store = Store::make(Tokio::start(), Durable::Normal);
        Self { store, mix, connections, ledger: Ledger::default() }
    }
}

async fn read(pager: &Arc<Pager>, walk: &mut Walk, pages: u64) -> Result<u64, PagerError> {
    let (mut snapshot, mut sum) = (pager.begin_read()?, 0_u64);
    for _ in 0..pages {
        let number = walk.next().expect("endless");
        let page = MachineFuture::new(|| snapshot.page(place_of(number))).await?;
        let copy: [u8; BYTES] = page[..BYTES].try_into().expect("so many");
        drop(page);
        sum = sum.wrapping_add(mark_in(std::hint::black_box(&copy)));
        // A page in the cache is ready at once. tokio's docs give this call to loops that may never wait.
        consume_budget().await;
    }
    Ok(sum)
}

async fn write(pager: &Arc<Pager>, walk: &mut Walk) -> Result<(), PagerError> {
    let mut begin = pager.begin_write();
    let mut transaction = MachineFuture::new(|| begin.step()).await?;
    for page in walk.four() {
        MachineFuture::new(|| Ok::<_, PagerError>(transaction.page_mut(place_of(page))?.map(count_up)))
            .await?;
    }
    let mut commit = transaction.commit();
    MachineFuture::new(|| commit.step()).await?;
    if let Some(mode) = pager.checkpoint_due() {
        let mut checkpoint = pager.checkpoint(mode);
        MachineFuture::new(|| checkpoint.step()).await?;
    }
    Ok(())
}

async fn connection(pager: Arc<Pager>, script: Script, number: u64) -> Result<u64, PagerError> {
    let (mut reads, mut scans, mut writes) = (Walk::new(number), Walk::new(number), Walk::new(number));
    let mut sum = 0;
    for kind in script {
        match kind {
            Kind::Read => drop(read(&pager, &mut reads, 1).await?),
            Kind::Scan => drop(read(&pager, &mut scans, SCAN).await?),
            Kind::Write => write(&pager, &mut writes).await?,
        }
        sum += tally(kind);
        consume_budget().await;
    }
    Ok(sum)
}

impl Contender for AsyncFns {
    fn prepare(&mut self, _: u64) {
        self.store.check(&self.ledger);
    }

    fn run(&mut self, operations: u64) -> Evidence {
        let each = operations / self.connections;
        let runtime = &self.store.steps.runtime;
        let tasks: Vec<_> = (0..self.connections)
            .map(|number| {
                let script = Script::new(self.mix, number, each);
                runtime.spawn(connection(Arc::clone(&self.store.pager), script, number))
            })
            .collect();
        let sum = runtime.block_on(async {
            let mut sum = 0_u64;
            for task in tasks {
                sum += task.await.expect("no panic").expect("the pager works");
            }
            sum
        });
        self.ledger.add(sum >> 32);
        Evidence::results(sum & u64::from(u32::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_has_its_share_of_each_kind() {
        for mix in MIXES {
            let kinds: Vec<Kind> =
                (0..100).flat_map(|connection| Script::new(mix, connection, 100)).collect();
            let count = |kind| kinds.iter().filter(|&&known| known == kind).count() as u64;
            assert!(count(Kind::Write).abs_diff(mix.writes * 100) < 300, "{mix:?}: {}", count(Kind::Write));
            assert!(count(Kind::Scan).abs_diff(mix.scans * 100) < 300, "{mix:?}: {}", count(Kind::Scan));
        }
    }

    #[test]
    fn both_ways_to_write_a_connection_make_the_same_commits() {
        let operations = 4 * OPERATIONS;
        for mix in MIXES {
            let mut machines = Machines::new(Ours::start(), mix, 4);
            let mut futures = AsyncFns::new(mix, 4);
            assert_eq!(machines.run(operations), Evidence::results(operations));
            assert_eq!(futures.run(operations), Evidence::results(operations));
            assert_eq!(machines.ledger.commits(), futures.ledger.commits());
            // The counters in the files are those of the commits.
            machines.prepare(operations);
            futures.prepare(operations);
        }
    }
}
