//! Machines of an executor that are spawned, cancelled, joined and left alone while what they wait for ends.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use std::task::{Context, Wake, Waker};
use std::time::Duration;

use parking_lot::Mutex;
use tenterhook_runtime::executor::{Executor, Shutdown, Spawner, Task, TaskError};
use tenterhook_runtime::{Completer, Completion, IOCompletions, IOResult};

use super::completions::end;
use super::counts::{Action, Counts};
use super::meeting::Meeting;
use super::near::Point;
use super::storm::{Storm, nothing_left, stalled, wrong};
use super::told::Plain;
use crate::violation::Violation;

/// Completions that a machine waits for, one after the other.
const WAITS: usize = 2;
/// One case in so many has an executor of its own, which is shut down while others spawn.
const CLOSES: u64 = 64;
const WORKERS: usize = 2;

/// Turns of a loop in a slow waker, and in the step of a slow machine: the step is still running when the waker's successor is called.
const SLOW_WAKE: u32 = 40;
const SLOW_STEP: u32 = 120;
/// Machines that a thread spawns in a row while another shuts their executor down.
const LATE: usize = 4;

type Machine = Task<u64, Infallible>;

pub(super) struct Tasks {
    threads: usize,
    stall: Duration,
    executor: Executor,
    spawner: Spawner,
    /// By thread: an executor with one worker, which sleeps when its thread gives it nothing to do.
    lone: Vec<Executor>,
    /// What machines leave whose end no thread waits for.
    detached: Mutex<Vec<Arc<Trail>>>,
}

/// What a machine leaves for its judge.
///
/// ORDERING: Relaxed. The flag finds two workers in one machine, whatever they see of each other; the rest is read after the machine's end.
#[derive(Default)]
struct Trail {
    inside: AtomicBool,
    broken: AtomicU32,
    /// Steps, in ordinary memory: the executor hands a machine from worker to worker.
    steps: Plain,
}

const TWO_WORKERS: u32 = 1;
const TOO_EARLY: u32 = 2;

pub(super) struct Case {
    key: u64,
    trail: Arc<Trail>,
    /// What the machines of an executor that was shut down wait for.
    unended: Vec<Completer>,
    /// A waiter that is there before the machine.
    _slow: Option<Completion>,
}

/// Takes its time when it is woken, so that the wakes of those behind it come late.
struct SlowWaker;

impl Wake for SlowWaker {
    fn wake(self: Arc<Self>) {
        (0..SLOW_WAKE).for_each(|_| std::hint::spin_loop());
    }
}

/// A handle of `completion` that waits with a slow waker.
fn slow_waiter(completion: &Completion) -> Completion {
    let mut waiter = completion.clone();
    let waker = Waker::from(Arc::new(SlowWaker));
    // Its end is seen by others.
    let _ = Pin::new(&mut waiter).poll(&mut Context::from_waker(&waker));
    waiter
}

pub(super) struct Hand {
    key: u64,
    trail: Arc<Trail>,
    /// The machine's completions, for the thread that spawns it.
    waits: Option<Vec<Completion>>,
    completers: Vec<Completer>,
    /// A machine's own completion, by which others ask for its end.
    task: Option<Completion>,
    /// Spawned when the case was set up.
    spawned: Option<Machine>,
    closing: Option<Closing>,
}

/// An executor of a case's own.
enum Closing {
    /// The thread that shuts it down.
    Executor(Executor),
    /// A thread that spawns on it a machine that waits for this.
    Spawner(Spawner, Completion),
}

#[derive(Default)]
pub(super) struct Seen {
    task: Option<Machine>,
    late: Vec<Machine>,
    cancelled: bool,
}

/// Whether the machine of a case is slow, and what it waits for first has a slow waiter before it.
fn is_slow(key: u64) -> bool {
    key & 0x600 == 0
}

/// Waits for each of `waits` in turn, yields in between, and ends with `value`.
fn machine(
    waits: Vec<Completion>,
    trail: Arc<Trail>,
    value: u64,
) -> impl FnMut() -> Result<IOResult<u64>, Infallible> + Send + 'static {
    let (mut next, mut waited, mut yields) = (0, false, value % 3);
    move || {
        if trail.inside.swap(true, Relaxed) {
            trail.broken.fetch_or(TWO_WORKERS, Relaxed);
        }
        trail.steps.set(trail.steps.get() + 1);
        let result = loop {
            if yields > 0 {
                yields -= 1;
                break IOResult::IO(IOCompletions::Yield);
            }
            let Some(completion) = waits.get(next) else { break IOResult::Done(value) };
            if completion.finished() {
                (next, waited, yields) = (next + 1, false, value % 2);
                if is_slow(value) {
                    yields = 0;
                    (0..SLOW_STEP).for_each(|_| std::hint::spin_loop());
                }
                continue;
            }
            if std::mem::replace(&mut waited, true) {
                trail.broken.fetch_or(TOO_EARLY, Relaxed);
            }
            break IOResult::IO(IOCompletions::Single(completion.clone()));
        };
        trail.inside.store(false, Relaxed);
        Ok(result)
    }
}

impl Tasks {
    /// What became of a machine that is waited for.
    fn join(
        &self,
        mut task: Machine,
        key: u64,
        trail: &Trail,
        cancelled: bool,
        counts: &mut Counts,
    ) -> Result<(), Box<Violation>> {
        if task.completion().wait_timeout(self.stall).is_none() {
            let seen = format!("it has not in {:?}, although all that it waits for has ended", self.stall);
            return Err(stalled("a machine that ends", seen));
        }
        counts.add(Action::TaskJoined);
        let outcome = task.try_take();
        let broken = trail.broken.load(Relaxed);
        let problem = match outcome {
            _ if broken & TWO_WORKERS != 0 => "two workers stepped it at once".into(),
            _ if broken & TOO_EARLY != 0 => "it was stepped before what it waits for had ended".into(),
            Some(Ok(value)) if value == key && trail.steps.get() > 0 => {
                counts.add(Action::TaskDone);
                return Ok(());
            }
            Some(Err(TaskError::Cancelled)) if cancelled => {
                counts.add(Action::TaskCancelled);
                return Ok(());
            }
            outcome => format!("{outcome:?}, with a request to cancel: {cancelled}"),
        };
        Err(wrong("a machine that ends with its value, stepped by one worker at a time", problem))
    }

    /// Shuts an executor down whose machines wait for what will not come, after one of them has blocked a worker.
    fn shut_down(&self, executor: Executor, meeting: &mut Meeting<'_>) -> Result<(), Box<Violation>> {
        if meeting.one_in(2) {
            self.block_a_worker(&executor, meeting)?;
        }
        meeting.point(Point::Join);
        executor.shutdown(Shutdown::Cancel, self.stall).map_err(|unfinished| {
            let expected = "an executor that ends all machines when it is shut down";
            stalled(expected, unfinished.to_string())
        })
    }

    /// Spawns on a worker that has just run out of work, and waits for the machine's end.
    fn wake_a_sleeper(&self, meeting: &mut Meeting<'_>) -> Result<(), Box<Violation>> {
        let turns = meeting.below(96);
        (0..turns).for_each(|_| std::hint::spin_loop());
        meeting.point(Point::Spawn);
        let mut task = self.lone[meeting.thread].spawn(|| Ok::<_, Infallible>(IOResult::Done(())));
        meeting.counts.add(Action::SleeperWoken);
        match task.completion().wait_timeout(self.stall) {
            Some(_) => Ok(()),
            None => {
                let seen = format!("it has not in {:?}", self.stall);
                Err(stalled("a machine that ends on a worker without other work", seen))
            }
        }
    }

    /// One worker is busy; a machine on the other spawns a machine, and blocks until that one has run.
    fn block_a_worker(&self, executor: &Executor, meeting: &mut Meeting<'_>) -> Result<(), Box<Violation>> {
        let (spawner, stall) = (executor.spawner().clone(), self.stall);
        let mut busy = meeting.below(64);
        let other = executor.spawn(move || {
            (0..500).for_each(|_| std::hint::spin_loop());
            busy = busy.saturating_sub(1);
            Ok::<_, Infallible>(if busy == 0 {
                IOResult::Done(())
            } else {
                IOResult::IO(IOCompletions::Yield)
            })
        });
        other.detach();
        meeting.point(Point::Spawn);
        let mut blocking = executor.spawn(move || {
            let (ran, completer) = Completion::new(|_| {});
            let mut completer = Some(completer);
            let child = spawner.spawn(move || {
                let _ = completer.take().map(|completer| completer.complete(1));
                Ok::<_, Infallible>(IOResult::Done(()))
            });
            child.detach();
            Ok::<_, Infallible>(IOResult::Done(ran.wait_timeout(stall).is_some()))
        });
        let _ = blocking.completion().wait_timeout(self.stall * 2);
        meeting.counts.add(Action::WorkerBlocked);
        match blocking.try_take() {
            Some(Ok(true)) => Ok(()),
            outcome => {
                let expected = "a machine that another worker steps while its spawner blocks";
                Err(stalled(expected, format!("{outcome:?}")))
            }
        }
    }
}

impl Storm for Tasks {
    type Case = Case;
    type Hand = Hand;
    type Seen = Seen;

    const CASES: usize = 24;
    const ACTIONS: &'static [Action] = &[
        Action::Ended,
        Action::Abandoned,
        Action::Started,
        Action::TaskDone,
        Action::TaskCancelled,
        Action::TaskDetached,
        Action::TaskJoined,
        Action::SpawnedLate,
        Action::WorkerBlocked,
        Action::SleeperWoken,
    ];

    fn begin(_: u64, threads: usize, stall: Duration) -> Self {
        let executor = Executor::new(WORKERS);
        let spawner = executor.spawner().clone();
        let lone = (0..threads).map(|_| Executor::new(1)).collect();
        Tasks { threads, stall, executor, spawner, lone, detached: Mutex::default() }
    }

    fn set_up(&self, key: u64, hands: &mut Vec<Hand>) -> Case {
        let trail = Arc::new(Trail::default());
        let empty = || Hand {
            key,
            trail: Arc::clone(&trail),
            waits: None,
            completers: Vec::new(),
            task: None,
            spawned: None,
            closing: None,
        };
        hands.extend((0..self.threads).map(|_| empty()));
        let (waits, completers): (Vec<_>, Vec<_>) = (0..WAITS).map(|_| Completion::new(|_| {})).unzip();
        let _slow = is_slow(key).then(|| slow_waiter(&waits[0]));
        let first = (key % self.threads as u64) as usize;
        let mut unended = Vec::new();
        if key.is_multiple_of(CLOSES) {
            let executor = Executor::new(WORKERS);
            for turn in 1..self.threads {
                let (waits, completer) = Completion::new(|_| {});
                unended.push(completer);
                let closing = Closing::Spawner(executor.spawner().clone(), waits);
                hands[(first + turn) % self.threads].closing = Some(closing);
            }
            hands[first].closing = Some(Closing::Executor(executor));
        }
        if key & 0x100 == 0 {
            let mut task = self.spawner.spawn(machine(waits, Arc::clone(&trail), key));
            for turn in 1..self.threads {
                hands[(first + turn) % self.threads].task = Some(task.completion());
            }
            hands[first].spawned = Some(task);
        } else {
            hands[first].waits = Some(waits);
        }
        for (index, completer) in completers.into_iter().enumerate() {
            hands[(first + index) % self.threads].completers.push(completer);
        }
        Case { key, trail, unended, _slow }
    }

    fn act(&self, hand: Hand, meeting: &mut Meeting<'_>) -> Result<Seen, Box<Violation>> {
        let Hand { key, trail, waits, completers, task, spawned, closing } = hand;
        let mut seen = Seen { task: spawned, ..Seen::default() };
        if let Some(waits) = waits {
            meeting.point(Point::Spawn);
            seen.task = Some(self.spawner.spawn(machine(waits, Arc::clone(&trail), key)));
        }
        match closing {
            Some(Closing::Executor(executor)) => self.shut_down(executor, meeting)?,
            Some(Closing::Spawner(spawner, waits)) => {
                meeting.point(Point::Spawn);
                meeting.counts.add(Action::SpawnedLate);
                let late = |_| spawner.spawn(machine(vec![waits.clone()], Arc::default(), key));
                seen.late = (0..LATE).map(late).collect();
            }
            None => {}
        }
        for completer in completers {
            end(completer, key as u32, meeting);
        }
        if meeting.one_in(3) {
            self.wake_a_sleeper(meeting)?;
        }
        if meeting.one_in(6) {
            meeting.point(Point::Cancel);
            seen.cancelled = seen.task.is_some() || task.is_some();
            seen.task.iter().for_each(Task::cancel);
            task.iter().for_each(Completion::cancel);
        }
        if meeting.one_in(8)
            && let Some(task) = seen.task.take()
        {
            meeting.counts.add(Action::TaskDetached);
            task.detach();
            self.detached.lock().push(trail);
        }
        Ok(seen)
    }

    fn judge(&self, case: Case, seen: &mut Vec<Seen>, counts: &mut Counts) -> Result<(), Box<Violation>> {
        let Case { key, trail, unended, .. } = case;
        let cancelled = seen.iter().any(|seen| seen.cancelled);
        for task in seen.iter().flat_map(|seen| &seen.late) {
            // Its executor has ended all machines, and its own end is no thread's that could be waited for.
            if !task.is_finished() {
                let expected = "the end of a machine whose executor has been shut down";
                return Err(Violation::liveness("storm", expected, "it has not ended"));
            }
        }
        drop(unended);
        match seen.iter_mut().find_map(|seen| seen.task.take()) {
            Some(task) => self.join(task, key, &trail, cancelled, counts),
            None => Ok(()),
        }
    }

    fn finish(self) -> Result<(), Box<Violation>> {
        let Tasks { stall, executor, spawner, detached, .. } = self;
        executor.shutdown(Shutdown::Drain, stall).map_err(|unfinished| {
            let expected = "an executor whose machines come to their ends";
            stalled(expected, unfinished.to_string())
        })?;
        drop(spawner);
        detached.into_inner().iter().try_for_each(|trail| nothing_left("a machine", Arc::strong_count(trail)))
    }
}
