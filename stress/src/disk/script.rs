//! A disk that does what it is told: one run's choices, written down instead of drawn.

use std::path::Path;

use tenterhook_runtime::io::OperationKind;

use super::crash::{CUT, PATTERN, SECTOR, SURVIVES, TEAR_AT, TEARS};
use super::file::Change;
use super::odds::{Odds, READ_FAULTS, SYNC_FAULTS, TRUNCATE_FAULTS, WRITE_FAULTS};
use super::{
    CANCEL, DROPPED, DiskOptions, EFFECT, FAULT, FaultKind, FaultPlan, IMMEDIATE, LENGTH, REFUSE, SimDisk,
    Wreck,
};
use crate::tape::{Actor, Address, CHOICE_POINTS, Chance, ChoicePoint, Place, Source, Tape};

/// What is to happen to the operations that are submitted from now on. Whatever is not said is default: an operation is
/// pending until it is delivered, and ends well.
#[derive(Clone, Debug, Default)]
pub struct Script {
    tape: Tape,
    /// How often each choice point is said.
    said: [u32; CHOICE_POINTS],
}

/// What a power loss leaves of one file's unsynced changes.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fate {
    /// None of them.
    Nothing,
    /// All.
    Everything,
    /// Those before this one.
    UpTo(u32),
    /// Every sector but this one, counted over all of them.
    AllBut(u32),
    /// This sector only.
    Only(u32),
    /// Every sector, and of this one only the head.
    Torn(u32),
    /// The first bytes of this sector only.
    Head(u32),
}

/// How much of a file has not been synced.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Unsynced {
    /// Writes and truncations.
    pub changes: u32,
    /// Sectors of writes, and truncations.
    pub sectors: u32,
}

/// More operations and changes than one case has.
const MANY: u32 = 1024;

/// The last byte of a sector's head. One cut of many: some fields at the beginning of a sector are in it, and a checksum behind
/// them is not.
const HEAD: u32 = 43;

/// How far part of an operation comes: into its first sector, and into its second if it has one.
const PARTS: [u32; 2] = [200, 600];

const OBLIGING: DiskOptions = DiskOptions {
    max_delay: 1,
    max_sync_delay: 1,
    max_read_delay: 1,
    immediate: Chance::per_million(1_000_000),
    faults: FaultPlan::NONE,
};

impl Script {
    /// The `occurrence`-th operation ends inside `submit`.
    pub fn at_once(&mut self, occurrence: u32) {
        self.set(IMMEDIATE, occurrence, 1);
    }

    /// `fault` befalls the `occurrence`-th operation, which is of `kind`, and has the `effect`-th of its effects. Returns
    /// whether it can.
    pub fn fault(&mut self, occurrence: u32, kind: OperationKind, fault: FaultKind, effect: u32) -> bool {
        if effect >= effects(fault) {
            return false;
        }
        if fault == FaultKind::SubmitRefused {
            self.set(REFUSE, occurrence, 1);
            return true;
        }
        let Some(index) = faults(kind).iter().position(|&known| known == fault) else { return false };
        self.set(FAULT, occurrence, index as u32 + 1);
        self.effect(fault, effect);
        true
    }

    /// Every operation from the `occurrence`-th on is refused.
    pub fn refuse_from(&mut self, occurrence: u32) {
        (occurrence..occurrence + MANY).for_each(|occurrence| self.set(REFUSE, occurrence, 1));
    }

    fn effect(&mut self, fault: FaultKind, effect: u32) {
        match fault {
            FaultKind::WriteError => {
                let (done, length) = [(0, 0), (1, PARTS[0]), (1, PARTS[1]), (2, 0)][effect as usize];
                self.set(EFFECT, 0, done);
                self.set(LENGTH, 0, length);
            }
            // What is gone is still read (odd) or not; gone are all changes that it covers, every other one, and the others.
            FaultKind::SyncDropped => {
                self.set(EFFECT, 0, effect % 2);
                let survives = |change| match effect / 2 {
                    0 => false,
                    odd => change % 2 == odd % 2,
                };
                (0..MANY).for_each(|change| self.push(DROPPED, u32::from(survives(change))));
            }
            FaultKind::ShortRead | FaultKind::ShortWrite | FaultKind::BitFlip => {
                self.set(LENGTH, 0, [0, u32::MAX, PARTS[1]][effect as usize]);
            }
            _ => {}
        }
    }

    /// A request to cancel is honoured, and `effect` is how much the operation had done: 0 nothing, 1 part, 2 all.
    pub fn honour_cancel(&mut self, effect: u32) {
        self.set(CANCEL, 0, 1);
        self.set(EFFECT, 0, effect);
        self.set(LENGTH, 0, PARTS[0]);
    }

    /// What the next power loss leaves of the files that have unsynced changes, in their order.
    fn fates(&mut self, fates: &[Fate], unsynced: &[Unsynced]) {
        for (fate, unsynced) in fates.iter().zip(unsynced) {
            let sector_by_sector = 4;
            let pattern = match fate {
                Fate::Nothing => 0,
                Fate::Everything => 1,
                Fate::UpTo(_) => 2,
                Fate::AllBut(_) | Fate::Only(_) | Fate::Torn(_) | Fate::Head(_) => sector_by_sector,
            };
            self.push(PATTERN, pattern);
            match *fate {
                Fate::Nothing | Fate::Everything => {}
                Fate::UpTo(cut) => self.push(CUT, cut),
                Fate::AllBut(spared) | Fate::Torn(spared) => {
                    (0..unsynced.sectors).for_each(|sector| self.push(SURVIVES, u32::from(sector != spared)));
                }
                Fate::Only(kept) => {
                    (0..unsynced.sectors).for_each(|sector| self.push(SURVIVES, u32::from(sector == kept)))
                }
                Fate::Head(torn) => {
                    (0..unsynced.sectors).for_each(|_| self.push(SURVIVES, 0));
                    (0..=torn).for_each(|sector| self.push(TEARS, u32::from(sector == torn)));
                    self.push(TEAR_AT, HEAD);
                }
            }
        }
        // Only sectors that do not survive are asked; one tears at a time.
        if fates.iter().any(|fate| matches!(fate, Fate::Torn(_))) {
            self.push(TEARS, 1);
            self.push(TEAR_AT, SECTOR as u32 / 2);
        }
    }

    fn set(&mut self, choice_point: ChoicePoint, occurrence: u32, value: u32) {
        let address = Address::operation(0, Actor::DISK, 0);
        self.tape.set(Place { address, choice_point: choice_point.index(), occurrence }, value);
        let said = &mut self.said[usize::from(choice_point.index())];
        *said = (*said).max(occurrence + 1);
    }

    fn push(&mut self, choice_point: ChoicePoint, value: u32) {
        self.set(choice_point, self.said[usize::from(choice_point.index())], value);
    }
}

/// The faults of an operation of `kind` on a disk that does not lie.
pub(crate) fn honest_faults(kind: OperationKind) -> impl Iterator<Item = FaultKind> {
    let befalls = faults(kind).iter().copied().filter(|fault| !fault.is_lie());
    befalls.chain([FaultKind::SubmitRefused])
}

/// In how many ways `fault` can turn out: how much of the write was done, how little was read, what reads return of what
/// was dropped.
pub(crate) fn effects(fault: FaultKind) -> u32 {
    match fault {
        FaultKind::SyncDropped => 6,
        FaultKind::WriteError => 4,
        FaultKind::BitFlip => 3,
        FaultKind::ShortRead | FaultKind::ShortWrite => 2,
        _ => 1,
    }
}

fn faults(kind: OperationKind) -> &'static [FaultKind] {
    match kind {
        OperationKind::Read => &READ_FAULTS,
        OperationKind::Write => &WRITE_FAULTS,
        OperationKind::Sync => &SYNC_FAULTS,
        OperationKind::Truncate => &TRUNCATE_FAULTS,
    }
}

impl SimDisk {
    /// An empty disk on which every operation ends well inside `submit`.
    pub fn obliging() -> SimDisk {
        SimDisk::new(OBLIGING, Source::Seed(0).stream(Actor::DISK, false))
    }

    /// From here on every operation ends well inside `submit`.
    pub fn oblige(&self) {
        self.reset(OBLIGING, Source::Seed(0));
    }

    /// From here on the disk follows `script`.
    pub fn follow(&self, script: Script) {
        // Everything is possible, so that the tape is asked about everything.
        let mut faults = FaultPlan::NONE;
        let possible = Chance::per_million(1);
        FaultKind::ALL.into_iter().for_each(|kind| faults.set(kind, possible));
        self.reset(
            DiskOptions { max_delay: 1, max_sync_delay: 1, max_read_delay: 1, immediate: possible, faults },
            Source::from(script.tape),
        );
    }

    fn reset(&self, options: DiskOptions, source: Source) {
        let mut state = self.shared.lock();
        state.odds = Odds::new(&options.faults, options.immediate);
        state.options = options;
        state.stream = source.stream(Actor::DISK, false);
    }

    /// The power goes, and what was in flight has been done as far as the disk's cache. What of that reaches the disk is
    /// still open: [`SimDisk::unsynced`] says how much there is, [`SimDisk::fall`] decides.
    pub fn cut_power(&self) -> Wreck {
        let mut state = self.shared.lock();
        let state = &mut *state;
        let mut operations = state.end_life();
        for pending in &mut operations {
            state.take_effect(pending, u64::MAX);
        }
        Wreck { _operations: operations }
    }

    /// Decides what the disk has kept, one fate for each file of [`SimDisk::unsynced`].
    pub fn fall(&self, fates: &[Fate]) {
        let mut script = Script::default();
        script.fates(fates, &self.unsynced());
        self.follow(script);
        drop(self.lose_power());
    }

    /// The same as a run of the simulator draws it, sectors torn in every pattern among the rest.
    pub fn fall_by(&self, seed: u64) {
        let mut faults = FaultPlan::NONE;
        faults.set(FaultKind::SectorTorn, Chance::per_mille(300));
        self.reset(DiskOptions { faults, ..OBLIGING }, Source::Seed(seed));
        drop(self.lose_power());
    }

    /// After [`SimDisk::cut_power`]: nothing survives that was not synced, and from here on everything ends well.
    pub fn lose_unsynced(&self) {
        self.fall(&vec![Fate::Nothing; self.unsynced().len()]);
        self.oblige();
    }

    /// A sync of `path` fails: of what it covered only the changes survive for which `spares` says so, counted from the oldest.
    /// Reads go on returning the rest, and no later sync makes it durable.
    pub fn drop_unsynced(&self, path: &Path, mut spares: impl FnMut(u64) -> bool) {
        let mut state = self.shared.lock();
        let Some(&index) = state.names.get(path) else { return };
        let file = &mut state.files[index as usize];
        let (covered, mut change) = (file.next_change(), 0);
        file.drop_unsynced(covered, true, |_| {
            change += 1;
            spares(change - 1)
        });
    }

    /// Ends the operation that was submitted last of those that are due; its callback runs in this call. False when none is.
    pub fn deliver_newest(&self) -> bool {
        let newest = {
            let state = self.shared.lock();
            let newest = state.queue.all_due().max_by_key(|(_, pending)| pending.token);
            newest.map(|(index, _)| index)
        };
        newest.map(|index| self.deliver(index)).is_some()
    }

    /// Another disk with the same content and the same at stake.
    pub fn copy(&self) -> SimDisk {
        debug_assert_eq!(self.load().0, 0, "what is in flight can't be copied");
        self.copy_without_what_is_in_flight()
    }

    /// The same, as if nothing of what is in flight had been done.
    pub fn copy_without_what_is_in_flight(&self) -> SimDisk {
        let copy = SimDisk::obliging();
        let state = self.shared.lock();
        let mut copied = copy.shared.lock();
        copied.files.clone_from(&state.files);
        copied.files.iter_mut().for_each(super::SimFile::release);
        copied.names.clone_from(&state.names);
        drop(copied);
        copy
    }

    /// For each file of [`SimDisk::unsynced`] the sectors with which its unsynced writes begin, counted over all of them.
    pub fn unsynced_starts(&self) -> Vec<Vec<u32>> {
        let state = self.shared.lock();
        let files = state.files.iter().map(|file| {
            let (mut starts, mut sectors) = (Vec::new(), 0);
            for (change, bytes) in file.unsynced() {
                let Change::Write { offset, .. } = change else { continue };
                starts.push(sectors);
                sectors += ((offset + bytes.len() as u64).div_ceil(SECTOR) - offset / SECTOR) as u32;
            }
            (starts, file.unsynced().next().is_some())
        });
        files.filter(|(_, at_stake)| *at_stake).map(|(starts, _)| starts).collect()
    }

    /// How much a power loss would decide about, file by file; those that have nothing at stake are left out.
    pub fn unsynced(&self) -> Vec<Unsynced> {
        let state = self.shared.lock();
        let files = state.files.iter().map(|file| {
            let sectors = |change: &Change, bytes: &[u8]| match *change {
                Change::Write { offset, .. } => {
                    ((offset + bytes.len() as u64).div_ceil(SECTOR) - offset / SECTOR) as u32
                }
                Change::Truncate { .. } => 1,
            };
            let mut unsynced = Unsynced { changes: 0, sectors: 0 };
            for (change, bytes) in file.unsynced() {
                unsynced.changes += 1;
                unsynced.sectors += sectors(&change, bytes);
            }
            unsynced
        });
        files.filter(|unsynced| unsynced.changes > 0).collect()
    }
}

#[cfg(test)]
mod tests;
