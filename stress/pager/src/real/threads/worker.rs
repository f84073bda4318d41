//! One connection: a machine that commits, reads and checkpoints until it is told to stop.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tenterhook_runtime::pager::{Checkpoint, PagerError};
use tenterhook_runtime::{IOCompletions, IOResult};

use super::shared::Life;
use crate::real::ledger::{Audit, Committed, Post, Wrong};
use crate::system::explanations;
use tenterhook_stress::disk::FaultKind;
use tenterhook_stress::real::noise::{NoiseKind, Report as _, in_mortal_thread};
use tenterhook_stress::rng;
use tenterhook_stress::violation::Violation;

/// One operation in so many is begun by a thread that ends, where that is asked for.
const MORTAL: u64 = 32;

pub(super) struct Worker {
    life: Life,
    connection: u64,
    /// Numbers its operations, for its draws.
    operation: u64,
    key: u64,
    job: Job,
    /// How many faults of each kind nobody could feel any more when the operation began.
    over: [u64; FaultKind::ALL.len()],
}

enum Job {
    None,
    Post(Box<Post>),
    /// A snapshot is looked at; it was begun when this commit had been told of.
    Glance(Box<Audit>, u64),
    Whole(Box<Audit>, u64),
    Checkpoint(Checkpoint),
}

/// Whether it goes on.
enum Next {
    Wait(IOCompletions),
    Over,
}

impl Worker {
    pub(super) fn new(life: &Life, connection: u64, key: u64) -> Worker {
        let key = rng::derive(key, connection);
        let over = [0; FaultKind::ALL.len()];
        Worker { life: life.clone(), connection, operation: 0, key, job: Job::None, over }
    }

    /// For the executor. It ends well or not at all: what goes wrong is told to the others by way of what they share.
    pub(super) fn machine(mut self) -> impl FnMut() -> Result<IOResult<()>, std::convert::Infallible> + Send {
        move || {
            Ok(match self.step() {
                Next::Wait(io) => IOResult::IO(io),
                Next::Over => {
                    self.job = Job::None;
                    self.life.shared.does(self.connection, 5);
                    IOResult::Done(())
                }
            })
        }
    }

    fn step(&mut self) -> Next {
        let is_new = matches!(self.job, Job::None);
        if is_new {
            if self.life.shared.is_stopped() {
                return Next::Over;
            }
            if let Err(error) = self.begin() {
                return self.failed(&error);
            }
        }
        let advanced = if is_new && self.is_mortal() { self.advance_and_end() } else { self.advance() };
        match advanced {
            Ok(IOResult::IO(io)) => Next::Wait(io),
            Ok(IOResult::Done(())) => {
                self.job = Job::None;
                self.life.shared.does(self.connection, 0);
                Next::Wait(IOCompletions::Yield)
            }
            Err(error) => self.failed(&error),
        }
    }

    /// Draws the next operation.
    fn begin(&mut self) -> Result<(), PagerError> {
        self.operation += 1;
        let Life { pager, layout, shared } = &self.life;
        self.over = FaultKind::ALL.map(|kind| shared.layer.watcher().over(kind));
        let draw = rng::at(self.key, self.operation);
        let told = shared.newest_told();
        let due = pager.checkpoint_due().filter(|_| rng::below(draw, 3) == 0);
        let (job, doing) = match rng::below(draw, 64) {
            _ if let Some(mode) = due => (Job::Checkpoint(pager.checkpoint(mode)), 4),
            0 => (Job::Whole(Box::new(Audit::whole(pager, *layout)?), told), 3),
            1..=24 => (Job::Glance(Box::new(Audit::glance(pager, *layout, draw)?), told), 2),
            _ => (Job::Post(Box::new(Post::new(pager, *layout, self.connection))), 1),
        };
        shared.does(self.connection, doing);
        self.job = job;
        Ok(())
    }

    /// Whether the operation is begun by a thread that ends at once.
    fn is_mortal(&self) -> bool {
        let is_on = self.life.shared.noise.contains(&NoiseKind::EndedThreads);
        is_on && rng::below(rng::at(rng::derive(self.key, 1), self.operation), MORTAL) == 0
    }

    fn advance_and_end(&mut self) -> Result<IOResult<()>, PagerError> {
        let layer = Arc::clone(&self.life.shared.layer);
        let (advanced, is_under_way) = in_mortal_thread(&*layer, || self.advance());
        if is_under_way {
            self.life.shared.delivered(NoiseKind::EndedThreads, 1);
        }
        advanced
    }

    fn advance(&mut self) -> Result<IOResult<()>, PagerError> {
        let shared = &self.life.shared;
        let connection = self.connection;
        match &mut self.job {
            Job::None => Ok(IOResult::Done(())),
            Job::Post(post) => {
                let asked = |committed: Committed| shared.asked(connection, committed);
                Ok(post.step(asked)?.map(|committed| shared.told(connection, committed)))
            }
            Job::Glance(audit, told) | Job::Whole(audit, told) => Ok(audit.step()?.map(|found| {
                // ORDERING: Relaxed: a count.
                shared.reads.fetch_add(1, Ordering::Relaxed);
                judge(found, *told).unwrap_or_else(|violation| shared.object(*violation));
            })),
            Job::Checkpoint(checkpoint) => Ok(checkpoint.step()?.map(|_| {
                // ORDERING: Relaxed: a count.
                shared.checkpoints.fetch_add(1, Ordering::Relaxed);
            })),
        }
    }

    /// An operation ended with an error: does a fault explain it?
    fn failed(&mut self, error: &PagerError) -> Next {
        let shared = &self.life.shared;
        // ORDERING: Relaxed: a count, and a hint that everybody sees sooner or later.
        shared.errors.fetch_add(1, Ordering::Relaxed);
        self.job = Job::None;
        if let PagerError::Poisoned { .. } = error {
            shared.poisoned.store(true, Ordering::Relaxed);
        }
        let watcher = shared.layer.watcher();
        let since = |kind: FaultKind| match error {
            // A failed sync is remembered until the next life, and a write of an earlier commit may have failed long ago.
            PagerError::Poisoned { .. } | PagerError::EarlierCommitFailed { .. } => watcher.struck(kind) > 0,
            _ => watcher.struck(kind) > self.over[kind as usize],
        };
        let cancelled = matches!(error, PagerError::Io { .. } | PagerError::OutcomeUnknown { .. })
            && since(FaultKind::Cancelled);
        if !cancelled && !explanations(error).iter().copied().any(since) {
            let expected = "no error that no fault explains";
            shared.object(*Violation::safety("honesty", expected, error.to_string()));
        }
        Next::Wait(IOCompletions::Yield)
    }
}

/// A snapshot is the state after some number of commits, and has every commit that had been told of when it was begun.
fn judge(found: Result<u64, Wrong>, told: u64) -> Result<(), Box<Violation>> {
    let commits = found.map_err(|wrong| {
        let expected = format!("{} {}, as after some number of commits", wrong.place, wrong.expected);
        Violation::safety("snapshot", expected, wrong.seen)
    })?;
    if commits < told {
        let expected =
            format!("a snapshot of commit {told}, which was acknowledged before, or of a newer one");
        return Err(Violation::safety("real-time order", expected, format!("one of commit {commits}")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_must_be_a_whole_state_and_have_what_was_told_before() {
        let wrong = Wrong { place: "root".into(), expected: "7".into(), seen: "8".into() };
        assert_eq!(judge(Err(wrong), 0).unwrap_err().oracle, "snapshot");
        assert_eq!(judge(Ok(6), 7).unwrap_err().oracle, "real-time order");
        assert!(judge(Ok(7), 7).is_ok() && judge(Ok(8), 7).is_ok());
    }
}
