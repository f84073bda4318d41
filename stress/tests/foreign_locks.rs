//! Blocking engines with locks of their own: a thread that sleeps in one is stopped, and the tape says when it goes on.
//!
//! A program without the test harness, which has threads of its own: a run would take them for the engine's.

use std::path::Path;
use std::sync::mpsc::Sender;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use tenterhook_runtime::io::{IO, OpenOptions};
use tenterhook_stress::blocking::{After, Blocking, BlockingDisk, BlockingError, BlockingSystem, Call, Job};
use tenterhook_stress::disk::{FaultKind, SimDisk};
use tenterhook_stress::options::FixedWorld;
use tenterhook_stress::schedule::FiberId;
use tenterhook_stress::system::Crash;
use tenterhook_stress::tape::{Actor, Source};
use tenterhook_stress::violation::{Class, Violation};
use tenterhook_stress::watch::Watch;
use tenterhook_stress::world::{Keep, RunOutcome, World, WorldOptions};

const CRASHES: [FaultKind; 2] = [FaultKind::PowerLoss, FaultKind::ProcessKilled];

/// An engine with locks of the standard library.
#[derive(Default)]
struct Engine {
    log: Mutex<()>,
    index: Mutex<()>,
    /// Whether a transaction writes; the others wait for `free`.
    is_writing: Mutex<bool>,
    free: Condvar,
    /// While it is there, a thread of the engine waits for a message.
    helper: Mutex<Option<Sender<()>>>,
    /// Who is inside; the test's own.
    inside: Mutex<Option<FiberId>>,
}

type Operation = fn(&Engine, &BlockingDisk, &Call) -> Result<After, Box<Violation>>;

struct Toy {
    engine: Arc<Engine>,
    disk: Option<Arc<BlockingDisk>>,
    operation: Operation,
}

impl BlockingSystem for Toy {
    fn connections(&self) -> u32 {
        3
    }

    fn boot(&mut self, io: &Arc<dyn IO>, disk: &SimDisk) -> Job {
        self.engine = Arc::default();
        self.disk = Some(Arc::new(BlockingDisk::new(io, disk)));
        Box::new(|_| Ok(After::Ended))
    }

    fn operation(&mut self, _: FiberId) -> Job {
        let (engine, operation) = (Arc::clone(&self.engine), self.operation);
        let disk = Arc::clone(self.disk.as_ref().expect("booted"));
        Box::new(move |call| operation(&engine, &disk, call))
    }

    fn crash(&mut self, _: Crash) -> Result<(), Box<Violation>> {
        self.disk = None;
        Ok(())
    }
}

fn run(seed: u64, operation: Operation) -> RunOutcome {
    run_patiently(seed, operation, Duration::from_secs(60))
}

fn run_patiently(seed: u64, operation: Operation, patience: Duration) -> RunOutcome {
    let toy = Toy { engine: Arc::default(), disk: None, operation };
    let source = Source::Seed(seed);
    let fixed = FixedWorld { steps: Some(400), ..FixedWorld::default() };
    let options = WorldOptions::draw(&mut source.stream(Actor::OPTIONS, false), &fixed, &CRASHES);
    let blocking = Blocking::new(toy).patience(patience).foreign_locks();
    World::new(blocking, options, &source, Keep::Hash).run(&Watch::default())
}

fn counter(outcome: &RunOutcome, name: &str) -> u64 {
    outcome.counters.iter().find(|counter| counter.0 == name).expect("a counter").1
}

fn sleeps(outcome: &RunOutcome) -> u64 {
    counter(outcome, "sleeps in the engine's locks")
}

fn not_proven(outcome: &RunOutcome) -> u64 {
    counter(outcome, "runs not proven deterministic")
}

/// Writes and syncs: scheduling points.
fn write(disk: &BlockingDisk, call: &Call) -> Result<(), BlockingError> {
    let file = disk.open(Path::new("d/file"), OpenOptions::creating())?;
    file.write(call, 512 * u64::from(call.fiber()), &[7; 16])?;
    file.sync(call)
}

/// Writes as the one that is inside.
fn write_alone(engine: &Engine, disk: &BlockingDisk, call: &Call) -> Result<(), Box<Violation>> {
    let before = engine.inside.lock().unwrap().replace(call.fiber());
    let _ = write(disk, call);
    let after = engine.inside.lock().unwrap().take();
    match (before, after) {
        (None, Some(fiber)) if fiber == call.fiber() => Ok(()),
        seen => Err(Violation::safety("lock", "one holder", format!("{seen:?}"))),
    }
}

fn under_a_mutex(engine: &Engine, disk: &BlockingDisk, call: &Call) -> Result<After, Box<Violation>> {
    let log = engine.log.lock().unwrap();
    write_alone(engine, disk, call)?;
    drop(log);
    // Who is woken by this, and who comes first, is seen by the trace.
    call.observe(1, u64::from(call.fiber()));
    let _ = call.pause();
    Ok(After::Ended)
}

fn as_the_one_writer(engine: &Engine, disk: &BlockingDisk, call: &Call) -> Result<After, Box<Violation>> {
    let mut is_writing = engine.is_writing.lock().unwrap();
    while *is_writing {
        is_writing = engine.free.wait(is_writing).unwrap();
    }
    *is_writing = true;
    drop(is_writing);
    let written = write_alone(engine, disk, call);
    *engine.is_writing.lock().unwrap() = false;
    engine.free.notify_one();
    call.observe(1, u64::from(call.fiber()));
    written?;
    Ok(After::Ended)
}

fn a_thread_that_sleeps_in_a_mutex_or_a_condition_waits_for_its_turn_and_a_seed_is_always_the_same_run() {
    for operation in [under_a_mutex as Operation, as_the_one_writer] {
        let mut slept = 0;
        for seed in 0..12 {
            let outcome = run(seed, operation);
            assert_eq!(outcome.violation, None, "seed {seed}");
            assert_eq!(not_proven(&outcome), 0, "seed {seed}");
            let again = run(seed, operation);
            assert_eq!(
                (outcome.trace_hash, sleeps(&outcome)),
                (again.trace_hash, sleeps(&again)),
                "seed {seed}"
            );
            slept += sleeps(&outcome);
        }
        assert!(slept > 50, "{slept}");
    }
}

fn two_runs_side_by_side_are_the_same_as_each_alone() {
    let alone: Vec<_> = (100..104).map(|seed| run(seed, under_a_mutex).trace_hash).collect();
    let side_by_side: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> =
            (100..104).map(|seed| scope.spawn(move || run(seed, under_a_mutex).trace_hash)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(alone, side_by_side);
}

fn two_threads_that_wait_for_each_other_are_a_violation() {
    fn in_both_orders(engine: &Engine, disk: &BlockingDisk, call: &Call) -> Result<After, Box<Violation>> {
        let (first, second) = match call.fiber() % 2 {
            0 => (&engine.log, &engine.index),
            _ => (&engine.index, &engine.log),
        };
        let first = first.lock().unwrap();
        let _ = write(disk, call);
        let second = second.lock().unwrap();
        drop((first, second));
        Ok(After::Ended)
    }
    let violation = (0..20).find_map(|seed| run(seed, in_both_orders).violation).expect("a deadlock");
    assert_eq!(violation.class, Class::Liveness, "{violation}");
}

fn a_run_with_a_wait_that_has_a_time_limit_says_that_it_is_not_proven() {
    fn with_a_limit(engine: &Engine, _: &BlockingDisk, call: &Call) -> Result<After, Box<Violation>> {
        call.doing("waiting for an hour");
        let is_writing = engine.is_writing.lock().unwrap();
        let _ = engine.free.wait_timeout(is_writing, Duration::from_secs(3_600)).unwrap();
        Ok(After::Ended)
    }
    let outcome = run_patiently(1, with_a_limit, Duration::from_millis(50));
    let violation = outcome.violation.as_ref().expect("it does not come back");
    assert!(violation.notes.join("\n").contains("waiting for an hour"), "{violation}");
    assert_eq!((violation.class, sleeps(&outcome), not_proven(&outcome)), (Class::Liveness, 0, 1));
}

fn an_engine_with_threads_of_its_own_is_not_proven() {
    fn beside_a_helper(engine: &Engine, disk: &BlockingDisk, call: &Call) -> Result<After, Box<Violation>> {
        engine.helper.lock().unwrap().get_or_insert_with(|| {
            let (sender, receiver) = std::sync::mpsc::channel();
            std::thread::spawn(move || receiver.recv());
            sender
        });
        under_a_mutex(engine, disk, call)
    }
    let outcome = run(1, beside_a_helper);
    assert_eq!((outcome.violation.as_ref(), not_proven(&outcome)), (None, 1));
    assert!(sleeps(&outcome) > 0);
}

fn main() {
    a_thread_that_sleeps_in_a_mutex_or_a_condition_waits_for_its_turn_and_a_seed_is_always_the_same_run();
    two_runs_side_by_side_are_the_same_as_each_alone();
    two_threads_that_wait_for_each_other_are_a_violation();
    a_run_with_a_wait_that_has_a_time_limit_says_that_it_is_not_proven();
    an_engine_with_threads_of_its_own_is_not_proven();
}
