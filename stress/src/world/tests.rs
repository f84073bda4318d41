//! Worlds around a toy: each connection writes its own record, syncs it, and then counts it as acknowledged.

use std::sync::Mutex;

use tenterhook_runtime::CompletionError;
use tenterhook_runtime::io::{Buffer, File, OpenOptions, Submission};

use super::*;
use crate::disk::DiskOptions;
use crate::disk::FaultKind;
use crate::disk::FaultPlan;
use crate::schedule::SchedulerKind;
use crate::tape::{Chance, Tape};

/// What is wrong with the toy.
#[derive(Copy, Clone, PartialEq, Eq)]
enum Defect {
    None,
    /// Acknowledges before the sync.
    Hasty,
    /// Fiber 1 waits for a completion that never finishes.
    Deaf,
    /// Fiber 1 yields without end once faults have stopped.
    Spins,
    /// Panics in the thousandth step.
    Panics,
    /// Reads a counter that no seed decides.
    Irreproducible,
}

struct Toy {
    defect: Defect,
    records: Vec<Record>,
    file: Option<Arc<dyn File>>,
    boot: Option<(Completion, Arc<Mutex<Vec<u8>>>)>,
    commits: u64,
    steps: u64,
}

use tenterhook_runtime::Completion;

#[derive(Default)]
struct Record {
    state: State,
    attempted: u8,
    acknowledged: u8,
}

#[derive(Default)]
enum State {
    #[default]
    Idle,
    Writing(Completion),
    Syncing(Completion),
    Lost(Completion),
}

const SIZE: u64 = 512;

impl Toy {
    fn new(connections: u32, defect: Defect) -> Toy {
        let records = (0..connections).map(|_| Record::default()).collect();
        Toy { defect, records, file: None, boot: None, commits: 0, steps: 0 }
    }

    fn verify(&mut self, content: &[u8]) -> Result<(), Box<Violation>> {
        for (index, record) in self.records.iter_mut().enumerate() {
            let found = content.get(index * SIZE as usize).copied().unwrap_or(0);
            if found < record.acknowledged || found > record.attempted {
                let expected = format!("{}..={}", record.acknowledged, record.attempted);
                return Err(Violation::safety("toy", expected, found.to_string()));
            }
            // A write that failed may lie between the two; from now on this is what it is.
            (record.attempted, record.acknowledged) = (found, record.acknowledged);
        }
        Ok(())
    }
}

fn ended_well(completion: &Completion) -> Option<bool> {
    completion.result().map(|outcome| outcome.is_ok_and(|bytes| bytes == 0 || bytes == SIZE))
}

impl System for Toy {
    fn connections(&self) -> u32 {
        self.records.len() as u32
    }

    fn boot(&mut self, io: &Arc<dyn IO>, _: &mut Context<'_>) -> Result<Step, Box<Violation>> {
        let Some((read, content)) = &self.boot else {
            let Ok(file) = io.open("toy".as_ref(), OpenOptions::creating()) else {
                return Ok(Step::Yield);
            };
            let content = Arc::new(Mutex::new(Vec::new()));
            let sink = Arc::clone(&content);
            let whole = SIZE as usize * self.records.len();
            let read = file.start(Submission::read(0, Buffer::zeroed(whole), move |outcome, buffer| {
                *sink.lock().unwrap() = buffer[..outcome.unwrap_or(0) as usize].to_vec();
            }));
            self.file = Some(file);
            self.boot = Some((read.clone(), content));
            return Ok(Step::Wait(read));
        };
        match read.result() {
            None => Ok(Step::Wait(read.clone())),
            Some(Ok(bytes)) if bytes == self.file.as_ref().unwrap().len().unwrap() => {
                let content = content.lock().unwrap().clone();
                self.boot = None;
                self.verify(&content).map(|()| Step::Ended)
            }
            Some(_) => {
                self.boot = None;
                Ok(Step::Yield)
            }
        }
    }

    fn step(&mut self, context: &mut Context<'_>) -> Result<Step, Box<Violation>> {
        self.steps += 1;
        if self.defect == Defect::Panics && self.steps == 1000 {
            panic!("a thousand steps");
        }
        if self.defect == Defect::Irreproducible {
            use std::sync::atomic::{AtomicU64, Ordering};
            static RUNS: AtomicU64 = AtomicU64::new(0);
            if self.steps == 500 {
                context.observe(0, RUNS.fetch_add(1, Ordering::Relaxed));
            }
        }
        let file = self.file.as_ref().expect("booted");
        let offset = u64::from(context.fiber) * SIZE;
        let record = &mut self.records[context.fiber as usize];
        let odd = context.fiber == 1;
        if odd && self.defect == Defect::Deaf {
            let (completion, completer) = Completion::new(|_| {});
            std::mem::forget(completer);
            record.state = State::Lost(completion);
        }
        if odd && self.defect == Defect::Spins && context.calm && matches!(record.state, State::Writing(_)) {
            return Ok(Step::Yield);
        }
        match &record.state {
            State::Idle => {
                record.attempted = record.attempted.wrapping_add(1).max(record.acknowledged);
                if record.attempted == u8::MAX {
                    (record.attempted, record.acknowledged) = (0, 0);
                }
                let buffer = Buffer::copy_of(&[record.attempted; SIZE as usize]);
                let write = file.start(Submission::write(offset, buffer, |_, _| {}));
                record.state = State::Writing(write.clone());
                Ok(Step::Wait(write))
            }
            State::Writing(write) => match ended_well(write) {
                None => Ok(Step::Wait(write.clone())),
                Some(true) => {
                    if self.defect == Defect::Hasty {
                        record.acknowledged = record.attempted;
                    }
                    let sync = file.start(Submission::sync(|_| {}));
                    record.state = State::Syncing(sync.clone());
                    Ok(Step::Wait(sync))
                }
                Some(false) => {
                    record.state = State::Idle;
                    Ok(Step::Ended)
                }
            },
            State::Syncing(sync) => match sync.result() {
                None => Ok(Step::Wait(sync.clone())),
                Some(outcome) => {
                    record.state = State::Idle;
                    if outcome.is_ok() {
                        record.acknowledged = record.attempted;
                        self.commits += 1;
                        context.observe(1, u64::from(record.attempted));
                    } else if outcome != Err(CompletionError::Cancelled) {
                        return Ok(Step::Restart);
                    }
                    Ok(Step::Ended)
                }
            },
            State::Lost(completion) => Ok(Step::Wait(completion.clone())),
        }
    }

    fn quiesce(&mut self, _: &mut Context<'_>) -> Result<Step, Box<Violation>> {
        Ok(Step::Ended)
    }

    fn crash(&mut self, _: Crash) -> Result<(), Box<Violation>> {
        self.file = None;
        self.boot = None;
        for record in &mut self.records {
            record.state = State::Idle;
        }
        Ok(())
    }

    fn describe(&self, fiber: FiberId) -> String {
        format!("toy record {fiber}")
    }

    fn counters(&self) -> Vec<(&'static str, u64)> {
        vec![("commits", self.commits)]
    }
}

fn options(scheduler: SchedulerKind) -> WorldOptions {
    let mut faults = FaultPlan::NONE;
    for kind in [FaultKind::ReadError, FaultKind::WriteError, FaultKind::SyncFailed, FaultKind::Stuck] {
        faults.set(kind, Chance::per_mille(5));
    }
    faults.set(FaultKind::SectorTorn, Chance::per_mille(100));
    WorldOptions {
        steps: 3_000,
        scheduler,
        delivery_weight: 8,
        depth: 3,
        disk: DiskOptions { max_delay: 100, max_sync_delay: 100, faults, ..DiskOptions::default() },
        nemesis: NemesisOptions {
            drained_only: false,
            mean_life: 800,
            early: Chance::per_mille(200),
            killed: Chance::NEVER,
            failed_syncs: Chance::NEVER,
            mean_quiesce: 500,
        },
        patience: 2_000,
        threads: 0,
    }
}

fn run(seed: u64, defect: Defect) -> RunOutcome {
    let scheduler = SchedulerKind::ALL[seed as usize % SchedulerKind::ALL.len()];
    let world = World::new(Toy::new(8, defect), options(scheduler), &Source::Seed(seed), Keep::Story);
    world.run(&Watch::default())
}

#[test]
fn a_sound_toy_lives_through_hundred_seeds() {
    let mut lives = 0;
    let mut commits = 0;
    for seed in 0..100 {
        let outcome = run(seed, Defect::None);
        assert_eq!(outcome.violation, None, "seed {seed}");
        assert!(outcome.steps >= 3_000, "seed {seed} ended after {} steps", outcome.steps);
        lives += outcome.lives;
        commits += outcome.counters[0].1;
    }
    assert!(lives > 300 && commits > 10_000, "{lives} lives, {commits} commits");
}

#[test]
fn a_toy_that_acknowledges_before_the_sync_is_found() {
    let found = (0..100).filter_map(|seed| run(seed, Defect::Hasty).violation).count();
    assert!(found > 50, "{found} of 100");
    let violation = (0..100).find_map(|seed| run(seed, Defect::Hasty).violation).expect("found");
    assert_eq!((violation.oracle.as_str(), violation.class), ("toy", crate::violation::Class::Safety));
}

#[test]
fn a_fiber_that_never_stops_waiting_is_named() {
    let violation = run(0, Defect::Deaf).violation.expect("found");
    assert_eq!(violation.class, crate::violation::Class::Liveness);
    assert!(
        violation.notes.iter().any(|note| note.starts_with("fiber 1: toy record 1; waits")),
        "{violation}"
    );
}

#[test]
fn a_fiber_that_spins_is_named() {
    let violation = (0..20).find_map(|seed| run(seed, Defect::Spins).violation).expect("found");
    assert_eq!(violation.class, crate::violation::Class::Liveness);
    assert!(
        violation.notes.iter().any(|note| note.starts_with("fiber 1: toy record 1; could be")),
        "{violation}"
    );
}

#[test]
fn a_panic_is_a_violation_with_its_place() {
    let violation = run(0, Defect::Panics).violation.expect("found");
    assert_eq!(violation.class, crate::violation::Class::Panic);
    assert!(violation.seen.contains("a thousand steps at "), "{violation}");
}

#[test]
fn the_power_goes_after_failed_syncs_when_it_is_to() {
    let losses = |failed_syncs| {
        let mut options = options(SchedulerKind::Random);
        options.nemesis = NemesisOptions { mean_life: 0, failed_syncs, ..options.nemesis };
        options.disk.faults.set(FaultKind::SyncFailed, Chance::per_mille(100));
        let toy = Toy::new(8, Defect::None);
        let outcome = World::new(toy, options, &Source::Seed(3), Keep::Hash).run(&Watch::default());
        assert_eq!(outcome.violation, None);
        outcome.faults.delivered(FaultKind::PowerLoss)
    };
    assert_eq!(losses(Chance::NEVER), 1, "at the end");
    assert!(losses(Chance::per_mille(1000)) > 1);
}

#[test]
fn one_seed_gives_one_trace_and_another_seed_another() {
    for seed in 0..20 {
        let (first, second) = (run(seed, Defect::None), run(seed, Defect::None));
        assert_eq!(first.trace_hash, second.trace_hash, "seed {seed}");
        assert!(first.trace.first_difference(&second.trace).is_none());
        assert_ne!(first.trace_hash, run(seed + 1, Defect::None).trace_hash, "seed {seed}");
    }
}

#[test]
fn what_no_seed_decides_shows_as_the_first_different_event() {
    let (first, second) = (run(0, Defect::Irreproducible), run(0, Defect::Irreproducible));
    assert_ne!(first.trace_hash, second.trace_hash);
    let (_, ours, theirs) = first.trace.first_difference(&second.trace).expect("differs");
    assert_eq!(ours.unwrap().kind, EventKind::Observed);
    assert_ne!(ours.unwrap().value, theirs.unwrap().value);
}

#[test]
fn a_recorded_tape_replays_the_run_without_its_seed() {
    for seed in 0..6 {
        let recorded = run(seed, Defect::None);
        let scheduler = SchedulerKind::ALL[seed as usize % SchedulerKind::ALL.len()];
        let source = Source::from(recorded.tape.clone());
        let world = World::new(Toy::new(8, Defect::None), options(scheduler), &source, Keep::Story);
        let replayed = world.run(&Watch::default());
        assert_eq!(recorded.trace_hash, replayed.trace_hash, "seed {seed}");
        assert_eq!(recorded.tape, replayed.tape);
    }
}

#[test]
fn the_dull_tape_has_no_faults_and_no_crashes() {
    let source = Source::from(Tape::default());
    let world = World::new(Toy::new(8, Defect::None), options(SchedulerKind::Random), &source, Keep::Hash);
    let outcome = world.run(&Watch::default());
    assert_eq!(outcome.violation, None);
    assert_eq!(outcome.lives, 2, "the first, and the last after the power loss at the end");
    let faults = FaultKind::ALL.iter().filter(|&&kind| outcome.faults.requested(kind) > 0).count();
    assert!(faults <= 2, "only that power loss and what it took: {:?}", outcome.faults);
}

#[test]
fn a_run_that_is_stopped_says_so() {
    let world =
        World::new(Toy::new(8, Defect::None), options(SchedulerKind::Random), &Source::Seed(1), Keep::Hash);
    let watch = Watch::default();
    watch.stop();
    let outcome = world.run(&watch);
    assert!(outcome.interrupted && outcome.violation.is_none() && outcome.steps == 0);
}

#[test]
fn a_run_remembers_what_it_was_asked_to_and_is_the_same_run() {
    let play = |keep| {
        let toy = Toy::new(8, Defect::None);
        let outcome =
            World::new(toy, options(SchedulerKind::Pos), &Source::Seed(4), keep).run(&Watch::default());
        let has_tape = outcome.tape.choices().count() > 0;
        let has_events = outcome.trace.events().is_some_and(|events| !events.is_empty());
        (outcome.trace_hash, [has_tape, has_events, !outcome.captions.is_empty()])
    };
    let (hash, nothing) = play(Keep::Hash);
    assert_eq!(nothing, [false; 3]);
    assert_eq!(play(Keep::Tape), (hash, [true, false, false]));
    assert_eq!(play(Keep::Events), (hash, [true, true, false]));
    assert_eq!(play(Keep::Story), (hash, [true; 3]));
}
