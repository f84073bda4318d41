//! What is found on the disk afterwards.

use tenterhook_runtime::io::OperationKind;

use super::golden_run::{CaseOutcome, GoldenRun};
use super::harness;
use super::plan;
use crate::disk::{Fate, FaultKind, Script, SimDisk};
use crate::trace::Trace;
use crate::violation::Violation;

/// The effect of a sync that drops what it covered, and reads go on returning it.
const STILL_READ: u32 = 1;

impl GoldenRun<'_> {
    /// What one restart finds on `disk`.
    pub(super) fn judge_recovery(
        &self,
        disk: &SimDisk,
        course: &CaseOutcome,
        is_whole: bool,
    ) -> Result<Option<String>, Box<Violation>> {
        self.count_run();
        let recovered = self.subject.recover(&disk.io());
        let recovered =
            recovered.map_err(|problem| Violation::safety("recovery", "a usable file", problem))?;
        if let Some(state) = &recovered {
            course.judge("durability", state, is_whole)?;
        }
        Ok(recovered)
    }

    /// What a restart finds on `disk`, where nothing is in flight. It may have been read: the next restart finds it, too,
    /// even after a power loss in between, and so does a restart after a later change.
    /// What the first has found, if anything is meant to survive.
    pub(super) fn judge_restarts(
        &self,
        disk: &SimDisk,
        is_whole: bool,
    ) -> Result<Option<String>, Box<Violation>> {
        let restarted = disk.copy();
        let Some(found) = self.judge_recovery(&restarted, &self.now, is_whole)? else { return Ok(None) };
        drop(restarted.cut_power());
        restarted.lose_unsynced();
        let again = self.judge_recovery(&restarted, &CaseOutcome::only(&found), true);
        again.map_err(|violation| {
            violation.note("it was there at a first restart, and then the power failed")
        })?;
        let is_whole = found == self.now.after;
        for way in 0..self.ways_on() {
            self.judge_resumed(&disk.copy(), way, is_whole).map_err(|violation| {
                violation.note(format!("after a restart another change (way {way}), then a power loss"))
            })?;
        }
        Ok(Some(found))
    }

    fn judge_resumed(&self, disk: &SimDisk, way: u32, is_whole: bool) -> Result<(), Box<Violation>> {
        self.count_run();
        let later = self.later(way);
        let resumed = self.subject.resume(&disk.io(), way);
        let state =
            resumed.map_err(|problem| Violation::safety("recovery", "a file that can be used", problem))?;
        later.judge("state", &state, is_whole)?;
        drop(disk.cut_power());
        disk.lose_unsynced();
        self.judge_recovery(disk, &CaseOutcome::only(&state), true).map(drop)
    }

    /// A restart that is interrupted is a crash of its own: before each of its changes, and after the last, everything is
    /// refused and the power goes. The next restart has to find one of `course`.
    pub(super) fn judge_broken_restarts(
        &self,
        disk: &SimDisk,
        course: &CaseOutcome,
        is_whole: bool,
    ) -> Result<(), Box<Violation>> {
        self.judge_cut_off(disk, course, is_whole, |broken| plan::ends(&broken.unsynced()))
    }

    /// The same one restart later. The first is killed before one of its changes, or one of its syncs fails: the next reads what
    /// the first has changed, although the disk may not have it, and is cut off by a power loss.
    pub(super) fn judge_restarts_broken_twice(
        &self,
        disk: &SimDisk,
        course: &CaseOutcome,
        is_whole: bool,
    ) -> Result<(), Box<Violation>> {
        let changes = self.changes(disk);
        let killed = changes.iter().map(|&(io, kind)| (io, kind, false));
        let failed = changes.iter().map(|&(io, kind)| (io, kind, true));
        for (io, kind, fails) in killed.chain(failed.filter(|&(_, kind, _)| kind == OperationKind::Sync)) {
            let first = disk.copy();
            let mut script = Script::default();
            (0..=io).for_each(|io| script.at_once(io));
            if !(fails && script.fault(io, kind, FaultKind::SyncDropped, STILL_READ)) {
                script.refuse_from(io);
            }
            first.follow(script);
            self.restart(&first);
            drop(first.cut_power());
            self.judge_cut_off(&first, course, is_whole, plan::ends_and_heads).map_err(|violation| {
                let how = if fails { "its sync failed at" } else { "it was killed before" };
                violation.note(format!("a restart before that one did not end: {how} I/O {io}"))
            })?;
        }
        Ok(())
    }

    /// Cuts a restart off before each of its changes, and after the last; of what is at stake then `fates` says what survives.
    fn judge_cut_off(
        &self,
        disk: &SimDisk,
        course: &CaseOutcome,
        is_whole: bool,
        fates: impl Fn(&SimDisk) -> Vec<Vec<Fate>>,
    ) -> Result<(), Box<Violation>> {
        let changes = self.changes(disk);
        let end = changes.last().map_or(0, |(io, _)| io + 1);
        for io in changes.iter().map(|&(io, _)| io).chain([end]) {
            let broken = disk.copy();
            let mut script = Script::default();
            (0..io).for_each(|io| script.at_once(io));
            script.refuse_from(io);
            broken.follow(script);
            self.restart(&broken);
            drop(broken.cut_power());
            for fates in fates(&broken) {
                let fallen = broken.copy();
                fallen.fall(&fates);
                fallen.oblige();
                self.judge_recovery(&fallen, course, is_whole).map_err(|violation| {
                    let cut_off = format!("a restart before was cut off after {io} I/Os by a power loss");
                    violation.note(format!("{cut_off}; of each file survived: {fates:?}"))
                })?;
            }
        }
        Ok(())
    }

    /// The I/Os of a restart on `disk` that change something, syncs among them.
    fn changes(&self, disk: &SimDisk) -> Vec<(u32, OperationKind)> {
        let submitted = self.restart(&disk.copy());
        (0..).zip(submitted).filter(|&(_, kind)| kind != OperationKind::Read).collect()
    }

    /// Lets a restart run as far as it comes; what it has submitted.
    fn restart(&self, disk: &SimDisk) -> Vec<OperationKind> {
        self.count_run();
        disk.begin_step(0, &mut Trace::new(false));
        // That it is refused is the point; what it finds undisturbed is judged elsewhere.
        let _ = self.subject.recover(&disk.io());
        harness::submitted(disk, Trace::new(true))
    }
}
