//! The tail of the latency at a fixed rate of arrivals.
//!
//! An open loop: requests arrive when they are due, however many are under way, as requests of independent clients do. The
//! latency of a request begins when it was due and not when it was sent, so a stall counts for each request that came due
//! in it (the correction of coordinated omission: G. Tene, "How NOT to Measure Latency"). Arrivals are a Poisson process:
//! with a constant interval no queue would form below the full rate.
//!
//! The rate is a share of what the slower contender can do. That is measured first, with all requests due at once.

mod arrivals;
mod commits;
mod reads;

use std::sync::{Arc, OnceLock};

use crate::goal::Goal;
use crate::row::{Entry, Extent, Measure, Plan, Row, Series, Workload};
use crate::statistics::median;
use arrivals::{OpenLoop, Serve};

pub(crate) const WORKLOAD: Workload = Workload {
    name: crate::workloads::FIXED_RATE,
    about: "latency of file reads and of commits that arrive at 10 to 95 % of the slower contender's capacity",
    plans,
};

/// Per cent of the capacity, and what measures at this rate.
const RATES: [(u64, Extent); 6] = [
    (10, Extent::Full),
    (25, Extent::Full),
    (50, Extent::Quick),
    (80, Extent::Normal),
    (90, Extent::Full),
    (95, Extent::Normal),
];

/// Seconds of one repetition.
const SECONDS: f64 = 0.25;
/// Requests of one repetition at the least: a hundredth of them are beyond the 99th percentile.
const LEAST: u64 = 1_000;

fn plans() -> Vec<Plan> {
    let kinds: [Series; 2] = [("tail, file reads", file_reads), ("tail, commits", page_commits)];
    let plans = kinds.into_iter().flat_map(|(series, row)| {
        RATES.into_iter().map(move |(rate, extent)| {
            let plan = Plan::new(format!("{series}, {rate} % of capacity"), move || row(rate));
            plan.each(series, "% of capacity", rate).from(extent)
        })
    });
    plans.collect()
}

fn file_reads(rate: u64) -> Row {
    static CAPACITY: OnceLock<f64> = OnceLock::new();
    const OURS: &str = "tenterhook executor, threads backend";
    const TOKIO: &str = "tokio task, spawn_blocking";
    let book = Arc::new(reads::Book::write());
    let (ours, tokio) = (Arc::new(reads::Ours::start(&book)), Arc::new(reads::Tokio::start(&book)));
    let capacity = *CAPACITY.get_or_init(|| capacity(&ours).min(capacity(&tokio)));
    let mut row = row_at(rate, capacity, "read", TOKIO);
    row.about = "4 KiB reads from a file in the page cache, a task each, at a fixed rate";
    row.expected = Box::new(|reads| (0..reads).map(reads::mark_of).fold(0, u64::wrapping_add));
    row.contenders = vec![
        Entry::ours(OURS, OpenLoop::new(ours, rate_of(rate, capacity))),
        Entry::new(TOKIO, OpenLoop::new(tokio, rate_of(rate, capacity))),
    ];
    row.goals = vec![Goal::ratio(OURS, TOKIO, 1.0)];
    row
}

fn page_commits(rate: u64) -> Row {
    static CAPACITY: OnceLock<f64> = OnceLock::new();
    const OURS: &str = "tenterhook pager";
    const TOKIO: &str = "the same pager on tokio";
    let (ours, tokio) = (Arc::new(commits::ours()), Arc::new(commits::tokio()));
    let capacity = *CAPACITY.get_or_init(|| capacity(&ours).min(capacity(&tokio)));
    let mut row = row_at(rate, capacity, "commit", TOKIO);
    row.about = "four pages changed at durability normal, a task each, at a fixed rate";
    row.contenders = vec![
        Entry::ours(OURS, OpenLoop::new(ours, rate_of(rate, capacity))),
        Entry::new(TOKIO, OpenLoop::new(tokio, rate_of(rate, capacity))),
    ];
    row.goals = vec![Goal::ratio(OURS, TOKIO, 1.0)];
    row
}

/// Requests a second.
fn rate_of(percent: u64, capacity: f64) -> f64 {
    capacity * percent as f64 / 100.0
}

fn row_at(percent: u64, capacity: f64, operation: &'static str, baseline: &'static str) -> Row {
    let mut row = Row::timed(operation, baseline);
    row.measure = Measure::Tail;
    row.fixed = Some(((rate_of(percent, capacity) * SECONDS) as u64).max(LEAST));
    row
}

/// Requests a second that a contender can serve: the median of five bursts.
fn capacity<S: Serve>(serve: &Arc<S>) -> f64 {
    let mut burst = OpenLoop::new(Arc::clone(serve), f64::INFINITY);
    let mut requests = LEAST;
    let rate = |burst: &mut OpenLoop<S>, requests: u64| {
        let started = std::time::Instant::now();
        burst.serve(requests);
        requests as f64 / started.elapsed().as_secs_f64()
    };
    // Long enough for threads to start and for the clock.
    requests = requests.max((rate(&mut burst, requests) * 0.05) as u64);
    median(&std::array::from_fn::<f64, 5, _>(|_| rate(&mut burst, requests)))
}
