//! What comes after a case: the fault that it has done may show only then.

use std::fmt;

use super::case::Case;
use super::golden_run::{CaseOutcome, GoldenRun, Injected};
use super::harness::Harness;
use super::plan;
use crate::disk::{Fate, FaultKind};
use crate::violation::Violation;

/// What happens when the operation is over. Each case is run once for each.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Aftermath {
    /// The state is looked at, and the process dies: what was written is there.
    Killed,
    /// The power goes at once, with what was not synced, all of it or some.
    PowerLost,
    /// The state is checked, the next change is made in this way, and then the power is lost.
    WentOn(u32),
    /// The next change is made in this way while the operation's I/O is still in flight, and then the power is lost.
    HurriedOn(u32),
    /// The power fails, and the disk has all that was written. The next restart is killed or its sync fails, and the one after it is
    /// cut off.
    BrokenTwice,
}

impl Aftermath {
    /// All of `case`, if there are so many ways to go on. Of a gentle case nothing is in flight when it is over. Two broken
    /// restarts follow a failed write only.
    pub(super) fn all(ways_on: u32, case: &Case) -> impl Iterator<Item = Aftermath> {
        let is_gentle = matches!(case, Case::Undisturbed | Case::Pending(_) | Case::Disturbed(_));
        let hurried = if is_gentle { 0..0 } else { 0..ways_on };
        let on = (0..ways_on).map(Aftermath::WentOn).chain(hurried.map(Aftermath::HurriedOn));
        let twice =
            matches!(case, Case::Fault(_, FaultKind::WriteError, _)).then_some(Aftermath::BrokenTwice);
        [Aftermath::Killed, Aftermath::PowerLost].into_iter().chain(on).chain(twice)
    }
}

impl fmt::Display for Aftermath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("when it was over ")?;
        match self {
            Aftermath::Killed => f.write_str("the process was killed"),
            Aftermath::PowerLost => f.write_str("the power failed"),
            Aftermath::WentOn(way) => write!(f, "another change (way {way}), then a power loss"),
            Aftermath::HurriedOn(way) => {
                write!(f, "another change at once (way {way}), then a power loss")
            }
            Aftermath::BrokenTwice => f.write_str("the power failed, and the next two restarts did not end"),
        }
    }
}

impl GoldenRun<'_> {
    /// Lets one aftermath happen to an operation that is over, and holds what comes of it against the promise.
    pub(super) fn judge_aftermath(
        &self,
        mut harness: Harness,
        aftermath: Aftermath,
        is_whole: bool,
        injected: Injected,
    ) -> Result<(), Box<Violation>> {
        match aftermath {
            Aftermath::PowerLost => self.judge_power_loss(harness, is_whole, injected),
            Aftermath::BrokenTwice => {
                let disk = harness.cut_power();
                disk.fall(&vec![Fate::Everything; disk.unsynced().len()]);
                disk.oblige();
                self.judge_restarts_broken_twice(&disk, &self.now, is_whole)
            }
            Aftermath::HurriedOn(way) => {
                harness.disk.oblige();
                self.judge_going_on(harness, way, is_whole, injected)
            }
            Aftermath::Killed | Aftermath::WentOn(_) => {
                let state = harness.state()?;
                self.now.judge("state", &state, is_whole)?;
                // What may have been read has happened.
                let is_whole = is_whole || state == self.now.after;
                if let Aftermath::WentOn(way) = aftermath {
                    return self.judge_going_on(harness, way, is_whole, injected);
                }
                let disk = harness.close();
                drop(disk.kill_process());
                let found = self.judge_restarts(&disk, is_whole)?;
                // What has been found is not durable before the restart has ended.
                if injected == Injected::None || found.is_none() {
                    return Ok(());
                }
                self.judge_broken_restarts(&disk, &self.now, is_whole)
            }
        }
    }

    /// After a fault a restart is itself cut off: what the fault has left and what the first restart makes of it meet.
    fn judge_power_loss(
        &self,
        harness: Harness,
        is_whole: bool,
        injected: Injected,
    ) -> Result<(), Box<Violation>> {
        let disk = harness.cut_power();
        for fates in plan::together(&disk.unsynced()) {
            let fallen = disk.copy();
            fallen.fall(&fates);
            fallen.oblige();
            let broken = || match injected {
                Injected::None => Ok(()),
                Injected::Errors | Injected::Refusals => {
                    self.judge_broken_restarts(&fallen.copy(), &self.now, is_whole)
                }
            };
            let judged = broken().and_then(|()| self.judge_recovery(&fallen, &self.now, is_whole));
            judged.map_err(|violation| violation.note(format!("of each file survived: {fates:?}")))?;
        }
        Ok(())
    }

    fn judge_going_on(
        &self,
        mut harness: Harness,
        way: u32,
        is_whole: bool,
        injected: Injected,
    ) -> Result<(), Box<Violation>> {
        let refused = match harness.stage.go_on(way) {
            Ok(()) => false,
            Err(_) if injected == Injected::Refusals => true,
            Err(refusal) => {
                let expected = "the next change is not refused";
                return Err(Violation::safety("leaks", expected, format!("the error: {refusal}")));
            }
        };
        let course = if refused { &self.now } else { self.later(way) };
        let state = harness.state()?;
        course.judge("state", &state, is_whole)?;
        let disk = harness.cut_power();
        disk.lose_unsynced();
        if refused {
            // Nothing was acknowledged, but what may have been read is there.
            return self.judge_recovery(&disk, course, is_whole || state == course.after).map(drop);
        }
        self.judge_recovery(&disk, &CaseOutcome::only(&state), true).map(drop)
    }
}
