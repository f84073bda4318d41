use tenterhook_runtime::pager::PagerError;

use super::cause;
use super::connection::MODES;
use crate::oracle::Observation;
use crate::workload::{CheckIntegrity, Checkpoints, Failure, Fixture, Progress};
use tenterhook_stress::disk::Struck;
use tenterhook_stress::system::{Context, Step};
use tenterhook_stress::tape::ChoicePoint;
use tenterhook_stress::violation::Violation;

const CHECKPOINT: ChoicePoint = ChoicePoint::new(0, "rest: checkpoint");

/// Checks a pager at rest: no connection uses it and no fault strikes.
#[derive(Default)]
pub(super) struct Quiesce {
    stage: Stage,
}

#[derive(Default)]
enum Stage {
    /// Operations of machines that were dropped may still be in flight.
    #[default]
    Settle,
    Checkpoint(Checkpoints),
    Check(CheckIntegrity),
    /// The check itself must leave nothing behind.
    SettleAgain,
}

impl Quiesce {
    pub(super) fn step(
        &mut self,
        at_birth: Struck,
        fixture: &mut Fixture<'_>,
        context: &mut Context<'_>,
    ) -> Result<Step, Box<Violation>> {
        match self.advance(fixture, context) {
            Ok(step) => Ok(step),
            Err(Failure::Violation(violation)) => Err(violation.note("while at rest")),
            Err(Failure::Pager(error)) => {
                let what = self.describe();
                // No fault strikes now. That a sync has failed before is the disk's to say, and the pager's.
                let is_poison =
                    matches!(error, PagerError::Poisoned { .. }) && fixture.pager.audit().poisoned;
                let cause = if is_poison { cause(&error, at_birth, at_birth, context) } else { None };
                fixture
                    .oracles
                    .borrow_mut()
                    .observe(&Observation::Failed { what: "a check at rest", error: &error, cause })
                    .map_err(|violation| violation.note(format!("while at rest, in {what}")))?;
                self.stage = Stage::SettleAgain;
                Ok(Step::Continue)
            }
        }
    }

    fn advance(&mut self, fixture: &mut Fixture<'_>, context: &mut Context<'_>) -> Result<Step, Failure> {
        let progress = match &mut self.stage {
            Stage::Settle | Stage::SettleAgain => {
                if !is_settled(fixture, context)? {
                    return Ok(Step::Yield);
                }
                Progress::Done
            }
            Stage::Checkpoint(checkpoint) => checkpoint.step(fixture)?,
            Stage::Check(check) => check.step(fixture)?,
        };
        match progress {
            Progress::More => Ok(Step::Continue),
            Progress::Wait(io) => Ok(Step::from(io)),
            Progress::Done => Ok(self.next(fixture, context)),
        }
    }

    /// The stage has ended: begin the next one.
    fn next(&mut self, fixture: &Fixture<'_>, context: &mut Context<'_>) -> Step {
        let mut wants_checkpoint =
            || context.stream.choose(CHECKPOINT, 2) == 1 && !fixture.pager.audit().poisoned;
        let (next, step) = match self.stage {
            Stage::Settle if wants_checkpoint() => {
                let mode = MODES[context.stream.choose(CHECKPOINT, MODES.len() as u32) as usize];
                (Stage::Checkpoint(Checkpoints::new(mode, fixture)), Step::Continue)
            }
            Stage::Settle | Stage::Checkpoint(_) => {
                (Stage::Check(CheckIntegrity::new(true, fixture)), Step::Continue)
            }
            Stage::Check(_) => (Stage::SettleAgain, Step::Continue),
            Stage::SettleAgain => (Stage::Settle, Step::Ended),
        };
        self.stage = next;
        step
    }

    /// What it is doing.
    pub(super) fn describe(&self) -> String {
        let what = match self.stage {
            Stage::Settle | Stage::SettleAgain => "the wait for the disk to fall silent",
            Stage::Checkpoint(_) => "the checkpoint at rest",
            Stage::Check(_) => "the integrity check at rest",
        };
        what.into()
    }
}

/// Whether the disk is silent; if it is, the pager must be idle.
fn is_settled(fixture: &mut Fixture<'_>, context: &Context<'_>) -> Result<bool, Failure> {
    let (in_flight, _) = context.disk.load();
    if in_flight == 0 {
        fixture.observe(&Observation::AtRest(&fixture.pager.audit()))?;
    }
    Ok(in_flight == 0)
}
