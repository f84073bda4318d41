//! Machines that block, panic in every way, spawn as they go, or wait for themselves.

use std::convert::Infallible;
use std::panic::{AssertUnwindSafe, catch_unwind, panic_any};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tenterhook_runtime::executor::{Builder, Executor, Spawner, Task, TaskError};
use tenterhook_runtime::{Completion, CompletionGroup, IOCompletions, IOResult};

type Step<T> = Result<IOResult<T>, Infallible>;

/// Longer than anything here takes, on the slowest machine.
const LIMIT: Duration = Duration::from_secs(60);

/// A panic's payload, or a value, that panics in its turn when it is dropped.
struct Bomb(u32);

impl Drop for Bomb {
    fn drop(&mut self) {
        if self.0 > 0 {
            panic_any(Bomb(self.0 - 1));
        }
    }
}

fn wait_until(condition: impl Fn() -> bool) -> bool {
    let deadline = Instant::now() + LIMIT;
    while !condition() && Instant::now() < deadline {
        std::thread::yield_now();
    }
    condition()
}

/// Broke once: what a machine spawned or woke stayed with its worker until the worker was through its batch. A machine that
/// blocked held it up beside an idle worker.
#[test]
fn task_spawned_by_a_machine_that_blocks_runs_on_the_other_worker() {
    let executor = Executor::new(2);
    let spawner = executor.spawner().clone();
    let (busy, spawned, ran) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicBool::new(false)),
    );
    // The other worker is awake when the task is spawned, so there is no sleeper to hand it to.
    let (is_busy, saw_spawn) = (Arc::clone(&busy), Arc::clone(&spawned));
    let other = executor.spawn(move || -> Step<()> {
        is_busy.store(true, SeqCst);
        assert!(wait_until(|| saw_spawn.load(SeqCst)));
        Ok(IOResult::Done(()))
    });
    let blocked = executor.spawn(move || -> Step<bool> {
        assert!(wait_until(|| busy.load(SeqCst)));
        let flag = Arc::clone(&ran);
        let run = move || -> Step<()> {
            flag.store(true, SeqCst);
            Ok(IOResult::Done(()))
        };
        spawner.spawn(run).detach();
        spawned.store(true, SeqCst);
        Ok(IOResult::Done(wait_until(|| ran.load(SeqCst))))
    });
    assert!(blocked.join().unwrap(), "the idle worker runs it");
    other.join().unwrap();
}

/// Panics of steps, of drops, and of what panics carry stay with their machine.
#[test]
fn worker_survives_every_panic_of_its_machines() {
    std::panic::set_hook(Box::new(|_| {}));
    let executor = Executor::new(1);
    for _ in 0..5 {
        // The task's payload is dropped with its result, which was not joined.
        executor.spawn(|| -> Step<()> { panic_any(Bomb(2)) }).detach();
        // The machine's drop panics, with a payload of the kind.
        let held = Bomb(3);
        executor.spawn(move || -> Step<()> { Ok(IOResult::Done(_ = &held)) }).detach();
        // The result's drop does, when a panic of the machine's drop takes its place, and when it was not joined.
        let held = Bomb(2);
        executor
            .spawn(move || -> Step<Bomb> {
                let moved = &held;
                Ok(IOResult::Done(Bomb(moved.0)))
            })
            .detach();
        executor.spawn(|| -> Step<Bomb> { Ok(IOResult::Done(Bomb(2))) }).detach();
        // A callback that runs because the task ends.
        let mut task = executor.spawn(|| -> Step<()> { Ok(IOResult::Done(())) });
        let mut group = CompletionGroup::new(|_| panic_any(Bomb(2)));
        group.add(&task.completion());
        let _ = catch_unwind(AssertUnwindSafe(|| group.build())).map_err(std::mem::forget);
    }
    assert_eq!(executor.spawn(|| -> Step<u32> { Ok(IOResult::Done(7)) }).join().unwrap(), 7);
    executor.drain();
    let _ = std::panic::take_hook();
}

/// Spawns one more when it is dropped, a few times over.
struct SpawnsAtItsEnd {
    spawner: Spawner,
    left: u32,
    dropped: Arc<AtomicUsize>,
}

impl Drop for SpawnsAtItsEnd {
    fn drop(&mut self) {
        self.dropped.fetch_add(1, SeqCst);
        if self.left > 0 {
            let next = Self {
                spawner: self.spawner.clone(),
                left: self.left - 1,
                dropped: Arc::clone(&self.dropped),
            };
            self.spawner
                .spawn(move || -> Step<()> {
                    let _moved = &next;
                    Ok(IOResult::Done(()))
                })
                .detach();
        }
    }
}

/// A machine is counted until after its drop, so what the drop spawns is drained, too.
#[test]
fn machines_spawned_by_drops_are_drained() {
    for _ in 0..200 {
        let executor = Executor::new(2);
        let dropped = Arc::new(AtomicUsize::new(0));
        for _ in 0..4 {
            let first = SpawnsAtItsEnd {
                spawner: executor.spawner().clone(),
                left: 5,
                dropped: Arc::clone(&dropped),
            };
            executor
                .spawn(move || -> Step<()> {
                    let _moved = &first;
                    Ok(IOResult::Done(()))
                })
                .detach();
        }
        executor.drain();
        assert_eq!(dropped.load(SeqCst), 24);
    }
}

/// The text of the panic that a machine ended with.
fn panic_of<T>(task: Task<T, Infallible>) -> String {
    match task.join() {
        Err(TaskError::Panicked(panic)) => panic.message().expect("a text").to_owned(),
        Err(other) => panic!("{other:?}"),
        Ok(_) => panic!("the machine ended well"),
    }
}

/// Waits, in a machine of an executor with one worker, for a completion that `make` derives from that of another machine.
fn blocks_on(make: fn(Completion) -> Completion) -> String {
    let executor = Executor::new(1);
    let mut other = executor.spawn(|| -> Step<()> { Ok(IOResult::IO(IOCompletions::Yield)) });
    let completion = make(other.completion());
    let text = panic_of(executor.spawn(move || -> Step<()> {
        let _ = completion.wait();
        Ok(IOResult::Done(()))
    }));
    other.cancel();
    text
}

#[test]
fn machine_that_blocks_on_another_panics_with_advice() {
    let advice = "return the completion as `IO` instead";
    assert!(blocks_on(|completion| completion).contains(advice));
    let nested = |completion: Completion| {
        let mut inner = CompletionGroup::new(|_| {});
        inner.add(&completion);
        let inner = inner.build();
        let mut outer = CompletionGroup::new(|_| {});
        // Shared, so that each level is reached in two ways.
        outer.add(&inner);
        outer.add(&inner);
        outer.build()
    };
    assert!(blocks_on(nested).contains(advice));
}

/// Another executor's machines need another worker: that wait ends.
#[test]
fn machine_may_block_on_one_of_another_executor() {
    let (executor, other) = (Executor::new(1), Executor::new(1));
    let mut task = other.spawn(|| -> Step<()> { Ok(IOResult::Done(())) });
    let completion = task.completion();
    let waits = executor.spawn(move || -> Step<bool> { Ok(IOResult::Done(completion.wait().is_ok())) });
    assert!(waits.join().unwrap());
}

#[test]
fn machine_that_waits_for_its_own_task_ends_with_a_panic() {
    let executor = Executor::new(1);
    let own: Arc<Mutex<Option<Completion>>> = Arc::default();
    let (told, hears) = mpsc::channel();
    let place = Arc::clone(&own);
    let mut task = executor.spawn(move || -> Step<()> {
        Ok(IOResult::IO(match place.lock().clone() {
            Some(completion) => {
                told.send(()).unwrap();
                IOCompletions::Single(completion)
            }
            None => IOCompletions::Yield,
        }))
    });
    *own.lock() = Some(task.completion());
    hears.recv_timeout(LIMIT).expect("the machine finds its own completion");
    assert!(panic_of(task).contains("its own task"));
}

#[test]
fn absurd_number_of_workers_is_refused() {
    let most = std::num::NonZero::new(usize::MAX).unwrap();
    let error = Builder::new().workers(most).build().expect_err("no system has so many");
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
}
