//! The operations that the disk has and has not ended.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use tenterhook_runtime::io::{InFlight, OperationKind};

use super::faults::FaultKind;
use super::file::Claim;
use super::sample::Sample;
use crate::tape::{Address, Stage};

/// An operation in flight.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) operation: InFlight,
    /// Number of the submission, from 0 for the life of the disk.
    pub(super) token: u64,
    pub(super) file: u32,
    /// That of the handle: an operation in flight keeps the file from others, as the handle does.
    pub(super) _claim: Option<Claim>,
    /// The fault with which it will end, if any.
    pub(super) fault: Option<FaultKind>,
    /// For a read: when it takes its bytes.
    pub(super) sample: Sample,
    /// For a sync: the first change that it does not cover.
    pub(super) covered: u64,
    /// When it can be delivered.
    pub(super) due_at: u64,
    /// What its choices belong to.
    pub(super) address: Address,
    /// When it is delivered, if turns say so.
    pub(super) turn: u32,
    /// How often its cancellation was asked for.
    pub(super) cancels: u32,
    /// How many changes it has made.
    pub(super) changes: u32,
}

impl Pending {
    /// What the next change belongs to that it makes.
    pub(super) fn next_change(&mut self) -> Address {
        self.changes += 1;
        self.address.at(Stage::change(self.changes - 1))
    }
}

/// Operations in flight: first by time, then, once they are due, in any order.
#[derive(Debug, Default)]
pub(super) struct Queue {
    slots: Vec<Option<Pending>>,
    free: Vec<u32>,
    /// Not due yet: (due at, token, slot). An entry whose slot no longer holds that token at that time is stale.
    later: BinaryHeap<Reverse<(u64, u64, u32)>>,
    due: VecDeque<u32>,
    /// Slots of writes, in the order of submission. There are few: an engine has one writer and perhaps a checkpoint.
    writes: Vec<u32>,
}

impl Queue {
    pub(super) fn insert(&mut self, pending: Pending, now: u64) {
        let (due_at, token) = (pending.due_at, pending.token);
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            self.slots.len() as u32 - 1
        });
        if pending.operation.descriptor().kind == OperationKind::Write {
            self.writes.push(slot);
        }
        self.slots[slot as usize] = Some(pending);
        if due_at <= now {
            self.due.push_back(slot);
        } else {
            self.later.push(Reverse((due_at, token, slot)));
        }
    }

    /// Moves what is due by `now` to where it can be delivered; returns how many operations are there.
    #[inline]
    pub(super) fn mature(&mut self, now: u64) -> u32 {
        while let Some(&Reverse((due_at, token, slot))) = self.later.peek() {
            if due_at > now && !self.is_stale(due_at, token, slot) {
                break;
            }
            self.later.pop();
            if !self.is_stale(due_at, token, slot) {
                self.due.push_back(slot);
            }
        }
        self.due.len() as u32
    }

    /// When the next operation that is not due yet will be.
    pub(super) fn next_due(&self) -> Option<u64> {
        self.later.peek().map(|&Reverse((due_at, ..))| due_at)
    }

    /// One that is due.
    pub(super) fn due(&self, index: u32) -> Option<&Pending> {
        self.slots[*self.due.get(index as usize)? as usize].as_ref()
    }

    /// All that are due, each with its index.
    pub(super) fn all_due(&self) -> impl Iterator<Item = (u32, &Pending)> {
        (0..).zip(&self.due).filter_map(|(index, &slot)| Some((index, self.slots[slot as usize].as_ref()?)))
    }

    /// Takes out one that is due: 0 is the one that was due first.
    pub(super) fn take(&mut self, index: u32) -> Option<Pending> {
        let slot = self.due.swap_remove_front(index as usize)?;
        self.release(slot)
    }

    /// Whether the operation `token` is stuck.
    pub(super) fn is_stuck(&self, token: u64) -> bool {
        let stuck = |pending: &&Pending| pending.fault == Some(FaultKind::Stuck);
        // Only stuck ones are compared by number: hardly ever is there one.
        self.slots.iter().flatten().filter(stuck).any(|pending| pending.token == token)
    }

    /// Takes out the operation `token`, unless it is stuck.
    pub(super) fn take_token(&mut self, token: u64) -> Option<Pending> {
        let is_it = |slot: &Option<Pending>| {
            slot.as_ref()
                .is_some_and(|pending| pending.token == token && pending.fault != Some(FaultKind::Stuck))
        };
        let slot = self.slots.iter().position(is_it)? as u32;
        // Its entry in `later` is stale from here on.
        if let Some(index) = self.due.iter().position(|&due| due == slot) {
            self.due.remove(index);
        }
        self.release(slot)
    }

    /// Makes an operation due now. Returns whether it is in flight.
    pub(super) fn hasten(&mut self, token: u64, now: u64, change: impl FnOnce(&mut Pending)) -> bool {
        // A scan: cancels are rare, and a map would cost every submission.
        let in_flight = |slot: &Option<Pending>| slot.as_ref().is_some_and(|pending| pending.token == token);
        let Some(slot) = self.slots.iter().position(in_flight) else { return false };
        let Some(pending) = self.slots[slot].as_mut() else { return false };
        change(pending);
        if pending.due_at > now {
            // From here on its entry in `later` is stale.
            pending.due_at = now;
            self.due.push_back(slot as u32);
        }
        true
    }

    /// Makes due at `now` at the latest whatever would be later than `horizon`.
    pub(super) fn release_beyond(&mut self, horizon: u64, now: u64) {
        let mut late: Vec<u64> =
            self.slots.iter().flatten().filter(|pending| pending.due_at > horizon).map(|p| p.token).collect();
        late.sort_unstable();
        for token in late {
            self.hasten(token, now, |_| ());
        }
    }

    /// In flight, in an order that is reproducible and means nothing: nothing may be drawn by it.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Pending> {
        self.slots.iter_mut().flatten()
    }

    /// The sync of `file` that has been in flight for longest of those that are to succeed.
    pub(super) fn sync_of(&mut self, file: u32) -> Option<&mut Pending> {
        self.iter_mut()
            .filter(|pending| {
                let is_sound = pending.fault.is_none();
                is_sound && pending.file == file && pending.operation.descriptor().kind == OperationKind::Sync
            })
            .min_by_key(|pending| pending.token)
    }

    /// The `nth` write in flight, in the order of submission.
    pub(super) fn write(&mut self, nth: usize) -> Option<&mut Pending> {
        self.slots[*self.writes.get(nth)? as usize].as_mut()
    }

    /// Takes out everything, in the order of submission.
    pub(super) fn drain(&mut self) -> Vec<Pending> {
        self.free.clear();
        self.later.clear();
        self.due.clear();
        self.writes.clear();
        let mut all: Vec<Pending> = self.slots.drain(..).flatten().collect();
        all.sort_unstable_by_key(|pending| pending.token);
        all
    }

    /// How many operations are in flight.
    pub(super) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    fn release(&mut self, slot: u32) -> Option<Pending> {
        let pending = self.slots[slot as usize].take()?;
        self.free.push(slot);
        if pending.operation.descriptor().kind == OperationKind::Write {
            self.writes.retain(|&write| write != slot);
        }
        Some(pending)
    }

    fn is_stale(&self, due_at: u64, token: u64, slot: u32) -> bool {
        let held = self.slots[slot as usize].as_ref();
        held.is_none_or(|pending| pending.token != token || pending.due_at != due_at)
    }
}
