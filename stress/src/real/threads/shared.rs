use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tenterhook_runtime::pager::Pager;

use super::faults::Faults;
use crate::disk::FaultKind;
use crate::real::layer::Layer;
use crate::real::ledger::{Committed, Layout};
use crate::real::noise::{NoiseKind, Report};
use crate::violation::Violation;

/// What the connections of a run have in common, over all its lives.
pub(super) struct Shared {
    pub(super) connections: Vec<Seat>,
    pub(super) layer: Arc<Layer<Faults>>,
    /// No new operation begins.
    pub(super) stop: AtomicBool,
    /// The pager refuses writes: a new life has to begin.
    pub(super) poisoned: AtomicBool,
    /// The newest commit that somebody was told of: a snapshot that is begun later has it.
    newest_told: AtomicU64,
    pub(super) commits: AtomicU64,
    pub(super) reads: AtomicU64,
    pub(super) checkpoints: AtomicU64,
    pub(super) errors: AtomicU64,
    violation: Mutex<Option<Violation>>,
    /// Kinds of noise, and how often each was delivered.
    pub(super) noise: Vec<NoiseKind>,
    delivered: [AtomicU64; NoiseKind::ALL.len()],
}

impl Report for Shared {
    fn delivered(&self, kind: NoiseKind, times: u64) {
        // ORDERING: Relaxed: a count.
        self.delivered[kind as usize].fetch_add(times, Ordering::Relaxed);
    }

    fn object(&self, violation: Violation) {
        Shared::object(self, violation);
    }
}

/// One connection's place: what it was told, and what it is doing.
#[derive(Debug, Default)]
pub(super) struct Seat {
    asked: AtomicU64,
    told: AtomicU64,
    doing: AtomicU8,
}

/// What a connection may be doing, for a person who wants to know why nothing moves.
pub(super) const DOINGS: [&str; 6] =
    ["nothing", "a commit", "a look at a snapshot", "a look at everything", "a checkpoint", "over"];

/// One life of the pager.
#[derive(Clone)]
pub(super) struct Life {
    pub(super) pager: Arc<Pager>,
    pub(super) layout: Layout,
    pub(super) shared: Arc<Shared>,
}

impl Shared {
    pub(super) fn new(layer: Arc<Layer<Faults>>, connections: u64, noise: &[NoiseKind]) -> Shared {
        Shared {
            connections: (0..connections).map(|_| Seat::default()).collect(),
            layer,
            stop: AtomicBool::new(false),
            poisoned: AtomicBool::new(false),
            newest_told: AtomicU64::new(0),
            commits: AtomicU64::new(0),
            reads: AtomicU64::new(0),
            checkpoints: AtomicU64::new(0),
            errors: AtomicU64::new(0),
            violation: Mutex::new(None),
            noise: noise.to_vec(),
            delivered: std::array::from_fn(|_| AtomicU64::new(0)),
        }
    }

    /// How often a kind of noise was delivered.
    pub(super) fn noise_delivered(&self, kind: NoiseKind) -> u64 {
        match kind {
            NoiseKind::Yields => self.layer.watcher().yielded(),
            // Counted where it is felt.
            NoiseKind::FullDisk => self.layer.watcher().struck(FaultKind::NoSpace),
            // ORDERING: Relaxed: a count.
            _ => self.delivered[kind as usize].load(Ordering::Relaxed),
        }
    }

    /// Whether no new operation is to begin.
    pub(super) fn is_stopped(&self) -> bool {
        // ORDERING: Relaxed: whoever is late begins one operation more.
        self.stop.load(Ordering::Relaxed) || self.poisoned.load(Ordering::Relaxed)
    }

    /// The first violation is kept, and everything stops.
    pub(super) fn object(&self, violation: Violation) {
        self.violation.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(violation);
        // ORDERING: Relaxed, as in `is_stopped`.
        self.stop.store(true, Ordering::Relaxed);
    }

    pub(super) fn violation(&self) -> Option<Violation> {
        self.violation.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How much has happened: it grows for as long as anything moves.
    pub(super) fn progress(&self) -> u64 {
        // ORDERING: Relaxed: counts.
        [&self.commits, &self.reads, &self.checkpoints, &self.errors]
            .map(|n| n.load(Ordering::Relaxed))
            .iter()
            .sum()
    }

    /// The newest commit that somebody has been told of by now.
    pub(super) fn newest_told(&self) -> u64 {
        // ORDERING: Acquire, pairs with the maximum in `told`: the commit happened before whatever is begun after this.
        self.newest_told.load(Ordering::Acquire)
    }

    /// `connection` asks for a commit.
    pub(super) fn asked(&self, connection: u64, committed: Committed) {
        let seat = &self.connections[connection as usize];
        // ORDERING: Relaxed: read after the connection's machine has been joined, or by itself.
        seat.asked.store(committed.own, Ordering::Relaxed);
    }

    /// `connection` was told of a commit.
    pub(super) fn told(&self, connection: u64, committed: Committed) {
        let seat = &self.connections[connection as usize];
        // ORDERING: Relaxed, as in `asked`.
        seat.told.store(committed.own, Ordering::Relaxed);
        // ORDERING: Release, pairs with the load in `newest_told`.
        self.newest_told.fetch_max(committed.number, Ordering::Release);
        self.commits.fetch_add(1, Ordering::Relaxed);
    }

    /// An opening has found so many commits of each connection: it has them, and those that it asked for beyond them are gone.
    pub(super) fn settle(&self, cells: &[u64]) {
        for (seat, &own) in self.connections.iter().zip(cells) {
            // ORDERING: Relaxed, as in `table`.
            seat.asked.store(own, Ordering::Relaxed);
            seat.told.store(own, Ordering::Relaxed);
        }
    }

    pub(super) fn does(&self, connection: u64, doing: u8) {
        // ORDERING: Relaxed: for people.
        self.connections[connection as usize].doing.store(doing, Ordering::Relaxed);
    }

    /// With every machine gone: what each connection has asked for and was told.
    pub(super) fn table(&self) -> Vec<(u64, u64)> {
        // ORDERING: Relaxed: the machines have been joined.
        let seat = |seat: &Seat| (seat.asked.load(Ordering::Relaxed), seat.told.load(Ordering::Relaxed));
        self.connections.iter().map(seat).collect()
    }

    /// How many connections do what.
    pub(super) fn doings(&self) -> Vec<(&'static str, usize)> {
        let mut counts = DOINGS.map(|doing| (doing, 0));
        for seat in &self.connections {
            // ORDERING: Relaxed: for people.
            counts[usize::from(seat.doing.load(Ordering::Relaxed))].1 += 1;
        }
        counts.into_iter().filter(|&(_, count)| count > 0).collect()
    }
}

#[cfg(test)]
mod tests {
    use tenterhook_runtime::io::MemoryIO;

    use super::*;

    /// Broke: what was asked for and not found stayed asked for, so that a stale commit could come back in a later life.
    #[test]
    fn what_an_opening_finds_is_both_bounds_of_the_next_life() {
        let faults = Faults::new(1, &[], false);
        let shared = Shared::new(Arc::new(Layer::new(Arc::new(MemoryIO::new()), faults)), 2, &[]);
        shared.told(0, Committed { number: 1, own: 1 });
        shared.asked(0, Committed { number: 4, own: 3 });
        shared.settle(&[2, 0]);
        assert_eq!(shared.table(), [(2, 2), (0, 0)]);
        // A file that has not been made has no cells.
        shared.settle(&[]);
        assert_eq!(shared.table(), [(2, 2), (0, 0)]);
    }
}
