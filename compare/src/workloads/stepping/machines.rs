//! Machines without an executor: what the shape itself costs.

use std::collections::VecDeque;
use std::hint::black_box;
use std::task::{Context, Poll, Waker};

use futures::stream::{FuturesUnordered, StreamExt};
use tenterhook_runtime::{IOResult, StateMachine};

use crate::contender::{Contender, Evidence};
use crate::workloads::yielding::{Mixing, Steppable, steps_each};

/// Machines of one type, side by side, stepped pass by pass.
pub(super) struct InAVec {
    number: u64,
    machines: Vec<StateMachine<Mixing>>,
}

impl InAVec {
    pub(super) fn new(number: u64) -> Self {
        Self { number, machines: Vec::new() }
    }
}

impl Contender for InAVec {
    fn prepare(&mut self, operations: u64) {
        let steps = steps_each(operations, self.number);
        self.machines =
            (0..self.number).map(|number| StateMachine::new(Mixing::new(number, steps))).collect();
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
pub(super) struct Boxed {
    number: u64,
    queue: VecDeque<Box<dyn Steppable>>,
}

impl Boxed {
    pub(super) fn new(number: u64) -> Self {
        Self { number, queue: VecDeque::new() }
    }
}

impl Contender for Boxed {
    fn prepare(&mut self, operations: u64) {
        let steps = steps_each(operations, self.number);
        let machine = |number| Box::new(StateMachine::new(Mixing::new(number, steps)));
        self.queue = (0..self.number).map(|number| machine(number) as Box<dyn Steppable>).collect();
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
pub(super) struct Unordered<F> {
    number: u64,
    futures: FuturesUnordered<F>,
    make: fn(Mixing) -> F,
}

impl<F> Unordered<F> {
    pub(super) fn new(number: u64, make: fn(Mixing) -> F) -> Self {
        Self { number, futures: FuturesUnordered::new(), make }
    }
}

impl<F: Future<Output = u64>> Contender for Unordered<F> {
    fn prepare(&mut self, operations: u64) {
        let steps = steps_each(operations, self.number);
        self.futures = (0..self.number).map(|number| (self.make)(Mixing::new(number, steps))).collect();
    }

    fn run(&mut self, _: u64) -> Evidence {
        Evidence::results(drain(&mut self.futures))
    }
}

/// Polls until all have ended; their sum.
pub(in crate::workloads) fn drain<F: Future<Output = u64>>(futures: &mut FuturesUnordered<F>) -> u64 {
    let mut sum = 0;
    let mut context = Context::from_waker(Waker::noop());
    loop {
        match futures.poll_next_unpin(&mut context) {
            Poll::Ready(Some(value)) => sum += value,
            Poll::Ready(None) => return sum,
            // Its way to be fair to other tasks, but there are none.
            Poll::Pending => {}
        }
    }
}
