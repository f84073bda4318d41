//! The spawner's end of a task.

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::ptr::NonNull;
use std::task::{Context, Poll};

use super::error::TaskError;
use super::joining;
use super::local::Local;
use super::pool;
use super::task::TaskRef;
use crate::Completion;

/// A handle to a spawned machine: waits for its result, or asks for its end.
///
/// Dropping it lets the machine go on; its result is dropped when there is one, and a panic in that drop is contained. As
/// a [`Future`] it ends with the result, under any async runtime.
#[must_use = "the machine runs anyway; call `detach` if its result is not wanted"]
pub struct Task<T, E> {
    task: TaskRef,
    /// Finishes when the task has ended; made at the first request for it.
    completion: Option<Completion>,
    types: PhantomData<fn() -> Result<T, E>>,
}

impl<T, E> Task<T, E> {
    pub(super) fn new(task: TaskRef) -> Self {
        Self { task, completion: None, types: PhantomData }
    }

    /// The completion that finishes when the machine has ended: for another machine to return as its `IO`, or for a
    /// [`CompletionGroup`](crate::CompletionGroup). Its value is 0; the machine's is got with [`Task::try_take`].
    ///
    /// It fails with [`MachineFailed`](crate::CompletionError::MachineFailed),
    /// [`MachinePanicked`](crate::CompletionError::MachinePanicked) or
    /// [`Cancelled`](crate::CompletionError::Cancelled). Cancelling it cancels the task.
    #[must_use]
    pub fn completion(&mut self) -> Completion {
        self.completion_mut().clone()
    }

    fn completion_mut(&mut self) -> &mut Completion {
        let task = &self.task;
        // SAFETY: this handle is the only one, and comes here once.
        self.completion.get_or_insert_with(|| unsafe { joining::completion(task) })
    }

    /// Whether the machine has ended.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.task.word.has_ended()
    }

    /// What the machine came to; `None` while it runs, and when this has given it away before.
    pub fn try_take(&mut self) -> Option<Result<T, TaskError<E>>> {
        if !self.is_finished() {
            return None;
        }
        let mut result: Option<Result<T, TaskError<E>>> = None;
        // SAFETY: it has ended, this is its only handle, and `T` and `E` are what it was allocated with.
        unsafe { self.task.take(NonNull::from(&mut result).cast()) };
        result
    }

    /// Blocks this thread until the machine has ended; what it came to.
    ///
    /// # Panics
    ///
    /// At the caller's line when called from a machine of the same executor, which would block the worker that the
    /// other machine may need: return [`Task::completion`] as `IO` instead. And when [`Task::try_take`] gave the result
    /// away before.
    #[track_caller]
    pub fn join(mut self) -> Result<T, TaskError<E>> {
        let on_a_worker = Local::with(&self.task.pool, |local| local.is_some());
        assert!(
            !on_a_worker,
            "a machine blocks its worker to join another; return the task's completion as `IO` instead"
        );
        // Its outcome is the result's, without the value.
        let _ = self.completion_mut().wait();
        self.try_take().expect("the result of a task can be had once; `try_take` gave it away before")
    }

    /// Asks for the machine's end: it is dropped at the yield that it has reached, or reaches next. What this thread has
    /// done before is visible to the machine's drop, unless it was requested before.
    ///
    /// What it waits for is not cancelled, because others may wait for it too; a machine that wants that does it in its
    /// drop.
    pub fn cancel(&self) {
        pool::cancel(self.task.clone());
    }

    /// Lets the machine run on by itself, for as long as its executor lives. In
    /// `Executor::new(2).spawn(machine).detach()` that is to the end of the line: the executor is a temporary, and its
    /// drop cancels the machine.
    pub fn detach(self) {}
}

impl<T, E> Future for Task<T, E> {
    type Output = Result<T, TaskError<E>>;

    /// # Panics
    ///
    /// When polled again after it was ready.
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        Pin::new(this.completion_mut()).poll(context).map(|_| {
            this.try_take().expect("the result of a task can be had once; this future has ended before")
        })
    }
}

impl<T, E> fmt::Debug for Task<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Task").field("finished", &self.is_finished()).finish_non_exhaustive()
    }
}
