//! What the workers of one executor share.

use std::sync::Arc;

use super::error::Ending;
use super::handle::Task;
use super::idle::Idle;
use super::live::{Live, Origin};
use super::local::Local;
use super::machine;
use super::queue::RunQueue;
use super::registry::Registry;
use super::task::TaskRef;
use super::word::Schedule;
use crate::IOResult;
use crate::panics;
use crate::sync::atomic::AtomicUsize;
use crate::sync::atomic::Ordering::Relaxed;

/// Enough that two threads seldom meet at one lock. Under a model checker there is one shard: which one a task is in
/// depends on its address, and an execution must be repeatable.
const SHARDS_A_WORKER: Option<usize> =
    if cfg!(any(tenterhook_loom, tenterhook_shuttle)) { None } else { Some(8) };

pub(super) struct Pool {
    queues: Box<[RunQueue]>,
    pub(super) idle: Idle,
    registry: Registry,
    live: Live,
    /// Whose turn it is to get a task from outside.
    turn: AtomicUsize,
}

impl Pool {
    pub(super) fn new(workers: usize) -> Self {
        Self {
            queues: (0..workers).map(|_| RunQueue::new()).collect(),
            idle: Idle::new(workers),
            registry: Registry::new(SHARDS_A_WORKER.map_or(1, |shards| shards * workers)),
            live: Live::new(),
            turn: AtomicUsize::new(0),
        }
    }

    pub(super) fn workers(&self) -> usize {
        self.queues.len()
    }

    /// How many machines have not ended.
    pub(super) fn live(&self) -> usize {
        self.live.count()
    }

    /// The queue of worker `index`.
    pub(super) fn queue(&self, index: usize) -> &RunQueue {
        &self.queues[index]
    }

    /// All queues but worker `index`'s, its neighbour's first.
    pub(super) fn others(&self, index: usize) -> impl Iterator<Item = &RunQueue> {
        let (before, from) = self.queues.split_at(index);
        from[1..].iter().chain(before)
    }

    /// Whether any queue has a task.
    pub(super) fn has_work(&self) -> bool {
        self.queues.iter().any(|queue| !queue.is_empty())
    }

    /// A task for `machine`; one that has been cancelled already if it is too late for a new one.
    pub(super) fn spawn<M, T, E>(self: &Arc<Self>, machine: M) -> Task<T, E>
    where
        M: FnMut() -> Result<IOResult<T>, E> + Send + 'static,
        T: Send + 'static,
        E: Send + 'static,
    {
        let origin =
            Local::with(self, |local| if local.is_some() { Origin::Machine } else { Origin::Outside });
        let [handle, listed, queued] = machine::allocate(machine, Arc::clone(self));
        if !self.live.enter(origin) {
            // SAFETY: the task is not shared.
            unsafe {
                let _ = queued.stop(None);
                let _ = queued.end();
            }
            drop(listed);
            return Task::new(handle);
        }
        self.registry.insert(listed);
        // `close` raises its flag before it walks the registry. If the walk came too early for this task, then this
        // load, which comes after the insertion, sees the flag, by way of the shard's lock.
        if self.live.is_closed() {
            // Ready, so no worker needs to be woken.
            let _ = queued.word.cancel();
        }
        self.push(queued);
        Task::new(handle)
    }

    /// Puts a task that has just become ready into a queue, where each worker can take it: the machine that runs here
    /// may be about to block.
    pub(super) fn push(&self, task: TaskRef) {
        let index = Local::with(self, |local| match local {
            Some(local) => local.index,
            // ORDERING: Relaxed: any distribution is right.
            None => self.turn.fetch_add(1, Relaxed) % self.workers(),
        });
        self.queues[index].push(task);
        self.idle.wake_one();
    }

    /// Worker: notifies all waiters that `task` has ended.
    ///
    /// # Safety
    ///
    /// The caller runs the task, whose result is in its place, and has not done this before.
    pub(super) unsafe fn end(&self, task: TaskRef, ending: Ending) {
        // SAFETY: the caller's; it was inserted when it was spawned.
        let listed = unsafe { self.registry.remove(&task) };
        // SAFETY: the caller's.
        let join = unsafe { task.end() };
        // User code: callbacks of groups that the task's completion is in, and wakers. Their panics have been reported by
        // the panic hook and are not the worker's.
        if let Some(completer) = join {
            panics::contain(|| {
                let _ = completer.finish(ending.outcome());
            });
        }
        drop(listed);
        drop(task);
        if self.live.leave() {
            self.idle.end();
        }
    }

    /// Continues until all machines have ended; only they may spawn from now on.
    pub(super) fn drain(&self) {
        if self.live.drain() {
            self.idle.end();
        }
    }

    /// Has every machine dropped at the yield that it has reached, and refuses new ones.
    pub(super) fn cancel_all(&self) {
        if self.live.close() {
            self.idle.end();
        }
        for task in self.registry.snapshot() {
            cancel(task);
        }
    }
}

/// Asks for the end of `task`'s machine.
pub(super) fn cancel(task: TaskRef) {
    if task.word.cancel() == Schedule::Enqueue {
        let pool = Arc::clone(&task.pool);
        pool.push(task);
    }
}
