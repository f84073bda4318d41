//! Worlds around engines that wait, rest, die and complain in ways of their own.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Waker;

use tenterhook_runtime::io::{Buffer, File, OpenOptions, Submission};
use tenterhook_runtime::{Completer, Completion, CompletionError};

use super::*;
use crate::disk::{DiskOptions, FaultKind, FaultPlan};
use crate::system::{Complaint, Memory};
use crate::tape::Chance;
use crate::violation::Class;

type Verdict = Result<Step, Box<Violation>>;

/// How an engine with wakers of its own treats them.
#[derive(Copy, Clone, PartialEq, Eq)]
enum Wakes {
    /// It wakes a fiber when its write has ended.
    Right,
    /// Each step wakes the other fiber, too.
    ForNothing,
    /// It forgets to wake connection 0.
    Forgets,
}

/// A write of one connection.
#[derive(Default)]
struct Write {
    has_ended: bool,
    waker: Option<Waker>,
}

/// Each connection writes, and waits by its waker.
struct Wakeful {
    wakes: Wakes,
    file: Option<Arc<dyn File>>,
    writes: [Option<Arc<Mutex<Write>>>; 2],
    wakers: [Option<Waker>; 2],
    written: u64,
    looked_in_vain: u64,
}

impl System for Wakeful {
    fn connections(&self) -> u32 {
        2
    }

    fn boot(&mut self, io: &Arc<dyn IO>, _: &mut Context<'_>) -> Verdict {
        self.file = io.open("wakeful".as_ref(), OpenOptions::creating()).ok();
        Ok(Step::Ended)
    }

    fn step(&mut self, context: &mut Context<'_>) -> Verdict {
        let fiber = context.fiber as usize;
        self.wakers[fiber] = Some(context.waker().clone());
        if self.wakes == Wakes::ForNothing
            && let Some(other) = &self.wakers[1 - fiber]
        {
            other.wake_by_ref();
        }
        let Some(write) = &self.writes[fiber] else {
            let write = Arc::new(Mutex::new(Write::default()));
            if self.wakes != Wakes::Forgets || fiber == 1 {
                write.lock().unwrap().waker = Some(context.waker().clone());
            }
            self.writes[fiber] = Some(Arc::clone(&write));
            let ended = move |_, _| {
                let mut write = write.lock().unwrap();
                write.has_ended = true;
                write.waker.take().inspect(Waker::wake_by_ref);
            };
            let file = self.file.as_ref().expect("booted");
            file.start(Submission::write(0, Buffer::zeroed(512), ended));
            return Ok(Step::Pending);
        };
        if write.lock().unwrap().has_ended {
            self.writes[fiber] = None;
            self.written += 1;
            return Ok(Step::Ended);
        }
        self.looked_in_vain += 1;
        Ok(Step::Pending)
    }

    fn crash(&mut self, _: Crash) -> Result<(), Box<Violation>> {
        self.file = None;
        self.writes = [None, None];
        Ok(())
    }

    fn counters(&self) -> Vec<(&'static str, u64)> {
        vec![("written", self.written), ("looked in vain", self.looked_in_vain)]
    }
}

fn run<S: System>(system: S, seed: u64, options: WorldOptions) -> RunOutcome {
    World::new(system, options, &Source::Seed(seed), Keep::Hash).run(&Watch::default())
}

fn wakeful(wakes: Wakes, seed: u64) -> RunOutcome {
    let writes = [None, None];
    let wakeful = Wakeful { wakes, file: None, writes, wakers: [None, None], written: 0, looked_in_vain: 0 };
    let mut options = WorldOptions { patience: 500, ..WorldOptions::default() };
    // Some writes end before the step that has begun them.
    options.disk.immediate = Chance::per_mille(100);
    options.nemesis = NemesisOptions { mean_life: 300, mean_quiesce: 200, ..NemesisOptions::default() };
    run(wakeful, seed, options)
}

#[test]
fn a_pending_fiber_is_stepped_again_when_its_waker_was_woken_and_not_before() {
    for seed in 0..20 {
        let outcome = wakeful(Wakes::Right, seed);
        assert_eq!(outcome.violation, None, "seed {seed}");
        let [(_, written), (_, in_vain)] = outcome.counters[..] else { panic!("two counters") };
        assert!(written > 100, "seed {seed}: {written} writes");
        assert_eq!(in_vain, 0, "seed {seed}: it looked before it was woken");
    }
}

#[test]
fn a_pending_fiber_may_be_woken_for_nothing() {
    let outcomes = (0..20).map(|seed| wakeful(Wakes::ForNothing, seed)).collect::<Vec<_>>();
    assert!(outcomes.iter().all(|outcome| outcome.violation.is_none()));
    let in_vain: u64 = outcomes.iter().map(|outcome| outcome.counters[1].1).sum();
    assert!(in_vain > 1_000, "{in_vain} looks in vain");
}

#[test]
fn a_pending_fiber_whose_waker_is_forgotten_is_named() {
    let violation = (0..20).find_map(|seed| wakeful(Wakes::Forgets, seed).violation).expect("found");
    assert_eq!(violation.class, Class::Liveness);
    assert!(violation.notes.iter().any(|note| note.contains("its waker was not woken")), "{violation}");
}

/// Connection 0 takes from a queue into which connection 1 puts a few things, and then no more.
#[derive(Default)]
struct Queue {
    things: u64,
    empty: Option<(Completion, Completer)>,
    put: u64,
    taken: u64,
    rests: u64,
    /// Whether the taker says that it is in the middle of an operation while it waits.
    is_in_operation: bool,
}

impl System for Queue {
    fn connections(&self) -> u32 {
        2
    }

    fn step(&mut self, context: &mut Context<'_>) -> Verdict {
        if context.fiber == 0 {
            if self.things > 0 {
                (self.things, self.taken) = (self.things - 1, self.taken + 1);
                return Ok(Step::Ended);
            }
            let (completion, completer) = Completion::new(|_| {});
            self.empty = Some((completion.clone(), completer));
            return Ok(match self.is_in_operation {
                true => Step::Wait(completion),
                false => Step::Parked(completion),
            });
        }
        (self.things, self.put) = (self.things + 1, self.put + 1);
        if let Some((_, completer)) = self.empty.take() {
            let _ = completer.complete(0);
        }
        if self.put == 50 {
            // The taker may be parked, and what it is parked on has just finished.
            return Ok(Step::Idle);
        }
        Ok(Step::Ended)
    }

    fn quiesce(&mut self, _: &mut Context<'_>) -> Verdict {
        self.rests += 1;
        Ok(Step::Ended)
    }

    fn crash(&mut self, _: Crash) -> Result<(), Box<Violation>> {
        self.empty = None;
        Ok(())
    }

    fn counters(&self) -> Vec<(&'static str, u64)> {
        vec![("put", self.put), ("taken", self.taken), ("rests", self.rests)]
    }
}

fn queue(seed: u64, is_in_operation: bool) -> RunOutcome {
    let mut options = WorldOptions { patience: 500, ..WorldOptions::default() };
    options.nemesis.mean_quiesce = 10;
    run(Queue { is_in_operation, ..Queue::default() }, seed, options)
}

#[test]
fn a_parked_fiber_keeps_no_system_from_rest_and_no_run_from_its_end() {
    let mut all_rests = 0;
    for seed in 0..50 {
        let outcome = queue(seed, false);
        assert_eq!(outcome.violation, None, "seed {seed}");
        let [(_, put), (_, taken), (_, rests)] = outcome.counters[..] else { panic!("three counters") };
        assert_eq!((put, taken), (50, 50), "seed {seed}: a parked fiber is woken by what it waits for");
        all_rests += rests;
    }
    assert!(all_rests > 150, "{all_rests} rests, two of them at the end of each run");
}

#[test]
fn a_fiber_that_waits_in_an_operation_does() {
    let violation = (0..50).find_map(|seed| queue(seed, true).violation).expect("found");
    assert_eq!(violation.class, Class::Liveness);
}

/// It panics now and then.
struct Mortal {
    message: &'static str,
    in_crash: bool,
    steps: u64,
}

impl System for Mortal {
    fn connections(&self) -> u32 {
        2
    }

    fn step(&mut self, _: &mut Context<'_>) -> Verdict {
        self.steps += 1;
        assert!(!self.steps.is_multiple_of(300), "{}", self.message);
        Ok(Step::Ended)
    }

    fn panicked(&mut self, message: &str) -> Result<(), Box<Violation>> {
        if message.starts_with("a sync failed at ") { Ok(()) } else { Err(Violation::panic(message)) }
    }

    fn crash(&mut self, _: Crash) -> Result<(), Box<Violation>> {
        assert!(!self.in_crash, "a sync failed");
        Ok(())
    }
}

#[test]
fn a_panic_is_a_restart_or_a_violation_as_the_system_says() {
    let mortal = |message, in_crash| {
        let outcome = run(Mortal { message, in_crash, steps: 0 }, 1, WorldOptions::default());
        (outcome.lives, outcome.faults.delivered(FaultKind::ProcessKilled), outcome.violation)
    };
    let (lives, killed, violation) = mortal("a sync failed", false);
    assert_eq!(violation, None);
    assert!(lives > 5 && killed + 2 == lives, "{lives} lives, {killed} kills");
    let violation = mortal("an index is out of bounds", false).2.expect("found");
    assert_eq!(violation.class, Class::Panic);
    assert!(violation.seen.starts_with("an index is out of bounds at "), "{violation}");
    let violation = mortal("a sync failed", true).2.expect("a panic while a life ends is none of that");
    assert_eq!(violation.class, Class::Panic);
}

/// It writes, and counts how its writes have ended.
struct Scribe {
    memory: Memory,
    file: Option<Arc<dyn File>>,
    abandoned: Arc<AtomicU64>,
    failed: Arc<Mutex<Option<CompletionError>>>,
    /// What explained errors of writes, and what explained them after the next life had begun.
    explained: [Option<FaultKind>; 2],
    is_unexplained: bool,
}

impl System for Scribe {
    fn connections(&self) -> u32 {
        2
    }

    fn memory(&self) -> Memory {
        self.memory
    }

    fn boot(&mut self, io: &Arc<dyn IO>, context: &mut Context<'_>) -> Verdict {
        let Ok(file) = io.open("scribe".as_ref(), OpenOptions::creating()) else { return Ok(Step::Yield) };
        self.file = Some(file);
        let late = context.explained(Complaint::AnyIo);
        self.explained[1] = self.explained[1].or(late);
        Ok(Step::Ended)
    }

    fn step(&mut self, context: &mut Context<'_>) -> Verdict {
        if self.failed.lock().unwrap().take().is_some() {
            let cause = context.explained(Complaint::Write);
            self.is_unexplained |= cause.is_none() || context.explained(Complaint::Sync).is_some();
            self.explained[0] = cause;
        }
        let file = self.file.as_ref().expect("booted");
        let (abandoned, failed) = (Arc::clone(&self.abandoned), Arc::clone(&self.failed));
        let ended = move |outcome, _| match outcome {
            Err(CompletionError::Abandoned) => drop(abandoned.fetch_add(1, Ordering::Relaxed)),
            Err(error) => *failed.lock().unwrap() = Some(error),
            Ok(_) => {}
        };
        Ok(Step::Wait(file.start(Submission::write(0, Buffer::zeroed(512), ended))))
    }

    fn crash(&mut self, _: Crash) -> Result<(), Box<Violation>> {
        self.memory.end(self.file.take());
        *self.failed.lock().unwrap() = None;
        Ok(())
    }

    fn counters(&self) -> Vec<(&'static str, u64)> {
        let [now, late] = self.explained.map(|cause| cause.map_or(u64::MAX, |kind| kind as u64));
        vec![
            ("abandoned", self.abandoned.load(Ordering::Relaxed)),
            ("explained by", now),
            ("later by", late),
            ("unexplained", self.is_unexplained.into()),
        ]
    }
}

fn scribe(memory: Memory) -> RunOutcome {
    let mut faults = FaultPlan::NONE;
    faults.set(FaultKind::WriteError, Chance::per_mille(50));
    let mut options = WorldOptions { patience: 100, ..WorldOptions::default() };
    options.disk = DiskOptions { faults, ..DiskOptions::default() };
    options.nemesis = NemesisOptions { mean_life: 100, mean_quiesce: 0, ..NemesisOptions::default() };
    let scribe = Scribe {
        memory,
        file: None,
        abandoned: Arc::default(),
        failed: Arc::default(),
        explained: [None; 2],
        is_unexplained: false,
    };
    run(scribe, 7, options)
}

#[test]
fn memory_that_vanishes_calls_no_callback_and_memory_that_is_dropped_does() {
    let dropped = scribe(Memory::Drop);
    assert!(dropped.lives > 5 && dropped.counters[0].1 > 0, "{:?}", dropped.counters);
    assert_eq!(scribe(Memory::Vanish).counters[0].1, 0);
}

#[test]
fn an_error_is_explained_by_a_fault_of_its_kind_in_its_own_life() {
    let outcome = scribe(Memory::Drop);
    let [_, now, late, unexplained] = outcome.counters[..] else { panic!("four counters") };
    assert_eq!(now.1, FaultKind::WriteError as u64);
    assert_eq!(late.1, u64::MAX, "a fault of the life before explains nothing");
    assert_eq!(unexplained.1, 0);
    assert!(outcome.faults.noticed(FaultKind::WriteError) > 0);
}
