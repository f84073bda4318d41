use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use tenterhook_runtime::Completion;

use super::order::{Order, Ready};
use crate::ready::ReadyList;
use crate::schedule::{FiberId, Readiness};
use crate::tape::{Actor, Address, Place, RETRY, Schedule, Source, Stream, TURN, Tape};

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
    /// The present life, counted from 0.
    life: u32,
    /// How many operations connections begin, if the tape's turns are followed.
    limits: Option<Arc<Tape>>,
    /// Connections of which the tape has no more operations in this life.
    held: Vec<FiberId>,
    /// How many operations they began in lives that are over, if that is recorded.
    begun: Option<Vec<((u32, Actor), u32)>>,
    /// Connections that are parked between two operations.
    between: usize,
}

#[derive(Debug)]
struct Fiber {
    stream: Stream,
    /// The operation that it is in or begins next, counted from 0 in each life.
    operation: u32,
    /// Steps of that operation that did not yield.
    progress: u32,
    /// Yields since then.
    yields: u32,
    waker: Waker,
    /// What it waits for. Held, because dropping a polled completion unregisters its waker.
    parked: Option<Completion>,
    /// Whether it waits in its own way, until its waker is woken.
    pending: bool,
    /// Whether it is parked between two operations.
    between: bool,
    /// Whether it was woken while it was stepped.
    woken_in_step: bool,
}

impl Fibers {
    pub(super) fn new(connections: u32, source: &Source, record: bool) -> Fibers {
        let ready = Arc::new(ReadyList::default());
        let fiber = |id| {
            let stream = source.stream(actor(id, connections), record);
            Fiber {
                stream,
                operation: 0,
                progress: 0,
                yields: 0,
                waker: ready.waker(id),
                parked: None,
                pending: false,
                between: false,
                woken_in_step: false,
            }
        };
        let limits = match source {
            Source::Recorded(tape) | Source::Branch { tape, .. } if tape.schedule == Schedule::Turns => {
                Some(Arc::clone(tape))
            }
            Source::Recorded(_) | Source::Branch { .. } | Source::Seed(_) => None,
        };
        Fibers {
            all: (0..=connections).map(fiber).collect(),
            in_operation: vec![false; connections as usize + 1],
            ready,
            busy: 0,
            seated: Vec::new(),
            idle: 0,
            life: 0,
            limits,
            held: Vec::new(),
            begun: record.then(Vec::new),
            between: 0,
        }
    }

    /// Another life begins.
    pub(super) fn begin_life(&mut self, life: u32) {
        self.life = life;
        for fiber in 0..self.all.len() as FiberId {
            self.enter(fiber, 0);
        }
    }

    /// What the fiber is in or begins next.
    pub(super) fn operation(&self, fiber: FiberId) -> Address {
        Address::operation(self.life, self.actor(fiber), self.all[fiber as usize].operation)
    }

    /// The place of the turn of the fiber's next step, which is another try if it `yielded`.
    pub(super) fn place(&self, fiber: FiberId, yielded: bool) -> Place {
        let Fiber { progress, yields, .. } = self.all[fiber as usize];
        let (choice_point, occurrence) = match yielded {
            true => (RETRY, progress << 8 | yields.min(255)),
            false => (TURN, progress),
        };
        Place { address: self.operation(fiber), choice_point, occurrence }
    }

    fn enter(&mut self, fiber: FiberId, operation: u32) {
        let state = &mut self.all[fiber as usize];
        (state.operation, state.progress, state.yields) = (operation, 0, 0);
        let address = self.operation(fiber);
        self.all[fiber as usize].stream.enter(address);
    }

    /// Whether the fiber's last step of this operation was a yield.
    pub(super) fn has_yielded(&self, fiber: FiberId) -> bool {
        self.all[fiber as usize].yields > 0
    }

    /// The fiber was stepped.
    pub(super) fn stepped(&mut self, fiber: FiberId, yielded: bool) {
        let state = &mut self.all[fiber as usize];
        if yielded {
            state.yields += 1;
        } else {
            (state.progress, state.yields) = (state.progress + 1, 0);
        }
    }

    /// The fiber can run.
    pub(super) fn ready(&mut self, fiber: FiberId, why: Readiness, order: &mut Order) {
        let place = self.place(fiber, why == Readiness::Yielded);
        let recorded = self.all[fiber as usize].stream.recorded(place.choice_point, place.occurrence);
        order.ready(Ready { fiber, why, place, recorded });
    }

    /// The connection can begin an operation, if the tape has one more.
    fn fresh(&mut self, fiber: FiberId, order: &mut Order) {
        self.begin(fiber, Readiness::Fresh, order);
    }

    fn begin(&mut self, fiber: FiberId, why: Readiness, order: &mut Order) {
        let operation = self.all[fiber as usize].operation;
        let has_more =
            |tape: &Arc<Tape>| operation < tape.operations(self.life, actor(fiber, self.control()));
        if self.limits.as_ref().is_none_or(has_more) {
            self.ready(fiber, why, order);
        } else {
            self.idle += 1;
            self.held.push(fiber);
        }
    }

    /// The tape ends here: from here on streams draw, and connections begin as many operations as they like.
    pub(super) fn leave_tape(&mut self, order: &mut Order) {
        self.limits = None;
        self.all.iter_mut().for_each(|fiber| fiber.stream.leave_tape());
        for fiber in std::mem::take(&mut self.held) {
            self.idle -= 1;
            self.fresh(fiber, order);
        }
    }

    /// The names of the choice points at which connections, or the control fiber, have drawn.
    pub(super) fn names(&self) -> impl Iterator<Item = (Actor, BTreeMap<u8, &'static str>)> + '_ {
        self.all.iter().enumerate().map(|(id, fiber)| (self.actor(id as FiberId), fiber.stream.names()))
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
        fiber.woken_in_step = false;
        (&mut fiber.stream, &fiber.waker)
    }

    /// The fiber waits for `completion`, or continues if that has finished meanwhile.
    pub(super) fn park(&mut self, fiber: FiberId, mut completion: Completion, order: &mut Order) {
        let state = &mut self.all[fiber as usize];
        match Pin::new(&mut completion).poll(&mut Context::from_waker(&state.waker)) {
            Poll::Ready(_) if std::mem::take(&mut state.between) => {
                self.between -= 1;
                self.begin(fiber, Readiness::Woken, order);
            }
            Poll::Ready(_) => self.ready(fiber, Readiness::Woken, order),
            Poll::Pending => state.parked = Some(completion),
        }
    }

    /// The fiber waits in its own way. Its waker may have been woken already.
    pub(super) fn park_pending(&mut self, fiber: FiberId, order: &mut Order) {
        let state = &mut self.all[fiber as usize];
        if std::mem::take(&mut state.woken_in_step) {
            self.ready(fiber, Readiness::Woken, order);
        } else {
            state.pending = true;
        }
    }

    /// What a thread needs to step the fiber, which is in the middle of an operation from here on.
    #[cfg(tenterhook_shuttle)]
    pub(super) fn lend(&mut self, fiber: FiberId) -> (Stream, Waker) {
        let actor = self.actor(fiber);
        let (stream, waker) = self.begin_step(fiber);
        (std::mem::replace(stream, Source::Seed(0).stream(actor, false)), waker.clone())
    }

    /// The thread has stepped the fiber.
    #[cfg(tenterhook_shuttle)]
    pub(super) fn give_back(&mut self, fiber: FiberId, stream: Stream) {
        self.all[fiber as usize].stream = stream;
    }

    /// A connection's operation has ended, and its next one begins after `completion` has finished.
    pub(super) fn park_between(&mut self, fiber: FiberId, completion: Completion, order: &mut Order) {
        self.in_operation[fiber as usize] = false;
        self.busy -= 1;
        self.all[fiber as usize].between = true;
        self.between += 1;
        self.enter(fiber, self.all[fiber as usize].operation + 1);
        self.park(fiber, completion, order);
    }

    /// Hands fibers whose completions have finished to the scheduler. `woken` is scratch space.
    #[inline]
    pub(super) fn wake(&mut self, woken: &mut Vec<FiberId>, order: &mut Order) {
        self.ready.take(woken);
        for fiber in woken.drain(..) {
            let state = &mut self.all[fiber as usize];
            if std::mem::take(&mut state.pending) {
                self.ready(fiber, Readiness::Woken, order);
                continue;
            }
            // Woken for a completion that it no longer waits for, or in the middle of a step.
            let Some(completion) = state.parked.take() else {
                state.woken_in_step = self.in_operation[fiber as usize];
                continue;
            };
            self.park(fiber, completion, order);
        }
    }

    /// Fibers that were woken and of which the scheduler does not know yet, with the places of their next steps.
    pub(super) fn woken(&self) -> impl Iterator<Item = Place> + '_ {
        let parked = |&fiber: &FiberId| {
            let fiber = &self.all[fiber as usize];
            fiber.parked.is_some() || fiber.pending
        };
        self.ready.peek().into_iter().filter(parked).map(|fiber| self.place(fiber, false))
    }

    /// A connection's operation has ended.
    pub(super) fn ended(&mut self, fiber: FiberId, order: &mut Order) {
        self.in_operation[fiber as usize] = false;
        self.busy -= 1;
        self.enter(fiber, self.all[fiber as usize].operation + 1);
        self.fresh(fiber, order);
    }

    /// A connection has nothing more to do in this life.
    pub(super) fn retire(&mut self, fiber: FiberId) {
        self.in_operation[fiber as usize] = false;
        self.busy -= 1;
        self.idle += 1;
        self.enter(fiber, self.all[fiber as usize].operation + 1);
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
        let control = self.control();
        self.in_operation[control as usize] = false;
        self.enter(control, self.all[control as usize].operation + 1);
    }

    /// Lets one fiber run.
    pub(super) fn start(&mut self, fiber: FiberId, order: &mut Order) {
        self.ready(fiber, Readiness::Fresh, order);
    }

    /// Lets all connections run.
    pub(super) fn start_connections(&mut self, order: &mut Order) {
        for fiber in 0..self.control() {
            self.fresh(fiber, order);
        }
    }

    /// A connection that would begin an operation sits out until [`Fibers::unseat`].
    pub(super) fn seat(&mut self, fiber: FiberId) {
        self.seated.push(fiber);
    }

    /// Lets those that sat out run again.
    pub(super) fn unseat(&mut self, order: &mut Order) {
        for fiber in std::mem::take(&mut self.seated) {
            self.fresh(fiber, order);
        }
    }

    /// Counts what connections began in the life that ends.
    pub(super) fn end_life(&mut self) {
        let control = self.control();
        let Some(begun) = &mut self.begun else { return };
        // A crash that breaks a promise has counted already.
        if begun.last().is_some_and(|&((life, _), _)| life == self.life) {
            return;
        }
        for (id, fiber) in self.all.iter().enumerate() {
            let operations = fiber.operation + u32::from(self.in_operation[id]);
            begun.push(((self.life, actor(id as FiberId, control)), operations));
        }
    }

    /// The life has ended: no fiber waits, and late wakes have no effect.
    pub(super) fn forget(&mut self) {
        for fiber in &mut self.all {
            fiber.parked = None;
            (fiber.pending, fiber.between, fiber.woken_in_step) = (false, false, false);
        }
        self.in_operation.fill(false);
        self.busy = 0;
        self.seated.clear();
        self.held.clear();
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
        for fiber in &mut self.all {
            if let Some(record) = fiber.stream.take_record() {
                tape.insert(record);
            }
        }
        for ((life, actor), operations) in self.begun.take().unwrap_or_default() {
            tape.set_operations(life, actor, operations);
        }
    }
}

fn actor(fiber: FiberId, control: FiberId) -> Actor {
    if fiber == control { Actor::CONTROL } else { Actor::fiber(fiber) }
}
