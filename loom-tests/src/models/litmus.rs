//! What loom models and what it does not, written down as tests: so that it is not trusted for more, and so that a new
//! version of loom that models more is noticed.
//!
//! Each litmus test is the classical two-thread program of its name. It collects the outcomes of all executions, and
//! its verdict says which of them loom shows.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use loom::sync::Arc as LoomArc;
use loom::sync::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};
use loom::sync::atomic::{AtomicU32, Ordering, fence};
use loom::thread;

use crate::model::{EXHAUSTIVE, Model};

/// What the two threads saw.
type Outcome = (u32, u32);

/// The two locations of a litmus test.
struct Locations {
    x: AtomicU32,
    y: AtomicU32,
}

pub(crate) fn models() -> Vec<Model> {
    vec![
        litmus(
            "litmus_message_passing_relaxed_shows_stale_data",
            message_passing(Relaxed, Relaxed),
            |seen| seen.contains(&(1, 0)),
        ),
        litmus(
            "litmus_message_passing_release_acquire_forbids_it",
            message_passing(Release, Acquire),
            |seen| !seen.contains(&(1, 0)) && seen.contains(&(1, 1)),
        ),
        litmus("litmus_store_buffering_seqcst_is_shown_though_forbidden", store_buffering(false), |seen| {
            seen.contains(&(0, 0))
        }),
        litmus("litmus_store_buffering_with_seqcst_fences_is_forbidden", store_buffering(true), |seen| {
            !seen.contains(&(0, 0)) && seen.len() == 3
        }),
        litmus("litmus_load_buffering_is_not_shown_though_allowed", load_buffering, |seen| {
            !seen.contains(&(1, 1))
        }),
        litmus("litmus_weak_exchange_never_fails_spuriously", weak_exchange, |seen| {
            seen.iter().all(|(failures, _)| *failures == 0)
        }),
        litmus("litmus_relaxed_loads_see_old_values_in_order", coherence, |seen| {
            seen.contains(&(0, 2))
                && seen.contains(&(1, 1))
                && seen.iter().all(|(first, second)| first <= second)
        }),
        litmus("litmus_load_is_not_moved_behind_a_load_and_an_exchange", hidden_race, |seen| {
            seen.contains(&(0, 0)) && seen.contains(&(1, 1)) && !seen.contains(&(0, 1))
        }),
    ]
}

fn litmus(
    name: &'static str,
    body: impl Fn(LoomArc<Locations>) -> Outcome + Send + Sync + 'static,
    expected: impl Fn(&BTreeSet<Outcome>) -> bool + Send + Sync + 'static,
) -> Model {
    let seen = Arc::new(Mutex::new(BTreeSet::new()));
    let collected = Arc::clone(&seen);
    let model = Model::new(name, EXHAUSTIVE, move || {
        let locations = LoomArc::new(Locations { x: AtomicU32::new(0), y: AtomicU32::new(0) });
        let outcome = body(locations);
        collected.lock().expect("no panic under the lock").insert(outcome);
    });
    model.judged_by(move || {
        let seen = seen.lock().expect("no panic under the lock");
        (!expected(&seen)).then(|| format!("loom models this differently now: it shows {seen:?}"))
    })
}

/// One thread writes x, then y; the other reads y, then x.
fn message_passing(store: Ordering, load: Ordering) -> impl Fn(LoomArc<Locations>) -> Outcome {
    move |locations| {
        let writer = LoomArc::clone(&locations);
        let writing = thread::spawn(move || {
            writer.x.store(1, Relaxed);
            writer.y.store(1, store);
        });
        let flag = locations.y.load(load);
        let data = locations.x.load(Relaxed);
        writing.join().unwrap();
        (flag, data)
    }
}

/// Each thread writes its location and reads the other's.
fn store_buffering(fences: bool) -> impl Fn(LoomArc<Locations>) -> Outcome {
    move |locations| {
        let other = LoomArc::clone(&locations);
        let ordering = if fences { Relaxed } else { SeqCst };
        let left = thread::spawn(move || {
            other.x.store(1, ordering);
            if fences {
                fence(SeqCst);
            }
            other.y.load(ordering)
        });
        locations.y.store(1, ordering);
        if fences {
            fence(SeqCst);
        }
        let right = locations.x.load(ordering);
        (left.join().unwrap(), right)
    }
}

/// Each thread reads its location and then writes the other's.
fn load_buffering(locations: LoomArc<Locations>) -> Outcome {
    let other = LoomArc::clone(&locations);
    let left = thread::spawn(move || {
        let seen = other.x.load(Relaxed);
        other.y.store(1, Relaxed);
        seen
    });
    let right = locations.y.load(Relaxed);
    locations.x.store(1, Relaxed);
    (left.join().unwrap(), right)
}

/// A weak exchange without a competitor, beside a thread that is busy elsewhere.
fn weak_exchange(locations: LoomArc<Locations>) -> Outcome {
    let other = LoomArc::clone(&locations);
    let busy = thread::spawn(move || other.y.store(1, Relaxed));
    let failures = u32::from(locations.x.compare_exchange_weak(0, 1, Relaxed, Relaxed).is_err());
    let seen = locations.y.load(Relaxed);
    busy.join().unwrap();
    (failures, seen)
}

/// One thread writes 1, then 2; the other reads twice.
fn coherence(locations: LoomArc<Locations>) -> Outcome {
    let writer = LoomArc::clone(&locations);
    let writing = thread::spawn(move || {
        writer.x.store(1, Relaxed);
        writer.x.store(2, Relaxed);
    });
    let first = locations.x.load(Relaxed);
    let second = locations.x.load(Relaxed);
    writing.join().unwrap();
    (first, second)
}

/// One thread looks at `y` under a lock and at `x` after it; the other sets `y` under the lock, then loads and exchanges `x`.
/// That `y` is still 0 and `x` is 1 already is allowed, and not shown: of each location loom remembers the last access alone,
/// so the load just before the exchange hides that the exchange races with the other thread's load. What this leaves out is
/// for shuttle: see its `write_lock_granted_vs_waiter_looks`.
fn hidden_race(locations: LoomArc<Locations>) -> Outcome {
    let lock = LoomArc::new(loom::sync::Mutex::new(()));
    let (other, others_lock) = (LoomArc::clone(&locations), LoomArc::clone(&lock));
    let looking = thread::spawn(move || {
        let guard = others_lock.lock().unwrap();
        let before = other.y.load(Relaxed);
        drop(guard);
        (before, other.x.load(SeqCst))
    });
    let guard = lock.lock().unwrap();
    locations.y.store(1, Relaxed);
    drop(guard);
    let _ = locations.x.load(SeqCst);
    locations.x.swap(1, SeqCst);
    looking.join().unwrap()
}
