//! Faults around a real backend.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
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
    /// The faults of operations in flight, by their numbers, until every waiter has been woken: a waiter that joins
    /// such a read feels it, too.
    coming: Mutex<BTreeMap<u64, Vec<FaultKind>>>,
    struck: [AtomicU64; FaultKind::ALL.len()],
    /// How many of those can have no more effect.
    over: [AtomicU64; FaultKind::ALL.len()],
    delayed: AtomicU64,
    seen: AtomicU64,
    yielded: AtomicU64,
}

/// A moment, counted in faults that could have no more effect.
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
        // ORDERING: Acquire, pairs with the addition in `strike`: a thread that sees an error, through the completion that
        // brought it, sees the count that explains it.
        self.struck[kind as usize].load(Ordering::Acquire)
    }

    /// The faults that can have no more effect. A fault beyond these explains an error of an operation that begins
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

    /// How many operations passed.
    pub(super) fn seen(&self) -> u64 {
        // ORDERING: Relaxed: a count.
        self.seen.load(Ordering::Relaxed)
    }

    fn coming(&self) -> MutexGuard<'_, BTreeMap<u64, Vec<FaultKind>>> {
        self.coming.lock()
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
        self.coming().insert(number, vec![kind]);
        if kind == FaultKind::SubmitRefused {
            self.strike(kind);
        }
        verdict
    }

    fn ended(&self, passing: &Passing, outcome: Outcome) {
        let felt = {
            let mut coming = self.coming();
            if outcome == Err(CompletionError::NoSpace) {
                full_disk(coming.entry(passing.number).or_default(), passing.descriptor.kind);
            }
            coming.get(&passing.number).cloned().unwrap_or_default()
        };
        felt.into_iter().for_each(|kind| self.strike(kind));
    }

    fn told(&self, passing: &Passing) {
        for kind in self.coming().remove(&passing.number).unwrap_or_default() {
            // ORDERING: Release, pairs with the load in `over`.
            self.over[kind as usize].fetch_add(1, Ordering::Release);
        }
    }
}

/// The kernel had no space for an operation to which `kinds` were to happen. An operation that is reported as failed in any case
/// keeps that explanation: its caller never sees the kernel's error. A sync that the kernel fails is a failed sync, too.
fn full_disk(kinds: &mut Vec<FaultKind>, operation: OperationKind) {
    let is_hidden = |kind: &FaultKind| {
        matches!(kind, FaultKind::ReadError | FaultKind::WriteError | FaultKind::SyncFailed)
    };
    if kinds.iter().any(is_hidden) {
        return;
    }
    kinds.push(FaultKind::NoSpace);
    if operation == OperationKind::Sync {
        kinds.push(FaultKind::SyncFailed);
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

#[cfg(test)]
mod tests {
    use tenterhook_runtime::io::Descriptor;

    use super::*;
    use crate::real::layer::Role;

    /// What an operation strikes that ends with a full disk, where every operation of its kind was to fail by `injected`.
    fn struck_by_full_disk(kind: OperationKind, injected: Option<FaultKind>) -> Vec<FaultKind> {
        let enabled: Vec<FaultKind> = injected.into_iter().collect();
        let faults = Faults::new(3, &enabled, false);
        faults.set_active(true);
        let passing = |number| {
            let descriptor = Descriptor { kind, offset: 0, len: 64 };
            Passing { number, role: Role::Log, descriptor }
        };
        let is_struck = |number: &u64| {
            let _ = faults.begins(&passing(*number), &[]);
            injected.is_none() || faults.coming().contains_key(number)
        };
        let number = (0..1_000_000).find(is_struck).expect("some number brings it");
        faults.ended(&passing(number), Err(CompletionError::NoSpace));
        let struck: Vec<FaultKind> =
            FaultKind::ALL.into_iter().filter(|&kind| faults.struck(kind) > 0).collect();
        faults.told(&passing(number));
        let now = faults.mark();
        assert!(struck.iter().all(|&kind| !faults.struck_since(&now, kind)), "it can have no more effect");
        struck
    }

    #[test]
    fn an_operation_that_fails_in_any_case_keeps_its_explanation_on_a_full_disk() {
        use FaultKind::{NoSpace, ShortWrite, SyncFailed, WriteError};
        use OperationKind::{Sync, Write};
        assert_eq!(struck_by_full_disk(Sync, Some(SyncFailed)), [SyncFailed]);
        assert_eq!(struck_by_full_disk(Write, Some(WriteError)), [WriteError]);
        assert_eq!(struck_by_full_disk(Write, None), [NoSpace]);
        let both = struck_by_full_disk(Write, Some(ShortWrite));
        assert!(both.contains(&ShortWrite) && both.contains(&NoSpace), "{both:?}");
    }

    #[test]
    fn a_sync_that_the_kernel_fails_for_want_of_space_explains_a_poisoned_pager() {
        let struck = struck_by_full_disk(OperationKind::Sync, None);
        assert!(
            struck.contains(&FaultKind::NoSpace) && struck.contains(&FaultKind::SyncFailed),
            "{struck:?}"
        );
    }
}
