//! Between threads: one blocks until the other has answered.
//!
//! The answering thread spins, so that what is measured is the waiter's way into and out of its wait. Two threads that
//! sleep for each other measure the kernel's scheduler: some 40 us whatever the implementation.

use std::sync::Arc;
use std::sync::atomic::Ordering::{Acquire, Release};
use std::sync::mpsc;
use std::thread::JoinHandle;

use parking_lot::Mutex;

use super::names::{OURS, TOKIO_ONESHOT};
use crate::contender::{Contender, Evidence, Tally};
use crate::row::{Entry, Plan, Row, Workload};
use crate::signal::{Block, Oneshot, Signal, Tenterhook, Tokio};
use crate::sync::AtomicBool;

pub(crate) const WORKLOAD: Workload = Workload {
    name: "round-trip",
    about: "a thread blocks until another has finished its completion",
    plans,
};

fn plans() -> Vec<Plan> {
    vec![Plan::new("round trip", row)]
}

fn row() -> Row {
    let mut row = Row::timed("round trip", TOKIO_ONESHOT);
    row.about = "block until another thread, which spins, has finished it";
    row.contenders = vec![
        Entry::ours(OURS, RoundTrip::<Tenterhook>::new()),
        Entry::new(TOKIO_ONESHOT, RoundTrip::<Tokio>::new()),
        Entry::new(Oneshot::NAME, RoundTrip::<Oneshot>::new()),
    ];
    row
}

/// Hands finishers to the other thread. The same for all contenders; the lock is free whenever it is taken.
struct Mailbox<F> {
    full: AtomicBool,
    finisher: Mutex<Option<F>>,
}

impl<F> Mailbox<F> {
    fn put(&self, finisher: F) {
        *self.finisher.lock() = Some(finisher);
        // ORDERING: Release, with the Acquire of `take`, which then finds the lock free.
        self.full.store(true, Release);
    }

    fn take(&self) -> Option<F> {
        // ORDERING: Acquire, with the Release of `put`.
        while !self.full.swap(false, Acquire) {
            while !self.full.load(Acquire) {
                std::hint::spin_loop();
            }
        }
        self.finisher.lock().take()
    }
}

/// A thread that asks and one that answers. Between runs the second sleeps, so that it disturbs no other contender.
struct RoundTrip<S: Block> {
    tally: &'static Tally,
    mailbox: Arc<Mailbox<S::Finisher>>,
    rounds: Option<mpsc::Sender<u64>>,
    answering: Option<JoinHandle<()>>,
}

impl<S: Block> RoundTrip<S> {
    fn new() -> Self {
        let mailbox = Arc::new(Mailbox { full: AtomicBool::new(false), finisher: Mutex::new(None) });
        let (rounds, requests) = mpsc::channel();
        let asked = Arc::clone(&mailbox);
        let answering = std::thread::spawn(move || {
            for rounds in requests {
                for _ in 0..rounds {
                    if let Some(finisher) = asked.take() {
                        S::finish(finisher, 1);
                    }
                }
            }
        });
        Self { tally: Tally::leak(), mailbox, rounds: Some(rounds), answering: Some(answering) }
    }
}

impl<S: Block> Contender for RoundTrip<S> {
    fn run(&mut self, operations: u64) -> Evidence {
        // A thread that is gone would leave the first wait without an answer: better to panic here.
        let rounds = self.rounds.as_ref().expect("there until drop");
        rounds.send(operations).expect("the answering thread lives as long as its contender");
        let mut sum = 0;
        for _ in 0..operations {
            let (observer, finisher) = S::pair(self.tally);
            self.mailbox.put(finisher);
            sum += S::block(observer).unwrap_or(0);
        }
        Evidence { results: sum, callbacks: [S::CALLS_BACK.then(|| self.tally.take()), None] }
    }
}

impl<S: Block> Drop for RoundTrip<S> {
    fn drop(&mut self) {
        self.rounds = None;
        if let Some(answering) = self.answering.take() {
            // Its panic has been printed, and has left no evidence behind.
            let _ = answering.join();
        }
    }
}
