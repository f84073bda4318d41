use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use tenterhook_runtime::Completion;

use crate::ready::ReadyList;
use crate::schedule::{FiberId, Readiness, Scheduler};
use crate::tape::{Actor, Source, Stream, Tape};

/// All fibers: one a connection, and the control fiber, which boots the system and looks it over.
#[derive(Debug)]
pub(super) struct Fibers {
    all: Vec<Fiber>,
    /// Which fibers are in the middle of an operation. Apart from the fibers, because it is asked at each step.
    in_operation: Vec<bool>,
    ready: Arc<ReadyList>,
    /// Connections in the middle of an operation.
    busy: usize,
    /// Connections that sit out while the system is brought to rest.
    seated: Vec<FiberId>,
    /// Connections that have nothing more to do in this life.
    idle: usize,
    /// Connections that are parked between two operations.
    between: usize,
}

#[derive(Debug)]
struct Fiber {
    stream: Stream,
    waker: Waker,
    /// What it waits for. Held, because dropping a polled completion unregisters its waker.
    parked: Option<Completion>,
    /// Whether it waits in its own way, until its waker is woken.
    pending: bool,
    /// Whether it is parked between two operations.
    between: bool,
}

impl Fibers {
    pub(super) fn new(connections: u32, source: &Source, record: bool) -> Fibers {
        let ready = Arc::new(ReadyList::default());
        let fiber = |id| {
            let stream = source.stream(actor(id, connections), record);
            Fiber { stream, waker: ready.waker(id), parked: None, pending: false, between: false }
        };
        Fibers {
            all: (0..=connections).map(fiber).collect(),
            in_operation: vec![false; connections as usize + 1],
            ready,
            busy: 0,
            seated: Vec::new(),
            idle: 0,
            between: 0,
        }
    }

    /// The fiber that is no connection.
    pub(super) fn control(&self) -> FiberId {
        self.all.len() as FiberId - 1
    }

    /// How many connections are in the middle of an operation.
    pub(super) fn busy(&self) -> usize {
        self.busy
    }

    pub(super) fn is_busy(&self, fiber: FiberId) -> bool {
        self.in_operation[fiber as usize]
    }

    pub(super) fn digest(&self, fiber: FiberId) -> u64 {
        self.all[fiber as usize].stream.digest()
    }

    /// The fiber is about to be stepped: it is in the middle of an operation from here on.
    pub(super) fn begin_step(&mut self, fiber: FiberId) -> (&mut Stream, &Waker) {
        let is_connection = fiber != self.control();
        if !std::mem::replace(&mut self.in_operation[fiber as usize], true) {
            self.busy += usize::from(is_connection);
        }
        let fiber = &mut self.all[fiber as usize];
        (&mut fiber.stream, &fiber.waker)
    }

    /// The fiber waits for `completion`, or continues if that has finished meanwhile.
    pub(super) fn park(
        &mut self,
        fiber: FiberId,
        mut completion: Completion,
        scheduler: &mut dyn Scheduler,
        stream: &mut Stream,
    ) {
        let state = &mut self.all[fiber as usize];
        match Pin::new(&mut completion).poll(&mut Context::from_waker(&state.waker)) {
            Poll::Ready(_) => {
                self.between -= usize::from(std::mem::take(&mut state.between));
                scheduler.ready(fiber, Readiness::Woken, stream);
            }
            Poll::Pending => state.parked = Some(completion),
        }
    }

    /// The fiber waits in its own way. Its waker may have been woken already.
    pub(super) fn park_pending(&mut self, fiber: FiberId) {
        self.all[fiber as usize].pending = true;
    }

    /// A connection's operation has ended, and its next one begins after `completion` has finished.
    pub(super) fn park_between(
        &mut self,
        fiber: FiberId,
        completion: Completion,
        scheduler: &mut dyn Scheduler,
        stream: &mut Stream,
    ) {
        self.in_operation[fiber as usize] = false;
        self.busy -= 1;
        self.all[fiber as usize].between = true;
        self.between += 1;
        self.park(fiber, completion, scheduler, stream);
    }

    /// Hands fibers whose completions have finished to the scheduler. `woken` is scratch space.
    #[inline]
    pub(super) fn wake(
        &mut self,
        woken: &mut Vec<FiberId>,
        scheduler: &mut dyn Scheduler,
        stream: &mut Stream,
    ) {
        self.ready.take(woken);
        for fiber in woken.drain(..) {
            let state = &mut self.all[fiber as usize];
            if std::mem::take(&mut state.pending) {
                scheduler.ready(fiber, Readiness::Woken, stream);
                continue;
            }
            // Woken for a completion that it no longer waits for: nothing to do.
            let Some(completion) = state.parked.take() else { continue };
            self.park(fiber, completion, scheduler, stream);
        }
    }

    /// A connection's operation has ended.
    pub(super) fn ended(&mut self, fiber: FiberId, scheduler: &mut dyn Scheduler, stream: &mut Stream) {
        self.in_operation[fiber as usize] = false;
        self.busy -= 1;
        scheduler.ready(fiber, Readiness::Fresh, stream);
    }

    /// A connection has nothing more to do in this life.
    pub(super) fn retire(&mut self, fiber: FiberId) {
        self.in_operation[fiber as usize] = false;
        self.busy -= 1;
        self.idle += 1;
    }

    /// Whether no connection has anything more to do in this life, unless what it is parked on between two operations finishes.
    pub(super) fn are_all_idle(&self) -> bool {
        let has_finished = |fiber: &Fiber| fiber.parked.as_ref().is_some_and(Completion::finished);
        self.idle + self.between == self.all.len() - 1
            && (self.between == 0 || !self.all.iter().any(|fiber| fiber.between && has_finished(fiber)))
    }

    /// Who makes the choices of `fiber`.
    pub(super) fn actor(&self, fiber: FiberId) -> Actor {
        actor(fiber, self.control())
    }

    /// The control fiber's work has ended.
    pub(super) fn control_ended(&mut self) {
        let control = self.control() as usize;
        self.in_operation[control] = false;
    }

    /// Lets one fiber run.
    pub(super) fn start(&mut self, fiber: FiberId, scheduler: &mut dyn Scheduler, stream: &mut Stream) {
        scheduler.ready(fiber, Readiness::Fresh, stream);
    }

    /// Lets all connections run.
    pub(super) fn start_connections(&mut self, scheduler: &mut dyn Scheduler, stream: &mut Stream) {
        for fiber in 0..self.control() {
            scheduler.ready(fiber, Readiness::Fresh, stream);
        }
    }

    /// A connection that would begin an operation sits out until [`Fibers::unseat`].
    pub(super) fn seat(&mut self, fiber: FiberId) {
        self.seated.push(fiber);
    }

    /// Lets those that sat out run again.
    pub(super) fn unseat(&mut self, scheduler: &mut dyn Scheduler, stream: &mut Stream) {
        for fiber in self.seated.drain(..) {
            scheduler.ready(fiber, Readiness::Fresh, stream);
        }
    }

    /// The life has ended: no fiber waits, and late wakes have no effect.
    pub(super) fn forget(&mut self) {
        for fiber in &mut self.all {
            fiber.parked = None;
            (fiber.pending, fiber.between) = (false, false);
        }
        self.in_operation.fill(false);
        self.busy = 0;
        self.seated.clear();
        (self.idle, self.between) = (0, 0);
        self.ready.clear();
    }

    /// Fibers that have not come to their end, with what keeps them.
    pub(super) fn waiting(&self) -> Vec<(FiberId, &'static str)> {
        let how = |fiber: &Fiber| match &fiber.parked {
            Some(completion) if completion.finished() => "its completion HAS finished, but it was not woken",
            Some(_) => "waits for a completion that is pending",
            None if fiber.pending => "waits in its own way, and its waker was not woken",
            None => "could be stepped",
        };
        let waiting = self.all.iter().enumerate().filter(|&(id, _)| self.in_operation[id]);
        waiting.map(|(id, fiber)| (id as FiberId, how(fiber))).collect()
    }

    /// Puts the streams on a tape.
    pub(super) fn save(&mut self, tape: &mut Tape) {
        let control = self.control();
        for (id, fiber) in self.all.iter_mut().enumerate() {
            tape.insert(actor(id as FiberId, control), &mut fiber.stream);
        }
    }
}

fn actor(fiber: FiberId, control: FiberId) -> Actor {
    if fiber == control { Actor::CONTROL } else { Actor::fiber(fiber) }
}
