//! One thread that steps machines.

use std::pin::Pin;
use std::sync::Arc;
use std::task::Context;

use super::batch_size::BatchSize;
use super::idle::Awake;
use super::local::Local;
use super::machine::Stepped;
use super::pool::Pool;
use super::task::TaskRef;
use super::waker;
use super::word::Park;
use crate::Completion;
use crate::panics;

/// How often a machine whose I/O is always done already is stepped before it is the others' turn.
const STEPS_IN_A_ROW: usize = 16;

/// How many tasks ahead the cache is told; a task is a few nanoseconds or longer, memory is a hundred away.
const PREFETCH: usize = 6;

/// A worker's own state; the rest is in its [`Pool`].
pub(super) struct Worker {
    pool: Arc<Pool>,
    index: usize,
    /// Tasks that no other thread can reach any more.
    batch: Vec<TaskRef>,
    batch_size: BatchSize,
}

/// Whether a task can be stepped.
enum Turn {
    Step,
    Cancel,
    /// It has to wait, and is not ours any more.
    Parked,
}

impl Worker {
    pub(super) fn new(pool: Arc<Pool>, index: usize) -> Self {
        Self { pool, index, batch: Vec::new(), batch_size: BatchSize::new() }
    }

    /// Runs tasks until there will be none any more.
    pub(super) fn run(mut self) {
        let Self { pool, index, batch, batch_size } = &mut self;
        let local = Local::new(pool, *index);
        local.enter(|| {
            loop {
                let left = take(pool, &local, batch, batch_size.tasks());
                if batch.is_empty() {
                    batch_size.pause();
                    if pool.idle.sleep(local.index, || pool.has_work()) == Awake::Over {
                        return;
                    }
                    batch_size.slept();
                    continue;
                }
                if left > 0 {
                    pool.idle.wake_one();
                }
                let ran = batch.len();
                let mut tasks = batch.drain(..);
                while let Some(task) = tasks.next() {
                    if let Some(soon) = tasks.as_slice().get(PREFETCH) {
                        soon.prefetch();
                    }
                    run(pool, &local, task);
                }
                drop(tasks);
                batch_size.ran(ran);
            }
        });
    }
}

/// Fills the empty `batch` from the worker's own queue, or else from another's; how many tasks were left there.
fn take(pool: &Pool, local: &Local, batch: &mut Vec<TaskRef>, most: usize) -> usize {
    let sharing = pool.idle.has_sleepers();
    let own = pool.queue(local.index);
    let mut left = local.with_deferred(|deferred| own.exchange(deferred, batch, most, sharing));
    for queue in pool.others(local.index) {
        if !batch.is_empty() {
            break;
        }
        left = queue.steal(batch, most);
    }
    left
}

/// Steps a task that was taken from a queue until it yields, has to wait, or ends.
fn run(pool: &Pool, local: &Local, task: TaskRef) {
    for _ in 0..STEPS_IN_A_ROW {
        // SAFETY: the task was taken from a queue, so it is ours until it parks, ends, or is put into a queue again, and
        // after each of these we return. So for all below.
        match unsafe { turn(&task) } {
            Turn::Parked => return,
            Turn::Cancel => {
                // SAFETY: see above.
                return unsafe {
                    task.with_waiting(|waiting| *waiting = None);
                    let ending = task.stop(None);
                    pool.end(task, ending);
                };
            }
            Turn::Step => {}
        }
        // SAFETY: see above.
        match unsafe { task.step() } {
            Stepped::Yielded => break,
            Stepped::Waits(completion) if completion.behind() == Some(task.behind()) => {
                let panic = panics::catch(|| panic!("a machine waits for the end of its own task")).err();
                // SAFETY: see above.
                return unsafe {
                    let ending = task.stop(panic);
                    pool.end(task, ending);
                };
            }
            // SAFETY: see above.
            Stepped::Waits(completion) => unsafe {
                task.with_waiting(|waiting| *waiting = Some(completion));
            },
            // SAFETY: see above.
            Stepped::Ended(ending) => return unsafe { pool.end(task, ending) },
        }
    }
    local.defer(task);
}

/// Looks whether `task` is still to be stepped and what it waits for has finished; parks it if not.
///
/// # Safety
///
/// The caller runs the task.
#[inline]
unsafe fn turn(task: &TaskRef) -> Turn {
    loop {
        if task.word.is_cancelled() {
            return Turn::Cancel;
        }
        // SAFETY: the caller's.
        if unsafe { task.with_waiting(|waiting| has_finished(waiting, task)) } {
            return Turn::Step;
        }
        // For loom, to which an access is over as soon as it has begun: the poll wrote to the end.
        // SAFETY: the caller's.
        unsafe { task.with_waiting(|_| ()) };
        if task.word.park() == Park::Parked {
            return Turn::Parked;
        }
    }
}

/// Whether `waiting` has finished, or there is nothing to wait for; if not, `task` will be woken.
#[inline]
fn has_finished(waiting: &mut Option<Completion>, task: &TaskRef) -> bool {
    let Some(completion) = waiting else { return true };
    let waker = waker::borrowed(task);
    let finished = Pin::new(completion).poll(&mut Context::from_waker(&waker)).is_ready();
    if finished {
        *waiting = None;
    }
    finished
}
