//! The executor's hand-overs: park against wake, sleep against push, end against join, shutdown against spawn.
//!
//! The executor is the shipped one; only its threads, locks and atomics are loom's. Each worker is a thread more, so
//! most models have one worker.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use loom::thread;
use tenterhook_runtime::executor::{Executor, Spawner, Task, TaskError};
use tenterhook_runtime::{Completion, IOCompletions, IOResult};

use crate::model::{Model, models, preemptions};
use crate::support::Trace;

pub(crate) fn models() -> Vec<Model> {
    models![
        preemptions(3) => executor_spawn_vs_worker_falls_asleep, executor_join_vs_end, executor_detach_vs_end,
            executor_park_vs_complete, executor_park_vs_cancel, executor_drop_vs_parked,
            executor_drain_vs_machine_that_spawns, executor_yield_vs_cancel,
            executor_result_taken_without_a_join_vs_end, executor_cancel_vs_drop_of_the_machine;
        preemptions(2) => executor_complete_vs_cancel, executor_spawn_vs_drop, executor_steal_vs_owner,
            executor_wake_vs_two_workers, executor_two_completions_vs_one_worker,
            executor_late_wake_vs_next_wait, executor_blocked_step_vs_the_other_worker;
    ]
}

type Step<T> = Result<IOResult<T>, Infallible>;

/// Waits for `completion` and returns its value. Its state is a cell that loom watches: two workers in it at once, or
/// one that doesn't see what the other did, is a race.
fn waiting(completion: &Completion) -> impl FnMut() -> Step<u64> + Send + 'static {
    let (completion, trace) = (completion.clone(), Trace::new());
    move || {
        trace.mark();
        match completion.result() {
            Some(outcome) => {
                assert!(trace.marks() <= 2, "stepped more often than it waits");
                Ok(IOResult::Done(outcome.expect("completed with a value")))
            }
            None => {
                assert_eq!(trace.marks(), 1, "stepped before its completion had finished");
                Ok(IOResult::IO(IOCompletions::Single(completion.clone())))
            }
        }
    }
}

/// Yields once.
fn yielding() -> impl FnMut() -> Step<u64> + Send + 'static {
    let trace = Trace::new();
    move || {
        trace.mark();
        if trace.marks() == 2 { Ok(IOResult::Done(1)) } else { Ok(IOResult::IO(IOCompletions::Yield)) }
    }
}

fn pending() -> (Completion, tenterhook_runtime::Completer) {
    Completion::new(|_| {})
}

/// The worker finds nothing and goes to sleep while the task is pushed.
fn executor_spawn_vs_worker_falls_asleep() {
    let executor = Executor::new(1);
    let ran = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&ran);
    let task = executor.spawn(move || {
        counter.fetch_add(1, SeqCst);
        Ok::<_, Infallible>(IOResult::Done(()))
    });
    task.detach();
    // Hangs, which loom reports, if the worker sleeps on.
    executor.drain();
    assert_eq!(ran.load(SeqCst), 1);
}

/// The joiner puts its completer into the slot while the worker ends the task.
fn executor_join_vs_end() {
    let executor = Executor::new(1);
    let task = executor.spawn(|| Ok::<_, Infallible>(IOResult::Done(5)));
    assert_eq!(task.join().unwrap(), 5);
    executor.drain();
}

/// Either the worker or the handle is the last to hold the task; loom watches its allocation.
fn executor_detach_vs_end() {
    let executor = Executor::new(1);
    drop(executor.spawn(yielding()));
    executor.drain();
}

fn executor_park_vs_complete() {
    let executor = Executor::new(1);
    let (completion, completer) = pending();
    let mut task = executor.spawn(waiting(&completion));
    let _ = completer.complete(3);
    executor.drain();
    assert!(matches!(task.try_take(), Some(Ok(3))));
}

fn executor_park_vs_cancel() {
    let executor = Executor::new(1);
    let (completion, completer) = pending();
    let mut task = executor.spawn(waiting(&completion));
    task.cancel();
    executor.drain();
    assert!(matches!(task.try_take(), Some(Err(TaskError::Cancelled))));
    drop(completer);
}

fn executor_yield_vs_cancel() {
    let executor = Executor::new(1);
    let mut task = executor.spawn(yielding());
    task.cancel();
    executor.drain();
    assert!(matches!(task.try_take(), Some(Ok(1) | Err(TaskError::Cancelled))));
}

/// What is parked, about to park, or not yet run is dropped with the executor.
fn executor_drop_vs_parked() {
    let executor = Executor::new(1);
    let (completion, completer) = pending();
    let mut task = executor.spawn(waiting(&completion));
    drop(executor);
    assert!(matches!(task.try_take(), Some(Err(TaskError::Cancelled))));
    let _ = completer.complete(1);
}

fn executor_drain_vs_machine_that_spawns() {
    let executor = Executor::new(1);
    let (spawner, ended) = (executor.spawner().clone(), Arc::new(AtomicUsize::new(0)));
    let counter = Arc::clone(&ended);
    let count = move || {
        count_one(&spawner, &counter);
        Ok::<_, Infallible>(IOResult::Done(()))
    };
    executor.spawn(count).detach();
    executor.drain();
    assert_eq!(ended.load(SeqCst), 1);
}

/// Spawns a machine that counts and ends.
fn count_one(spawner: &Spawner, counter: &Arc<AtomicUsize>) {
    let counter = Arc::clone(counter);
    let task: Task<(), Infallible> = spawner.spawn(move || {
        counter.fetch_add(1, SeqCst);
        Ok(IOResult::Done(()))
    });
    task.detach();
}

/// A wake from one thread and a cancel from another reach one parked task.
fn executor_complete_vs_cancel() {
    let executor = Executor::new(1);
    let (completion, completer) = pending();
    let mut task = executor.spawn(waiting(&completion));
    let ender = thread::spawn(move || completer.complete(3));
    task.cancel();
    executor.drain();
    assert!(matches!(task.try_take(), Some(Ok(3) | Err(TaskError::Cancelled))));
    assert!(ender.join().unwrap());
}

/// A task that is spawned while the executor goes is refused or cancelled, but not forgotten: it waits for what never
/// comes, and the drop of the executor would hang.
fn executor_spawn_vs_drop() {
    let executor = Executor::new(1);
    let (completion, completer) = pending();
    let spawner = executor.spawner().clone();
    let spawning = thread::spawn(move || spawner.spawn(waiting(&completion)));
    drop(executor);
    let task = spawning.join().unwrap();
    assert!(matches!(task.join(), Err(TaskError::Cancelled)));
    drop(completer);
}

/// Two workers, two tasks: one worker may take both, or be robbed of one.
fn executor_steal_vs_owner() {
    let executor = Executor::new(2);
    let tasks = [executor.spawn(yielding()), executor.spawn(yielding())];
    executor.drain();
    for mut task in tasks {
        assert!(matches!(task.try_take(), Some(Ok(1))));
    }
}

/// The task parks on one worker and continues on another.
fn executor_wake_vs_two_workers() {
    let executor = Executor::new(2);
    let (completion, completer) = pending();
    let mut task = executor.spawn(waiting(&completion));
    let _ = completer.complete(3);
    executor.drain();
    assert!(matches!(task.try_take(), Some(Ok(3))));
}

/// The second wake can come while the first is still in the queue.
fn executor_two_completions_vs_one_worker() {
    let executor = Executor::new(1);
    let (first, first_completer) = pending();
    let (second, second_completer) = pending();
    let tasks = [executor.spawn(waiting(&first)), executor.spawn(waiting(&second))];
    let ender = thread::spawn(move || first_completer.complete(1));
    let _ = second_completer.complete(2);
    assert!(ender.join().unwrap());
    executor.drain();
    let values = tasks.map(|mut task| task.try_take().expect("ended").unwrap());
    assert_eq!(values, [1, 2]);
}

/// The first completion's wake can come when the machine waits for the second already.
fn executor_late_wake_vs_next_wait() {
    let executor = Executor::new(1);
    let (first, first_completer) = pending();
    let (second, second_completer) = pending();
    let mut both = [waiting(&second), waiting(&first)];
    let mut left = 2;
    let mut task = executor.spawn(move || {
        while left > 0 {
            match both[left - 1]()? {
                IOResult::Done(_) => left -= 1,
                IOResult::IO(io) => return Ok::<_, Infallible>(IOResult::IO(io)),
            }
        }
        Ok(IOResult::Done(()))
    });
    let ender = thread::spawn(move || first_completer.complete(1));
    let _ = second_completer.complete(2);
    assert!(ender.join().unwrap());
    executor.drain();
    assert!(matches!(task.try_take(), Some(Ok(()))));
}

/// Who sees that the machine has ended sees what it left, with no join before.
fn executor_result_taken_without_a_join_vs_end() {
    let executor = Executor::new(1);
    let trace = Trace::new();
    let machines = trace.clone();
    let mut task = executor.spawn(move || {
        machines.mark();
        Ok::<_, Infallible>(IOResult::Done(7))
    });
    if task.is_finished() {
        assert_eq!(trace.marks(), 1);
    }
    if let Some(result) = task.try_take() {
        assert_eq!((result.unwrap(), trace.marks()), (7, 1));
    }
    executor.drain();
}

/// Reads what `trace` has when it is dropped.
struct ReadsWhenDropped(Trace);

impl Drop for ReadsWhenDropped {
    fn drop(&mut self) {
        assert_eq!(self.0.marks(), 1, "the machine is dropped because of the cancel");
    }
}

/// What the canceller did before is visible to the drop of the machine, wherever the cancel meets it.
fn executor_cancel_vs_drop_of_the_machine() {
    let executor = Executor::new(1);
    let trace = Trace::new();
    let (completion, completer) = pending();
    let (reads, mut yielded) = (ReadsWhenDropped(trace.clone()), false);
    let mut task = executor.spawn(move || {
        let _ = &reads;
        if !std::mem::replace(&mut yielded, true) {
            return Ok::<IOResult<()>, Infallible>(IOResult::IO(IOCompletions::Yield));
        }
        Ok(IOResult::IO(IOCompletions::Single(completion.clone())))
    });
    trace.mark();
    task.cancel();
    executor.drain();
    assert!(matches!(task.try_take(), Some(Err(TaskError::Cancelled))));
    drop(completer);
}

/// A step that blocks holds up its own worker only: each task that is spawned while workers sleep wakes one more.
fn executor_blocked_step_vs_the_other_worker() {
    let executor = Executor::new(2);
    let (completion, completer) = pending();
    let mut blocks = executor.spawn(move || Ok::<_, Infallible>(IOResult::Done(completion.wait())));
    let mut completer = Some(completer);
    let unblocks = executor.spawn(move || {
        Ok::<_, Infallible>(IOResult::Done(completer.take().expect("stepped once").complete(3)))
    });
    executor.drain();
    assert!(matches!(blocks.try_take(), Some(Ok(Ok(3)))));
    drop(unblocks);
}
