//! One to a million tasks that yield after every step: the cost of suspending and being called again.

mod machines;
mod pool;
mod tasks;

use tenterhook_runtime::executor::Executor;
use tokio::runtime::Builder;

use super::yielding::{YieldOnce, expected, mix};
use crate::goal::Goal;
use crate::row::{Entry, Extent, Plan, Row, Workload};
use machines::{Boxed, InAVec, Unordered};
use pool::Pool;
use tasks::Tasks;

pub(super) use machines::drain;

pub(crate) const WORKLOAD: Workload =
    Workload { name: "stepping", about: "1 to 1,000,000 tasks that yield after every step", plans };

const BOXED: &str = "tenterhook, Box<dyn> in a run queue";
const IN_A_VEC: &str = "tenterhook, enum in a Vec";
const EXECUTOR: &str = "tenterhook executor, one worker";
const TWO_WORKERS: &str = "tenterhook executor, two workers";
const TOKIO: &str = "tokio yield_now, current_thread";
const TOKIO_TWO_WORKERS: &str = "tokio yield_now, two workers";

/// Machines, and what measures so many.
const SIZES: [(u64, Extent); 7] = [
    (1, Extent::Full),
    (10, Extent::Full),
    (100, Extent::Normal),
    (1_000, Extent::Full),
    (10_000, Extent::Quick),
    (100_000, Extent::Quick),
    (1_000_000, Extent::Full),
];

/// Bytes that a tokio task with its state takes, and some to spare.
const TASK: u64 = 400;

fn plans() -> Vec<Plan> {
    let plan = |(machines, extent)| {
        let plan = Plan::new(format!("stepping {machines}"), move || row(machines));
        plan.each("stepping", "machines", machines).from(extent).needs((64 << 20) + machines * TASK)
    };
    SIZES.map(plan).into()
}

/// Steps of each machine, at the least: the start, which wakes each once, is not what is measured. A million machines
/// would take seconds for each repetition, and their start is a smaller part of what they cost.
fn steps_at_least(machines: u64) -> u64 {
    if machines < 1_000_000 { 32 } else { 8 }
}

fn row(machines: u64) -> Row {
    let mut row = Row::timed("step", TOKIO);
    row.about = "tasks that yield after every step";
    row.granule = machines * steps_at_least(machines);
    row.expected = Box::new(move |steps| expected(steps, machines));
    row.contenders = vec![
        Entry::ours(EXECUTOR, Pool::new(Executor::new(1), machines)),
        Entry::ours(TWO_WORKERS, Pool::new(Executor::new(2), machines)),
        Entry::new(TOKIO, Tasks::new(Builder::new_current_thread(), machines)),
        Entry::new(TOKIO_TWO_WORKERS, Tasks::two_workers(machines)),
    ];
    row.goals = vec![Goal::ratio(EXECUTOR, TOKIO, 0.15), Goal::ratio(TWO_WORKERS, TOKIO_TWO_WORKERS, 0.15)];
    if machines >= 100_000 {
        // Twice the workers: 1.8 times the throughput.
        row.goals.push(Goal::ratio(TWO_WORKERS, EXECUTOR, 1.0 / 1.8));
    }
    if machines <= 100_000 {
        let futures = Unordered::new(machines, |state| mix(state, YieldOnce::default));
        row.contenders.extend([
            Entry::ours(IN_A_VEC, InAVec::new(machines)),
            Entry::ours(BOXED, Boxed::new(machines)),
            Entry::new("FuturesUnordered", futures),
        ]);
        row.goals.extend([Goal::ratio(IN_A_VEC, TOKIO, 0.15), Goal::ratio(BOXED, TOKIO, 0.15)]);
    }
    row
}
