//! What a thread of a run does: steps of one connection, or deliveries.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::task::Waker;

use super::Connection;
use super::crew::{Done, Work};
use super::execution::rest;
use crate::disk::{SimDisk, Struck};
use crate::panics;
use crate::schedule::FiberId;
use crate::system::{Context, Step};
use crate::tape::{Actor, Stream};
use crate::trace::Trace;
use crate::violation::Violation;

/// A step of a connection, with all that the world lends it.
pub(crate) struct StepJob {
    pub(crate) connection: Box<dyn Connection>,
    pub(crate) fiber: FiberId,
    pub(crate) actor: Actor,
    pub(crate) stream: Stream,
    pub(crate) disk: SimDisk,
    pub(crate) step: u64,
    pub(crate) calm: bool,
    pub(crate) struck: Struck,
    pub(crate) born: Struck,
    pub(crate) waker: Waker,
    /// What it observes.
    pub(crate) trace: Trace,
    pub(crate) remarks: Option<Vec<String>>,
}

/// The delivery of an operation.
pub(crate) struct Delivery {
    pub(crate) disk: SimDisk,
    /// Which of those that are due.
    pub(crate) index: u32,
}

/// Where the world and a thread hand work to each other.
#[derive(Default)]
pub(super) struct Seat {
    pub(super) work: RefCell<Option<Work>>,
    pub(super) done: RefCell<Option<Done>>,
    pub(super) leaves: Cell<bool>,
}

/// Something that stays in the thread of the system in which it is.
struct Here<T>(T);

// SAFETY: shuttle runs all threads of an execution as coroutines of the thread that began it. Nothing is sent anywhere.
unsafe impl<T> Send for Here<T> {}

impl<T> Here<T> {
    fn into_inner(self) -> T {
        self.0
    }
}

/// Starts a thread that does what its seat is given.
pub(super) fn start(seat: &Rc<Seat>) -> shuttle::thread::Thread {
    let here = Here(Rc::clone(seat));
    let handle = shuttle::thread::spawn(move || serve(&here.into_inner()));
    handle.thread().clone()
}

fn serve(seat: &Seat) {
    while !seat.leaves.get() {
        let work = seat.work.take();
        if let Some(work) = work {
            let done = work.run();
            seat.done.replace(Some(done));
        }
        rest();
    }
}

impl Work {
    fn run(self) -> Done {
        match self {
            Work::Step(mut job) => {
                let step = caught(|| job.step());
                Done::Step(job, step)
            }
            Work::Delivery(Delivery { disk, index }) => Done::Delivery(caught(|| disk.deliver(index))),
        }
    }
}

impl StepJob {
    fn step(&mut self) -> Result<Step, Box<Violation>> {
        let mut context = Context {
            fiber: self.fiber,
            actor: self.actor,
            stream: &mut self.stream,
            disk: &self.disk,
            step: self.step,
            calm: self.calm,
            struck: self.struck,
            born: self.born,
            waker: &self.waker,
            trace: &mut self.trace,
            remarks: self.remarks.as_mut(),
        };
        let mut step = self.connection.step(&mut context)?;
        // The waiter is registered here and not by the world, so that it meets the end of what it waits for.
        if let Step::Wait(completion) | Step::Parked(completion) = &mut step {
            let _ = Pin::new(completion).poll(&mut std::task::Context::from_waker(&self.waker));
        }
        Ok(step)
    }
}

/// A panic comes back as its message and place. The world catches panics too, in another stack of the same thread, so that the hook
/// has kept this one for it.
fn caught<R>(code: impl FnOnce() -> R) -> Result<R, String> {
    let result = catch_unwind(AssertUnwindSafe(code));
    result.map_err(|payload| panics::take_captured().unwrap_or_else(|| panics::message(payload.as_ref())))
}
