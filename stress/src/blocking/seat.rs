//! The place of one thread: where the token goes to and fro.

use std::collections::BTreeMap;
use std::time::Duration;

use parking_lot::{Condvar, Mutex, MutexGuard};
use tenterhook_runtime::Completion;

use super::foreign::{self, Foreign};
use super::gate::Gate;
use super::kernel::{Sleep, Thread};
use super::{After, Job};
use crate::disk::Struck;
use crate::schedule::FiberId;
use crate::sometimes;
use crate::system::Context;
use crate::tape::{Actor, Source, Stream};
use crate::violation::Violation;

/// Who holds the token.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    World,
    Thread,
}

/// What the world gives a thread to do.
pub(super) enum Order {
    /// Begin a job.
    Begin(Job),
    /// Go on behind the scheduling point.
    GoOn,
    /// End.
    Leave,
}

/// With what a thread gives the token back.
pub(super) enum News {
    /// It can go straight on.
    Continue,
    /// It wants the others stepped first.
    Yield,
    /// It continues when this has finished.
    Wait(Completion),
    /// Its job has ended.
    Over(Result<After, Box<Violation>>),
    /// It sleeps in a lock of the engine, and is stopped there.
    Asleep(Sleep),
    /// Its job does not end although the life has ended: the thread stays where it is for ever.
    Stuck,
}

/// What the world lends to a thread together with the token, and what the thread leaves for the world.
pub(super) struct Lent {
    pub(super) stream: Stream,
    pub(super) step: u64,
    pub(super) calm: bool,
    pub(super) struck: Struck,
    /// Whether remarks are kept.
    pub(super) is_told: bool,
    pub(super) observed: Vec<(u32, u64)>,
    pub(super) remarks: Vec<String>,
    /// What the thread does, for people.
    pub(super) doing: String,
    /// Points that the thread has come by: they belong to the world's run.
    pub(super) reached: BTreeMap<&'static str, u64>,
    /// Calls of `entropy` in this step.
    pub(super) entropies: u64,
}

pub(super) struct State {
    pub(super) turn: Turn,
    pub(super) order: Option<Order>,
    pub(super) news: Option<News>,
    pub(super) lent: Lent,
    /// The life is over: calls come back at once with an error.
    pub(super) gone: bool,
    /// The thread waits for another one, whose job runs to its end first: it cannot go on before this has finished.
    pub(super) waits_for_thread: Option<Completion>,
    /// Calls since then.
    pub(super) late_calls: u32,
    /// Who serves the seat.
    pub(super) thread: Option<Thread>,
}

/// One thread's place. Both sides park on it.
pub(super) struct Seat {
    pub(super) fiber: FiberId,
    state: Mutex<State>,
    to_thread: Condvar,
    to_world: Condvar,
    /// Where the thread is stopped when it sleeps outside of this.
    pub(super) gate: Gate,
}

/// How the world waits for a thread.
pub(super) struct Watch<'a> {
    pub(super) patience: Duration,
    /// For an engine whose locks are its own.
    pub(super) foreign: Option<&'a mut Foreign>,
}

/// The thread has not given the token back in time.
#[derive(Debug)]
pub(super) struct Silent;

impl Seat {
    pub(super) fn new(fiber: FiberId) -> Seat {
        let lent = Lent {
            // Never drawn from: a thread is lent its fiber's stream with the token.
            stream: Source::Seed(0).stream(Actor::fiber(fiber), false),
            step: 0,
            calm: false,
            struck: Struck::default(),
            is_told: false,
            observed: Vec::new(),
            remarks: Vec::new(),
            doing: String::new(),
            reached: BTreeMap::new(),
            entropies: 0,
        };
        let state = State {
            turn: Turn::World,
            order: None,
            news: None,
            lent,
            gone: false,
            waits_for_thread: None,
            late_calls: 0,
            thread: None,
        };
        Seat {
            fiber,
            state: Mutex::new(state),
            to_thread: Condvar::new(),
            to_world: Condvar::new(),
            gate: Gate::default(),
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    /// The world gives the token to the thread, with what the step lends, and waits until it has it back.
    pub(super) fn resume(
        &self,
        order: Order,
        context: &mut Context<'_>,
        watch: Watch<'_>,
    ) -> Result<News, Silent> {
        let mut state = self.lock();
        let lent = &mut state.lent;
        std::mem::swap(&mut lent.stream, context.stream);
        (lent.step, lent.calm, lent.struck) = (context.step, context.calm, context.struck);
        lent.is_told = context.remarks.is_some();
        lent.entropies = 0;
        if matches!(order, Order::Begin(_)) {
            lent.doing.clear();
        }
        let news = self.switch(&mut state, order, watch);
        // Also from a thread that is given up: its choices so far are on the run's tape, and from here on it draws from another
        // stream.
        let lent = &mut state.lent;
        std::mem::swap(&mut lent.stream, context.stream);
        lent.observed.drain(..).for_each(|(detail, value)| context.observe(detail, value));
        if let Some(remarks) = &mut context.remarks {
            remarks.append(&mut lent.remarks);
        }
        news
    }

    /// The world gives the token to a thread whose life is over: it draws nothing and tells nothing.
    pub(super) fn resume_gone(&self, order: Order, watch: Watch<'_>) -> Result<News, Silent> {
        let mut state = self.lock();
        state.lent.is_told = false;
        self.switch(&mut state, order, watch)
    }

    fn switch(
        &self,
        state: &mut MutexGuard<'_, State>,
        order: Order,
        watch: Watch<'_>,
    ) -> Result<News, Silent> {
        state.order = Some(order);
        match watch.foreign {
            None => {
                self.release(state);
                self.await_news(state, watch.patience)?;
            }
            Some(foreign) => {
                if let Some(sleep) = self.switch_watched(state, watch.patience, foreign)? {
                    return Ok(News::Asleep(sleep));
                }
            }
        }
        sometimes::add(std::mem::take(&mut state.lent.reached));
        state.news.take().ok_or(Silent)
    }

    /// From here on the thread runs.
    fn release(&self, state: &mut MutexGuard<'_, State>) {
        state.turn = Turn::Thread;
        self.gate.open();
        self.to_thread.notify_one();
    }

    fn await_news(&self, state: &mut MutexGuard<'_, State>, patience: Duration) -> Result<(), Silent> {
        while state.turn == Turn::Thread {
            if self.to_world.wait_for(state, patience).timed_out() && state.turn == Turn::Thread {
                return Err(Silent);
            }
        }
        Ok(())
    }

    /// As above, for a thread that may sleep in a lock of the engine: then it is stopped there.
    fn switch_watched(
        &self,
        state: &mut MutexGuard<'_, State>,
        patience: Duration,
        foreign: &mut Foreign,
    ) -> Result<Option<Sleep>, Silent> {
        let mut waited = Duration::ZERO;
        loop {
            let turns = foreign::TURNS.read();
            if waited.is_zero() {
                self.release(state);
            }
            let has_news = self.await_news(state, foreign::LOOK_AFTER).is_ok();
            drop(turns);
            if has_news {
                return Ok(None);
            }
            waited += foreign::LOOK_AFTER;
            if waited >= patience {
                return Err(Silent);
            }
            let Some(thread) = state.thread else { continue };
            // The thread may be about to take this lock.
            let asleep = MutexGuard::unlocked(state, || foreign.look(thread, &self.gate, patience));
            let Some(sleep) = asleep else { continue };
            if state.turn == Turn::World {
                // It had given the token back meanwhile, and slept in its seat.
                self.gate.open();
                return Ok(None);
            }
            foreign.sleeps += 1;
            state.turn = Turn::World;
            return Ok(Some(sleep));
        }
    }

    /// What the thread does, for people.
    pub(super) fn doing(&self) -> String {
        self.lock().lent.doing.clone()
    }

    /// The thread gives the token back and waits until it has it again.
    pub(super) fn pass(&self, state: &mut MutexGuard<'_, State>, news: News) {
        self.give_back(state, news);
        self.await_turn(state);
    }

    /// The thread gives the token back and has nothing more to do before its next order.
    pub(super) fn give_back(&self, state: &mut MutexGuard<'_, State>, news: News) {
        state.lent.reached.append(&mut sometimes::take());
        state.news = Some(news);
        state.turn = Turn::World;
        self.to_world.notify_one();
    }

    pub(super) fn await_turn(&self, state: &mut MutexGuard<'_, State>) {
        while state.turn == Turn::World {
            self.to_thread.wait(state);
        }
    }

    /// The thread's first act on each turn: takes what it is to do.
    pub(super) fn await_order(&self) -> Order {
        let mut state = self.lock();
        self.await_turn(&mut state);
        state.order.take().unwrap_or(Order::GoOn)
    }
}
