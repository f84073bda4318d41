//! Tasks of an executor that wait for something, as connections do most of the time.

use std::convert::Infallible;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed};

use tenterhook_runtime::executor::Executor;
use tenterhook_runtime::{Completer, Completion, IOCompletions, IOResult, StateMachine};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::Notify;

use super::{MACHINES, STEPS};
use crate::contender::{Contender, Entry, Evidence, Measure, Row};
use crate::goal::Goal;
use crate::sync::AtomicU64;
use crate::workloads::yielding::{Mixing, Steppable, expected, mix};

const EXECUTOR: &str = "tenterhook executor";
const TOKIO: &str = "tokio task";

/// All wait for the same event, so that it weighs nothing.
pub(super) fn row() -> Row {
    let mut row = Row::timed("memory, parked", "task", TOKIO);
    row.about = "each of 10,000 spawned tasks with the same 12 bytes of state that wait for one event";
    row.measure = Measure::Memory;
    row.granule = MACHINES;
    row.expected = Box::new(|machines| machines / MACHINES * expected(MACHINES * u64::from(STEPS), MACHINES));
    row.contenders = vec![Entry::new(EXECUTOR, Machines::new()), Entry::new(TOKIO, Tasks::new())];
    row.goals = vec![Goal::ratio(EXECUTOR, TOKIO, 0.35)];
    row
}

/// How far the tasks of one contender are. Statics, so that a task need not carry a pointer to them.
struct Progress {
    arrived: AtomicU64,
    ended: AtomicU64,
    sum: AtomicU64,
}

impl Progress {
    const fn new() -> Self {
        Self { arrived: AtomicU64::new(0), ended: AtomicU64::new(0), sum: AtomicU64::new(0) }
    }

    fn end(&self, value: u64) {
        self.sum.fetch_add(value, Relaxed);
        // ORDERING: Release, with the Acquire of `take`.
        self.ended.fetch_add(1, AcqRel);
    }

    fn has_ended(&self, tasks: u64) -> bool {
        // ORDERING: Acquire, with `end`.
        self.ended.load(Acquire) == tasks
    }

    /// The sum, and a new start.
    fn take(&self) -> u64 {
        self.arrived.store(0, Relaxed);
        self.ended.store(0, Relaxed);
        self.sum.swap(0, Relaxed)
    }
}

static MACHINES_PROGRESS: Progress = Progress::new();
static TASKS_PROGRESS: Progress = Progress::new();
static TASKS_GATE: Notify = Notify::const_new();

/// Ours, without handles.
struct Machines {
    executor: Executor,
    gate: Option<Completer>,
}

impl Machines {
    fn new() -> Self {
        Self { executor: Executor::new(1), gate: None }
    }
}

fn machine(
    number: u64,
    gate: Completion,
) -> impl FnMut() -> Result<IOResult<()>, Infallible> + Send + 'static {
    let (mut machine, mut gate) = (StateMachine::new(Mixing::new(number, STEPS)), Some(gate));
    move || {
        if let Some(gate) = gate.take() {
            MACHINES_PROGRESS.arrived.fetch_add(1, Relaxed);
            return Ok(IOResult::IO(IOCompletions::Single(gate)));
        }
        Ok(Steppable::step(&mut machine).map(|value| MACHINES_PROGRESS.end(u64::from(value))))
    }
}

impl Contender for Machines {
    fn prepare(&mut self, machines: u64) {
        let (gate, opener) = Completion::new(|_| {});
        self.gate = Some(opener);
        for number in 0..machines {
            self.executor.spawn(machine(number, gate.clone())).detach();
        }
        while MACHINES_PROGRESS.arrived.load(Relaxed) < machines {
            std::thread::yield_now();
        }
        // The worker goes to its queue again after its hand, so a machine that was served there finds all parked.
        let _ = self.executor.spawn(|| Ok::<_, Infallible>(IOResult::Done(()))).join();
    }

    fn run(&mut self, machines: u64) -> Evidence {
        let _ = self.gate.take().expect("prepared").complete(0);
        while !MACHINES_PROGRESS.has_ended(machines) {
            std::thread::yield_now();
        }
        Evidence::results(MACHINES_PROGRESS.take())
    }
}

/// Spawned on the single-threaded runtime, without join handles.
struct Tasks {
    runtime: Runtime,
}

impl Tasks {
    fn new() -> Self {
        Self { runtime: Builder::new_current_thread().build().expect("a runtime without drivers") }
    }
}

async fn task(state: Mixing) {
    let gate = TASKS_GATE.notified();
    TASKS_PROGRESS.arrived.fetch_add(1, Relaxed);
    gate.await;
    TASKS_PROGRESS.end(mix(state, tokio::task::yield_now).await);
}

impl Contender for Tasks {
    fn prepare(&mut self, tasks: u64) {
        self.runtime.block_on(async {
            for number in 0..tasks {
                tokio::spawn(task(Mixing::new(number, STEPS)));
            }
            while TASKS_PROGRESS.arrived.load(Relaxed) < tasks {
                tokio::task::yield_now().await;
            }
        });
    }

    fn run(&mut self, tasks: u64) -> Evidence {
        TASKS_GATE.notify_waiters();
        self.runtime.block_on(async {
            while !TASKS_PROGRESS.has_ended(tasks) {
                tokio::task::yield_now().await;
            }
        });
        Evidence::results(TASKS_PROGRESS.take())
    }
}
