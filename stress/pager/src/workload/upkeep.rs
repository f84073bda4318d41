use tenterhook_runtime::IOResult;
use tenterhook_runtime::pager::{
    Checkpoint, CheckpointMode, CheckpointOutcome, CheckpointReport, IntegrityCheck, IntegrityProblem,
};

use super::{Failure, Fixture, Progress};
use crate::oracle::Observation;
use tenterhook_stress::sometimes;

/// One checkpoint.
pub(crate) struct Checkpoints {
    mode: CheckpointMode,
    machine: Checkpoint,
    /// Whether it has said that it waits for readers with the write lock.
    awaits_readers: bool,
}

impl Checkpoints {
    pub(crate) fn new(mode: CheckpointMode, fixture: &Fixture<'_>) -> Checkpoints {
        Checkpoints { mode, machine: fixture.pager.checkpoint(mode), awaits_readers: false }
    }

    pub(crate) fn step(&mut self, fixture: &mut Fixture<'_>) -> Result<Progress, Failure> {
        let stepped = self.machine.step();
        let awaits = self.machine.waits_for_readers() && self.machine.holds_up_writers();
        self.says_whether_it_awaits_readers(awaits && stepped.is_ok(), fixture)?;
        match stepped? {
            IOResult::IO(io) => {
                sometimes!(self.machine.waits_for_readers(), "a checkpoint waits for readers to end");
                sometimes!(awaits, "writers wait for a checkpoint that waits for readers");
                Ok(Progress::Wait(io))
            }
            IOResult::Done(report) => {
                fixture.tally.borrow_mut().checkpoints += 1;
                self.judge(&report, fixture)?;
                fixture.observe(&Observation::Checkpointed { sequence: report.sequence })?;
                sometimes!(
                    report.outcome == CheckpointOutcome::Complete && report.frames > 0,
                    "a checkpoint copies the whole log"
                );
                sometimes!(
                    report.outcome == CheckpointOutcome::Partial,
                    "a checkpoint leaves frames in the log"
                );
                sometimes!(report.outcome == CheckpointOutcome::AlreadyRunning, "two checkpoints overlap");
                fixture.tally.borrow_mut().complete_checkpoints += u64::from(matches!(
                    report.outcome,
                    CheckpointOutcome::Complete | CheckpointOutcome::Restarted
                ));
                Ok(Progress::Done)
            }
        }
    }
}

impl Checkpoints {
    /// It is about to be dropped.
    pub(crate) fn leave(&mut self, fixture: &mut Fixture<'_>) -> Result<(), Failure> {
        self.says_whether_it_awaits_readers(false, fixture)
    }

    fn says_whether_it_awaits_readers(
        &mut self,
        awaits: bool,
        fixture: &mut Fixture<'_>,
    ) -> Result<(), Failure> {
        let said = std::mem::replace(&mut self.awaits_readers, awaits);
        match (said, awaits) {
            // Each time: it may be others now.
            (_, true) => fixture.observe(&Observation::ReadersAwaited),
            (true, false) => fixture.observe(&Observation::ReadersAwaitedNoMore),
            _ => Ok(()),
        }
    }

    /// What a mode promises is so in the moment in which the checkpoint ends.
    fn judge(&self, report: &CheckpointReport, fixture: &mut Fixture<'_>) -> Result<(), Failure> {
        // With threads another commit may have come in between.
        if report.outcome == CheckpointOutcome::AlreadyRunning || fixture.raced {
            return Ok(());
        }
        let audit = fixture.pager.audit();
        let (promise, kept) = match self.mode {
            CheckpointMode::Passive => return Ok(()),
            CheckpointMode::Full => {
                ("a full checkpoint that copies all:", audit.log_checkpointed == audit.log_frames)
            }
            CheckpointMode::Restart | CheckpointMode::Truncate => {
                ("a log that is empty after its reset:", audit.log_frames == 0)
            }
        };
        sometimes!(
            report.outcome == CheckpointOutcome::Restarted && report.frames > 0,
            "a checkpoint copies the log and resets it"
        );
        let (expected, seen) = (1, i64::from(kept));
        fixture.observe(&Observation::Invariant { sequence: report.sequence, what: promise, expected, seen })
    }
}

/// One check of the whole file by the pager itself.
pub(crate) struct CheckIntegrity {
    machine: IntegrityCheck,
    at_rest: bool,
}

impl CheckIntegrity {
    /// `at_rest` says that no fault and no transaction can be behind a problem.
    pub(crate) fn new(at_rest: bool, fixture: &Fixture<'_>) -> CheckIntegrity {
        CheckIntegrity { machine: fixture.pager.check_integrity(), at_rest }
    }

    pub(crate) fn step(&mut self, fixture: &mut Fixture<'_>) -> Result<Progress, Failure> {
        let report = match self.machine.step()? {
            IOResult::IO(io) => return Ok(Progress::Wait(io)),
            IOResult::Done(report) => report,
        };
        fixture.tally.borrow_mut().checks += 1;
        fixture.observe(&Observation::Checked { report: &report, at_rest: self.at_rest })?;
        // A page that could not be read is an error like that of any other operation.
        let unread = report.problems.into_iter().find_map(|problem| match problem {
            IntegrityProblem::Damaged(error) => Some(error),
            _ => None,
        });
        match unread {
            Some(error) => Err(Failure::Pager(error)),
            None => Ok(Progress::Done),
        }
    }
}
