//! The executor with more workers and machines than loom can hold.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use shuttle::rand::{Rng, thread_rng};
use shuttle::thread;
use tenterhook_runtime::executor::{Executor, Spawner, TaskError};
use tenterhook_runtime::{Completer, Completion, IOCompletions, IOResult};

use super::Model;

pub(super) fn models() -> Vec<Model> {
    macro_rules! models {
        ($($body:ident),+ $(,)?) => { vec![$(Model { name: stringify!($body), body: $body }),+] };
    }
    models![
        machines_wait_and_yield_on_three_workers,
        machines_are_cancelled_while_they_wait,
        machines_spawn_machines_while_the_executor_goes,
    ]
}

/// Waits for each of `completions` in turn, yielding in between, and adds up what they come to.
fn adding(
    completions: Vec<Completion>,
) -> impl FnMut() -> Result<IOResult<u64>, Infallible> + Send + 'static {
    let (mut sum, mut next, mut yielded, mut waits) = (0, 0, false, false);
    move || {
        while let Some(completion) = completions.get(next) {
            if !std::mem::replace(&mut yielded, true) {
                return Ok(IOResult::IO(IOCompletions::Yield));
            }
            let Some(outcome) = completion.result() else {
                assert!(!std::mem::replace(&mut waits, true), "stepped before its completion had finished");
                return Ok(IOResult::IO(IOCompletions::Single(completion.clone())));
            };
            sum += outcome.unwrap_or(0);
            (next, yielded, waits) = (next + 1, false, false);
        }
        Ok(IOResult::Done(sum))
    }
}

fn pairs(number: usize) -> (Vec<Completion>, Vec<Completer>) {
    (0..number).map(|_| Completion::new(|_| {})).unzip()
}

/// Eight machines share six completions, which two threads end in any order.
fn machines_wait_and_yield_on_three_workers() {
    let executor = Executor::new(3);
    let (completions, mut completers) = pairs(6);
    let tasks: Vec<_> = (0..8_usize)
        .map(|first| executor.spawn(adding((0..3).map(|n| completions[(first + n) % 6].clone()).collect())))
        .collect();
    let half = completers.split_off(3);
    let enders = [completers, half].map(|mut completers| {
        thread::spawn(move || {
            while !completers.is_empty() {
                let completer = completers.swap_remove(thread_rng().gen_range(0..completers.len()));
                let _ = completer.complete(1);
            }
        })
    });
    executor.drain();
    for ender in enders {
        ender.join().unwrap();
    }
    for mut task in tasks {
        assert!(matches!(task.try_take(), Some(Ok(3))));
    }
}

/// Two threads end what the machines wait for, a third cancels the machines.
fn machines_are_cancelled_while_they_wait() {
    let executor = Executor::new(2);
    let (completions, completers) = pairs(4);
    let tasks: Vec<_> = (0..6_usize)
        .map(|first| executor.spawn(adding((0..2).map(|n| completions[(first + n) % 4].clone()).collect())))
        .collect();
    let ender =
        thread::spawn(move || completers.into_iter().for_each(|completer| assert!(completer.complete(1))));
    for task in &tasks {
        if thread_rng().gen_range(0..2) == 0 {
            task.cancel();
        }
    }
    for task in tasks {
        assert!(matches!(task.join(), Ok(2) | Err(TaskError::Cancelled)));
    }
    executor.drain();
    ender.join().unwrap();
}

/// A tree of machines, each of which spawns two; the executor is dropped in the middle. What was spawned has ended or
/// been dropped when the drop returns.
fn machines_spawn_machines_while_the_executor_goes() {
    let executor = Executor::new(2);
    let alive = Arc::new(AtomicUsize::new(0));
    spawn_tree(executor.spawner(), 3, &alive);
    let outsider = executor.spawner().clone();
    let counter = Arc::clone(&alive);
    let outside = thread::spawn(move || spawn_tree(&outsider, 2, &counter));
    if thread_rng().gen_range(0..2) == 0 {
        executor.drain()
    } else {
        drop(executor)
    }
    outside.join().unwrap();
    assert_eq!(alive.load(SeqCst), 0, "no machine is left");
}

/// Counts the machines that exist.
struct Alive(Arc<AtomicUsize>);

impl Alive {
    fn new(counter: &Arc<AtomicUsize>) -> Self {
        counter.fetch_add(1, SeqCst);
        Self(Arc::clone(counter))
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.fetch_sub(1, SeqCst);
    }
}

fn spawn_tree(spawner: &Spawner, depth: usize, counter: &Arc<AtomicUsize>) {
    let (alive, within, mut yielded) = (Alive::new(counter), spawner.clone(), false);
    let task = spawner.spawn(move || {
        if !std::mem::replace(&mut yielded, true) {
            return Ok::<_, Infallible>(IOResult::IO(IOCompletions::Yield));
        }
        if depth > 0 {
            (0..2).for_each(|_| spawn_tree(&within, depth - 1, &alive.0));
        }
        Ok(IOResult::Done(()))
    });
    task.detach();
}
