//! One run: fibers, a disk, a scheduler, and the end of the world now and then.
//!
//! A run goes through lives. A life boots, runs its connections, and is brought to rest now and then: faults stop,
//! every operation must end within a bound, and the system is looked over. A life ends when the power goes, when the
//! process is killed, or when the system asks for a restart; the next begins from what the disk has. The run's last
//! life is brought to rest, loses power, and has to come back once more.

mod beginning;
mod branch;
mod captions;
mod cuts;
mod draw;
mod ending;
mod fibers;
mod keep;
mod liveness;
mod lives;
mod naps;
mod nemesis;
mod options;
mod order;
mod outcome;
mod phase;
#[cfg(tenterhook_shuttle)]
mod raced;
#[cfg(not(tenterhook_shuttle))]
#[path = "world/unraced.rs"]
mod raced;
mod transitions;
mod waiting;

use std::sync::Arc;

use tenterhook_runtime::io::IO;

pub use self::branch::Names;
pub(crate) use self::captions::WAITS;
use self::cuts::Next;
use self::fibers::Fibers;
pub use self::keep::Keep;
use self::naps::Naps;
use self::nemesis::Nemesis;
pub use self::nemesis::NemesisOptions;
pub(crate) use self::nemesis::is_cut;
pub use self::options::WorldOptions;
use self::order::Order;
pub use self::outcome::RunOutcome;
use self::phase::{Boot, Phase, Rest};
use self::raced::Raced;
use crate::clock::Clock;
use crate::disk::{SimDisk, Struck};
use crate::schedule::{FiberId, Pick, Readiness};
use crate::sometimes;
use crate::system::{Context, Crash, Step, System};
use crate::tape::{Actor, Beginning, BranchEnd, Fixture, Schedule, Source, Tape};
use crate::trace::{Event, EventKind, Trace};
use crate::violation::Violation;
use crate::watch::Watch;

/// One run of one system.
pub struct World<S> {
    system: S,
    options: WorldOptions,
    disk: SimDisk,
    io: Arc<dyn IO>,
    fibers: Fibers,
    order: Order,
    nemesis: Nemesis,
    raced: Raced,
    clock: Clock,
    naps: Naps,
    trace: Trace,
    captions: Option<Vec<(usize, String)>>,
    /// What the system said to people in the present step.
    remarks: Vec<String>,
    phase: Phase,
    /// Faults that the disk has delivered.
    struck: Struck,
    /// Faults that it had delivered when the present life began.
    born: Struck,
    /// Whether the life is being ended.
    is_ending: bool,
    steps: u64,
    /// Lives in a row that ended before they began, without a fault.
    stillborn: u32,
    /// The step by which the present phase must be over.
    deadline: u64,
    /// After so many steps the run draws what it has replayed until then.
    leaves_after: Option<u64>,
    end: BranchEnd,
    /// How many events there were when each step began, if the story is kept.
    steps_began: Option<Vec<u64>>,
    /// In place of an empty disk.
    begun_with: Option<Arc<Fixture>>,
    /// What each life after the first began with, if that is kept.
    beginnings: Option<Vec<Beginning>>,
}

/// Why a run stopped before its end.
enum Halt {
    Violation(Box<Violation>),
    Interrupted,
}

impl From<Box<Violation>> for Halt {
    fn from(violation: Box<Violation>) -> Self {
        Halt::Violation(violation)
    }
}

/// How often a run looks whether it should stop, in steps.
const STOP_CHECK: u64 = 256;

impl<S: System> World<S> {
    /// A world at its first step, which remembers what `keep` says.
    pub fn new(system: S, mut options: WorldOptions, source: &Source, keep: Keep) -> World<S> {
        let record = keep >= Keep::Tape;
        let (leaves_after, end) = match *source {
            Source::Branch { after, end, .. } => (Some(after), end),
            Source::Recorded(_) | Source::Seed(_) => (None, BranchEnd::Usual),
        };
        if let BranchEnd::After(steps) = end {
            options.steps = options.steps.min(steps);
        }
        let disk = SimDisk::new(options.disk, source.stream(Actor::DISK, record));
        let io = disk.io();
        if keep >= Keep::Story {
            disk.keep_places();
        }
        let connections = system.connections();
        let in_turns = source.tape().is_some_and(|tape| tape.schedule == Schedule::Turns);
        if record || source.tape().is_some() {
            disk.keep_addresses(in_turns);
        }
        let raced = Raced::new(connections, &options, source, keep);
        let scheduler = (!in_turns).then(|| options.scheduler.build(options.delivery_weight, options.depth));
        World {
            fibers: Fibers::new(connections, source, record),
            system,
            order: Order::new(scheduler, source.stream(Actor::SCHEDULER, record), record),
            nemesis: Nemesis::new(options.nemesis, source.stream(Actor::NEMESIS, record), in_turns),
            io,
            disk,
            raced,
            clock: Clock::default(),
            naps: Naps::default(),
            trace: Trace::new(keep >= Keep::Events),
            captions: (keep >= Keep::Story).then(Vec::new),
            remarks: Vec::new(),
            phase: Phase::Booting(Boot::Struck),
            struck: Struck::default(),
            born: Struck::default(),
            is_ending: false,
            steps: 0,
            stillborn: 0,
            deadline: options.patience,
            leaves_after,
            end,
            steps_began: (keep >= Keep::Story).then(Vec::new),
            begun_with: source.tape().and_then(Tape::fixture).cloned(),
            beginnings: (keep == Keep::Beginnings).then(Vec::new),
            options,
        }
    }

    /// Runs to the end, to a violation, or until `watch` says stop.
    pub fn run(mut self, watch: &Watch) -> RunOutcome {
        sometimes::take();
        if let Err(violation) = self.begin_with_fixture() {
            return self.finish(Some(*violation), false);
        }
        self.begin_life();
        let mut halted = crate::panics::catch(|| self.run_phases(watch));
        while let Err(panic) = &halted {
            let judged = crate::panics::catch(|| self.judge_panic(panic));
            halted = match judged.unwrap_or_else(|panic| Err(Violation::panic(panic))) {
                Ok(()) => crate::panics::catch(|| {
                    self.restart()?;
                    self.run_phases(watch)
                }),
                Err(violation) => Ok(Err(violation.into())),
            };
        }
        let (violation, interrupted) = match halted {
            Ok(Ok(())) => (None, false),
            Ok(Err(Halt::Interrupted)) => (None, true),
            Ok(Err(Halt::Violation(violation))) => (Some(*violation), false),
            Err(panic) => (Some(*Violation::panic(panic)), false),
        };
        self.finish(violation, interrupted)
    }

    fn run_phases(&mut self, watch: &Watch) -> Result<(), Halt> {
        let mut woken = Vec::new();
        while self.phase != Phase::Over {
            if self.steps.is_multiple_of(STOP_CHECK) && watch.beat() {
                return Err(Halt::Interrupted);
            }
            if matches!(self.end, BranchEnd::KilledAfter(steps) if self.steps >= steps) {
                self.crash(Crash::ProcessKilled)?;
                return Err(Halt::Interrupted);
            }
            self.leave_tape_in_time();
            self.turn_phase()?;
            self.naps.ring(self.clock.now());
            self.fibers.wake(&mut woken, &mut self.order);
            let told = self.trace.len();
            let disk = self.disk.begin_step_of(self.steps, self.clock.now(), &mut self.trace);
            self.locate(told as usize);
            self.struck = disk.struck;
            self.nemesis.look_at(&disk);
            let next = if self.order.follows_turns() {
                match self.next_by_turn()? {
                    Next::Cut => continue,
                    Next::Pick(pick) => pick,
                }
            } else {
                self.order.pick(self.raced.deliverable(disk.due))
            };
            match next {
                Some(Pick::Fiber(fiber)) => self.step_fiber(fiber)?,
                Some(Pick::Delivery(index)) => self.deliver(index)?,
                None => match disk.next_due.into_iter().chain(self.naps.next()).min() {
                    Some(moment) => self.clock.jump_to(moment),
                    None if self.nothing_left_to_wait_for() => {}
                    None => return Err(self.deadlock().into()),
                },
            }
        }
        Ok(())
    }

    fn deliver(&mut self, index: u32) -> Result<(), Box<Violation>> {
        self.count_step();
        self.order.happens(|| self.disk.place_of(index));
        self.order.tell_turn(&self.disk);
        if self.deliver_in_thread(index)? {
            return Ok(());
        }
        self.disk.deliver(index);
        self.order.learn(&self.disk);
        Ok(())
    }

    fn count_step(&mut self) {
        if let Some(began) = &mut self.steps_began {
            began.push(self.trace.len());
        }
        self.steps += 1;
        self.clock.tick();
    }

    /// A fiber can be stepped.
    fn ready(&mut self, fiber: FiberId, why: Readiness) {
        self.fibers.ready(fiber, why, &mut self.order);
    }

    fn step_fiber(&mut self, fiber: FiberId) -> Result<(), Box<Violation>> {
        if self.go_on(fiber)? {
            return Ok(());
        }
        let is_control = fiber == self.fibers.control();
        if !is_control && self.phase.rests() && !self.fibers.is_busy(fiber) {
            // It would begin an operation: it sits this out, and that is no step.
            self.fibers.seat(fiber);
            return Ok(());
        }
        self.count_step();
        let actor = self.fibers.actor(fiber);
        self.order.happens(|| Some(self.fibers.place(fiber, self.fibers.has_yielded(fiber))));
        if self.step_in_thread(fiber)? {
            return Ok(());
        }
        self.order.serve(&self.disk, || self.fibers.operation(fiber));
        let step = {
            let (stream, waker) = self.fibers.begin_step(fiber);
            let mut context = Context {
                fiber,
                actor,
                stream,
                disk: &self.disk,
                step: self.steps,
                calm: self.phase.is_calm(),
                struck: self.struck,
                born: self.born,
                waker,
                trace: &mut self.trace,
                remarks: self.captions.is_some().then_some(&mut self.remarks),
            };
            match self.phase {
                Phase::Booting(_) if is_control => self.system.boot(&self.io, &mut context)?,
                Phase::Quiescing(_) if is_control => self.system.quiesce(&mut context)?,
                _ => self.system.step(&mut context)?,
            }
        };
        self.order.learn(&self.disk);
        self.look_for_threads();
        self.after_step(fiber, actor, step)
    }

    /// A step has come to its end.
    fn after_step(&mut self, fiber: FiberId, actor: Actor, step: Step) -> Result<(), Box<Violation>> {
        let is_control = fiber == self.fibers.control();
        self.fibers.stepped(fiber, matches!(step, Step::Yield));
        let value = self.fibers.digest(fiber) ^ self.order.digest();
        self.note_of(actor, EventKind::Step, step_code(&step), value);
        self.caption(fiber, &step);
        match step {
            Step::Restart => self.restart()?,
            Step::Destroyed => self.phase = Phase::Over,
            Step::Ended if is_control => self.control_ended()?,
            Step::Ended => self.fibers.ended(fiber, &mut self.order),
            Step::Idle if is_control => self.control_ended()?,
            Step::Idle => self.fibers.retire(fiber),
            Step::Continue => self.ready(fiber, Readiness::Continued),
            Step::Yield => self.ready(fiber, Readiness::Yielded),
            Step::Stall { .. } if self.order.follows_turns() => self.ready(fiber, Readiness::Continued),
            Step::Stall { ticks } => {
                self.order.possible(self.fibers.place(fiber, false));
                let nap = self.naps.until(self.clock.now() + u64::from(ticks));
                self.fibers.park(fiber, nap, &mut self.order);
            }
            Step::Pending => self.fibers.park_pending(fiber, &mut self.order),
            Step::Parked(completion) if !is_control => {
                self.fibers.park_between(fiber, completion, &mut self.order);
            }
            Step::Wait(completion) | Step::Parked(completion) => {
                self.fibers.park(fiber, completion, &mut self.order);
            }
        }
        Ok(())
    }

    fn note(&mut self, kind: EventKind, detail: u32, value: u64) {
        self.note_of(Actor::NEMESIS, kind, detail, value);
    }

    fn note_of(&mut self, actor: Actor, kind: EventKind, detail: u32, value: u64) {
        self.trace.push(Event { actor, kind, detail, value });
    }
}

fn step_code(step: &Step) -> u32 {
    match step {
        Step::Continue => 0,
        Step::Yield => 1,
        Step::Wait(_) => 2,
        Step::Ended => 3,
        Step::Restart => 4,
        Step::Idle => 5,
        Step::Destroyed => 6,
        // It waits.
        Step::Stall { .. } => 2,
        Step::Pending => 7,
        Step::Parked(_) => 8,
    }
}

#[cfg(test)]
mod in_turns;
#[cfg(test)]
mod own_ways;
#[cfg(test)]
mod tests;
