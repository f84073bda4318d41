//! Connections that are idle: each waits for an event of its own, which is what the next request of its client would be.

use std::convert::Infallible;

use tenterhook_runtime::executor::Executor;
use tenterhook_runtime::{Completer, Completion, IOCompletions, IOResult};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;

use crate::contender::{Contender, Evidence};
use crate::row::{Entry, Extent, Measure, Plan, Row};
use crate::workloads::progress::Progress;

const EXECUTOR: &str = "tenterhook executor";
const TOKIO: &str = "tokio task and oneshot";

/// Connections, and what weighs so many.
const SIZES: [(u64, Extent); 4] =
    [(1_000, Extent::Full), (10_000, Extent::Normal), (100_000, Extent::Quick), (1_000_000, Extent::Full)];

/// Bytes that the heavier contender takes for a connection, and some to spare.
const CONNECTION: u64 = 600;

pub(super) fn plans() -> impl Iterator<Item = Plan> {
    SIZES.into_iter().map(|(connections, extent)| {
        let plan = Plan::new(format!("memory, {connections} idle connections"), move || row(connections));
        let plan = plan.each("memory, idle connections", "connections", connections);
        plan.from(extent).needs((64 << 20) + connections * CONNECTION)
    })
}

fn row(connections: u64) -> Row {
    let mut row = Row::timed("connection", TOKIO);
    row.about = "spawned tasks with 64 bytes of state, each waiting for an event of its own";
    row.measure = Measure::Memory;
    row.granule = connections;
    row.contenders = vec![Entry::ours(EXECUTOR, Machines::new()), Entry::new(TOKIO, Tasks::new())];
    row
}

/// What a connection remembers between two requests.
struct State([u64; 8]);

impl State {
    fn new(number: u64) -> Self {
        Self([number; 8])
    }

    /// 1, from all of the state.
    fn end(&self, number: u64) -> u64 {
        u64::from(self.0.iter().all(|&word| word == number))
    }
}

static MACHINES: Progress = Progress::new();
static TASKS: Progress = Progress::new();

/// A machine each, without handles.
struct Machines {
    executor: Executor,
    events: Vec<Completer>,
}

impl Machines {
    fn new() -> Self {
        Self { executor: Executor::new(1), events: Vec::new() }
    }
}

impl Contender for Machines {
    fn prepare(&mut self, connections: u64) {
        for number in 0..connections {
            let (event, completer) = Completion::new(|_| {});
            self.events.push(completer);
            let (state, mut event) = (State::new(number), Some(event));
            let step = move || {
                if let Some(event) = event.take() {
                    MACHINES.arrive();
                    return Ok::<_, Infallible>(IOResult::IO(IOCompletions::Single(event)));
                }
                MACHINES.end(state.end(state.0[0]));
                Ok(IOResult::Done(()))
            };
            self.executor.spawn(step).detach();
        }
        while !MACHINES.have_arrived(connections) {
            std::thread::yield_now();
        }
        // The worker goes to its queue again after its hand, so a machine that was served there finds all parked.
        let _ = self.executor.spawn(|| Ok::<_, Infallible>(IOResult::Done(()))).join();
    }

    fn run(&mut self, connections: u64) -> Evidence {
        for event in self.events.drain(..) {
            let _ = event.complete(0);
        }
        while !MACHINES.has_ended(connections) {
            std::thread::yield_now();
        }
        Evidence::results(MACHINES.take())
    }
}

/// A task each on the single-threaded runtime, without join handles; its event is tokio's oneshot, which the docs of
/// `tokio::sync` name for a single value from one task to another.
struct Tasks {
    runtime: Runtime,
    events: Vec<oneshot::Sender<()>>,
}

impl Tasks {
    fn new() -> Self {
        let runtime = Builder::new_current_thread().build().expect("a runtime without drivers");
        Self { runtime, events: Vec::new() }
    }
}

async fn task(number: u64, event: oneshot::Receiver<()>) {
    let state = State::new(number);
    TASKS.arrive();
    if event.await.is_ok() {
        TASKS.end(state.end(state.0[0]));
    }
}

impl Contender for Tasks {
    fn prepare(&mut self, connections: u64) {
        self.runtime.block_on(async {
            for number in 0..connections {
                let (sender, event) = oneshot::channel();
                self.events.push(sender);
                tokio::spawn(task(number, event));
            }
            while !TASKS.have_arrived(connections) {
                tokio::task::yield_now().await;
            }
        });
    }

    fn run(&mut self, connections: u64) -> Evidence {
        self.runtime.block_on(async {
            for event in self.events.drain(..) {
                // A receiver that is gone shows as a wrong sum.
                let _ = event.send(());
            }
            while !TASKS.has_ended(connections) {
                tokio::task::yield_now().await;
            }
        });
        Evidence::results(TASKS.take())
    }
}
