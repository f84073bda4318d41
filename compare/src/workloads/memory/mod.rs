//! What a suspended task weighs.

mod idle;
mod parked;

use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Waker};

use futures::stream::{FuturesUnordered, StreamExt};
use tenterhook_runtime::{IOResult, StateMachine};
use tokio::runtime::{Builder, Runtime};

use crate::contender::{Contender, Evidence};
use crate::goal::Goal;
use crate::row::{Entry, Measure, Plan, Row, Workload};
use crate::sync::AtomicU64;
use crate::workloads::stepping::drain;
use crate::workloads::yielding::{Mixing, Steppable, YieldOnce, expected, mix};

pub(crate) const WORKLOAD: Workload =
    Workload { name: "memory", about: "bytes alive for each of 10,000 suspended tasks", plans };

const BOXED: &str = "tenterhook, Box<dyn> in a Vec";
const IN_A_VEC: &str = "tenterhook, enum in a Vec";
const TOKIO: &str = "tokio task";

/// Machines, tasks or futures.
const MACHINES: u64 = 10_000;

/// Each machine's: one before it is weighed, the rest after.
const STEPS: u32 = 3;

fn plans() -> Vec<Plan> {
    let mut plans = vec![Plan::new("memory", row), Plan::new("memory, parked", parked::row)];
    plans.extend(idle::plans());
    plans
}

fn row() -> Row {
    let mut row = Row::timed("task", TOKIO);
    row.about = "each of 10,000 suspended tasks with the same 12 bytes of state";
    row.measure = Measure::Memory;
    row.granule = MACHINES;
    row.expected = Box::new(|machines| machines / MACHINES * expected(MACHINES * u64::from(STEPS), MACHINES));
    let make = |state| mix(state, YieldOnce::default);
    let unordered = Unordered { futures: FuturesUnordered::new(), make };
    row.contenders = vec![
        Entry::ours(IN_A_VEC, InAVec::default()),
        Entry::ours(BOXED, Boxed::default()),
        Entry::new("FuturesUnordered", unordered),
        Entry::new(TOKIO, Tasks::new()),
    ];
    row.goals = vec![Goal::ratio(BOXED, TOKIO, 0.35), Goal::ratio(IN_A_VEC, TOKIO, 0.35)];
    row
}

/// Steps to the end; the sum, or 0 if it ended before it was weighed.
fn finish(machine: &mut dyn Steppable) -> u64 {
    for _ in 0..STEPS {
        if let IOResult::Done(value) = machine.step() {
            return u64::from(value);
        }
    }
    0
}

#[derive(Default)]
struct InAVec {
    machines: Vec<StateMachine<Mixing>>,
}

impl Contender for InAVec {
    fn prepare(&mut self, machines: u64) {
        self.machines = (0..machines).map(|number| StateMachine::new(Mixing::new(number, STEPS))).collect();
        for machine in &mut self.machines {
            // A machine that ended here would panic when it is stepped on.
            let _ = Steppable::step(machine);
        }
    }

    fn run(&mut self, _: u64) -> Evidence {
        let machines = std::mem::take(&mut self.machines);
        Evidence::results(machines.into_iter().map(|mut machine| finish(&mut machine)).sum())
    }
}

#[derive(Default)]
struct Boxed {
    machines: Vec<Box<dyn Steppable>>,
}

impl Contender for Boxed {
    fn prepare(&mut self, machines: u64) {
        let machine = |number| Box::new(StateMachine::new(Mixing::new(number, STEPS)));
        self.machines = (0..machines).map(|number| machine(number) as Box<dyn Steppable>).collect();
        for machine in &mut self.machines {
            // As above.
            let _ = machine.step();
        }
    }

    fn run(&mut self, _: u64) -> Evidence {
        let machines = std::mem::take(&mut self.machines);
        Evidence::results(machines.into_iter().map(|mut machine| finish(&mut *machine)).sum())
    }
}

struct Unordered<F> {
    futures: FuturesUnordered<F>,
    make: fn(Mixing) -> F,
}

impl<F: Future<Output = u64>> Contender for Unordered<F> {
    fn prepare(&mut self, machines: u64) {
        self.futures = (0..machines).map(|number| (self.make)(Mixing::new(number, STEPS))).collect();
        let mut context = Context::from_waker(Waker::noop());
        // It takes a break after two futures that yield. A future that ended here would be missing in the sum.
        for _ in 0..machines / 2 {
            let _ = self.futures.poll_next_unpin(&mut context);
        }
    }

    fn run(&mut self, _: u64) -> Evidence {
        Evidence::results(drain(&mut std::mem::take(&mut self.futures)))
    }
}

/// Spawned on the single-threaded runtime, without join handles.
struct Tasks {
    runtime: Runtime,
    /// Whether a task was gone before it was weighed.
    ended_early: bool,
}

/// Of all tasks that have ended. Statics, so that a task need not carry a pointer to them.
static SUM: AtomicU64 = AtomicU64::new(0);
static ENDED: AtomicU64 = AtomicU64::new(0);

impl Tasks {
    fn new() -> Self {
        let runtime = Builder::new_current_thread().build().expect("a runtime without drivers");
        Self { runtime, ended_early: false }
    }
}

async fn task(state: Mixing) {
    let sum = mix(state, tokio::task::yield_now).await;
    SUM.fetch_add(sum, Relaxed);
    ENDED.fetch_add(1, Relaxed);
}

impl Contender for Tasks {
    fn prepare(&mut self, machines: u64) {
        ENDED.store(0, Relaxed);
        self.runtime.block_on(async {
            for number in 0..machines {
                tokio::spawn(task(Mixing::new(number, STEPS)));
            }
            // The runtime takes 61 steps between two looks at this future: enough to poll each task once.
            for _ in 0..machines / 61 {
                tokio::task::yield_now().await;
            }
        });
        self.ended_early = ENDED.load(Relaxed) > 0;
    }

    fn run(&mut self, machines: u64) -> Evidence {
        self.runtime.block_on(async {
            while ENDED.load(Relaxed) < machines {
                tokio::task::yield_now().await;
            }
        });
        let sum = SUM.swap(0, Relaxed);
        Evidence::results(if self.ended_early { 0 } else { sum })
    }
}
