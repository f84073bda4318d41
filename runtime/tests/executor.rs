//! The executor's promises, on real threads.

use std::convert::Infallible;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Release};
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::sync::mpsc;
use std::sync::{Arc, Barrier};
use std::time::Duration;

use tenterhook_runtime::executor::{Executor, Shutdown, Task, TaskError};
use tenterhook_runtime::{Completer, Completion, CompletionError, CompletionGroup, IOCompletions, IOResult};

type Step<T> = Result<IOResult<T>, Infallible>;

/// Longer than anything here takes; a test that gets there fails.
const FOR_EVER: Duration = Duration::from_secs(60);

fn yielding<T>() -> Step<T> {
    Ok(IOResult::IO(IOCompletions::Yield))
}

/// Yields `times` times, then says how often.
fn countdown(times: usize) -> impl FnMut() -> Step<usize> {
    let mut left = times;
    move || {
        if left == 0 {
            return Ok(IOResult::Done(times));
        }
        left -= 1;
        yielding()
    }
}

/// Waits for `completion`, which is to have finished whenever the machine is stepped again; then the outcome.
fn waiting(completion: Completion) -> impl FnMut() -> Step<Result<u64, CompletionError>> {
    let mut waits = false;
    move || match completion.result() {
        Some(outcome) => Ok(IOResult::Done(outcome)),
        None => {
            assert!(!waits, "stepped before the completion had finished");
            waits = true;
            Ok(IOResult::IO(IOCompletions::Single(completion.clone())))
        }
    }
}

/// Yields until `flag` is set.
fn until(flag: &Arc<AtomicBool>) -> impl FnMut() -> Step<()> + use<> {
    let flag = Arc::clone(flag);
    move || if flag.load(Acquire) { Ok(IOResult::Done(())) } else { yielding() }
}

struct PanicsOnDrop;

impl Drop for PanicsOnDrop {
    fn drop(&mut self) {
        panic!("on purpose");
    }
}

/// Sends when it is dropped.
struct Tells(mpsc::Sender<()>);

impl Drop for Tells {
    fn drop(&mut self) {
        let _ = self.0.send(());
    }
}

fn pending() -> (Completion, Completer) {
    Completion::new(|_| {})
}

/// Parks a machine that owns a `Tells` on `completion`, and returns when it has got there.
fn parked(executor: &Executor, completion: &Completion) -> (Task<(), Infallible>, mpsc::Receiver<()>) {
    let (dropped, drops) = mpsc::channel();
    let (stepped, steps) = mpsc::channel();
    let (tells, completion) = (Tells(dropped), completion.clone());
    let task = executor.spawn(move || {
        let _ = &tells;
        stepped.send(()).expect("the test listens");
        if completion.finished() {
            return Ok(IOResult::Done(()));
        }
        Ok(IOResult::IO(IOCompletions::Single(completion.clone())))
    });
    steps.recv_timeout(FOR_EVER).expect("stepped once");
    (task, drops)
}

#[test]
fn results_come_back_in_any_order() {
    let executor = Executor::new(2);
    let tasks: Vec<_> = (0..1_000).map(|times| executor.spawn(countdown(times % 50))).collect();
    for (times, task) in tasks.into_iter().enumerate().rev() {
        assert_eq!(task.join().unwrap(), times % 50);
    }
}

#[test]
fn an_error_of_the_machine_is_its_result() {
    let executor = Executor::new(1);
    let mut task: Task<(), &str> = executor.spawn(|| Err("no such page"));
    assert_eq!(task.completion().wait(), Err(CompletionError::MachineFailed));
    assert!(matches!(task.join(), Err(TaskError::Failed("no such page"))));
}

#[test]
fn a_parked_machine_is_stepped_after_its_completion_only() {
    let executor = Executor::new(2);
    let (completion, completer) = pending();
    let tasks: Vec<_> = (0..100).map(|_| executor.spawn(waiting(completion.clone()))).collect();
    let _ = completer.complete(7);
    for task in tasks {
        assert_eq!(task.join().unwrap(), Ok(7));
    }
}

#[test]
fn machines_spawn_machines_and_wait_for_them() {
    let executor = Executor::new(2);
    let spawner = executor.spawner().clone();
    let mut children: Option<Vec<Task<usize, Infallible>>> = None;
    let parent = executor.spawn(move || {
        let children = children.get_or_insert_with(|| (0..10).map(|n| spawner.spawn(countdown(n))).collect());
        if children.iter().all(Task::is_finished) {
            let results = children.iter_mut().map(|child| child.try_take().expect("finished").unwrap());
            return Ok::<_, Infallible>(IOResult::Done(results.sum::<usize>()));
        }
        let mut group = CompletionGroup::drain(|_| {});
        children.iter_mut().for_each(|child| group.add(&child.completion()));
        Ok(IOResult::IO(IOCompletions::Single(group.build())))
    });
    assert_eq!(parent.join().unwrap(), 45);
}

#[test]
fn a_panic_is_the_machine_s_own() {
    let executor = Executor::new(1);
    let mut panics: Task<(), Infallible> = executor.spawn(|| panic!("on purpose"));
    let lives = executor.spawn(countdown(3));
    assert_eq!(panics.completion().wait(), Err(CompletionError::MachinePanicked));
    match panics.join() {
        Err(TaskError::Panicked(panic)) => assert_eq!(panic.message(), Some("on purpose")),
        other => panic!("{other:?}"),
    }
    assert_eq!(lives.join().unwrap(), 3);
}

#[test]
fn a_panic_in_a_machine_s_drop_is_its_own_too() {
    let executor = Executor::new(1);
    let bomb = PanicsOnDrop;
    let task: Task<(), Infallible> = executor.spawn(move || {
        let _ = &bomb;
        Ok(IOResult::Done(()))
    });
    assert!(matches!(task.join(), Err(TaskError::Panicked(_))));
    assert_eq!(executor.spawn(countdown(3)).join().unwrap(), 3);
}

/// The worker or the handle drops it, whichever comes last.
#[test]
fn an_untaken_result_that_panics_harms_neither_side() {
    let executor = Executor::new(1);
    let gate = Arc::new(AtomicBool::new(false));
    // The worker: it can't end before its handle is gone.
    let detached = executor.spawn({
        let mut wait = until(&gate);
        move || Ok::<_, Infallible>(wait()?.map(|_| PanicsOnDrop))
    });
    detached.detach();
    gate.store(true, Release);
    assert_eq!(executor.spawn(countdown(3)).join().unwrap(), 3);
    // The handle: a task spawned later on the only worker has ended.
    let ended = executor.spawn(|| Ok::<_, Infallible>(IOResult::Done(PanicsOnDrop)));
    assert_eq!(executor.spawn(countdown(3)).join().unwrap(), 3);
    drop(ended);
    assert_eq!(executor.spawn(countdown(3)).join().unwrap(), 3);
}

#[test]
fn a_callback_that_panics_when_a_task_ends_leaves_the_worker_alone() {
    let executor = Executor::new(1);
    let gate = Arc::new(AtomicBool::new(false));
    let mut task = executor.spawn(until(&gate));
    let mut group = CompletionGroup::new(|_| panic!("on purpose"));
    group.add(&task.completion());
    let group = group.build();
    gate.store(true, Release);
    assert_eq!(group.wait(), Err(CompletionError::CallbackPanicked));
    assert_eq!(executor.spawn(countdown(3)).join().unwrap(), 3);
}

#[test]
fn cancel_drops_a_parked_machine_and_leaves_its_completion_to_others() {
    let executor = Executor::new(1);
    let (completion, completer) = pending();
    let (mut task, drops) = parked(&executor, &completion);
    task.cancel();
    assert_eq!(task.completion().wait(), Err(CompletionError::Cancelled));
    drops.try_recv().expect("dropped before the end is told");
    assert!(matches!(task.join(), Err(TaskError::Cancelled)));
    assert!(!completion.finished());
    assert!(completer.complete(1));
}

#[test]
fn cancel_of_the_task_s_completion_cancels_the_task() {
    let executor = Executor::new(1);
    let (completion, _completer) = pending();
    let (mut task, drops) = parked(&executor, &completion);
    let end = task.completion();
    end.cancel();
    assert_eq!(end.wait(), Err(CompletionError::Cancelled));
    drops.try_recv().expect("dropped before the end is told");
}

#[test]
fn cancel_ends_a_machine_that_yields_without_end_and_nothing_else() {
    let executor = Executor::new(2);
    let never = Arc::new(AtomicBool::new(false));
    let tasks: Vec<_> = (0..10).map(|_| executor.spawn(until(&never))).collect();
    for task in tasks {
        assert!(!task.is_finished());
        task.cancel();
        task.cancel();
        assert!(matches!(task.join(), Err(TaskError::Cancelled)));
    }
    let ended = executor.spawn(countdown(0));
    while !ended.is_finished() {
        std::thread::yield_now();
    }
    ended.cancel();
    assert_eq!(ended.join().unwrap(), 0);
}

#[test]
fn a_machine_that_never_waits_starves_no_other() {
    let executor = Executor::new(1);
    let stop = Arc::new(AtomicBool::new(false));
    let (done, completer) = pending();
    let _ = completer.complete(0);
    let flag = Arc::clone(&stop);
    // What it waits for has always finished already.
    let busy = executor.spawn(move || {
        if flag.load(Acquire) {
            return Ok::<_, Infallible>(IOResult::Done(()));
        }
        Ok(IOResult::IO(IOCompletions::Single(done.clone())))
    });
    let yields = executor.spawn(until(&stop));
    assert_eq!(executor.spawn(countdown(1_000)).join().unwrap(), 1_000);
    stop.store(true, Release);
    busy.join().unwrap();
    yields.join().unwrap();
}

#[test]
fn a_worker_that_is_held_up_is_relieved_by_the_others() {
    let executor = Executor::new(2);
    let (entered, entries) = mpsc::channel();
    let (release, released) = mpsc::channel::<()>();
    let blocking = executor.spawn(move || {
        entered.send(()).expect("the test listens");
        released.recv().expect("the test releases");
        Ok::<_, Infallible>(IOResult::Done(()))
    });
    entries.recv_timeout(FOR_EVER).expect("one worker is held up");
    let tasks: Vec<_> = (0..100).map(|_| executor.spawn(countdown(10))).collect();
    for task in tasks {
        assert_eq!(task.join().unwrap(), 10);
    }
    release.send(()).expect("still held up");
    blocking.join().unwrap();
}

#[test]
fn a_machine_is_never_stepped_by_two_workers_at_once() {
    let executor = Executor::new(4);
    let steps = Arc::new(AtomicUsize::new(0));
    let tasks: Vec<_> = (0..64_usize)
        .map(|number| {
            let (inside, steps) = (AtomicBool::new(false), Arc::clone(&steps));
            let mut left = 500;
            executor.spawn(move || {
                assert!(!inside.swap(true, AcqRel), "two workers in one machine");
                steps.fetch_add(1, AcqRel);
                left -= 1;
                let result = match left {
                    0 => IOResult::Done(()),
                    _ if left % 3 == number % 3 => IOResult::IO(IOCompletions::Yield),
                    _ => {
                        let (completion, completer) = pending();
                        // Ended by another thread, early or late.
                        elsewhere(move || assert!(completer.complete(0)));
                        IOResult::IO(IOCompletions::Single(completion))
                    }
                };
                assert!(inside.swap(false, AcqRel));
                Ok::<_, Infallible>(result)
            })
        })
        .collect();
    for task in tasks {
        task.join().unwrap();
    }
    assert_eq!(steps.load(Acquire), 64 * 500);
}

/// Runs `f` on one long-lived thread that is not a worker.
fn elsewhere(f: impl FnOnce() + Send + 'static) {
    use std::sync::LazyLock;
    type Job = Box<dyn FnOnce() + Send>;
    static JOBS: LazyLock<mpsc::Sender<Job>> = LazyLock::new(|| {
        let (sender, receiver) = mpsc::channel::<Job>();
        std::thread::spawn(move || receiver.into_iter().for_each(|job| job()));
        sender
    });
    JOBS.send(Box::new(f)).expect("the thread lives as long as the process");
}

#[test]
fn dropping_the_executor_drops_what_is_parked() {
    let executor = Executor::new(2);
    let (completion, completer) = pending();
    let parked: Vec<_> = (0..10).map(|_| parked(&executor, &completion)).collect();
    drop(executor);
    for (mut task, drops) in parked {
        drops.try_recv().expect("dropped before the executor's drop returned");
        assert!(matches!(task.try_take(), Some(Err(TaskError::Cancelled))));
        assert!(task.try_take().is_none());
        assert_eq!(task.completion().wait(), Err(CompletionError::Cancelled));
    }
    // Waking what is gone does nothing.
    let _ = completer.complete(1);
}

#[test]
fn drain_waits_for_machines_and_for_theirs() {
    let executor = Executor::new(2);
    let ended = Arc::new(AtomicUsize::new(0));
    for _ in 0..10 {
        let (spawner, ended) = (executor.spawner().clone(), Arc::clone(&ended));
        let mut yields = countdown(20);
        executor
            .spawn(move || {
                if let IOResult::IO(io) = yields()? {
                    return Ok::<_, Infallible>(IOResult::IO(io));
                }
                let ended = Arc::clone(&ended);
                let child = spawner.spawn(move || {
                    ended.fetch_add(1, AcqRel);
                    Ok::<_, Infallible>(IOResult::Done(()))
                });
                child.detach();
                Ok(IOResult::Done(()))
            })
            .detach();
    }
    executor.drain();
    assert_eq!(ended.load(Acquire), 10);
}

#[test]
fn spawning_on_an_executor_that_is_gone_gives_a_cancelled_task() {
    let executor = Executor::new(1);
    let spawner = executor.spawner().clone();
    executor.shutdown(Shutdown::Cancel, FOR_EVER).unwrap();
    let (dropped, drops) = mpsc::channel();
    let tells = Tells(dropped);
    let task = spawner.spawn(move || {
        let _ = &tells;
        yielding::<()>()
    });
    drops.try_recv().expect("dropped at once");
    assert!(matches!(task.join(), Err(TaskError::Cancelled)));
}

#[test]
fn shutdown_has_a_bound() {
    let executor = Executor::new(1);
    let (gate, held) = (Arc::new(Barrier::new(2)), Arc::new(AtomicBool::new(false)));
    let (at_gate, holding) = (Arc::clone(&gate), Arc::clone(&held));
    let blocked = executor.spawn(move || {
        holding.store(true, Release);
        at_gate.wait();
        Ok::<_, Infallible>(IOResult::Done(()))
    });
    let parked = executor.spawn(countdown(1));
    while !held.load(Acquire) {
        std::thread::yield_now();
    }
    let unfinished = executor.shutdown(Shutdown::Drain, Duration::from_millis(1)).unwrap_err();
    assert_eq!(unfinished.tasks, 2);
    gate.wait();
    // The step that held it up has returned: its machine had ended by then, the other is cancelled.
    blocked.join().unwrap();
    assert!(matches!(parked.join(), Err(TaskError::Cancelled)));
}

#[test]
fn joining_inside_a_machine_is_a_panic_that_names_the_line() {
    let executor = Executor::new(1);
    let spawner = executor.spawner().clone();
    let task: Task<(), Infallible> = executor.spawn(move || {
        let _ = spawner.spawn(countdown(1)).join();
        unreachable!("join panics")
    });
    match task.join() {
        Err(TaskError::Panicked(panic)) => {
            assert!(panic.message().is_some_and(|message| message.contains("return the task's completion")));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_machine_may_own_its_executor() {
    let executor = Executor::new(1);
    let spawner = executor.spawner().clone();
    let mut owned = Some(executor);
    let task = spawner.spawn(move || {
        drop(owned.take());
        Ok::<_, Infallible>(IOResult::Done(()))
    });
    task.join().unwrap();
    assert!(matches!(spawner.spawn(countdown(0)).join(), Err(TaskError::Cancelled)));
}

#[test]
fn many_machines_on_few_workers_lose_nothing() {
    let executor = Executor::new(2);
    let tasks: Vec<_> = (0..100_000).map(|number| executor.spawn(countdown(number % 7))).collect();
    let sum: usize = tasks.into_iter().map(|task| task.join().unwrap()).sum();
    assert_eq!(sum, (0..100_000).map(|number| number % 7).sum());
}
