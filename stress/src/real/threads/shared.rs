//! What the connections of a run have in common, from its first incarnation to its last.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use parking_lot::Mutex;

use super::faults::Faults;
use crate::disk::FaultKind;
use crate::real::layer::Layer;
use crate::real::noise::{NoiseKind, Report};
use crate::violation::Violation;

pub(super) struct Shared {
    pub(super) layer: Arc<Layer<Faults>>,
    /// What each connection is doing, for a person who wants to know why nothing moves.
    doings: Box<[Mutex<Doing>]>,
    /// No new operation begins.
    stop: AtomicBool,
    /// The system cannot go on: a new incarnation has to begin.
    restart: AtomicBool,
    /// Operations that have ended.
    ended: AtomicU64,
    violation: Mutex<Option<Violation>>,
    /// Kinds of noise, and how often each was delivered.
    pub(super) noise: Vec<NoiseKind>,
    delivered: [AtomicU64; NoiseKind::ALL.len()],
}

/// What a connection is doing, since when, and what it waits for.
#[derive(Clone, Copy, Debug)]
struct Doing {
    what: &'static str,
    waits: &'static str,
    since: Instant,
}

impl Doing {
    fn begin(what: &'static str) -> Doing {
        Doing { what, waits: STEPPED, since: Instant::now() }
    }
}

/// What a connection does that has nothing to do.
pub(super) const IDLE: &str = "nothing";
/// What a connection waits for that waits for nothing else.
pub(super) const STEPPED: &str = "its turn";

/// More connections than these are not listed one by one.
const MOST_LISTED: usize = 24;

impl Report for Shared {
    fn delivered(&self, kind: NoiseKind, times: u64) {
        // ORDERING: Relaxed: a count.
        self.delivered[kind as usize].fetch_add(times, Ordering::Relaxed);
    }

    fn object(&self, violation: Violation) {
        Shared::object(self, violation);
    }
}

impl Shared {
    pub(super) fn new(layer: Arc<Layer<Faults>>, connections: u64, noise: &[NoiseKind]) -> Shared {
        Shared {
            layer,
            doings: (0..connections).map(|_| Mutex::new(Doing::begin("nothing yet"))).collect(),
            stop: AtomicBool::new(false),
            restart: AtomicBool::new(false),
            ended: AtomicU64::new(0),
            violation: Mutex::new(None),
            noise: noise.to_vec(),
            delivered: std::array::from_fn(|_| AtomicU64::new(0)),
        }
    }

    /// Before the connections of an incarnation begin to work.
    pub(super) fn begin(&self) {
        // ORDERING: Relaxed: no worker has started.
        self.stop.store(false, Ordering::Relaxed);
        self.restart.store(false, Ordering::Relaxed);
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
        // ORDERING: Relaxed: a worker that sees it late begins one more operation.
        self.stop.load(Ordering::Relaxed) || self.restart.load(Ordering::Relaxed)
    }

    /// No new operation is to begin.
    pub(super) fn stop(&self) {
        // ORDERING: Relaxed, as in `is_stopped`.
        self.stop.store(true, Ordering::Relaxed);
    }

    /// The same, because the system has to be opened again.
    pub(super) fn restart(&self) {
        // ORDERING: Relaxed, as in `is_stopped`.
        self.restart.store(true, Ordering::Relaxed);
    }

    /// The first violation is kept, and everything stops.
    pub(super) fn object(&self, violation: Violation) {
        self.violation.lock().get_or_insert(violation);
        self.stop();
    }

    pub(super) fn violation(&self) -> Option<Violation> {
        self.violation.lock().clone()
    }

    /// An operation has ended.
    pub(super) fn ended(&self) {
        // ORDERING: Relaxed: a count.
        self.ended.fetch_add(1, Ordering::Relaxed);
    }

    /// How much has happened: it grows for as long as anything moves.
    pub(super) fn progress(&self) -> u64 {
        // ORDERING: Relaxed: a count.
        self.ended.load(Ordering::Relaxed)
    }

    /// The connection begins something. It is told when it does something else, so that a stall says for how long.
    pub(super) fn does(&self, connection: u64, what: &'static str) {
        let mut doing = self.doings[connection as usize].lock();
        if doing.what != what {
            *doing = Doing::begin(what);
        }
    }

    /// What the connection waits for now.
    pub(super) fn waits(&self, connection: u64, waits: &'static str) {
        self.doings[connection as usize].lock().waits = waits;
    }

    /// How many connections do what, for those that are not listed.
    pub(super) fn doings(&self) -> Vec<(&'static str, usize)> {
        let mut counts = std::collections::BTreeMap::new();
        self.doings.iter().for_each(|doing| *counts.entry(doing.lock().what).or_default() += 1);
        counts.into_iter().collect()
    }

    /// Each connection that does something, the one that has done it longest first.
    pub(super) fn waiting(&self) -> Vec<String> {
        let all = self.doings.iter().map(|doing| *doing.lock()).enumerate();
        let mut busy: Vec<(usize, Doing)> = all.filter(|(_, doing)| doing.what != IDLE).collect();
        busy.sort_by_key(|(number, doing)| (doing.since, *number));
        let one = |&(number, Doing { what, waits, since }): &(usize, Doing)| {
            format!(
                "connection {number}: {what} for {:.1} s, waits for {waits}",
                since.elapsed().as_secs_f64()
            )
        };
        busy.iter().take(MOST_LISTED).map(one).collect()
    }
}
