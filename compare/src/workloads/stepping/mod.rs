//! Ten thousand tasks, and ten times as many, that yield after every step: the cost of suspending and being called again.

mod machines;
mod pool;
mod tasks;

use tenterhook_runtime::executor::Executor;
use tokio::runtime::Builder;

use super::yielding::{YieldOnce, expected, mix};
use crate::contender::{Entry, Row, Workload};
use crate::goal::Goal;
use machines::{Boxed, InAVec, Unordered};
use pool::Pool;
use tasks::Tasks;

pub(super) use machines::drain;

pub(crate) const WORKLOAD: Workload =
    Workload { name: "stepping", about: "10,000 and 100,000 tasks that yield after every step", rows };

const BOXED: &str = "tenterhook, Box<dyn> in a run queue";
const IN_A_VEC: &str = "tenterhook, enum in a Vec";
const EXECUTOR: &str = "tenterhook executor, one worker";
const TWO_WORKERS: &str = "tenterhook executor, two workers";
const TOKIO: &str = "tokio yield_now, current_thread";
const TOKIO_TWO_WORKERS: &str = "tokio yield_now, two workers";

/// Steps of each machine, at the least: the start, which wakes each once, is not what is measured.
const STEPS_AT_LEAST: u64 = 32;

fn rows() -> Vec<Row> {
    let mut small = row("stepping", "10,000 tasks that yield after every step", 10_000);
    small.contenders.extend([
        Entry::new(IN_A_VEC, InAVec::new(10_000)),
        Entry::new(BOXED, Boxed::new(10_000)),
        Entry::new("FuturesUnordered", Unordered::new(10_000, |state| mix(state, YieldOnce::default))),
    ]);
    small.goals.extend([Goal::ratio(IN_A_VEC, TOKIO, 0.15), Goal::ratio(BOXED, TOKIO, 0.15)]);
    vec![small, row("stepping 100k", "100,000 tasks that yield after every step", 100_000)]
}

/// The executors, which both rows have.
fn row(name: &str, about: &'static str, machines: u64) -> Row {
    let mut row = Row::timed(name, "step", TOKIO);
    row.about = about;
    row.granule = machines * STEPS_AT_LEAST;
    row.expected = Box::new(move |steps| expected(steps, machines));
    row.contenders = vec![
        Entry::new(EXECUTOR, Pool::new(Executor::new(1), machines)),
        Entry::new(TWO_WORKERS, Pool::new(Executor::new(2), machines)),
        Entry::new(TOKIO, Tasks::new(Builder::new_current_thread(), machines)),
        Entry::new(TOKIO_TWO_WORKERS, Tasks::two_workers(machines)),
    ];
    row.goals = vec![Goal::ratio(EXECUTOR, TOKIO, 0.15), Goal::ratio(TWO_WORKERS, TOKIO_TWO_WORKERS, 0.15)];
    row
}
