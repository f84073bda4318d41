//! A blocking system as the world sees it.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use tenterhook_runtime::io::IO;
use tenterhook_runtime::{Completer, Completion};

use super::foreign::{Foreign, NOT_PROVEN};
use super::kernel::Sleep;
use super::seat::{News, Order, Seat, Watch};
use super::{After, BlockingSystem, thread};
use crate::disk::Place;
use crate::schedule::FiberId;
use crate::system::{Context, Crash, Step, System};
use crate::tape::{Chance, ChoicePoint};
use crate::violation::{Class, Violation};

/// How long the world waits for a thread that has the token, in real time.
const PATIENCE: Duration = Duration::from_secs(10);

/// What is said of a job that ignores what its calls return.
const CALLS_ON: &str = "a job that still calls after its life";

/// A [`BlockingSystem`] as a [`System`]. Its threads live as long as it does; each is started with its fiber's first job.
pub struct Blocking<B: BlockingSystem> {
    /// `None` only while it is dropped.
    system: Option<B>,
    workers: Vec<Worker>,
    patience: Duration,
    /// How likely a thread stalls at a scheduling point.
    stalls: Chance,
    /// For fewer ticks than this.
    longest_stall: u32,
    /// Sleeps in locks of the engine, for an engine that has some.
    foreign: Option<Foreign>,
}

/// A choice point of a fiber, beside those in `call.rs`.
const STALL: ChoicePoint = ChoicePoint::new(29, "stall");
const STALL_LENGTH: ChoicePoint = ChoicePoint::new(28, "length of a stall");

struct Worker {
    seat: Arc<Seat>,
    thread: Option<JoinHandle<()>>,
    stand: Stand,
}

/// Where a fiber's job is.
enum Stand {
    /// There is none.
    Free,
    /// It stands at a scheduling point, perhaps until this has finished.
    Parked(Option<Completion>),
    /// It is stopped in a lock of the engine. Its fiber waits until this is completed.
    Asleep(Sleep, Option<Completer>),
    /// The thread did not give the token back. It is never waited for again.
    Lost,
}

impl<B: BlockingSystem> std::fmt::Debug for Blocking<B> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Blocking").field("threads", &self.workers.len()).finish_non_exhaustive()
    }
}

impl<B: BlockingSystem> Blocking<B> {
    /// `system`, with a thread for each of its connections and one for booting and looking it over.
    pub fn new(system: B) -> Blocking<B> {
        let worker = |fiber| Worker { seat: Arc::new(Seat::new(fiber)), thread: None, stand: Stand::Free };
        let workers = (0..=system.connections()).map(worker).collect();
        Blocking {
            workers,
            system: Some(system),
            patience: PATIENCE,
            stalls: Chance::NEVER,
            longest_stall: 0,
            foreign: None,
        }
    }

    /// The engine has locks of its own, which can't be replaced, and holds some of them across scheduling points. A thread that sleeps in
    /// such a lock is stopped there, and its fiber is stepped again after the lock has changed, when the tape says so. Without
    /// this it is a thread that does not come back.
    ///
    /// Two counters tell of it: sleeps, and runs that are not proven deterministic, which a campaign warns of. A run is not proven if a thread waited with a time limit,
    /// or if threads exist that the engine has started: they follow the machine. Locks that are handed over after some real time (those of
    /// `parking_lot`, in half a millisecond) follow it too, and no counter tells. The jobs must not leave their work to other threads.
    /// Linux on x86-64 or AArch64 only: elsewhere nothing changes.
    #[must_use]
    pub fn foreign_locks(mut self) -> Blocking<B> {
        self.foreign = Some(Foreign::new());
        self
    }

    /// How likely a thread stalls at a scheduling point at which it could go on, as one does that loses its processor or meets a page
    /// that is not in memory, and for how many ticks at most. Most stalls are much shorter. None begins while faults have stopped.
    #[must_use]
    pub fn stalls(mut self, chance: Chance, longest: u32) -> Blocking<B> {
        (self.stalls, self.longest_stall) = (chance, longest);
        self
    }

    /// A thread that keeps the token for longer than this, in real time, is reported as a violation of liveness. It must block
    /// outside of the disk, or never end.
    #[must_use]
    pub fn patience(mut self, patience: Duration) -> Blocking<B> {
        self.patience = patience;
        self
    }

    /// The system.
    ///
    /// # Panics
    ///
    /// Never: it is taken out by the destructor alone.
    pub fn system(&self) -> &B {
        self.system.as_ref().expect("it is taken out by the destructor alone")
    }

    fn system_mut(&mut self) -> &mut B {
        self.system.as_mut().expect("it is taken out by the destructor alone")
    }

    /// Whether a thread was given up. It may still run, so no other thread may touch what it touches.
    fn has_lost(&self) -> bool {
        self.workers.iter().any(|worker| matches!(worker.stand, Stand::Lost))
    }

    /// Gives the token to a fiber's thread, with `order`.
    fn turn(
        &mut self,
        fiber: FiberId,
        order: Order,
        context: &mut Context<'_>,
    ) -> Result<Step, Box<Violation>> {
        let worker = &mut self.workers[fiber as usize];
        worker.start()?;
        let watch = Watch { patience: self.patience, foreign: self.foreign.as_mut() };
        let Ok(news) = worker.seat.resume(order, context, watch) else {
            return Err(self.silent(fiber, "a call that blocks outside of the disk, or never yields"));
        };
        worker.stand = Stand::Parked(None);
        self.wake_sleepers();
        if let Some(doubt) = self.foreign.as_mut().and_then(|foreign| foreign.unsaid.take()) {
            context.remark(|| format!("this run is not proven deterministic: {doubt}"));
        }
        let worker = &mut self.workers[fiber as usize];
        Ok(match news {
            News::Continue if !context.calm && context.stream.happens(STALL, self.stalls) => {
                let ticks = 1 + context.stream.mostly_small(STALL_LENGTH, self.longest_stall);
                Step::Stall { ticks }
            }
            News::Continue => Step::Continue,
            News::Yield => Step::Yield,
            News::Wait(completion) => {
                worker.stand = Stand::Parked(Some(completion.clone()));
                Step::Wait(completion)
            }
            News::Asleep(sleep) => {
                let (woken, completer) = Completion::new(|_| {});
                worker.stand = Stand::Asleep(sleep, Some(completer));
                Step::Wait(woken)
            }
            News::Over(end) => {
                worker.stand = Stand::Free;
                match end? {
                    After::Ended => Step::Ended,
                    After::Retry => Step::Yield,
                    After::Idle => Step::Idle,
                    After::Restart => Step::Restart,
                    After::Destroyed => Step::Destroyed,
                }
            }
            News::Stuck => return Err(self.silent(fiber, CALLS_ON)),
        })
    }

    /// Wakes each fiber whose thread would not sleep on: another one has changed the lock.
    fn wake_sleepers(&mut self) {
        for worker in &mut self.workers {
            if let Stand::Asleep(sleep, completer) = &mut worker.stand
                && sleep.is_over()
                && let Some(completer) = completer.take()
            {
                // A fiber that was dropped has cancelled its wait.
                let _ = completer.complete(0);
            }
        }
    }

    /// Takes each job to its end: the life is over. Threads run one at a time, in the order of their fibers. A job may have found a
    /// violation before the life ended and report it only now. A panic of a dead process is none.
    fn end_jobs(&mut self) -> Result<(), Box<Violation>> {
        let mut found = Ok(());
        for worker in &self.workers {
            worker.seat.lock().gone = true;
        }
        loop {
            let mut has_moved = false;
            for fiber in 0..self.workers.len() {
                let worker = &mut self.workers[fiber];
                if !worker.can_end() {
                    continue;
                }
                has_moved = true;
                let watch = Watch { patience: self.patience, foreign: self.foreign.as_mut() };
                worker.stand = match worker.seat.resume_gone(Order::GoOn, watch) {
                    Ok(News::Over(end)) => {
                        if let Err(violation) = end
                            && violation.class != Class::Panic
                            && found.is_ok()
                        {
                            found = Err(violation);
                        }
                        Stand::Free
                    }
                    Ok(News::Asleep(sleep)) => Stand::Asleep(sleep, None),
                    Ok(News::Wait(completion)) => Stand::Parked(Some(completion)),
                    Ok(News::Continue | News::Yield) => Stand::Parked(None),
                    Ok(News::Stuck) => return Err(self.silent(fiber as FiberId, CALLS_ON)),
                    Err(_) => {
                        return Err(self.silent(fiber as FiberId, "a job that does not end with its life"));
                    }
                };
            }
            if !has_moved {
                break;
            }
        }
        let is_left = |worker: &&Worker| matches!(worker.stand, Stand::Parked(_) | Stand::Asleep(..));
        let left = self.workers.iter().find(is_left);
        if let Some(fiber) = left.map(|worker| worker.seat.fiber) {
            return Err(self.silent(fiber, "a job that waits for another one of which none ends"));
        }
        for worker in &self.workers {
            let mut state = worker.seat.lock();
            (state.gone, state.late_calls) = (false, 0);
        }
        found
    }

    /// The thread of `fiber` is given up.
    fn silent(&mut self, fiber: FiberId, what: &str) -> Box<Violation> {
        let worker = &mut self.workers[fiber as usize];
        worker.stand = Stand::Lost;
        let doing = worker.seat.doing();
        let expected = "a thread gives the token back at each call of the disk";
        Violation::liveness("blocking", expected, what)
            .note(format!("connection {fiber}: {}", self.system().describe(fiber)))
            .note(format!("its thread was last seen in: {doing}"))
    }
}

impl Worker {
    fn start(&mut self) -> Result<(), Box<Violation>> {
        if self.thread.is_none() {
            let thread = thread::start(&self.seat);
            let refused = |error: std::io::Error| {
                Violation::liveness("blocking", "a thread for each connection", error.to_string())
            };
            self.thread = Some(thread.map_err(refused)?);
        }
        Ok(())
    }

    /// Whether its job can be taken further towards its end, now that calls return at once.
    fn can_end(&self) -> bool {
        match &self.stand {
            Stand::Free | Stand::Lost => false,
            Stand::Parked(None) => true,
            Stand::Asleep(sleep, _) => sleep.is_over(),
            // On a latch, or on the disk, whose operations of this life never end. Only the first must be free.
            Stand::Parked(Some(_)) => {
                self.seat.lock().waits_for_thread.as_ref().is_none_or(Completion::finished)
            }
        }
    }
}

impl<B: BlockingSystem> System for Blocking<B> {
    fn connections(&self) -> u32 {
        self.system().connections()
    }

    fn boot(&mut self, io: &Arc<dyn IO>, context: &mut Context<'_>) -> Result<Step, Box<Violation>> {
        let order = match self.workers[context.fiber as usize].stand {
            Stand::Free => Order::Begin(self.system_mut().boot(io, context.disk)),
            _ => Order::GoOn,
        };
        self.turn(context.fiber, order, context)
    }

    fn step(&mut self, context: &mut Context<'_>) -> Result<Step, Box<Violation>> {
        let order = match self.workers[context.fiber as usize].stand {
            Stand::Free => Order::Begin(self.system_mut().operation(context.fiber)),
            _ => Order::GoOn,
        };
        self.turn(context.fiber, order, context)
    }

    fn quiesce(&mut self, context: &mut Context<'_>) -> Result<Step, Box<Violation>> {
        let order = match self.workers[context.fiber as usize].stand {
            Stand::Free => Order::Begin(self.system_mut().quiesce()),
            _ => Order::GoOn,
        };
        self.turn(context.fiber, order, context)
    }

    fn locate(&self, place: &Place) -> String {
        self.system().locate(place)
    }

    fn crash(&mut self, crash: Crash) -> Result<(), Box<Violation>> {
        self.end_jobs()?;
        self.system_mut().crash(crash)
    }

    fn after_crash(&mut self) -> Result<(), Box<Violation>> {
        self.system_mut().after_crash()
    }

    fn describe(&self, fiber: FiberId) -> String {
        let doing = self.workers[fiber as usize].seat.doing();
        let operation = self.system().describe(fiber);
        if doing.is_empty() { operation } else { format!("{operation}: {doing}") }
    }

    fn counters(&self) -> Vec<(&'static str, u64)> {
        let mut counters = self.system().counters();
        if let Some(foreign) = &self.foreign {
            counters.push(("sleeps in the engine's locks", foreign.sleeps));
            counters.push((NOT_PROVEN, u64::from(foreign.doubt.is_some())));
        }
        counters
    }
}

impl<B: BlockingSystem> Drop for Blocking<B> {
    /// The run is over: each job ends, and each thread is joined. If a thread was given up, everything stays as it is.
    fn drop(&mut self) {
        if self.has_lost() {
            std::mem::forget(self.system.take());
            return;
        }
        // A job that does not end has its violation, if it came in the run; a second one would not be reported here.
        let _ = self.end_jobs();
        for worker in &mut self.workers {
            let Some(thread) = worker.thread.take() else { continue };
            let watch = Watch { patience: self.patience, foreign: None };
            if matches!(worker.stand, Stand::Free) && worker.seat.resume_gone(Order::Leave, watch).is_ok() {
                let _ = thread.join();
            }
        }
    }
}
