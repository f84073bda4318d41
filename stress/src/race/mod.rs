//! Deterministic threads: connections that run on threads of their own and are stopped at any synchronisation operation.
//!
//! In a build under `--cfg tenterhook_shuttle` (`make race`) the primitives of [`tenterhook_runtime::sync`] belong to shuttle. All
//! threads of a run are then coroutines of one thread of the system, and each operation of a primitive is a scheduling point. With
//! `--threads N` a run has N connections, each with a thread. The world is what it is without them: it chooses what goes next,
//! fibers and deliveries alike. A step can now be stopped in its middle, and the rest of it is one more thing that can go next.
//!
//! - A [`System`](crate::system::System) takes part by [`System::connection`](crate::system::System::connection), which makes one
//!   connection an object of its own, a [`Connection`]. What connections share they share as threads do.
//! - A delivery runs on one of two threads of the disk, and is stopped as a step is.
//! - Threads that the system starts by [`tenterhook_runtime::sync::thread`] are scheduled beside them.
//! - Booting and looking the system over happen in the world's thread while no other is in the middle of anything.
//! - When a life ends, threads that are in the middle of a step or a delivery first run to its end. A crash therefore finds what
//!   was submitted, and never half of a step.
//!
//! shuttle gives every atomic operation the meaning of `SeqCst`. A weakened ordering is not seen here; loom's models see it.
//!
//! Where a thread is stopped is a choice: the operation that it serves, and before which synchronisation operation of it
//! (`Address`, and the choice point `SLICE`). The number on the tape is the turn of the rest. A tape without such a number stops no
//! thread, so a shrunk run has only the preemptions that its failure needs. Draws are in `gaps.rs`.

#[cfg(tenterhook_shuttle)]
mod crew;
#[cfg(tenterhook_shuttle)]
mod execution;
#[cfg(tenterhook_shuttle)]
mod gaps;
#[cfg(not(tenterhook_shuttle))]
mod plain;
#[cfg(tenterhook_shuttle)]
mod thread;

#[cfg(tenterhook_shuttle)]
pub(crate) use self::crew::{Crew, Done, Slice, Work};
#[cfg(tenterhook_shuttle)]
pub(crate) use self::execution::{Hold, Why, enter};
#[cfg(not(tenterhook_shuttle))]
pub(crate) use self::plain::{Hold, enter};
#[cfg(tenterhook_shuttle)]
pub(crate) use self::thread::{Delivery, StepJob};

use crate::system::{Context, Step};
use crate::violation::Violation;

/// Threads of one run: so many at most.
pub const MAX_THREADS: u32 = 16;

/// Whether this build has deterministic threads.
pub const IS_BUILT: bool = cfg!(tenterhook_shuttle);

/// One connection as an object of its own, which is stepped in a thread of its own.
///
/// It may share anything with the system and the other connections that threads may share. What it takes from
/// [`tenterhook_runtime::sync`] is where its thread may be stopped; a `RefCell` that is not borrowed across such an operation is
/// fine, since all threads of a run are coroutines of one thread. A lock of another crate that is held across such an operation
/// stops the process.
pub trait Connection {
    /// Steps the connection, as [`System::step`](crate::system::System::step) does.
    ///
    /// # Errors
    ///
    /// The promise that was broken.
    fn step(&mut self, context: &mut Context<'_>) -> Result<Step, Box<Violation>>;

    /// What it is doing, for a person who wants to know why it does not finish. Called between two steps only.
    fn describe(&self) -> String {
        "an operation".into()
    }
}
