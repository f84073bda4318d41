//! A task of our executor for each machine.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::Ordering::{AcqRel, Relaxed};

use parking_lot::Mutex;
use tenterhook_runtime::executor::{Executor, Spawner};
use tenterhook_runtime::{Completer, Completion, IOCompletions, IOResult, StateMachine};

use crate::contender::{Contender, Evidence};
use crate::sync::AtomicU64;
use crate::workloads::yielding::{Mixing, Steppable, steps_each};

/// A spawned machine each, without handles.
pub(super) struct Pool {
    executor: Executor,
    number: u64,
    shared: Arc<Shared>,
    gate: Option<Completer>,
    ended: Option<Completion>,
}

/// How the machines' end is noticed.
struct Shared {
    arrived: AtomicU64,
    left: AtomicU64,
    sum: AtomicU64,
    ended: Mutex<Option<Completer>>,
}

impl Shared {
    fn end(&self, value: u64) {
        self.sum.fetch_add(value, Relaxed);
        // ORDERING: AcqRel: the last one to end sees all sums, and notifies.
        if self.left.fetch_sub(1, AcqRel) == 1
            && let Some(completer) = self.ended.lock().take()
        {
            let _ = completer.complete(0);
        }
    }
}

impl Pool {
    pub(super) fn new(executor: Executor, number: u64) -> Self {
        let shared = Shared {
            arrived: AtomicU64::new(0),
            left: AtomicU64::new(0),
            sum: AtomicU64::new(0),
            ended: Mutex::new(None),
        };
        Self { executor, number, shared: Arc::new(shared), gate: None, ended: None }
    }
}

/// One machine: waits for the start, works, and tells its end.
fn spawn(spawner: &Spawner, machine: Mixing, gate: &Completion, shared: &Arc<Shared>) {
    let (mut machine, mut gate, shared) =
        (StateMachine::new(machine), Some(gate.clone()), Arc::clone(shared));
    let step = move || {
        if let Some(gate) = gate.take() {
            shared.arrived.fetch_add(1, Relaxed);
            return Ok::<_, Infallible>(IOResult::IO(IOCompletions::Single(gate)));
        }
        Ok(Steppable::step(&mut machine).map(|value| shared.end(u64::from(value))))
    };
    spawner.spawn(step).detach();
}

impl Contender for Pool {
    fn prepare(&mut self, operations: u64) {
        let steps = steps_each(operations, self.number);
        let (gate, opener) = Completion::new(|_| {});
        let (ended, completer) = Completion::new(|_| {});
        (self.gate, self.ended) = (Some(opener), Some(ended));
        let shared = &self.shared;
        shared.arrived.store(0, Relaxed);
        shared.left.store(self.number, Relaxed);
        *shared.ended.lock() = Some(completer);
        for number in 0..self.number {
            spawn(self.executor.spawner(), Mixing::new(number, steps), &gate, shared);
        }
        while shared.arrived.load(Relaxed) < self.number {
            std::thread::yield_now();
        }
    }

    fn run(&mut self, _: u64) -> Evidence {
        let _ = self.gate.take().expect("prepared").complete(0);
        let ended = self.ended.take().expect("prepared").wait();
        ended.expect("completed by the last machine");
        Evidence::results(self.shared.sum.swap(0, Relaxed))
    }
}
