//! A thread that runs jobs, from the run's first to its last.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::thread::JoinHandle;

use super::call::{Call, Gone};
use super::foreign::Here;
use super::kernel;
use super::seat::{News, Order, Seat};
use super::{After, Job};
use crate::panics;
use crate::violation::Violation;

/// Starts the thread of a seat. It ends when it is told to leave.
pub(super) fn start(seat: &Arc<Seat>) -> std::io::Result<JoinHandle<()>> {
    let seat = Arc::clone(seat);
    std::thread::Builder::new().name(format!("connection {}", seat.fiber)).spawn(move || serve(&seat))
}

fn serve(seat: &Arc<Seat>) {
    let call = Call::new(seat);
    call.settle();
    // SAFETY: the seat outlives this function.
    let _here = unsafe { Here::new(&seat.gate) };
    seat.lock().thread = Some(kernel::this());
    loop {
        match seat.await_order() {
            Order::Begin(job) => {
                let end = run(job, &call);
                seat.give_back(&mut seat.lock(), News::Over(end));
            }
            // There is nothing to go on with: the token goes back.
            Order::GoOn => seat.give_back(&mut seat.lock(), News::Continue),
            Order::Leave => {
                seat.give_back(&mut seat.lock(), News::Over(Ok(After::Ended)));
                return;
            }
        }
    }
}

/// Runs a job. A panic is a violation, unless it is the engine on its way out of a life that has ended.
fn run(job: Job, call: &Call) -> Result<After, Box<Violation>> {
    let unwound = panics::catch(|| match catch_unwind(AssertUnwindSafe(|| job(call))) {
        Err(payload) if payload.is::<Gone>() => Ok(After::Ended),
        Err(payload) => resume_unwind(payload),
        Ok(end) => end,
    });
    unwound.unwrap_or_else(|panic| Err(Violation::panic(panic)))
}
