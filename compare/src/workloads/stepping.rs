//! Ten thousand tasks that yield after every step: the cost of suspending and being called again.

use std::collections::VecDeque;
use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::Ordering::{AcqRel, Relaxed};
use std::task::{Context, Poll, Waker};

use futures::stream::{FuturesUnordered, StreamExt};
use tenterhook_runtime::{IOResult, StateMachine};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{Notify, Semaphore};

use super::yielding::{MACHINES, Mixing, Steppable, YieldOnce, expected, mix, steps_each};
use crate::contender::{Contender, Entry, Evidence, Row, Workload};
use crate::goal::Goal;
use crate::sync::AtomicU64;

pub(crate) const WORKLOAD: Workload =
    Workload { name: "stepping", about: "10,000 tasks that yield after every step", rows };

const BOXED: &str = "tenterhook, Box<dyn> in a run queue";
const IN_A_VEC: &str = "tenterhook, enum in a Vec";
const TOKIO: &str = "tokio yield_now, current_thread";

fn rows() -> Vec<Row> {
    let mut row = Row::timed("stepping", "step", TOKIO);
    row.about = "10,000 tasks that yield after every step";
    row.granule = MACHINES;
    row.expected = Box::new(expected);
    let make = |state| mix(state, YieldOnce::default);
    let unordered = Unordered { futures: FuturesUnordered::new(), make };
    row.contenders = vec![
        Entry::new(IN_A_VEC, InAVec::default()),
        Entry::new(BOXED, Boxed::default()),
        Entry::new(TOKIO, Tasks::new(Builder::new_current_thread())),
        Entry::new("tokio yield_now, two workers", Tasks::two_workers()),
        Entry::new("FuturesUnordered", unordered),
    ];
    row.goals = vec![Goal::ratio(IN_A_VEC, TOKIO, 0.15), Goal::ratio(BOXED, TOKIO, 0.15)];
    vec![row]
}

/// Machines of one type, side by side, stepped pass by pass.
#[derive(Default)]
struct InAVec {
    machines: Vec<StateMachine<Mixing>>,
}

impl Contender for InAVec {
    fn prepare(&mut self, operations: u64) {
        let steps = steps_each(operations);
        self.machines = (0..MACHINES).map(|number| StateMachine::new(Mixing::new(number, steps))).collect();
    }

    fn run(&mut self, _: u64) -> Evidence {
        let mut sum = 0;
        while !self.machines.is_empty() {
            // Once a pass, so that passes are not merged.
            black_box(&mut self.machines).retain_mut(|machine| match Steppable::step(machine) {
                IOResult::Done(value) => {
                    sum += u64::from(value);
                    false
                }
                IOResult::IO(_) => true,
            });
        }
        Evidence::results(sum)
    }
}

/// Machines of any type, each in its allocation, taken from the front of a queue and put back at its end.
#[derive(Default)]
struct Boxed {
    queue: VecDeque<Box<dyn Steppable>>,
}

impl Contender for Boxed {
    fn prepare(&mut self, operations: u64) {
        let steps = steps_each(operations);
        let machine = |number| Box::new(StateMachine::new(Mixing::new(number, steps)));
        self.queue = (0..MACHINES).map(|number| machine(number) as Box<dyn Steppable>).collect();
    }

    fn run(&mut self, _: u64) -> Evidence {
        let mut sum = 0;
        while let Some(mut machine) = self.queue.pop_front() {
            match machine.step() {
                IOResult::Done(value) => sum += u64::from(value),
                IOResult::IO(_) => self.queue.push_back(machine),
            }
        }
        Evidence::results(sum)
    }
}

/// One `FuturesUnordered` with all of them.
struct Unordered<F> {
    futures: FuturesUnordered<F>,
    make: fn(Mixing) -> F,
}

impl<F: Future<Output = u64>> Contender for Unordered<F> {
    fn prepare(&mut self, operations: u64) {
        let steps = steps_each(operations);
        self.futures = (0..MACHINES).map(|number| (self.make)(Mixing::new(number, steps))).collect();
    }

    fn run(&mut self, _: u64) -> Evidence {
        Evidence::results(drain(&mut self.futures))
    }
}

/// Polls until all have ended; their sum.
pub(super) fn drain<F: Future<Output = u64>>(futures: &mut FuturesUnordered<F>) -> u64 {
    let mut sum = 0;
    let mut context = Context::from_waker(Waker::noop());
    loop {
        match futures.poll_next_unpin(&mut context) {
            Poll::Ready(Some(value)) => sum += value,
            Poll::Ready(None) => return sum,
            // Its way to be fair to others, of whom there are none.
            Poll::Pending => {}
        }
    }
}

/// A spawned task each.
struct Tasks {
    runtime: Runtime,
    shared: Arc<Shared>,
}

/// How the tasks start together and how their end is noticed.
struct Shared {
    arrived: AtomicU64,
    gate: Semaphore,
    left: AtomicU64,
    sum: AtomicU64,
    ended: Notify,
}

impl Tasks {
    fn new(mut builder: Builder) -> Self {
        let runtime = builder.build().expect("a runtime without drivers");
        let shared = Shared {
            arrived: AtomicU64::new(0),
            gate: Semaphore::new(0),
            left: AtomicU64::new(0),
            sum: AtomicU64::new(0),
            ended: Notify::new(),
        };
        Self { runtime, shared: Arc::new(shared) }
    }

    fn two_workers() -> Self {
        let mut builder = Builder::new_multi_thread();
        builder.worker_threads(2);
        Self::new(builder)
    }
}

/// One task: waits for the start, works, and tells its end.
async fn task(state: Mixing, shared: Arc<Shared>) {
    shared.arrived.fetch_add(1, Relaxed);
    if let Ok(permit) = shared.gate.acquire().await {
        permit.forget();
    }
    let sum = mix(state, tokio::task::yield_now).await;
    shared.sum.fetch_add(sum, Relaxed);
    // ORDERING: AcqRel: whoever ends last has all sums behind it, and notifies.
    if shared.left.fetch_sub(1, AcqRel) == 1 {
        shared.ended.notify_one();
    }
}

impl Contender for Tasks {
    fn prepare(&mut self, operations: u64) {
        let steps = steps_each(operations);
        let shared = &self.shared;
        shared.arrived.store(0, Relaxed);
        shared.left.store(MACHINES, Relaxed);
        // Spawned and woken from inside: what comes from outside goes through another queue, which tokio looks at now
        // and then only, so that a few tasks would run to their ends while the rest waits.
        self.runtime.block_on(async {
            for number in 0..MACHINES {
                tokio::spawn(task(Mixing::new(number, steps), Arc::clone(shared)));
            }
            while shared.arrived.load(Relaxed) < MACHINES {
                tokio::task::yield_now().await;
            }
        });
    }

    fn run(&mut self, _: u64) -> Evidence {
        let shared = &self.shared;
        self.runtime.block_on(async {
            shared.gate.add_permits(usize::try_from(MACHINES).expect("a small number"));
            shared.ended.notified().await;
        });
        Evidence::results(shared.sum.swap(0, Relaxed))
    }
}
