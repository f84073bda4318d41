//! Faults around a real backend.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tenterhook_runtime::io::OperationKind;
use tenterhook_runtime::{CompletionError, Outcome};

use crate::disk::FaultKind;
use crate::real::layer::{INJECTED, Passing, Verdict, Watcher};
use crate::rng;

/// Kinds of fault that can be put around a real backend, and in how many operations of their kind one strikes.
pub const KINDS: [(FaultKind, u64); 7] = [
    (FaultKind::SubmitRefused, 4_000),
    (FaultKind::ReadError, 2_000),
    (FaultKind::ShortRead, 1_000),
    (FaultKind::WriteError, 3_000),
    (FaultKind::ShortWrite, 1_000),
    (FaultKind::SyncFailed, 5_000),
    (FaultKind::Cancelled, 2_000),
];

/// One operation in so many is held back for a while.
const DELAYED: u64 = 500;

/// Draws faults by the operation's number. Which operation has which number is up to the threads, so a seed makes runs
/// alike, not the same.
#[derive(Debug)]
pub struct Faults {
    seed: u64,
    enabled: Vec<FaultKind>,
    /// Whether threads are made to give up their processor now and then.
    noise: bool,
    active: AtomicBool,
    /// What befalls operations that are under way, by their numbers, until everybody who waits has been told: whoever joins
    /// such a read feels it, too.
    coming: Mutex<BTreeMap<u64, FaultKind>>,
    struck: [AtomicU64; FaultKind::ALL.len()],
    /// Of those, how many nobody can feel any more.
    over: [AtomicU64; FaultKind::ALL.len()],
    delayed: AtomicU64,
    seen: AtomicU64,
    yielded: AtomicU64,
}

/// A moment, by the faults that nobody could feel any more.
#[derive(Copy, Clone, Debug)]
pub struct Mark([u64; FaultKind::ALL.len()]);

impl Faults {
    pub(super) fn new(seed: u64, enabled: &[FaultKind], noise: bool) -> Faults {
        Faults {
            seed,
            enabled: enabled.to_vec(),
            noise,
            active: AtomicBool::new(false),
            coming: Mutex::default(),
            struck: std::array::from_fn(|_| AtomicU64::new(0)),
            over: std::array::from_fn(|_| AtomicU64::new(0)),
            delayed: AtomicU64::new(0),
            seen: AtomicU64::new(0),
            yielded: AtomicU64::new(0),
        }
    }

    /// Turns faults on or off.
    pub(super) fn set_active(&self, active: bool) {
        // ORDERING: Release, pairs with the load in `begins`; a fault a moment later is accounted for as well.
        self.active.store(active, Ordering::Release);
    }

    /// How often `kind` has struck.
    pub fn struck(&self, kind: FaultKind) -> u64 {
        // ORDERING: Acquire, pairs with the addition in `strike`: whoever sees an error, by way of the completion that
        // brought it, sees the count that explains it.
        self.struck[kind as usize].load(Ordering::Acquire)
    }

    /// The faults that nobody can feel any more. One that strikes beyond these explains an error of an operation that begins
    /// now.
    pub fn mark(&self) -> Mark {
        // ORDERING: Acquire, pairs with the addition in `told`: what is over is out of the system before we begin.
        Mark(std::array::from_fn(|kind| self.over[kind].load(Ordering::Acquire)))
    }

    /// Whether a fault of `kind` has struck that an operation may feel which began at `mark`.
    pub fn struck_since(&self, mark: &Mark, kind: FaultKind) -> bool {
        self.struck(kind) > mark.0[kind as usize]
    }

    /// How many operations were held back.
    pub(super) fn delayed(&self) -> u64 {
        // ORDERING: Relaxed: a count.
        self.delayed.load(Ordering::Relaxed)
    }

    /// How often a thread was made to give up its processor.
    pub(super) fn yielded(&self) -> u64 {
        // ORDERING: Relaxed: a count.
        self.yielded.load(Ordering::Relaxed)
    }

    /// How many operations came by.
    pub(super) fn seen(&self) -> u64 {
        // ORDERING: Relaxed: a count.
        self.seen.load(Ordering::Relaxed)
    }

    fn coming(&self) -> MutexGuard<'_, BTreeMap<u64, FaultKind>> {
        self.coming.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn strike(&self, kind: FaultKind) {
        // ORDERING: Release, pairs with the load in `struck`.
        self.struck[kind as usize].fetch_add(1, Ordering::Release);
    }
}

impl Watcher for Faults {
    fn begins(&self, passing: &Passing, _: &[&[u8]]) -> Verdict {
        // ORDERING: Relaxed: a count. Acquire, pairs with the store in `set_active`.
        self.seen.fetch_add(1, Ordering::Relaxed);
        let number = passing.number;
        if !self.active.load(Ordering::Acquire) {
            return Verdict::Pass;
        }
        let draw = |which: u64, of: u64| rng::below(rng::at(rng::derive(self.seed, which), number), of);
        if self.noise && draw(100, 64) == 0 {
            // ORDERING: Relaxed: a count.
            self.yielded.fetch_add(1, Ordering::Relaxed);
            std::thread::yield_now();
        }
        let struck = KINDS.into_iter().find(|&(kind, of)| {
            self.enabled.contains(&kind)
                && befalls(kind, passing.descriptor.kind)
                && draw(kind as u64, of) == 0
        });
        let Some((kind, _)) = struck else {
            if draw(101, DELAYED) == 0 {
                // ORDERING: Relaxed: a count.
                self.delayed.fetch_add(1, Ordering::Relaxed);
                return Verdict::Delay(Duration::from_micros(100 + draw(102, 20_000)));
            }
            return Verdict::Pass;
        };
        let len = passing.descriptor.len;
        let verdict = match kind {
            FaultKind::ShortRead | FaultKind::ShortWrite if len < 2 => return Verdict::Pass,
            FaultKind::ShortRead | FaultKind::ShortWrite => Verdict::Shorten(1 + draw(103, len - 1)),
            FaultKind::SubmitRefused => Verdict::Refuse(INJECTED),
            FaultKind::Cancelled => Verdict::Cancel,
            _ => Verdict::FailAfter(INJECTED),
        };
        self.coming().insert(number, kind);
        if kind == FaultKind::SubmitRefused {
            self.strike(kind);
        }
        verdict
    }

    fn ended(&self, passing: &Passing, outcome: Outcome) {
        if outcome == Err(CompletionError::NoSpace) {
            // The noise's doing. A write that is to be reported as failed anyhow keeps that explanation.
            let mut coming = self.coming();
            if coming.get(&passing.number) != Some(&FaultKind::WriteError) {
                coming.insert(passing.number, FaultKind::NoSpace);
            }
        }
        let felt = self.coming().get(&passing.number).copied();
        felt.into_iter().for_each(|kind| self.strike(kind));
    }

    fn told(&self, passing: &Passing) {
        if let Some(kind) = self.coming().remove(&passing.number) {
            // ORDERING: Release, pairs with the load in `over`.
            self.over[kind as usize].fetch_add(1, Ordering::Release);
        }
    }
}

fn befalls(fault: FaultKind, kind: OperationKind) -> bool {
    match fault {
        FaultKind::ReadError | FaultKind::ShortRead => kind == OperationKind::Read,
        FaultKind::WriteError | FaultKind::ShortWrite => kind == OperationKind::Write,
        FaultKind::SyncFailed => kind == OperationKind::Sync,
        _ => true,
    }
}
