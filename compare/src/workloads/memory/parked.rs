//! Tasks of an executor that wait for something, as connections do most of the time.

use std::convert::Infallible;

use tenterhook_runtime::executor::Executor;
use tenterhook_runtime::{Completer, Completion, IOCompletions, IOResult, StateMachine};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::Notify;

use super::{MACHINES, STEPS};
use crate::contender::{Contender, Evidence};
use crate::goal::Goal;
use crate::row::{Entry, Measure, Row};
use crate::workloads::progress::Progress;
use crate::workloads::yielding::{Mixing, Steppable, expected, mix};

const EXECUTOR: &str = "tenterhook executor";
const TOKIO: &str = "tokio task";

/// All wait for the same event, so that it weighs nothing.
pub(super) fn row() -> Row {
    let mut row = Row::timed("task", TOKIO);
    row.about = "each of 10,000 spawned tasks with the same 12 bytes of state that wait for one event";
    row.measure = Measure::Memory;
    row.granule = MACHINES;
    row.expected = Box::new(|machines| machines / MACHINES * expected(MACHINES * u64::from(STEPS), MACHINES));
    row.contenders = vec![Entry::ours(EXECUTOR, Machines::new()), Entry::new(TOKIO, Tasks::new())];
    row.goals = vec![Goal::ratio(EXECUTOR, TOKIO, 0.35)];
    row
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
            MACHINES_PROGRESS.arrive();
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
        while !MACHINES_PROGRESS.have_arrived(machines) {
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
    TASKS_PROGRESS.arrive();
    gate.await;
    TASKS_PROGRESS.end(mix(state, tokio::task::yield_now).await);
}

impl Contender for Tasks {
    fn prepare(&mut self, tasks: u64) {
        self.runtime.block_on(async {
            for number in 0..tasks {
                tokio::spawn(task(Mixing::new(number, STEPS)));
            }
            while !TASKS_PROGRESS.have_arrived(tasks) {
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
