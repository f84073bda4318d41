//! Steps and deliveries that run in threads and are stopped in their middle. See [`crate::race`].

use std::sync::Arc;

use super::{Phase, World};
use crate::race::{Crew, Delivery, Done, Slice, StepJob, Why, Work};
use crate::schedule::{FiberId, Readiness};
use crate::system::{Step, System};
use crate::tape::{Actor, GAVE_WAY, LOCK, SLICE, Schedule, Source, Stage, Stream};
use crate::trace::{EventKind, Trace};
use crate::violation::Violation;
use crate::world::order::Ready;
use crate::world::{Keep, WorldOptions};

/// How often the rest of each thread is let run when a life ends, before the run is given up.
const LAST_ROUNDS: u32 = 10_000;

/// The threads of a run, and its connections as objects.
#[derive(Default)]
pub(super) struct Raced {
    crew: Option<Crew>,
    connections: Vec<Option<Box<dyn crate::race::Connection>>>,
    /// Traces that no step uses.
    traces: Vec<Trace>,
    /// The tape has been left: a stream that a thread had at that moment leaves it when it comes back.
    has_left: bool,
}

impl Raced {
    /// Threads for a run that has some.
    pub(super) fn new(connections: u32, options: &WorldOptions, source: &Source, keep: Keep) -> Raced {
        if options.threads == 0 {
            return Raced::default();
        }
        let tape = match source {
            Source::Recorded(tape) | Source::Branch { tape, .. } if tape.schedule == Schedule::Turns => {
                Some(Arc::clone(tape))
            }
            Source::Recorded(_) | Source::Branch { .. } | Source::Seed(_) => None,
        };
        let gaps = (options.scheduler, options.depth, options.delivery_weight);
        let mut crew = Crew::new(connections, gaps, tape);
        if keep >= Keep::Story {
            crew.keep_stacks();
        }
        Raced { crew: Some(crew), connections: Vec::new(), traces: Vec::new(), has_left: false }
    }

    /// Whether no thread is in the middle of a step or a delivery.
    pub(super) fn rests(&self) -> bool {
        self.crew.as_ref().is_none_or(Crew::rests)
    }

    /// From here on the tape no longer says where threads are stopped: that is drawn.
    pub(super) fn leave_tape(&mut self) {
        self.has_left = true;
        if let Some(crew) = &mut self.crew {
            crew.leave_tape();
        }
    }

    /// How many of `due` operations can be delivered now: none without a thread for it.
    pub(super) fn deliverable(&self, due: u32) -> u32 {
        match &self.crew {
            Some(crew) if crew.free_delivery().is_none() => 0,
            _ => due,
        }
    }

    /// Threads in the middle of a step or a delivery, in words: whether each waits for another one, and where it is.
    pub(super) fn under_way(&self) -> Vec<String> {
        let Some(crew) = &self.crew else { return Vec::new() };
        let words = |(id, waits, calls): (FiberId, bool, &[String])| {
            let who = match crew.connections() {
                connections if id < connections => format!("the thread of fiber {id}"),
                connections => format!("thread {} beside those of connections", id - connections),
            };
            let how = if waits { "waits for another one" } else { "can go on" };
            let at = if calls.is_empty() { String::new() } else { format!(", in {}", calls.join(" < ")) };
            format!("{who} {how}{at}")
        };
        crew.under_way().map(words).collect()
    }

    /// Synchronisation operations of the run.
    pub(super) fn points(&self) -> u64 {
        self.crew.as_ref().map_or(0, Crew::points)
    }

    /// The run is over. Whether threads are given up in the middle of something, with what they hold.
    pub(super) fn dismiss(&mut self) -> bool {
        self.crew.as_mut().is_some_and(Crew::dismiss)
    }

    /// What a connection is doing, if it is between two steps.
    pub(super) fn describe(&self, fiber: FiberId) -> Option<String> {
        self.connections.get(fiber as usize)?.as_ref().map(|connection| connection.describe())
    }

    /// Whether `fiber` is in the middle of a step.
    pub(super) fn is_in_step(&self, fiber: FiberId) -> bool {
        self.crew.as_ref().is_some_and(|crew| crew.is_in_job(fiber))
    }
}

impl<S: System> World<S> {
    /// The connections of this life begin.
    pub(super) fn make_connections(&mut self) -> Result<(), Box<Violation>> {
        if self.raced.crew.is_none() {
            return Ok(());
        }
        for fiber in 0..self.system.connections() {
            let Some(connection) = self.system.connection(fiber) else {
                let expected = "a system whose connections are objects, for a run with threads";
                return Err(Violation::safety("threads", expected, "System::connection gives none"));
            };
            self.raced.connections.push(Some(connection));
        }
        Ok(())
    }

    /// The connections of this life end, with what was in their memory.
    pub(super) fn end_connections(&mut self) {
        let memory = self.system.memory();
        self.raced.connections.drain(..).for_each(|connection| memory.end(connection));
    }

    /// Lets the thread of `id` go on, if it is in the middle of something.
    pub(super) fn go_on(&mut self, id: FiberId) -> Result<bool, Box<Violation>> {
        let Some(crew) = &self.raced.crew else { return Ok(false) };
        if !crew.is_in_job(id) {
            return Ok(false);
        }
        let place = crew.place(id);
        self.count_step();
        self.order.happens(|| Some(place));
        self.slice(id)?;
        Ok(true)
    }

    /// Begins a step of a connection in its thread, if the run has threads.
    pub(super) fn step_in_thread(&mut self, fiber: FiberId) -> Result<bool, Box<Violation>> {
        let is_control = fiber == self.fibers.control();
        if self.raced.crew.is_none() || is_control {
            return Ok(false);
        }
        let Some(connection) = self.raced.connections.get_mut(fiber as usize).and_then(Option::take) else {
            return Ok(false);
        };
        let actor = self.fibers.actor(fiber);
        let (stream, waker) = self.fibers.lend(fiber);
        let job = StepJob {
            connection,
            fiber,
            actor,
            stream,
            disk: self.disk.clone(),
            step: self.steps,
            calm: self.phase.is_calm(),
            struck: self.raced.crew.as_ref().map_or(self.struck, |crew| crew.struck_before(self.struck)),
            born: self.born,
            waker,
            trace: self.raced.traces.pop().unwrap_or_else(|| Trace::new(true)),
            remarks: self.captions.is_some().then(Vec::new),
        };
        let base = self.fibers.operation(fiber);
        if let Some(crew) = &mut self.raced.crew {
            crew.give(fiber, Work::Step(Box::new(job)), base, self.struck);
        }
        self.slice(fiber)?;
        Ok(true)
    }

    /// Delivers an operation in a thread of the disk, if the run has threads.
    pub(super) fn deliver_in_thread(&mut self, index: u32) -> Result<bool, Box<Violation>> {
        // While the world's own thread boots the system or looks it over, nothing meets a delivery that is stopped.
        if !matches!(self.phase, Phase::Running | Phase::Draining(_)) {
            return Ok(false);
        }
        let Some(crew) = &mut self.raced.crew else { return Ok(false) };
        let Some(thread) = crew.free_delivery() else { return Ok(false) };
        let base = self.disk.place_of(index).map(|place| place.address.at(Stage::DELIVERED));
        let delivery = Delivery { disk: self.disk.clone(), index };
        crew.give(thread, Work::Delivery(delivery), base.unwrap_or_default(), self.struck);
        self.slice(thread)?;
        Ok(true)
    }

    /// Lets a thread run until it is stopped, or its step or delivery ends.
    fn slice(&mut self, id: FiberId) -> Result<(), Box<Violation>> {
        let Some(crew) = &mut self.raced.crew else { return Ok(()) };
        let gap = crew.gap(id, self.order.stream());
        let base = crew.base(id);
        self.order
            .serve(&self.disk, || crate::tape::Address::operation(base.life, base.actor, base.operation));
        let slice = crew.run(id, gap);
        self.order.learn(&self.disk);
        let end = self.sliced(id, slice);
        self.wake_threads();
        end
    }

    fn sliced(&mut self, id: FiberId, slice: Slice) -> Result<(), Box<Violation>> {
        let Slice { why, operations, done } = slice;
        let actor = self.thread_actor(id);
        if why != Why::Idle {
            self.note_of(actor, EventKind::Stopped, why as u32, operations.into());
            self.tell_where(id, why);
        }
        match (why, done) {
            (Why::Stopped, _) => self.thread_ready(id, Readiness::Stopped),
            (Why::GaveWay, _) => self.thread_ready(id, Readiness::Yielded),
            (Why::Blocked, _) => {}
            (Why::Idle, Some(Done::Step(job, step))) => self.job_done(job, step)?,
            (Why::Idle, Some(Done::Delivery(Err(panic)))) => std::panic::resume_unwind(Box::new(panic)),
            (Why::Idle, _) => {}
        }
        Ok(())
    }

    fn job_done(
        &mut self,
        job: Box<StepJob>,
        step: Result<Result<Step, Box<Violation>>, String>,
    ) -> Result<(), Box<Violation>> {
        let StepJob { connection, fiber, actor, stream, mut trace, remarks, .. } = *job;
        trace.take_events().into_iter().for_each(|event| self.trace.push(event));
        self.raced.traces.push(trace);
        self.remarks.extend(remarks.into_iter().flatten());
        self.give_back(fiber, stream);
        if let Some(place) = self.raced.connections.get_mut(fiber as usize) {
            *place = Some(connection);
        }
        match step {
            Ok(step) => self.after_step(fiber, actor, step?),
            Err(panic) => std::panic::resume_unwind(Box::new(panic)),
        }
    }

    /// The thread has stepped the fiber. The run may have left its tape meanwhile.
    fn give_back(&mut self, fiber: FiberId, mut stream: Stream) {
        if self.raced.has_left {
            stream.leave_tape();
        }
        self.fibers.give_back(fiber, stream);
    }

    /// The thread of `id` can go on.
    fn thread_ready(&mut self, id: FiberId, why: Readiness) {
        let Some(crew) = &self.raced.crew else { return };
        let place = crew.place(id);
        let recorded = crew.recorded(place);
        self.order.ready(Ready { fiber: id, why, place, recorded });
    }

    /// Threads that waited for another one and can go on now.
    fn wake_threads(&mut self) {
        let life = self.nemesis.life();
        let woken = self.raced.crew.as_mut().map(|crew| crew.take_woken(life)).unwrap_or_default();
        woken.into_iter().for_each(|id| self.thread_ready(id, Readiness::Woken));
    }

    /// The world has done something itself: threads may have been woken by it or started.
    pub(super) fn look_for_threads(&mut self) {
        if let Some(crew) = &self.raced.crew {
            crew.look_around();
            self.wake_threads();
        }
    }

    /// Before a life ends, what is in the middle of a step or a delivery comes to its end. What it comes to has no effect any more,
    /// unless it is a violation.
    pub(super) fn settle_threads(&mut self) -> Result<(), Box<Violation>> {
        for round in 0..LAST_ROUNDS {
            let Some(crew) = &mut self.raced.crew else { return Ok(()) };
            // They are told to no scheduler: the life is over.
            let _ = crew.take_woken(self.nemesis.life());
            let Some(id) = crew.stopped(round) else { break };
            let base = crew.base(id);
            self.order
                .serve(&self.disk, || crate::tape::Address::operation(base.life, base.actor, base.operation));
            let slice = crew.run(id, u32::MAX);
            self.order.learn(&self.disk);
            match slice.done {
                Some(Done::Step(job, step)) => {
                    let StepJob { connection, fiber, stream, mut trace, .. } = *job;
                    trace.take_events().into_iter().for_each(|event| self.trace.push(event));
                    self.give_back(fiber, stream);
                    self.raced.connections[fiber as usize] = Some(connection);
                    match step {
                        Ok(step) => drop(step?),
                        Err(panic) => std::panic::resume_unwind(Box::new(panic)),
                    }
                }
                Some(Done::Delivery(Err(panic))) => std::panic::resume_unwind(Box::new(panic)),
                Some(Done::Delivery(Ok(()))) | None => {}
            }
        }
        if self.raced.rests() { Ok(()) } else { Err(self.deadlock()) }
    }

    fn thread_actor(&self, id: FiberId) -> Actor {
        match id.cmp(&self.fibers.control()) {
            std::cmp::Ordering::Less => self.fibers.actor(id),
            std::cmp::Ordering::Equal => Actor::CONTROL,
            std::cmp::Ordering::Greater => {
                let base = self.raced.crew.as_ref().map(|crew| crew.base(id)).unwrap_or_default();
                if base.call > 0 || base.actor.code() < Actor::fiber(0).code() {
                    Actor::DISK
                } else {
                    base.actor
                }
            }
        }
    }

    /// For people who read the events: where the thread was stopped.
    fn tell_where(&mut self, id: FiberId, why: Why) {
        let Some(captions) = &mut self.captions else { return };
        let calls = self.raced.crew.as_ref().map_or(&[][..], |crew| crew.calls(id));
        let index = self.trace.len() as usize - 1;
        let how = match why {
            Why::Stopped => "is stopped in",
            Why::GaveWay => "gives way in",
            Why::Blocked | Why::Idle => "waits for another thread in",
        };
        let at = calls.first().map_or("its step", String::as_str);
        captions.push((index, format!("{how} {at}")));
    }

    /// Whether the run can come to rest: nothing is in the middle of a step.
    pub(super) fn threads_rest(&self) -> bool {
        self.raced.rests()
    }
}

// The numbers of `Why` enter the trace.
const _: () = assert!(Why::Stopped as u32 == 0 && Why::GaveWay as u32 == 1 && Why::Blocked as u32 == 2);
// Turns of threads are told apart by their choice points.
const _: () = assert!(SLICE < LOCK && LOCK < GAVE_WAY);
