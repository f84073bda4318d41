//! How a run is stopped from outside, and how the outside sees that it still moves.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// One worker's line to the campaign. Nothing in it enters a run: a run is either stopped, and then it counts for
/// nothing, or it never notices.
#[derive(Debug, Default)]
pub struct Watch {
    stop: AtomicBool,
    beats: AtomicU64,
    /// The seed that is being run, while `running`.
    seed: AtomicU64,
    running: AtomicBool,
}

impl Watch {
    /// Asks the run to end soon.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    /// Whether the run was asked to end.
    pub fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// The run is alive; returns whether it was asked to end.
    pub(crate) fn beat(&self) -> bool {
        self.beats.fetch_add(1, Ordering::Relaxed);
        self.is_stopped()
    }

    pub(crate) fn begin(&self, seed: u64) {
        self.seed.store(seed, Ordering::Relaxed);
        self.running.store(true, Ordering::Relaxed);
    }

    pub(crate) fn end(&self) {
        self.running.store(false, Ordering::Relaxed);
    }

    /// The seed under way and how often it has beaten; `None` between two seeds.
    pub(crate) fn heartbeat(&self) -> Option<(u64, u64)> {
        let running = self.running.load(Ordering::Relaxed);
        running.then(|| (self.seed.load(Ordering::Relaxed), self.beats.load(Ordering::Relaxed)))
    }
}
