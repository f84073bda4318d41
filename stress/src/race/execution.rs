//! One run as an execution of shuttle, and the scheduler that does what the world says.

use std::backtrace::Backtrace;
use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Once;

use shuttle::scheduler::{Schedule, Scheduler, Task, TaskId};
use shuttle::{Config, FailurePersistence, MaxSteps, Runner};

/// Bytes of each thread's stack. Only what is touched takes memory.
const STACK: usize = 1 << 20;

/// Why the world runs again.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    /// The thread was stopped before a synchronisation operation.
    Stopped,
    /// It asked that others go first.
    GaveWay,
    /// It waits for a lock, a thread or a notification, or has ended.
    Blocked,
    /// It has nothing to do.
    Idle,
}

/// What the scheduler and the world tell each other. All threads of an execution are coroutines of one thread, so cells suffice.
struct Baton {
    /// Whether an execution is under way in this thread.
    inside: Cell<bool>,
    /// The thread that the world lets run.
    running: Cell<Option<TaskId>>,
    /// Synchronisation operations after which it is stopped.
    gap: Cell<u32>,
    /// Those that it has begun since.
    operations: Cell<u32>,
    why: Cell<Why>,
    /// The running thread has nothing to do.
    is_idle: Cell<bool>,
    /// While above 0 no thread is stopped.
    holds: Cell<u32>,
    /// The execution is given up: no thread runs any more.
    over: Cell<bool>,
    /// Threads that can run, as of the last scheduling point that came back to the world.
    runnable: RefCell<Vec<TaskId>>,
    /// Threads without anything to do.
    idle: RefCell<Vec<TaskId>>,
    /// Whether the stack of a thread is kept when it is stopped.
    keeps_stacks: Cell<bool>,
    stack: RefCell<Option<Backtrace>>,
}

thread_local! {
    static BATON: Baton = const {
        Baton {
            inside: Cell::new(false),
            running: Cell::new(None),
            gap: Cell::new(u32::MAX),
            operations: Cell::new(0),
            why: Cell::new(Why::Idle),
            is_idle: Cell::new(false),
            holds: Cell::new(0),
            over: Cell::new(false),
            runnable: RefCell::new(Vec::new()),
            idle: RefCell::new(Vec::new()),
            keeps_stacks: Cell::new(false),
            stack: RefCell::new(None),
        }
    };
}

/// While it lives, no thread is stopped.
#[derive(Debug)]
pub(crate) struct Hold;

impl Hold {
    #[inline]
    pub(crate) fn new() -> Hold {
        BATON.with(|baton| baton.holds.set(baton.holds.get() + 1));
        Hold
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        BATON.with(|baton| baton.holds.set(baton.holds.get() - 1));
    }
}

/// Lets `thread` run until it has begun `gap` synchronisation operations or comes to its end. Returns how many it has begun, and why
/// the caller, which is the world, runs again.
pub(super) fn resume(thread: TaskId, gap: u32) -> (u32, Why) {
    BATON.with(|baton| {
        baton.running.set(Some(thread));
        baton.gap.set(gap);
        baton.operations.set(0);
        baton.is_idle.set(false);
        baton.idle.borrow_mut().retain(|&idle| idle != thread);
    });
    shuttle::thread::yield_now();
    BATON.with(|baton| (baton.operations.get(), baton.why.get()))
}

/// The calling thread has nothing to do until the world lets it run again.
pub(super) fn rest() {
    BATON.with(|baton| baton.is_idle.set(true));
    shuttle::thread::yield_now();
}

/// Gives `look` the threads that can run.
pub(super) fn with_runnable<R>(look: impl FnOnce(&[TaskId]) -> R) -> R {
    BATON.with(|baton| look(&baton.runnable.borrow()))
}

/// The world itself has nothing to say: threads that can run are counted again.
pub(super) fn look_around() {
    shuttle::thread::yield_now();
}

/// From here on the stack of each thread that is stopped is kept.
pub(super) fn keep_stacks() {
    BATON.with(|baton| baton.keeps_stacks.set(true));
}

/// The stack of the thread that was stopped last.
pub(super) fn take_stack() -> Option<Backtrace> {
    BATON.with(|baton| baton.stack.take())
}

/// The execution ends as soon as the world returns, whatever threads are in the middle of. What is on their stacks is leaked.
pub(super) fn give_up() {
    BATON.with(|baton| baton.over.set(true));
}

/// Does what the world says.
struct Obedient {
    is_fresh: bool,
}

impl Scheduler for Obedient {
    fn new_execution(&mut self) -> Option<Schedule> {
        std::mem::take(&mut self.is_fresh).then(|| Schedule::new(0))
    }

    fn next_task(
        &mut self,
        runnable: &[&Task],
        current: Option<TaskId>,
        is_yielding: bool,
    ) -> Option<TaskId> {
        BATON.with(|baton| baton.next(runnable, current, is_yielding))
    }

    fn next_u64(&mut self) -> u64 {
        0
    }
}

impl Baton {
    fn next(&self, runnable: &[&Task], current: Option<TaskId>, is_yielding: bool) -> Option<TaskId> {
        let world = TaskId::from(0);
        if self.over.get() {
            return None;
        }
        let Some(current) = current else { return Some(world) };
        if current == world {
            return self.next_of_world(runnable);
        }
        // Tasks are in the order of their numbers.
        let can_go_on = runnable.binary_search_by_key(&current, |task| task.id()).is_ok();
        if !can_go_on {
            return self.home(Why::Blocked, runnable);
        }
        if self.is_idle.replace(false) {
            self.idle.borrow_mut().push(current);
            return self.home(Why::Idle, runnable);
        }
        if self.holds.get() > 0 || std::thread::panicking() {
            return Some(current);
        }
        if is_yielding {
            return self.home(Why::GaveWay, runnable);
        }
        let operations = self.operations.get() + 1;
        self.operations.set(operations);
        if operations < self.gap.get() {
            return Some(current);
        }
        self.home(Why::Stopped, runnable)
    }

    fn next_of_world(&self, runnable: &[&Task]) -> Option<TaskId> {
        let world = TaskId::from(0);
        let is_runnable = |wanted: TaskId| runnable.iter().any(|task| task.id() == wanted);
        match self.running.get() {
            Some(next) if is_runnable(next) => Some(next),
            _ if is_runnable(world) => {
                self.why.set(Why::Blocked);
                self.running.set(None);
                self.look_at(runnable);
                Some(world)
            }
            // It waits for a lock.
            _ => self.home(Why::Blocked, runnable),
        }
    }

    /// The world runs again. If it waits for a lock, threads in the middle of something run until it has it.
    #[cold]
    fn home(&self, why: Why, runnable: &[&Task]) -> Option<TaskId> {
        if self.keeps_stacks.get() && matches!(why, Why::Stopped | Why::Blocked) {
            self.stack.replace(Some(Backtrace::force_capture()));
        }
        self.why.set(why);
        self.running.set(None);
        self.look_at(runnable);
        let world = TaskId::from(0);
        if runnable.first().is_some_and(|task| task.id() == world) {
            return Some(world);
        }
        let idle = self.idle.borrow();
        runnable.iter().map(|task| task.id()).find(|id| !idle.contains(id))
    }

    fn look_at(&self, runnable: &[&Task]) {
        let mut known = self.runnable.borrow_mut();
        known.clear();
        known.extend(runnable.iter().map(|task| task.id()));
    }

    fn reset(&self) {
        self.running.set(None);
        self.gap.set(u32::MAX);
        self.is_idle.set(false);
        self.holds.set(0);
        self.over.set(false);
        self.runnable.borrow_mut().clear();
        self.idle.borrow_mut().clear();
        self.keeps_stacks.set(false);
        self.stack.replace(None);
    }
}

/// A closure that shuttle is to call once, in the thread and during the call of [`enter`].
struct Called {
    data: *mut (),
    call: unsafe fn(*mut ()),
}

// SAFETY: shuttle calls the closure in the thread that called `Runner::run`, before that returns. It is never sent.
unsafe impl Send for Called {}
// SAFETY: as above; nothing shares it.
unsafe impl Sync for Called {}

impl Called {
    fn call(&self) {
        // SAFETY: `data` points to the `Slot` in the frame of `enter`, which waits for `Runner::run`, and `call` is made for its type.
        unsafe { (self.call)(self.data) }
    }
}

struct Slot<F, R> {
    run: Option<F>,
    end: Option<std::thread::Result<R>>,
}

/// Runs `run` in an execution. Within one it is just called.
pub(crate) fn enter<R, F: FnOnce() -> R>(run: F) -> R {
    if BATON.with(|baton| baton.inside.get()) {
        return run();
    }
    install_hooks();
    let mut slot = Slot { run: Some(run), end: None };
    /// # Safety
    ///
    /// `data` points to a `Slot<F, R>` that no one else uses.
    unsafe fn call<R, F: FnOnce() -> R>(data: *mut ()) {
        // SAFETY: the caller's promise.
        let slot = unsafe { &mut *data.cast::<Slot<F, R>>() };
        slot.end = slot.run.take().map(|run| catch_unwind(AssertUnwindSafe(run)));
    }
    let once = Called { data: (&raw mut slot).cast(), call: call::<R, F> };
    execute(move || once.call());
    match slot.end {
        Some(Ok(value)) => value,
        Some(Err(payload)) => resume_unwind(payload),
        None => panic!("the world waits for a lock, and no thread that could release it can run"),
    }
}

fn execute(run: impl Fn() + Send + Sync + 'static) {
    /// The execution is over, also by a panic: that of a thread which the system has started, for instance.
    struct Inside;
    impl Drop for Inside {
        fn drop(&mut self) {
            BATON.with(|baton| {
                baton.inside.set(false);
                baton.reset();
            });
        }
    }
    BATON.with(|baton| {
        baton.reset();
        baton.inside.set(true);
    });
    let _inside = Inside;
    let mut config = Config::new();
    config.stack_size = STACK;
    config.failure_persistence = FailurePersistence::None;
    config.max_steps = MaxSteps::None;
    config.silence_warnings = true;
    Runner::new(Obedient { is_fresh: true }, config).run(run);
}

/// shuttle installs a hook that prints about each panic, once for the process. It is taken off: a panic of the system is a finding.
fn install_hooks() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| crate::panics::without_its_hook(|| execute(|| ())));
}
