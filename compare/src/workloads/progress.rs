//! How far the tasks of one contender are.

use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed};

use crate::sync::AtomicU64;

/// Counts of tasks. Made as statics, so that a task need not carry a pointer to them.
pub(super) struct Progress {
    arrived: AtomicU64,
    ended: AtomicU64,
    sum: AtomicU64,
}

impl Progress {
    pub(super) const fn new() -> Self {
        Self { arrived: AtomicU64::new(0), ended: AtomicU64::new(0), sum: AtomicU64::new(0) }
    }

    pub(super) fn arrive(&self) {
        // ORDERING: Relaxed: a count alone, with the load of `have_arrived`.
        self.arrived.fetch_add(1, Relaxed);
    }

    pub(super) fn have_arrived(&self, tasks: u64) -> bool {
        // ORDERING: Relaxed: with the addition of `arrive`.
        self.arrived.load(Relaxed) >= tasks
    }

    pub(super) fn end(&self, value: u64) {
        // ORDERING: Relaxed: published by the next line.
        self.sum.fetch_add(value, Relaxed);
        // ORDERING: Release, with the Acquire of `has_ended`.
        self.ended.fetch_add(1, AcqRel);
    }

    pub(super) fn has_ended(&self, tasks: u64) -> bool {
        // ORDERING: Acquire, with `end`.
        self.ended.load(Acquire) >= tasks
    }

    /// The sum, and a new start. No task runs meanwhile.
    pub(super) fn take(&self) -> u64 {
        // ORDERING: Relaxed: `has_ended` has ordered these after the last task.
        self.arrived.store(0, Relaxed);
        self.ended.store(0, Relaxed);
        self.sum.swap(0, Relaxed)
    }
}
