//! Tasks of the executor, and what may become of them.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};

use tenterhook_runtime::executor::{Executor, Task, TaskError};
use tenterhook_runtime::{Completion, IOCompletions, IOResult};
use tenterhook_stress::system::Step;
use tenterhook_stress::tape::{ChoicePoint, Stream};
use tenterhook_stress::violation::Violation;

use crate::board::{Board, Watched};

/// At most so many at a time.
const TASKS: u32 = 3;

const COUNT: ChoicePoint = ChoicePoint::new(10, "tasks");
const WAITS: ChoicePoint = ChoicePoint::new(11, "what a task waits for");
const FATE: ChoicePoint = ChoicePoint::new(12, "fate of a task");
const OWN: ChoicePoint = ChoicePoint::new(13, "an executor of its own");

/// What a machine leaves for its judge.
#[derive(Default)]
struct Trail {
    /// Steps that are under way.
    inside: AtomicBool,
    steps: AtomicU32,
    broken: AtomicU32,
}

/// A task, and what it must come to.
struct OneTask {
    task: Task<u64, Infallible>,
    trail: Arc<Trail>,
    /// Completions that it waits for.
    count: u64,
    /// Whether it may end as cancelled.
    cancels: bool,
}

/// Tasks that were spawned together.
pub(crate) struct Spawned {
    tasks: Vec<OneTask>,
    own: Option<Executor>,
    own_drains: bool,
}

/// Waits for each of its completions in turn, yields in between, and counts what has ended.
fn machine(
    completions: Vec<Completion>,
    trail: Arc<Trail>,
) -> impl FnMut() -> Result<IOResult<u64>, Infallible> + Send + 'static {
    let (mut next, mut yielded, mut waits) = (0, false, false);
    move || {
        // ORDERING: all threads of a run are coroutines of one thread.
        if trail.inside.swap(true, Relaxed) {
            trail.broken.store(1, Relaxed);
        }
        trail.steps.fetch_add(1, Relaxed);
        let result = loop {
            let Some(completion) = completions.get(next) else { break IOResult::Done(next as u64) };
            if !std::mem::replace(&mut yielded, true) {
                break IOResult::IO(IOCompletions::Yield);
            }
            if completion.result().is_none() {
                if std::mem::replace(&mut waits, true) {
                    trail.broken.store(2, Relaxed);
                }
                break IOResult::IO(IOCompletions::Single(completion.clone()));
            }
            (next, yielded, waits) = (next + 1, false, false);
        };
        trail.inside.store(false, Relaxed);
        Ok(result)
    }
}

impl Spawned {
    pub(crate) fn new(board: &Board, stream: &mut Stream) -> Result<Spawned, Box<Violation>> {
        let own = (stream.choose(OWN, 24) == 1).then(|| Executor::new(2));
        let shared = board.executor();
        let Some(executor) = own.as_ref().or(shared.as_deref()) else {
            return Ok(Spawned { tasks: Vec::new(), own, own_drains: false });
        };
        let mut tasks = Vec::new();
        for _ in 0..=stream.choose(COUNT, TASKS) {
            let mut completions = Vec::new();
            for _ in 0..stream.choose(WAITS, 3) {
                let (leaf, completer) = Watched::leaf();
                board.put(completer);
                board.remember(&leaf);
                completions.push(leaf.completion);
            }
            let trail = Arc::new(Trail::default());
            let count = completions.len() as u64;
            let task = executor.spawn(machine(completions, Arc::clone(&trail)));
            let cancels = stream.choose(FATE, 4) == 1;
            if cancels {
                task.cancel();
            }
            tasks.push(OneTask { task, trail, count, cancels });
        }
        let own_drains = stream.choose(OWN, 2) == 1;
        Ok(Spawned { tasks, own, own_drains })
    }

    /// Waits for the next task: in its thread, by its completion, or not at all. `None` when all are dealt with.
    pub(crate) fn step(&mut self, stream: &mut Stream) -> Result<Option<Step>, Box<Violation>> {
        if let Some(own) = self.own.take() {
            if self.own_drains {
                own.drain();
            } else {
                drop(own);
                self.tasks.iter_mut().for_each(|one| one.cancels = true);
            }
        }
        let Some(OneTask { mut task, trail, count, cancels }) = self.tasks.pop() else { return Ok(None) };
        match stream.choose(FATE, 4) {
            1 if !task.is_finished() => {
                let wait = Step::Wait(task.completion());
                self.tasks.push(OneTask { task, trail, count, cancels });
                return Ok(Some(wait));
            }
            2 => {
                task.detach();
                return Ok(Some(Step::Continue));
            }
            _ => {}
        }
        judge(task.join(), &trail, count, cancels)?;
        Ok(Some(Step::Continue))
    }
}

fn judge(
    outcome: Result<u64, TaskError<Infallible>>,
    trail: &Trail,
    count: u64,
    cancels: bool,
) -> Result<(), Box<Violation>> {
    let wrong = |seen: String| {
        let expected =
            format!("a task that has seen {count} completions end, stepped by one worker at a time");
        Err(Violation::safety("task", expected, seen))
    };
    match (trail.broken.load(Relaxed), outcome) {
        (1, _) => wrong("two workers stepped it at once".into()),
        (2, _) => wrong("it was stepped before its completion had finished".into()),
        (_, Ok(value)) if value == count => Ok(()),
        (_, Err(TaskError::Cancelled)) if cancels => Ok(()),
        (_, outcome) => wrong(format!("{outcome:?}")),
    }
}
