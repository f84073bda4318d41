use tenterhook_runtime::pager::PagerError;

use super::connection::MODES;
use crate::oracle::Observation;
use crate::workload::{Bench, CheckIntegrity, Checkpoints, Failure, Progress};
use tenterhook_stress::system::{Context, Step};
use tenterhook_stress::tape::Site;
use tenterhook_stress::violation::Violation;

const CHECKPOINT: Site = Site::new(0, "rest: checkpoint");

/// Looks a pager over while nobody uses it and no fault strikes.
#[derive(Default)]
pub(super) struct Rest {
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

impl Rest {
    pub(super) fn step(
        &mut self,
        bench: &mut Bench<'_>,
        context: &mut Context<'_>,
    ) -> Result<Step, Box<Violation>> {
        match self.advance(bench, context) {
            Ok(step) => Ok(step),
            Err(Failure::Violation(violation)) => Err(violation.note("while at rest")),
            Err(Failure::Pager(error)) => {
                let what = self.describe();
                let is_poison = matches!(error, PagerError::Poisoned { .. }) && bench.pager.audit().poisoned;
                let cause = is_poison.then_some("an earlier failed sync");
                bench
                    .oracles
                    .observe(&Observation::Failed { what: "a check at rest", error: &error, cause })
                    .map_err(|violation| violation.note(format!("while at rest, in {what}")))?;
                self.stage = Stage::SettleAgain;
                Ok(Step::Continue)
            }
        }
    }

    fn advance(&mut self, bench: &mut Bench<'_>, context: &mut Context<'_>) -> Result<Step, Failure> {
        let progress = match &mut self.stage {
            Stage::Settle | Stage::SettleAgain => {
                if !is_settled(bench, context)? {
                    return Ok(Step::Yield);
                }
                Progress::Done
            }
            Stage::Checkpoint(checkpoint) => checkpoint.step(bench)?,
            Stage::Check(check) => check.step(bench)?,
        };
        match progress {
            Progress::More => Ok(Step::Continue),
            Progress::Wait(io) => Ok(Step::from(io)),
            Progress::Done => Ok(self.next(bench, context)),
        }
    }

    /// The stage has ended: begin the next one.
    fn next(&mut self, bench: &Bench<'_>, context: &mut Context<'_>) -> Step {
        let mut wants_checkpoint =
            || context.lane.choose(CHECKPOINT, 2) == 1 && !bench.pager.audit().poisoned;
        let (next, step) = match self.stage {
            Stage::Settle if wants_checkpoint() => {
                let mode = MODES[context.lane.choose(CHECKPOINT, MODES.len() as u32) as usize];
                (Stage::Checkpoint(Checkpoints::new(mode, bench)), Step::Continue)
            }
            Stage::Settle | Stage::Checkpoint(_) => {
                (Stage::Check(CheckIntegrity::new(true, bench)), Step::Continue)
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
fn is_settled(bench: &mut Bench<'_>, context: &Context<'_>) -> Result<bool, Failure> {
    let (in_flight, _) = context.disk.load();
    if in_flight == 0 {
        bench.observe(&Observation::AtRest(&bench.pager.audit()))?;
    }
    Ok(in_flight == 0)
}
