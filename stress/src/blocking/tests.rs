//! What holds of any blocking system: one thread runs at a time, and every life takes its threads along.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tenterhook_runtime::io::{IO, OpenOptions};

use super::*;
use crate::disk::{FaultKind, SimDisk};
use crate::options::FixedWorld;
use crate::schedule::{FiberId, SchedulerKind};
use crate::system::Crash;
use crate::tape::{Actor, Chance, ChoicePoint, Source};
use crate::violation::{Class, Violation};
use crate::watch::Watch;
use crate::world::{Keep, RunOutcome, World, WorldOptions};

const LENGTH: ChoicePoint = ChoicePoint::new(0, "length");

/// What jobs share with the test.
#[derive(Default)]
struct Shared {
    /// Jobs at work, which are one at most between two scheduling points.
    running: Mutex<u32>,
    latch: Latch,
    inside: Mutex<Option<FiberId>>,
    contended: Mutex<u64>,
    gone: Mutex<u64>,
    disk: Mutex<Option<Arc<BlockingDisk>>>,
}

impl Shared {
    fn disk(&self) -> Arc<BlockingDisk> {
        Arc::clone(self.disk.lock().as_ref().expect("booted"))
    }

    /// Some work during which no other thread may run.
    fn work(&self) {
        *self.running.lock() += 1;
        std::thread::yield_now();
        assert_eq!(*self.running.lock(), 1, "two threads run at a time");
        *self.running.lock() -= 1;
    }
}

type Operation = fn(&Arc<Shared>, &Call) -> Result<After, Box<Violation>>;

/// A system whose operations are one function.
struct Toy {
    shared: Arc<Shared>,
    operation: Operation,
}

impl BlockingSystem for Toy {
    fn connections(&self) -> u32 {
        3
    }

    fn boot(&mut self, io: &Arc<dyn IO>, disk: &SimDisk) -> Job {
        *self.shared.disk.lock() = Some(Arc::new(BlockingDisk::new(io, disk)));
        Box::new(|_| Ok(After::Ended))
    }

    fn operation(&mut self, _: FiberId) -> Job {
        let (shared, operation) = (Arc::clone(&self.shared), self.operation);
        Box::new(move |call| operation(&shared, call))
    }

    fn crash(&mut self, _: Crash) -> Result<(), Box<Violation>> {
        // The jobs have ended, and each has dropped its part.
        assert!(Arc::strong_count(&self.shared) <= 2, "a job is left that has not ended");
        *self.shared.disk.lock() = None;
        Ok(())
    }
}

fn run(seed: u64, operation: Operation, faults: &[FaultKind]) -> (RunOutcome, Arc<Shared>) {
    let shared = Arc::new(Shared::default());
    let toy = Toy { shared: Arc::clone(&shared), operation };
    let source = Source::Seed(seed);
    let fixed = FixedWorld { steps: Some(600), ..FixedWorld::default() };
    let options = WorldOptions::draw(&mut source.stream(Actor::OPTIONS, false), &fixed, faults);
    let blocking = Blocking::new(toy).patience(Duration::from_secs(2));
    let outcome = World::new(blocking, options, &source, Keep::Hash).run(&Watch::default());
    assert_eq!(Arc::strong_count(&shared), 1, "a thread is left that holds what the jobs share");
    (outcome, shared)
}

fn write_and_sync(shared: &Arc<Shared>, call: &Call) -> Result<After, Box<Violation>> {
    shared.work();
    let disk = shared.disk();
    let path = Path::new("d/file");
    let Ok(file) = disk.open(path, OpenOptions::creating()) else { return Ok(After::Ended) };
    let act = || -> Result<(), BlockingError> {
        let length = 1 + call.choose(LENGTH, 64) as usize;
        file.write(call, 512 * u64::from(call.fiber()), &vec![7; length])?;
        shared.work();
        file.sync(call)?;
        shared.work();
        let mut found = vec![0; length];
        let count = file.read(call, 512 * u64::from(call.fiber()), &mut found)?;
        call.observe(1, count as u64);
        disk.sync_directory(call, Path::new("d"))
    };
    if act() == Err(BlockingError::Gone(Gone)) {
        *shared.gone.lock() += 1;
    }
    shared.work();
    Ok(After::Ended)
}

const CRASHES: [FaultKind; 2] = [FaultKind::PowerLoss, FaultKind::ProcessKilled];

#[test]
fn one_thread_runs_at_a_time_and_a_seed_is_always_the_same_run() {
    let mut hashes = BTreeSet::new();
    let mut gone = 0;
    for seed in 0..30 {
        let (outcome, shared) = run(seed, write_and_sync, &CRASHES);
        assert_eq!(outcome.violation, None, "seed {seed}");
        assert!(outcome.steps >= 600);
        gone += *shared.gone.lock();
        hashes.insert(outcome.trace_hash);
        assert_eq!(outcome.trace_hash, run(seed, write_and_sync, &CRASHES).0.trace_hash, "seed {seed}");
    }
    assert_eq!(hashes.len(), 30);
    assert!(gone > 30, "calls that the end of a life cut off: {gone}");
}

/// Holds the latch over scheduling points.
fn take_the_latch(shared: &Arc<Shared>, call: &Call) -> Result<After, Box<Violation>> {
    if !shared.latch.try_lock(call) {
        *shared.contended.lock() += 1;
        shared.latch.lock(call);
    }
    shared.latch.lock(call);
    let before = shared.inside.lock().replace(call.fiber());
    let ended = write_and_sync(shared, call);
    let after = shared.inside.lock().take();
    shared.latch.unlock(call);
    shared.latch.unlock(call);
    if (before, after) != (None, Some(call.fiber())) {
        return Err(Violation::safety("latch", "one holder", format!("{before:?} and {after:?}")));
    }
    ended
}

#[test]
fn a_latch_has_one_holder_and_whoever_waits_gives_the_token_away() {
    let mut contended = 0;
    for seed in 0..30 {
        let (outcome, shared) = run(seed, take_the_latch, &CRASHES);
        assert_eq!(outcome.violation, None, "seed {seed}");
        assert_eq!(shared.latch.holder(), None);
        contended += *shared.contended.lock();
    }
    assert!(contended > 100, "{contended}");
}

#[test]
fn a_thread_that_does_not_come_back_is_named() {
    fn block(_: &Arc<Shared>, call: &Call) -> Result<After, Box<Violation>> {
        call.doing("waiting for a message that is never sent");
        let (_sender, receiver) = std::sync::mpsc::channel::<()>();
        let _ = receiver.recv_timeout(Duration::from_secs(4));
        Ok(After::Ended)
    }
    let shared = Arc::new(Shared::default());
    let blocking = Blocking::new(Toy { shared, operation: block }).patience(Duration::from_millis(50));
    let world = World::new(blocking, WorldOptions::default(), &Source::Seed(1), Keep::Hash);
    let violation = world.run(&Watch::default()).violation.expect("the thread is silent");
    assert_eq!((violation.class, violation.oracle.as_str()), (Class::Liveness, "blocking"));
    let notes = violation.notes.join("\n");
    assert!(notes.contains("connection ") && notes.contains("that is never sent"), "{notes}");
}

#[test]
fn a_job_that_goes_on_after_its_life_is_named_and_one_that_unwinds_is_not() {
    fn never_ends(_: &Arc<Shared>, call: &Call) -> Result<After, Box<Violation>> {
        loop {
            let _ = call.pause();
        }
    }
    fn unwinds(_: &Arc<Shared>, call: &Call) -> Result<After, Box<Violation>> {
        loop {
            call.pause().unwrap_or_else(|gone| gone.unwind());
        }
    }
    let shared = Arc::new(Shared::default());
    let toy = Toy { shared, operation: never_ends };
    let world = World::new(Blocking::new(toy), WorldOptions::default(), &Source::Seed(1), Keep::Hash);
    let violation = world.run(&Watch::default()).violation.expect("it never ends");
    assert_eq!(violation.oracle, "liveness", "{violation}");
    // Without rests, so that the end of a life finds the job.
    let shared = Arc::new(Shared::default());
    let mut options = WorldOptions::default();
    options.nemesis.mean_life = 100;
    let toy = Toy { shared, operation: never_ends };
    let violation = World::new(Blocking::new(toy), options, &Source::Seed(3), Keep::Hash)
        .run(&Watch::default())
        .violation
        .expect("it never ends");
    assert!(violation.seen.contains("still calls after its life"), "{violation}");
    let mut options = WorldOptions { steps: 500, ..WorldOptions::default() };
    options.nemesis.mean_life = 50;
    options.nemesis.mean_quiesce = 0;
    let shared = Arc::new(Shared::default());
    let toy = Toy { shared: Arc::clone(&shared), operation: unwinds };
    let outcome =
        World::new(Blocking::new(toy), options, &Source::Seed(3), Keep::Hash).run(&Watch::default());
    let violation = outcome.violation.expect("it never rests");
    assert!(outcome.lives > 3 && violation.oracle == "liveness", "{violation}");
}

#[test]
fn a_thread_that_stalls_lets_others_pass_by() {
    fn count(shared: &Arc<Shared>, call: &Call) -> Result<After, Box<Violation>> {
        let before = *shared.contended.lock();
        let _ = call.pause();
        // How many others have passed while this one stood here.
        let passed = *shared.contended.lock() - before;
        *shared.contended.lock() += 1;
        call.observe(1, passed);
        Ok(After::Ended)
    }
    let longest = |chance| {
        let shared = Arc::new(Shared::default());
        let blocking = Blocking::new(Toy { shared, operation: count }).stalls(chance, 2_000);
        let options = WorldOptions { scheduler: SchedulerKind::RoundRobin, ..WorldOptions::default() };
        let outcome = World::new(blocking, options, &Source::Seed(1), Keep::Events).run(&Watch::default());
        assert_eq!(outcome.violation, None);
        let events = outcome.trace.events().unwrap().iter();
        let passed = events.filter(|event| event.kind == crate::trace::EventKind::Observed);
        passed.map(|event| event.value).max().unwrap()
    };
    assert!(longest(Chance::NEVER) < 5);
    assert!(longest(Chance::per_mille(20)) > 20);
}

#[test]
fn a_panic_in_a_job_is_a_violation() {
    fn panics(_: &Arc<Shared>, call: &Call) -> Result<After, Box<Violation>> {
        let _ = call.pause();
        panic!("the engine is broken");
    }
    let violation = run(5, panics, &[]).0.violation.expect("it panics");
    assert_eq!(violation.class, Class::Panic);
    assert!(violation.seen.contains("the engine is broken"), "{violation}");
}

#[test]
fn entropy_and_time_come_from_the_tape_and_entropy_never_repeats() {
    fn draw(_: &Arc<Shared>, call: &Call) -> Result<After, Box<Violation>> {
        for _ in 0..2 {
            let mut bytes = [0; 8];
            call.entropy(&mut bytes);
            call.observe(u32::from_le_bytes(bytes[..4].try_into().unwrap()), u64::from_le_bytes(bytes));
        }
        call.observe(0, call.now().as_micros() as u64);
        let _ = call.yield_now();
        Ok(After::Ended)
    }
    assert_eq!(run(1, draw, &[]).0.trace_hash, run(1, draw, &[]).0.trace_hash);
    // On a dull tape, too.
    let shared = Arc::new(Shared::default());
    let source = Source::Recorded(Default::default());
    let toy = Toy { shared: Arc::clone(&shared), operation: draw };
    let outcome =
        World::new(Blocking::new(toy), WorldOptions::default(), &source, Keep::Events).run(&Watch::default());
    let events = outcome.trace.events().unwrap();
    let drawn: Vec<u32> = events
        .iter()
        .filter(|event| event.kind == crate::trace::EventKind::Observed && event.detail != 0)
        .map(|event| event.detail)
        .collect();
    let distinct: BTreeSet<_> = drawn.iter().collect();
    assert!(drawn.len() > 500 && distinct.len() == drawn.len(), "{} of {}", distinct.len(), drawn.len());
}

/// Broke: the job had decided, was still closing its file, and the end of the life took the verdict along.
#[test]
fn a_violation_that_a_job_finds_before_the_life_ends_is_reported_whenever_the_job_ends() {
    fn decide(_: &Arc<Shared>, call: &Call) -> Result<After, Box<Violation>> {
        let verdict = Violation::safety("toy", "a sound state", "another");
        // It closes what it has, until the life ends.
        while call.pause().is_ok() {}
        Err(verdict)
    }
    let (outcome, _) = run(1, decide, &CRASHES);
    assert_eq!(outcome.violation.expect("a violation").oracle, "toy");
}
