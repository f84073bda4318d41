//! One connection: it commits, reads and checkpoints until it is told to stop.

use std::sync::Arc;

use tenterhook_runtime::IOResult;
use tenterhook_runtime::pager::{Checkpoint, PagerError};
use tenterhook_stress::disk::FaultKind;
use tenterhook_stress::real::threads::{Connection, Mark};
use tenterhook_stress::rng;
use tenterhook_stress::system::Step;
use tenterhook_stress::violation::Violation;

use super::incarnation::PagerIncarnation;
use crate::real::ledger::{Audit, Committed, Post, Wrong};
use crate::system::explanations;

pub(super) struct PagerConnection {
    incarnation: Arc<PagerIncarnation>,
    number: u64,
    /// Numbers its operations, for its draws.
    operation: u64,
    key: u64,
    job: Job,
    /// When the operation began.
    began: Mark,
}

enum Job {
    None,
    Post(Box<Post>),
    /// A snapshot is looked at; it was begun when this commit had been told of.
    Glance(Box<Audit>, u64),
    Whole(Box<Audit>, u64),
    Checkpoint(Checkpoint),
}

/// Why an operation did not end well.
enum Failure {
    Refused(PagerError),
    Broken(Box<Violation>),
}

impl From<PagerError> for Failure {
    fn from(error: PagerError) -> Failure {
        Failure::Refused(error)
    }
}

impl PagerConnection {
    pub(super) fn new(incarnation: Arc<PagerIncarnation>, number: u64, key: u64) -> PagerConnection {
        let began = incarnation.environment.faults().mark();
        PagerConnection { incarnation, number, operation: 0, key, job: Job::None, began }
    }

    /// Draws the next operation.
    fn begin(&mut self) -> Result<(), PagerError> {
        self.operation += 1;
        let PagerIncarnation { pager, layout, table, environment, .. } = &*self.incarnation;
        self.began = environment.faults().mark();
        let draw = rng::at(self.key, self.operation);
        let told = table.newest_told();
        let due = pager.checkpoint_due().filter(|_| rng::below(draw, 3) == 0);
        self.job = match rng::below(draw, 64) {
            _ if let Some(mode) = due => Job::Checkpoint(pager.checkpoint(mode)),
            0 => Job::Whole(Box::new(Audit::whole(pager, *layout)?), told),
            1..=24 => Job::Glance(Box::new(Audit::glance(pager, *layout, draw)?), told),
            _ => Job::Post(Box::new(Post::new(pager, *layout, self.number))),
        };
        Ok(())
    }

    fn advance(&mut self) -> Result<IOResult<()>, Failure> {
        let PagerIncarnation { table, .. } = &*self.incarnation;
        match &mut self.job {
            Job::None => Ok(IOResult::Done(())),
            Job::Post(post) => {
                let asked = |committed: Committed| table.asked(self.number, committed);
                Ok(post.step(asked)?.map(|committed| table.told(self.number, committed)))
            }
            Job::Glance(audit, told) | Job::Whole(audit, told) => match audit.step()? {
                IOResult::IO(io) => Ok(IOResult::IO(io)),
                IOResult::Done(found) => {
                    table.looked();
                    judge(found, *told).map(IOResult::Done).map_err(Failure::Broken)
                }
            },
            Job::Checkpoint(checkpoint) => Ok(checkpoint.step()?.map(|_| table.checkpointed())),
        }
    }

    /// An operation ended with an error: does a fault explain it?
    fn failed(&mut self, error: &PagerError) -> Result<Step, Box<Violation>> {
        self.incarnation.table.failed();
        let faults = self.incarnation.environment.faults();
        let since = |kind: FaultKind| match error {
            // A failed sync is remembered until the next life, and a write of an earlier commit may have failed long ago.
            PagerError::Poisoned { .. } | PagerError::EarlierCommitFailed { .. } => faults.struck(kind) > 0,
            _ => faults.struck_since(&self.began, kind),
        };
        let cancelled = matches!(error, PagerError::Io { .. } | PagerError::OutcomeUnknown { .. })
            && since(FaultKind::Cancelled);
        if !cancelled && !explanations(error).iter().copied().any(since) {
            let expected = "no error that no fault explains";
            return Err(Violation::safety("unexplained error", expected, error.to_string()));
        }
        Ok(if let PagerError::Poisoned { .. } = error { Step::Restart } else { Step::Ended })
    }
}

impl Connection for PagerConnection {
    fn step(&mut self) -> Result<Step, Box<Violation>> {
        let begun = if matches!(self.job, Job::None) { self.begin() } else { Ok(()) };
        let ended = match begun.map_err(Failure::from).and_then(|()| self.advance()) {
            Ok(IOResult::IO(io)) => return Ok(Step::from(io)),
            ended => ended,
        };
        self.job = Job::None;
        match ended {
            Ok(_) => Ok(Step::Ended),
            Err(Failure::Refused(error)) => self.failed(&error),
            Err(Failure::Broken(violation)) => Err(violation),
        }
    }

    fn describe(&self) -> &'static str {
        match self.job {
            Job::None => "nothing",
            Job::Post(_) => "a commit",
            Job::Glance(..) => "a look at a snapshot",
            Job::Whole(..) => "a look at everything",
            Job::Checkpoint(_) => "a checkpoint",
        }
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
