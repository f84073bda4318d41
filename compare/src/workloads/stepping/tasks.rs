//! A tokio task for each machine.

use std::sync::Arc;
use std::sync::atomic::Ordering::{AcqRel, Relaxed};

use tokio::runtime::{Builder, Runtime};
use tokio::sync::{Notify, Semaphore};

use crate::contender::{Contender, Evidence};
use crate::sync::AtomicU64;
use crate::workloads::yielding::{Mixing, mix, steps_each};

/// A spawned task each.
pub(super) struct Tasks {
    number: u64,
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
    pub(super) fn new(mut builder: Builder, number: u64) -> Self {
        let runtime = builder.build().expect("a runtime without drivers");
        let shared = Shared {
            arrived: AtomicU64::new(0),
            gate: Semaphore::new(0),
            left: AtomicU64::new(0),
            sum: AtomicU64::new(0),
            ended: Notify::new(),
        };
        Self { number, runtime, shared: Arc::new(shared) }
    }

    pub(super) fn two_workers(number: u64) -> Self {
        let mut builder = Builder::new_multi_thread();
        builder.worker_threads(2);
        Self::new(builder, number)
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
    // ORDERING: AcqRel: the last one to end sees all sums, and notifies.
    if shared.left.fetch_sub(1, AcqRel) == 1 {
        shared.ended.notify_one();
    }
}

impl Contender for Tasks {
    fn prepare(&mut self, operations: u64) {
        let steps = steps_each(operations, self.number);
        let shared = &self.shared;
        shared.arrived.store(0, Relaxed);
        shared.left.store(self.number, Relaxed);
        // Spawned and woken from inside: what comes from outside goes through another queue, which tokio looks at now
        // and then only, so that a few tasks would run to their ends while the rest waits.
        self.runtime.block_on(async {
            for number in 0..self.number {
                tokio::spawn(task(Mixing::new(number, steps), Arc::clone(shared)));
            }
            while shared.arrived.load(Relaxed) < self.number {
                tokio::task::yield_now().await;
            }
        });
    }

    fn run(&mut self, _: u64) -> Evidence {
        let shared = &self.shared;
        self.runtime.block_on(async {
            shared.gate.add_permits(usize::try_from(self.number).expect("a small number"));
            shared.ended.notified().await;
        });
        Evidence::results(shared.sum.swap(0, Relaxed))
    }
}
