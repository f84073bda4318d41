//! Who sleeps and who has to be woken: a step that blocks holds up its own worker only, so another has to be found.

use std::convert::Infallible;

use loom::sync::mpsc;
use loom::thread;
use tenterhook_runtime::executor::{Executor, Spawner};
use tenterhook_runtime::{Completion, CompletionGroup, IOCompletions, IOResult};

use crate::model::{Model, models, preemptions};

pub(crate) fn models() -> Vec<Model> {
    models![
        preemptions(2) => executor_retraction_vs_a_sleeper;
        preemptions(1) => executor_last_end_vs_what_its_callback_spawns, executor_wake_spent_vs_next_wait;
    ]
}

/// A machine whose step blocks its worker, and one that unblocks it and needs a worker of its own. What it blocks on is loom's
/// own, since a completion to wait for would have the model race three times as much.
fn spawn_both(spawner: &Spawner) {
    let (sender, receiver) = mpsc::channel::<u64>();
    let blocks = spawner.spawn(move || Ok::<_, Infallible>(IOResult::Done(receiver.recv().unwrap())));
    let unblocks = spawner.spawn(move || {
        sender.send(3).unwrap();
        Ok::<_, Infallible>(IOResult::Done(()))
    });
    blocks.detach();
    unblocks.detach();
}

/// One worker sleeps. The other declares that it sleeps, finds the first machine and takes its declaration back; the one that
/// sleeps is still counted, and is woken for the second machine.
fn executor_retraction_vs_a_sleeper() {
    let executor = Executor::new(2);
    // A thread that yields is not preempted: the bound is left for the second worker.
    thread::yield_now();
    spawn_both(executor.spawner());
    // Hangs, which loom reports, if the worker sleeps on.
    executor.drain();
}

/// The last machine is still counted while the callbacks of its end run, so that all workers are there for what these spawn.
fn executor_last_end_vs_what_its_callback_spawns() {
    let executor = Executor::new(2);
    let mut last = executor.spawn(|| Ok::<_, Infallible>(IOResult::Done(())));
    let spawner = executor.spawner().clone();
    let mut group = CompletionGroup::new(move |_| spawn_both(&spawner));
    group.add(&last.completion());
    let group = group.build();
    executor.drain();
    assert!(group.finished());
}

/// A wake that came before the machine could park is spent when the machine waits for the next completion: it parks then, where a
/// wake that stays would have its worker spin, which loom reports.
fn executor_wake_spent_vs_next_wait() {
    let executor = Executor::new(1);
    let (first, first_completer) = Completion::new(|_| {});
    let (second, second_completer) = Completion::new(|_| {});
    let (sender, receiver) = mpsc::channel();
    let mut waits = vec![second, first];
    let task = executor.spawn(move || {
        let Some(next) = waits.pop() else { return Ok::<_, Infallible>(IOResult::Done(())) };
        if waits.is_empty() {
            sender.send(()).unwrap();
        }
        Ok(IOResult::IO(IOCompletions::Single(next)))
    });
    task.detach();
    // The worker is about to park: the one preemption is for that.
    thread::yield_now();
    let _ = first_completer.complete(1);
    receiver.recv().unwrap();
    let _ = second_completer.complete(2);
    executor.drain();
}
