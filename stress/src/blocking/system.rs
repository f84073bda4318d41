//! What a blocking engine's tester offers.

use std::sync::Arc;

use tenterhook_runtime::io::IO;

use super::Call;
use crate::disk::{Place, SimDisk};
use crate::schedule::FiberId;
use crate::system::Crash;
use crate::violation::Violation;

/// Work for a thread: it runs while its thread holds the token, and may block by way of the [`Call`] only.
///
/// A lock that is held across a scheduling point stops every other thread that takes it. Use [`Latch`](super::Latch) for such a lock.
pub type Job = Box<dyn FnOnce(&Call) -> Result<After, Box<Violation>> + Send>;

/// What comes after a job.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum After {
    /// The operation has ended. The fiber is between two operations.
    Ended,
    /// The operation did not get through. The other fibers get a turn, and then the system is asked for a new job.
    Retry,
    /// The fiber has nothing more to do in this life.
    Idle,
    /// The system cannot go on without a restart.
    Restart,
    /// The system has reported that what is on the disk is beyond repair: the run ends.
    Destroyed,
}

/// An engine whose calls block, its workload and its oracles.
///
/// These functions are called in the world's thread, and the jobs that they make run in threads of their own, one at a time.
/// What a job and the system share may lie in a mutex that is never held across a scheduling point.
pub trait BlockingSystem {
    /// How many connections there are; their fibers are numbered from 0.
    fn connections(&self) -> u32;

    /// The job that brings the system to life from what is on the disk. `io` is the disk for this life.
    fn boot(&mut self, io: &Arc<dyn IO>, disk: &SimDisk) -> Job;

    /// The next operation of a connection.
    fn operation(&mut self, fiber: FiberId) -> Job;

    /// The job that looks over a system at rest: faults have stopped and each connection is between two operations.
    fn quiesce(&mut self) -> Job {
        Box::new(|_| Ok(After::Ended))
    }

    /// The system's life has ended, and each job with it: drop what was only in memory. Oracles keep what they know. An engine
    /// whose destructors must not run, because a real crash runs none, is leaked here with `std::mem::forget`.
    fn crash(&mut self, crash: Crash) -> Result<(), Box<Violation>>;

    /// Everything of the last life has been dropped: is anything left?
    fn after_crash(&mut self) -> Result<(), Box<Violation>> {
        Ok(())
    }

    /// The name of what an operation of the disk is about, for people who read a timeline.
    fn locate(&self, place: &Place) -> String {
        place.path.display().to_string()
    }

    /// What a connection is doing, for a person who wants to know why it does not finish. The last text of [`Call::doing`] is
    /// added. It must not wait for a lock that a job may hold: a thread that is given up may hold it without end.
    fn describe(&self, fiber: FiberId) -> String {
        format!("operation of connection {fiber}")
    }

    /// Counters for the summary: name and value, always the same names in the same order. The rule of
    /// [`describe`](BlockingSystem::describe) about locks holds here too.
    fn counters(&self) -> Vec<(&'static str, u64)> {
        Vec::new()
    }
}
