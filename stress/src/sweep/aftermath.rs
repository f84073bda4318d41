//! What comes after a case: the harm that it has done may show only then.

use std::fmt;

use tenterhook_runtime::io::OperationKind;

use super::plan;
use super::rehearsal::Rehearsal;
use super::theatre;
use crate::disk::{Script, SimDisk};
use crate::trace::Trace;
use crate::violation::Violation;

/// What happens when the operation is over. Each case is run once for each.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Aftermath {
    /// The state is looked at, and the process dies: what was written is there.
    Killed,
    /// The power goes at once: what was not synced is gone.
    PowerLost,
    /// The state is looked at, somebody goes on in this way, and then the power goes.
    WentOn(u32),
}

impl Aftermath {
    /// All, if there are so many ways to go on.
    pub(super) fn all(ways_on: u32) -> impl Iterator<Item = Aftermath> {
        [Aftermath::Killed, Aftermath::PowerLost].into_iter().chain((0..ways_on).map(Aftermath::WentOn))
    }
}

impl fmt::Display for Aftermath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Aftermath::Killed => f.write_str("when it was over the process was killed"),
            Aftermath::PowerLost => {
                f.write_str("when it was over the power failed, and nothing unsynced survived")
            }
            Aftermath::WentOn(way) => write!(
                f,
                "when it was over somebody went on (way {way}), then the power failed, and nothing unsynced survived"
            ),
        }
    }
}

impl Rehearsal<'_> {
    /// A recovery that is interrupted is a crash of its own: before each of its changes everything is refused, the power
    /// goes, and the next recovery has to find what this one would have found.
    pub(super) fn judge_broken_recoveries(
        &self,
        disk: &SimDisk,
        is_whole: bool,
    ) -> Result<(), Box<Violation>> {
        let submitted = self.recovery_of(&disk.copy());
        let changes = (0_u32..).zip(submitted).filter(|&(_, kind)| kind != OperationKind::Read);
        for (io, kind) in changes {
            let broken = disk.copy();
            let mut script = Script::default();
            (0..io).for_each(|io| script.at_once(io));
            script.refuse_from(io);
            broken.follow(script);
            self.recovery_of(&broken);
            drop(broken.cut_power());
            for fates in plan::together(&broken.unsynced()) {
                let fallen = broken.copy();
                fallen.fall(&fates);
                fallen.oblige();
                self.judge_recovery(&fallen, &self.now, is_whole).map_err(|violation| {
                    violation.note(format!(
                        "a recovery before was cut off by a loss of power before its I/O {io}, a {kind:?}, which left {fates:?}"
                    ))
                })?;
            }
        }
        Ok(())
    }

    /// Lets a restart run as far as it comes; what it has submitted.
    fn recovery_of(&self, disk: &SimDisk) -> Vec<OperationKind> {
        self.count_run();
        disk.begin_step(0, &mut Trace::new(false));
        // That it is refused is the point; what it finds undisturbed is judged elsewhere.
        let _ = self.subject.recover(&disk.io());
        theatre::submitted(disk, Trace::new(true))
    }
}
