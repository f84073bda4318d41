//! The pager, on our executor and backend, and on tokio's.

use std::num::NonZero;
use std::sync::Arc;

use parking_lot::Mutex;
use tempfile::TempDir;
use tenterhook_runtime::executor::{Executor, Task};
use tenterhook_runtime::io::{IO, ThreadsIO};
use tenterhook_runtime::pager::{Durability, Pager, PagerError, PagerOptions};
use tenterhook_runtime::{IOResult, MachineFuture};
use tokio::runtime::Runtime;

use super::connection::{Clock, Filler, Reader, Writer, counters};
use super::tokio_io::TokioIO;
use super::{Durable, Ledger, PAGES, THREADS};
use crate::contender::{Contender, Evidence, Latencies};

/// Steps machines on two threads.
pub(in crate::workloads) trait Steps {
    fn io(&self) -> Arc<dyn IO>;

    /// Runs all machines to their ends, and adds up what they come to.
    fn run<M>(&self, machines: impl Iterator<Item = M>) -> u64
    where
        M: FnMut() -> Result<IOResult<u64>, PagerError> + Send + 'static;

    /// Starts one machine that nothing waits for.
    fn spawn<M>(&self, machine: M)
    where
        M: FnMut() -> Result<IOResult<u64>, PagerError> + Send + 'static;
}

/// Our executor, and our backend on real files.
pub(in crate::workloads) struct Ours {
    executor: Executor,
    io: Arc<ThreadsIO>,
}

impl Ours {
    pub(in crate::workloads) fn start() -> Self {
        let threads = NonZero::new(THREADS).expect("more than none");
        let io = Arc::new(ThreadsIO::new(threads).expect("the system gives threads"));
        Self { executor: Executor::new(THREADS), io }
    }
}

impl Steps for Ours {
    fn io(&self) -> Arc<dyn IO> {
        self.io.clone()
    }

    fn run<M>(&self, machines: impl Iterator<Item = M>) -> u64
    where
        M: FnMut() -> Result<IOResult<u64>, PagerError> + Send + 'static,
    {
        let tasks: Vec<Task<u64, PagerError>> =
            machines.map(|machine| self.executor.spawn(machine)).collect();
        let ends = tasks.into_iter().map(|task| task.join().expect("the pager works"));
        ends.fold(0, u64::wrapping_add)
    }

    fn spawn<M>(&self, machine: M)
    where
        M: FnMut() -> Result<IOResult<u64>, PagerError> + Send + 'static,
    {
        self.executor.spawn(machine).detach();
    }
}

/// tokio's tasks and its pool of blocking threads.
pub(in crate::workloads) struct Tokio {
    pub(super) runtime: Runtime,
}

impl Tokio {
    pub(in crate::workloads) fn start() -> Self {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        Self { runtime: builder.worker_threads(THREADS).build().expect("the system gives threads") }
    }
}

impl Steps for Tokio {
    fn io(&self) -> Arc<dyn IO> {
        Arc::new(TokioIO::new(self.runtime.handle().clone()))
    }

    fn run<M>(&self, machines: impl Iterator<Item = M>) -> u64
    where
        M: FnMut() -> Result<IOResult<u64>, PagerError> + Send + 'static,
    {
        let tasks: Vec<_> = machines.map(|machine| self.runtime.spawn(MachineFuture::new(machine))).collect();
        self.runtime.block_on(async {
            let mut sum = 0_u64;
            for task in tasks {
                let end = task.await.expect("no panic").expect("the pager works");
                sum = sum.wrapping_add(end);
            }
            sum
        })
    }

    fn spawn<M>(&self, machine: M)
    where
        M: FnMut() -> Result<IOResult<u64>, PagerError> + Send + 'static,
    {
        self.runtime.spawn(MachineFuture::new(machine));
    }
}

/// A new file with all pages, open. Dropped in this order.
pub(in crate::workloads) struct Store<S> {
    pub(in crate::workloads) pager: Arc<Pager>,
    pub(in crate::workloads) steps: S,
    _folder: TempDir,
}

impl<S: Steps> Store<S> {
    pub(in crate::workloads) fn make(steps: S, durable: Durable) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("pages");
        let cache_pages = 2 * PAGES as usize;
        let options = PagerOptions { cache_pages, ..options(durable) };
        let mut open = Pager::open(steps.io(), &path, options);
        let opened = Arc::new(Mutex::new(None));
        let place = Arc::clone(&opened);
        steps.run(std::iter::once(move || {
            Ok(open.step()?.map(|pager| {
                *place.lock() = Some(pager);
                0
            }))
        }));
        let pager = opened.lock().take().expect("opened above");
        let mut filler = Filler::new(&pager);
        steps.run(std::iter::once(move || filler.step()));
        Self { pager, steps, _folder: folder }
    }
}

fn options(durable: Durable) -> PagerOptions {
    let durability = match durable {
        Durable::Full => Durability::Full,
        Durable::Normal => Durability::Normal,
    };
    let options = PagerOptions { durability, ..PagerOptions::default() };
    // No reader lasts here, so the log can be reset. SQLite resets its WAL, too.
    PagerOptions { restart_frames: 4 * options.checkpoint_frames, ..options }
}

impl<S: Steps> Store<S> {
    /// Adds up all counters, and holds them against the commits so far.
    pub(in crate::workloads) fn check(&self, ledger: &Ledger) {
        ledger.check("pager", self.steps.run(std::iter::once(counters(&self.pager))));
    }
}

pub(super) struct Reads<S> {
    store: Store<S>,
    connections: u64,
    in_snapshot: u64,
}

impl<S: Steps> Reads<S> {
    pub(super) fn new(steps: S, connections: u64, in_snapshot: u64) -> Self {
        let store = Store::make(steps, Durable::Full);
        // Into the cache.
        store.steps.run(std::iter::once(counters(&store.pager)));
        Self { store, connections, in_snapshot }
    }

    fn read(&self, operations: u64, clock: &Clock) -> u64 {
        let each = operations / self.connections;
        self.store.steps.run((0..self.connections).map(|connection| {
            let mut reader =
                Reader::new(&self.store.pager, connection, each, self.in_snapshot, clock.clone());
            move || reader.step()
        }))
    }
}

impl<S: Steps> Contender for Reads<S> {
    fn run(&mut self, operations: u64) -> Evidence {
        Evidence::results(self.read(operations, &None))
    }

    fn latencies(&mut self, operations: u64) -> Option<Latencies> {
        let latencies = Arc::new(Mutex::new(Latencies::new()));
        self.read(operations, &Some(Arc::clone(&latencies)));
        let latencies = latencies.lock().clone();
        Some(latencies)
    }
}

pub(super) struct Writes<S> {
    store: Store<S>,
    connections: u64,
    ledger: Ledger,
}

impl<S: Steps> Writes<S> {
    pub(super) fn new(steps: S, connections: u64, durable: Durable) -> Self {
        Self { store: Store::make(steps, durable), connections, ledger: Ledger::default() }
    }

    fn write(&mut self, operations: u64, clock: &Clock) -> u64 {
        let each = operations / self.connections;
        let pager = &self.store.pager;
        let commits = self.store.steps.run((0..self.connections).map(|connection| {
            let mut writer = Writer::new(pager, connection, each, clock.clone());
            move || writer.step()
        }));
        self.ledger.add(commits);
        commits
    }
}

impl<S: Steps> Contender for Writes<S> {
    fn prepare(&mut self, _: u64) {
        self.store.check(&self.ledger);
    }

    fn run(&mut self, operations: u64) -> Evidence {
        Evidence::results(self.write(operations, &None))
    }

    fn latencies(&mut self, operations: u64) -> Option<Latencies> {
        let latencies = Arc::new(Mutex::new(Latencies::new()));
        self.write(operations, &Some(Arc::clone(&latencies)));
        let latencies = latencies.lock().clone();
        Some(latencies)
    }
}
