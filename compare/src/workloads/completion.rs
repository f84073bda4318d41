//! One completion from birth to death on one thread: the cost of the thing itself.

use std::hint::black_box;
use std::marker::PhantomData;

use super::names::{OURS, TOKIO_ONESHOT};
use crate::contender::{Contender, Evidence, Tally};
use crate::goal::Goal;
use crate::row::{Entry, Plan, Row, Workload};
use crate::signal::{Futures, Oneshot, Signal, Tenterhook, Tokio};

pub(crate) const WORKLOAD: Workload =
    Workload { name: "completion", about: "create, complete and check one completion on one thread", plans };

fn plans() -> Vec<Plan> {
    vec![Plan::new("completion", row)]
}

fn row() -> Row {
    let mut row = Row::timed("completion", TOKIO_ONESHOT);
    row.about = "create, complete and check, one thread";
    row.contenders = vec![
        Entry::ours(OURS, Lifetimes::<Tenterhook>::new()),
        Entry::new(TOKIO_ONESHOT, Lifetimes::<Tokio>::new()),
        Entry::new(Futures::NAME, Lifetimes::<Futures>::new()),
        Entry::new(Oneshot::NAME, Lifetimes::<Oneshot>::new()),
        Entry::new("malloc and free of 64 B", Malloc),
    ];
    row.goals =
        vec![Goal::ratio(OURS, TOKIO_ONESHOT, 1.15), Goal::allocations(OURS, 1.0), Goal::bytes(OURS, 96.0)];
    #[cfg(feature = "turso")]
    {
        use crate::turso::Turso;
        row.contenders.push(Entry::new(Turso::NAME, Lifetimes::<Turso>::new()));
        row.goals.push(Goal::ratio(OURS, Turso::NAME, 0.35));
    }
    row
}

/// Signals that live one after another.
struct Lifetimes<S> {
    tally: &'static Tally,
    signal: PhantomData<S>,
}

impl<S> Lifetimes<S> {
    fn new() -> Self {
        Self { tally: Tally::leak(), signal: PhantomData }
    }
}

impl<S: Signal> Contender for Lifetimes<S> {
    fn run(&mut self, operations: u64) -> Evidence {
        let tally = self.tally;
        let mut sum = 0_u64;
        for _ in 0..operations {
            let (mut observer, finisher) = S::pair(tally);
            // Both ends out of the optimiser's sight, as if they had come from elsewhere.
            let finisher = black_box(finisher);
            S::finish(finisher, 1);
            sum = sum.wrapping_add(S::check(black_box(&mut observer)).unwrap_or(0));
        }
        Evidence { results: sum, callbacks: [S::CALLS_BACK.then(|| tally.take()), None] }
    }
}

/// No contender, a yardstick: what an allocation costs on this machine.
struct Malloc;

impl Contender for Malloc {
    fn run(&mut self, operations: u64) -> Evidence {
        let mut sum = 0_u64;
        for _ in 0..operations {
            let block = black_box(Box::new([1; 8]));
            sum = sum.wrapping_add(block[0]);
        }
        Evidence::results(sum)
    }
}
