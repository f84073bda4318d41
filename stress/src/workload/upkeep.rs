use tenterhook_runtime::IOResult;
use tenterhook_runtime::pager::{Checkpoint, CheckpointOutcome, IntegrityCheck, IntegrityProblem};

use super::{Bench, Failure, Progress};
use crate::oracle::Observation;
use crate::sometimes;

/// One checkpoint.
pub(crate) struct Checkpoints {
    machine: Checkpoint,
}

impl Checkpoints {
    pub(crate) fn new(bench: &Bench<'_>) -> Checkpoints {
        Checkpoints { machine: bench.pager.checkpoint() }
    }

    pub(crate) fn step(&mut self, bench: &mut Bench<'_>) -> Result<Progress, Failure> {
        match self.machine.step()? {
            IOResult::IO(io) => Ok(Progress::Wait(io)),
            IOResult::Done(report) => {
                bench.tally.checkpoints += 1;
                bench.observe(&Observation::Checkpointed { sequence: report.sequence })?;
                sometimes!(
                    report.outcome == CheckpointOutcome::Complete && report.frames > 0,
                    "a checkpoint moves all of the log"
                );
                sometimes!(
                    report.outcome == CheckpointOutcome::Partial,
                    "a checkpoint has to leave something in the log"
                );
                sometimes!(report.outcome == CheckpointOutcome::AlreadyRunning, "two checkpoints meet");
                bench.tally.complete_checkpoints += u64::from(report.outcome == CheckpointOutcome::Complete);
                Ok(Progress::Done)
            }
        }
    }
}

/// One check of the whole file by the pager itself.
pub(crate) struct CheckIntegrity {
    machine: IntegrityCheck,
    at_rest: bool,
}

impl CheckIntegrity {
    /// `at_rest` says that no fault and no transaction can be behind a problem.
    pub(crate) fn new(at_rest: bool, bench: &Bench<'_>) -> CheckIntegrity {
        CheckIntegrity { machine: bench.pager.check_integrity(), at_rest }
    }

    pub(crate) fn step(&mut self, bench: &mut Bench<'_>) -> Result<Progress, Failure> {
        let report = match self.machine.step()? {
            IOResult::IO(io) => return Ok(Progress::Wait(io)),
            IOResult::Done(report) => report,
        };
        bench.tally.checks += 1;
        bench.observe(&Observation::Checked { report: &report, at_rest: self.at_rest })?;
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
