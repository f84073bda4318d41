//! A connection as a machine of the executor.

use std::convert::Infallible;
use std::sync::Arc;

use tenterhook_runtime::{Completion, IOCompletions, IOResult};

use super::shared::{IDLE, STEPPED, Shared};
use super::workload::Connection;
use crate::real::noise::{NoiseKind, Report as _, in_mortal_thread};
use crate::rng;
use crate::system::Step;
use crate::violation::Violation;

/// One operation in so many is begun by a thread that ends, where that is asked for.
const MORTAL: u64 = 32;

pub(super) struct Machine {
    connection: Box<dyn Connection>,
    number: u64,
    shared: Arc<Shared>,
    key: u64,
    /// Numbers its operations, for its draws.
    operation: u64,
    between_operations: bool,
}

impl Machine {
    pub(super) fn new(
        connection: Box<dyn Connection>,
        number: u64,
        key: u64,
        shared: &Arc<Shared>,
    ) -> Machine {
        let shared = Arc::clone(shared);
        Machine { connection, number, shared, key, operation: 0, between_operations: true }
    }

    /// For the executor. It ends well or not at all: what goes wrong is told to the others by way of what they share.
    pub(super) fn into_step(mut self) -> impl FnMut() -> Result<IOResult<()>, Infallible> + Send {
        move || {
            if self.between_operations {
                if self.shared.is_stopped() {
                    return Ok(self.over());
                }
                self.operation += 1;
                self.shared.does(self.number, "the first step of an operation");
            }
            let is_mortal = self.between_operations && self.is_mortal();
            let stepped = if is_mortal { self.step_and_end() } else { self.connection.step() };
            Ok(self.go_on(stepped))
        }
    }

    fn go_on(&mut self, stepped: Result<Step, Box<Violation>>) -> IOResult<()> {
        self.shared.does(self.number, self.connection.describe());
        self.shared.waits(self.number, waited_for(&stepped));
        self.between_operations = matches!(stepped, Ok(Step::Ended | Step::Parked(_) | Step::Restart));
        if self.between_operations {
            self.shared.ended();
        }
        match stepped {
            // A connection on real threads has no waker of its own: it asks again.
            Ok(Step::Continue | Step::Yield | Step::Stall { .. } | Step::Pending | Step::Ended) => {
                IOResult::IO(IOCompletions::Yield)
            }
            Ok(Step::Wait(completion) | Step::Parked(completion)) => {
                IOResult::IO(IOCompletions::Single(completion))
            }
            Ok(Step::Restart) => {
                self.shared.restart();
                IOResult::IO(IOCompletions::Yield)
            }
            Ok(Step::Idle) => self.over(),
            Ok(Step::Destroyed) => {
                let seen = "the system says that its files are beyond repair";
                self.shared.object(*Violation::safety(
                    "files",
                    "that can be used, since no fault damages one",
                    seen,
                ));
                self.over()
            }
            Err(violation) => {
                self.shared.object(*violation);
                self.over()
            }
        }
    }

    fn over(&self) -> IOResult<()> {
        self.shared.does(self.number, IDLE);
        IOResult::Done(())
    }

    /// Whether the operation is begun by a thread that ends at once.
    fn is_mortal(&self) -> bool {
        let is_on = self.shared.noise.contains(&NoiseKind::EndedThreads);
        is_on && rng::below(rng::at(rng::derive(self.key, 1), self.operation), MORTAL) == 0
    }

    fn step_and_end(&mut self) -> Result<Step, Box<Violation>> {
        let connection = &mut self.connection;
        let (stepped, is_under_way) = in_mortal_thread(&*self.shared.layer, || connection.step(), waits_for);
        if is_under_way {
            self.shared.delivered(NoiseKind::EndedThreads, 1);
        }
        stepped
    }
}

/// For a person who wants to know why nothing moves.
fn waited_for(stepped: &Result<Step, Box<Violation>>) -> &'static str {
    match stepped {
        Ok(Step::Wait(_)) => "a completion that has not finished",
        Ok(Step::Parked(_)) => "a completion, between two operations",
        Ok(Step::Pending) => "a wake of its own",
        Ok(Step::Restart) => "the system to be opened again",
        _ => STEPPED,
    }
}

fn waits_for(stepped: &Result<Step, Box<Violation>>) -> Option<&Completion> {
    match stepped {
        Ok(Step::Wait(completion) | Step::Parked(completion)) => Some(completion),
        _ => None,
    }
}
