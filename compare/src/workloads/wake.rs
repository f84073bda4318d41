//! From a wake to the next step: on the worker that the task belongs to, and from another thread.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::Ordering::{Acquire, Release};
use std::time::Instant;

use parking_lot::Mutex;
use tenterhook_runtime::executor::Executor;
use tenterhook_runtime::{Completer, Completion, IOCompletions, IOResult};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{Notify, oneshot};

use crate::contender::{Contender, Evidence, Latencies};
use crate::goal::Goal;
use crate::row::{Entry, Plan, Row, Workload};
use crate::sync::AtomicU64;

pub(crate) const WORKLOAD: Workload = Workload {
    name: "wake",
    about: "from a wake to the next step, on one worker and from another thread",
    plans,
};

const EXECUTOR: &str = "tenterhook executor, one worker";
const ONESHOT: &str = "tokio oneshot, current_thread";
const NOTIFY: &str = "tokio Notify, current_thread";
const NOTIFY_POOL: &str = "tokio Notify, one worker";

fn plans() -> Vec<Plan> {
    vec![Plan::new("wake, same worker", same_worker), Plan::new("wake, from a thread", from_a_thread)]
}

fn same_worker() -> Row {
    let mut row = Row::timed("wake", NOTIFY);
    row.about = "two tasks of one worker that wake each other in turns";
    row.granule = 2;
    row.contenders = vec![
        Entry::ours(EXECUTOR, Machines { executor: Executor::new(1) }),
        Entry::new(NOTIFY, Notified { runtime: current_thread() }),
        Entry::new(ONESHOT, Oneshots { runtime: current_thread() }),
    ];
    row.goals = vec![Goal::ratio(EXECUTOR, ONESHOT, 1.0)];
    row
}

fn from_a_thread() -> Row {
    let mut row = Row::timed("wake", NOTIFY_POOL);
    row.about = "a thread wakes a task whose worker sleeps, and spins until it has stepped";
    row.contenders = vec![
        Entry::ours(EXECUTOR, FromThread::<Ours>::new()),
        Entry::new(NOTIFY_POOL, FromThread::<Pool>::new()),
        Entry::new(NOTIFY, FromThread::<CurrentThread>::new()),
    ];
    row.goals = vec![Goal::ratio(EXECUTOR, NOTIFY_POOL, 1.0)];
    row
}

fn current_thread() -> Runtime {
    Builder::new_current_thread().build().expect("a runtime without drivers")
}

/// Where a machine leaves the right to wake it.
type Mailbox = Arc<Mutex<Option<Completer>>>;

struct Machines {
    executor: Executor,
}

/// Wakes the other, then waits to be woken, `turns` times. Done with the number of its waits that ended well.
fn machine(
    turns: u64,
    mine: Mailbox,
    theirs: Mailbox,
) -> impl FnMut() -> Result<IOResult<u64>, Infallible> + Send + 'static {
    let (mut left, mut sum, mut waits): (u64, u64, Option<Completion>) = (turns, 0, None);
    move || {
        if let Some(event) = waits.take() {
            sum += event.result().and_then(Result::ok).unwrap_or(0);
        }
        let wake = |mailbox: &Mailbox| mailbox.lock().take().map(|completer| completer.complete(1));
        if left == 0 {
            wake(&theirs);
            return Ok(IOResult::Done(sum));
        }
        left -= 1;
        let (event, completer) = Completion::new(|_| {});
        *mine.lock() = Some(completer);
        wake(&theirs);
        waits = Some(event.clone());
        Ok(IOResult::IO(IOCompletions::Single(event)))
    }
}

impl Contender for Machines {
    fn run(&mut self, operations: u64) -> Evidence {
        let (left, right) = (Mailbox::default(), Mailbox::default());
        let turns = operations / 2;
        let tasks = [(left.clone(), right.clone()), (right, left)]
            .map(|(mine, theirs)| self.executor.spawn(machine(turns, mine, theirs)));
        Evidence::results(tasks.into_iter().map(|task| task.join().unwrap_or(0)).sum())
    }
}

/// [`Notify`], which the docs of `tokio::sync` name for a wake without a value.
struct Notified {
    runtime: Runtime,
}

async fn notified(turns: u64, mine: Arc<Notify>, theirs: Arc<Notify>) -> u64 {
    let mut sum = 0;
    for _ in 0..turns {
        theirs.notify_one();
        mine.notified().await;
        sum += 1;
    }
    theirs.notify_one();
    sum
}

impl Contender for Notified {
    fn run(&mut self, operations: u64) -> Evidence {
        let (left, right) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let turns = operations / 2;
        Evidence::results(self.runtime.block_on(async {
            let tasks = [(Arc::clone(&left), Arc::clone(&right)), (right, left)]
                .map(|(mine, theirs)| tokio::spawn(notified(turns, mine, theirs)));
            let mut sum = 0;
            for task in tasks {
                sum += task.await.unwrap_or(0);
            }
            sum
        }))
    }
}

/// A new `oneshot` for each turn, which is what a completion is.
struct Oneshots {
    runtime: Runtime,
}

type Sender = Arc<Mutex<Option<oneshot::Sender<u64>>>>;

async fn oneshots(turns: u64, mine: Sender, theirs: Sender) -> u64 {
    let wake = |mailbox: &Sender| mailbox.lock().take().map(|sender| sender.send(1));
    let mut sum = 0;
    for _ in 0..turns {
        let (sender, receiver) = oneshot::channel();
        *mine.lock() = Some(sender);
        wake(&theirs);
        sum += receiver.await.unwrap_or(0);
    }
    wake(&theirs);
    sum
}

impl Contender for Oneshots {
    fn run(&mut self, operations: u64) -> Evidence {
        let (left, right) = (Sender::default(), Sender::default());
        let turns = operations / 2;
        Evidence::results(self.runtime.block_on(async {
            let tasks = [(left.clone(), right.clone()), (right, left)]
                .map(|(mine, theirs)| tokio::spawn(oneshots(turns, mine, theirs)));
            let mut sum = 0;
            for task in tasks {
                sum += task.await.unwrap_or(0);
            }
            sum
        }))
    }
}

/// Steps that a woken task has taken, for the thread that spins.
#[derive(Default)]
struct Steps(AtomicU64);

impl Steps {
    fn add(&self) {
        // ORDERING: Release, with the Acquire of `wait_for`. One task at a time adds.
        self.0.store(self.0.load(Acquire) + 1, Release);
    }

    fn wait_for(&self, steps: u64) {
        // ORDERING: Acquire, with the Release of `add`.
        while self.0.load(Acquire) < steps {
            std::hint::spin_loop();
        }
    }
}

/// A task that counts its wakes, on a worker that sleeps in between.
trait Sleeper {
    fn start() -> Self;
    /// Wakes it, for the `number`-th time from 1 on.
    fn wake(&mut self, number: u64);
    fn steps(&self) -> &Steps;
}

struct FromThread<S> {
    sleeper: S,
    wakes: u64,
}

impl<S: Sleeper> FromThread<S> {
    fn new() -> Self {
        Self { sleeper: S::start(), wakes: 0 }
    }

    fn wake(&mut self) {
        self.wakes += 1;
        self.sleeper.wake(self.wakes);
        self.sleeper.steps().wait_for(self.wakes);
    }
}

impl<S: Sleeper> Contender for FromThread<S> {
    fn run(&mut self, operations: u64) -> Evidence {
        let before = self.wakes;
        (0..operations).for_each(|_| self.wake());
        Evidence::results(self.wakes - before)
    }

    fn latencies(&mut self, operations: u64) -> Option<Latencies> {
        let mut latencies = Latencies::new();
        for _ in 0..operations {
            let started = Instant::now();
            self.wake();
            latencies.record(started);
        }
        Some(latencies)
    }
}

/// A machine that waits for one completion after the other.
struct Ours {
    _executor: Executor,
    steps: Arc<Steps>,
    mailbox: Mailbox,
}

impl Sleeper for Ours {
    fn start() -> Self {
        let executor = Executor::new(1);
        let (steps, mailbox) = (Arc::new(Steps::default()), Mailbox::default());
        let (counted, mine, mut begun) = (Arc::clone(&steps), mailbox.clone(), false);
        let step = move || {
            let (event, completer) = Completion::new(|_| {});
            // There before the step is told: the next wake finds it.
            *mine.lock() = Some(completer);
            if std::mem::replace(&mut begun, true) {
                counted.add();
            }
            Ok::<IOResult<()>, Infallible>(IOResult::IO(IOCompletions::Single(event)))
        };
        executor.spawn(step).detach();
        while mailbox.lock().is_none() {
            std::thread::yield_now();
        }
        Self { _executor: executor, steps, mailbox }
    }

    fn wake(&mut self, _: u64) {
        let completer = self.mailbox.lock().take().expect("left before the last step was told");
        let _ = completer.complete(0);
    }

    fn steps(&self) -> &Steps {
        &self.steps
    }
}

async fn count(steps: Arc<Steps>, notify: Arc<Notify>) {
    loop {
        notify.notified().await;
        steps.add();
    }
}

/// On a worker of the multi-threaded runtime.
struct Pool {
    _runtime: Runtime,
    steps: Arc<Steps>,
    notify: Arc<Notify>,
}

impl Sleeper for Pool {
    fn start() -> Self {
        let runtime =
            Builder::new_multi_thread().worker_threads(1).build().expect("the system gives a thread");
        let (steps, notify) = (Arc::new(Steps::default()), Arc::new(Notify::new()));
        runtime.spawn(count(Arc::clone(&steps), Arc::clone(&notify)));
        Self { _runtime: runtime, steps, notify }
    }

    fn wake(&mut self, _: u64) {
        self.notify.notify_one();
    }

    fn steps(&self) -> &Steps {
        &self.steps
    }
}

/// On the single-threaded runtime, in `block_on` of a thread of its own.
struct CurrentThread {
    steps: Arc<Steps>,
    notify: Arc<Notify>,
    end: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Sleeper for CurrentThread {
    fn start() -> Self {
        let (steps, notify) = (Arc::new(Steps::default()), Arc::new(Notify::new()));
        let (end, ended) = oneshot::channel();
        let task = count(Arc::clone(&steps), Arc::clone(&notify));
        let thread = std::thread::spawn(move || {
            current_thread().block_on(async {
                tokio::spawn(task);
                let _ = ended.await;
            });
        });
        Self { steps, notify, end: Some(end), thread: Some(thread) }
    }

    fn wake(&mut self, _: u64) {
        self.notify.notify_one();
    }

    fn steps(&self) -> &Steps {
        &self.steps
    }
}

impl Drop for CurrentThread {
    fn drop(&mut self) {
        drop(self.end.take());
        if let Some(thread) = self.thread.take() {
            // Its panic has been printed.
            let _ = thread.join();
        }
    }
}
