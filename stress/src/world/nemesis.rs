use std::collections::BTreeMap;

use crate::disk::{DiskStatus, Struck};
use crate::system::Crash;
use crate::tape::{Actor, Address, Chance, ChoicePoint, Place, Stream, Tape};

const LIFE: ChoicePoint = ChoicePoint::new(0, "life");
const EARLY: ChoicePoint = ChoicePoint::new(1, "early");
const KIND: ChoicePoint = ChoicePoint::new(2, "kind");
const REST: ChoicePoint = ChoicePoint::new(3, "rest");
const CLEANUP: ChoicePoint = ChoicePoint::new(4, "clean-up");
const SYNC: ChoicePoint = ChoicePoint::new(5, "failed sync");
const SYNC_LIFE: ChoicePoint = ChoicePoint::new(6, "life after a failed sync");
const CRASH_TURN: ChoicePoint = ChoicePoint::new(7, "turn of the crash");
const REST_TURN: ChoicePoint = ChoicePoint::new(8, "turn of a rest");
const END_TURN: ChoicePoint = ChoicePoint::new(9, "turn of the end");

/// Whether the choice point of that number is the turn of a crash, of a rest or of the end.
pub(crate) fn is_cut(choice_point: u8) -> bool {
    [CRASH_TURN, REST_TURN, END_TURN].iter().any(|turn| turn.index() == choice_point)
}

/// More rests in a row than a shrinker has taken off one life.
const MANY_RESTS: u32 = 64;

/// A life that ends early ends within this many steps: while the system recovers, or soon after.
const EARLY_STEPS: u32 = 300;

/// After a failed sync the power goes before this many further changes of the disk have ended: while others still trust
/// what they have seen. Counted in changes, for it is they that a power loss tells apart, and steps are mostly reads.
const FAILED_SYNC_CHANGES: u32 = 16;

/// When lives end and when they rest.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct NemesisOptions {
    /// Mean length of a life in steps; 0 means that lives do not end before the run does.
    pub mean_life: u32,
    /// Share of lives that end early, most of them inside recovery.
    pub early: Chance,
    /// Share of crashes in which the process is killed and the machine lives on.
    pub killed: Chance,
    /// Share of failed syncs after which the power goes before long, the process killed in between or not: only then it
    /// shows what they have lost.
    pub failed_syncs: Chance,
    /// Mean number of steps between two rests.
    pub mean_quiesce: u32,
    /// Power is never lost. After each rest, with nothing under way, the process ends and starts again.
    pub drained_only: bool,
}

impl Default for NemesisOptions {
    /// One life, rests now and then.
    fn default() -> Self {
        NemesisOptions {
            mean_life: 0,
            early: Chance::NEVER,
            killed: Chance::NEVER,
            failed_syncs: Chance::NEVER,
            mean_quiesce: 1_000,
            drained_only: false,
        }
    }
}

/// What ends a stretch of work.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Cut {
    Crash,
    Rest,
    End,
}

/// Draws the end of lives and their rests.
#[derive(Debug)]
pub(super) struct Nemesis {
    /// The tape's turns say when.
    in_turns: bool,
    /// How many rests this life has had.
    rests: u32,
    /// The first of the tape's rests that has not come yet.
    rests_replayed: u32,
    options: NemesisOptions,
    stream: Stream,
    lives: u64,
    crash_at: Option<u64>,
    /// How many changes of the disk have ended when the power goes after a failed sync.
    power_fails_at: Option<u64>,
    disk_changes: u64,
    sync_failed: Struck,
    rest_at: u64,
    last_life: bool,
}

impl Nemesis {
    pub(super) fn new(options: NemesisOptions, stream: Stream, in_turns: bool) -> Nemesis {
        Nemesis {
            in_turns,
            rests: 0,
            rests_replayed: 0,
            options,
            stream,
            lives: 0,
            crash_at: None,
            power_fails_at: None,
            disk_changes: 0,
            sync_failed: Struck::default(),
            rest_at: u64::MAX,
            last_life: false,
        }
    }

    pub(super) fn begin_life(&mut self, now: u64) {
        self.lives += 1;
        self.stream.enter(Address::operation(self.life(), Actor::NEMESIS, 0));
        (self.rests, self.rests_replayed) = (0, 0);
        self.draw_end(now);
        self.rest_at = u64::MAX;
    }

    /// The tape ends here: from here on ends and rests are drawn, as if the life had just begun.
    pub(super) fn leave_tape(&mut self, now: u64) {
        self.in_turns = false;
        self.stream.leave_tape();
        self.draw_end(now);
        self.draw_rest(now);
    }

    pub(super) fn names(&self) -> BTreeMap<u8, &'static str> {
        self.stream.names()
    }

    fn draw_end(&mut self, now: u64) {
        let mean = self.options.mean_life;
        self.crash_at = match mean {
            0 => None,
            _ if self.in_turns => None,
            _ => {
                let early = self.stream.happens(EARLY, self.options.early);
                let bound = if early { EARLY_STEPS } else { mean.saturating_mul(2) };
                // 0, the default choice, is a life that does not end by itself.
                let steps = self.stream.choose(LIFE, bound);
                (steps > 0).then_some(now + u64::from(steps))
            }
        };
    }

    pub(super) fn booted(&mut self, now: u64) {
        self.draw_rest(now);
    }

    /// What failed syncs have left has been looked over.
    pub(super) fn quiesced(&mut self, now: u64) {
        self.power_fails_at = None;
        self.draw_rest(now);
    }

    /// The present life, counted from 0.
    pub(super) fn life(&self) -> u32 {
        self.lives.saturating_sub(1) as u32
    }

    /// Where the turn of the next cut of a kind is on a tape.
    pub(super) fn place_of(&self, cut: Cut) -> Place {
        let (choice_point, occurrence) = match cut {
            Cut::Crash => (CRASH_TURN, 0),
            Cut::Rest => (REST_TURN, self.rests),
            Cut::End => (END_TURN, 0),
        };
        let address = Address::operation(self.life(), Actor::NEMESIS, 0);
        Place { address, choice_point: choice_point.index(), occurrence }
    }

    /// The cut that comes before everything of `turn` or later, with its turn, if turns say when and `allows` lets it be.
    pub(super) fn cut_before(&self, turn: u32, allows: impl Fn(Cut) -> bool) -> Option<(u32, Cut)> {
        if !self.in_turns {
            return None;
        }
        let cuts = [Cut::Crash, Cut::Rest, Cut::End].into_iter().filter(|&cut| allows(cut));
        let cuts = cuts.filter_map(|cut| {
            let choice_point = self.place_of(cut).choice_point;
            let occurrence = if cut == Cut::Rest { self.next_rest()? } else { 0 };
            let at = self.stream.recorded(choice_point, occurrence).checked_sub(1)?;
            (at <= turn).then_some((at, cut))
        });
        cuts.min_by_key(|&(at, _)| at)
    }

    /// How the life ends whose crash comes by its turn.
    pub(super) fn draw_kind(&mut self) -> Crash {
        if self.stream.happens(KIND, self.options.killed) { Crash::ProcessKilled } else { Crash::PowerLoss }
    }

    /// The next rest that the tape has: those before it may have been taken off.
    fn next_rest(&self) -> Option<u32> {
        let has = |&occurrence: &u32| self.stream.recorded(REST_TURN.index(), occurrence) > 0;
        (self.rests_replayed..self.rests_replayed + MANY_RESTS).find(has)
    }

    /// A rest begins.
    pub(super) fn rests(&mut self) {
        self.rests_replayed = self.next_rest().unwrap_or(self.rests_replayed) + 1;
        self.rests += 1;
    }

    fn draw_rest(&mut self, now: u64) {
        if self.in_turns {
            return;
        }
        let bound = self.options.mean_quiesce.saturating_mul(2);
        let steps = self.stream.choose(REST, bound);
        self.rest_at = if steps == 0 { u64::MAX } else { now + u64::from(steps) };
    }

    pub(super) fn quiesces_at(&self, now: u64) -> bool {
        now >= self.rest_at
    }

    /// Power was lost, and with it what failed syncs had left, up to the `last`.
    pub(super) fn power_lost(&mut self, last: Struck) {
        self.power_fails_at = None;
        self.sync_failed = last;
    }

    /// Learns how the disk stands.
    pub(super) fn look_at(&mut self, disk: &DiskStatus) {
        self.disk_changes = disk.changes;
        if disk.sync_failed == self.sync_failed {
            return;
        }
        self.sync_failed = disk.sync_failed;
        if self.in_turns {
            return;
        }
        if self.power_fails_at.is_none() && self.stream.happens(SYNC, self.options.failed_syncs) {
            let more = self.stream.choose(SYNC_LIFE, FAILED_SYNC_CHANGES);
            self.power_fails_at = Some(disk.changes + u64::from(more));
        }
    }

    pub(super) fn crashes_at(&mut self, now: u64) -> Option<Crash> {
        if self.power_fails_at.is_some_and(|at| self.disk_changes >= at) {
            return Some(Crash::PowerLoss);
        }
        if self.crash_at.is_none_or(|at| now < at) {
            return None;
        }
        self.crash_at = None;
        Some(self.draw_kind())
    }

    /// Nothing happens before the next crash: it comes now.
    pub(super) fn hasten_crash(&mut self, now: u64) -> bool {
        self.crash_at = self.crash_at.map(|_| now);
        self.power_fails_at = self.power_fails_at.map(|_| 0);
        self.crash_at.is_some() || self.power_fails_at.is_some()
    }

    /// How a life ends that has just rested, if it does.
    pub(super) fn reopens_after_quiesce(&self) -> bool {
        self.options.drained_only
    }

    /// Whether a life may end at any moment. A killed process leaves what a power loss may leave.
    pub(super) fn may_crash(&self) -> bool {
        self.options.mean_life > 0 && !self.options.drained_only
    }

    /// How the run's last life but one ends.
    pub(super) fn last_crash(&self) -> Crash {
        if self.options.drained_only { Crash::ProcessKilled } else { Crash::PowerLoss }
    }

    pub(super) fn drops_operations_first(&mut self) -> bool {
        self.stream.choose(CLEANUP, 2) == 0
    }

    pub(super) fn lives(&self) -> u64 {
        self.lives
    }

    pub(super) fn begin_last_life(&mut self) {
        self.last_life = true;
    }

    pub(super) fn is_last_life(&self) -> bool {
        self.last_life
    }

    pub(super) fn save(&mut self, tape: &mut Tape) {
        if let Some(record) = self.stream.take_record() {
            tape.insert(record);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::{FaultCounts, FaultKind};
    use crate::tape::Source;

    fn nemesis(seed: u64, failed_syncs: u32) -> Nemesis {
        let options =
            NemesisOptions { failed_syncs: Chance::per_mille(failed_syncs), ..NemesisOptions::default() };
        let mut nemesis = Nemesis::new(options, Source::Seed(seed).stream(Actor::NEMESIS, false), false);
        nemesis.begin_life(0);
        nemesis
    }

    /// A disk of which so many syncs have failed.
    fn disk(changes: u64, failed: u32) -> DiskStatus {
        let mut counts = FaultCounts::default();
        (0..failed).for_each(|_| counts.strike(FaultKind::SyncFailed));
        DiskStatus { due: 0, next_due: None, struck: counts.struck(), sync_failed: counts.struck(), changes }
    }

    /// How many changes end after a failed sync before the power goes.
    fn changes_until_power_fails(nemesis: &mut Nemesis) -> Option<u64> {
        (0..100).find(|&more| {
            nemesis.look_at(&disk(10 + more, 1));
            nemesis.crashes_at(1) == Some(Crash::PowerLoss)
        })
    }

    /// One that has just seen a sync fail.
    fn alarmed(seed: u64) -> Nemesis {
        let mut nemesis = nemesis(seed, 1000);
        nemesis.look_at(&disk(10, 1));
        nemesis
    }

    #[test]
    fn the_power_goes_soon_after_a_failed_sync_and_once() {
        let mut moments = std::collections::BTreeSet::new();
        for seed in 0..200 {
            let mut nemesis = nemesis(seed, 1000);
            nemesis.look_at(&disk(10, 0));
            assert_eq!(nemesis.crashes_at(1), None, "no sync has failed");
            moments.extend(changes_until_power_fails(&mut nemesis));
            nemesis.power_lost(disk(0, 1).sync_failed);
            assert_eq!(changes_until_power_fails(&mut nemesis), None, "that failure has had its end");
        }
        assert_eq!(moments, (0..u64::from(FAILED_SYNC_CHANGES)).collect());
    }

    #[test]
    fn the_power_goes_after_a_kill_too_and_stays_after_a_rest_or_another_loss() {
        assert_eq!(changes_until_power_fails(&mut nemesis(1, 0)), None, "it is not to go");
        let mut killed = alarmed(1);
        killed.begin_life(2);
        assert!(changes_until_power_fails(&mut killed).is_some());
        let mut rested = alarmed(1);
        rested.quiesced(2);
        assert_eq!(changes_until_power_fails(&mut rested), None);
        let mut dark = alarmed(1);
        dark.power_lost(disk(0, 2).sync_failed);
        let relapses = (0..100).any(|more| {
            dark.look_at(&disk(10 + more, 2));
            dark.crashes_at(1).is_some()
        });
        assert!(!relapses, "the second failure was over, too");
    }

    #[test]
    fn the_loss_is_hastened_when_nothing_else_is_left_to_happen() {
        let mut nemesis = alarmed(1);
        nemesis.power_fails_at = Some(99);
        assert!(nemesis.hasten_crash(1));
        assert_eq!(nemesis.crashes_at(1), Some(Crash::PowerLoss));
    }
}
