//! A task with its machine and, later, its result, in one allocation; the only place that knows their types.

use std::mem;
use std::ptr::NonNull;
use std::sync::Arc;

use super::error::{Ending, TaskError};
use super::pool::Pool;
use super::task::{Header, TaskRef};
use crate::panics::{self, Payload};
use crate::sync::UnsafeCell;
use crate::{Completion, IOCompletions, IOResult};

#[repr(C)] // `header` first: a pointer to it is a pointer to the whole
struct Whole<M, T, E> {
    header: Header,
    /// The worker's, while the task is READY; from ENDED on the joiner's.
    stage: UnsafeCell<Stage<M, T, E>>,
}

enum Stage<M, T, E> {
    Machine(M),
    Ended(Result<T, TaskError<E>>),
    /// The joiner has the result.
    Taken(Ending),
}

/// What the executor does to a machine whose type it doesn't know. The pointers are to tasks with this table.
pub(super) struct Table {
    /// Worker, task READY.
    pub(super) step: unsafe fn(NonNull<Header>) -> Stepped,
    /// Worker, task READY. Cancelled, unless there is a panic to be told.
    pub(super) stop: unsafe fn(NonNull<Header>, Option<Payload>) -> Ending,
    /// Joiner, task ENDED.
    pub(super) ending: unsafe fn(NonNull<Header>) -> Ending,
    /// Joiner, task ENDED; to an `Option<Result<T, TaskError<E>>>`.
    pub(super) take: unsafe fn(NonNull<Header>, NonNull<()>),
    /// The holder of the last reference.
    pub(super) free: unsafe fn(NonNull<Header>),
}

/// What a step came to.
#[must_use]
pub(super) enum Stepped {
    /// To the back of the line.
    Yielded,
    /// Call again after this one.
    Waits(Completion),
    /// The result is in its place.
    Ended(Ending),
}

/// A READY task that holds `machine`: its three references.
pub(super) fn allocate<M, T, E>(machine: M, pool: Arc<Pool>) -> [TaskRef; 3]
where
    M: FnMut() -> Result<IOResult<T>, E> + Send + 'static,
    T: Send + 'static,
    E: Send + 'static,
{
    let table = const {
        &Table {
            step: step::<M, T, E>,
            stop: stop::<M, T, E>,
            ending: ending::<M, T, E>,
            take: take::<M, T, E>,
            free: free::<M, T, E>,
        }
    };
    let whole = Whole::<M, T, E> {
        header: Header::new(table, pool, 3),
        stage: UnsafeCell::new(Stage::Machine(machine)),
    };
    let header = NonNull::from(Box::leak(Box::new(whole))).cast();
    [(); 3].map(|()| TaskRef::from_allocation(header))
}

/// # Safety
///
/// See [`Table`].
unsafe fn step<M, T, E>(task: NonNull<Header>) -> Stepped
where
    M: FnMut() -> Result<IOResult<T>, E>,
{
    // SAFETY: the header is the first field of a whole of these types.
    let whole = unsafe { task.cast::<Whole<M, T, E>>().as_ref() };
    whole.stage.with_mut(|stage| {
        // SAFETY: the task is READY and the worker's.
        let stage = unsafe { &mut *stage };
        let Stage::Machine(machine) = stage else { unreachable!("a task that is run has a machine") };
        // A machine that panicked is dropped and never stepped again.
        let result = match panics::catch(machine) {
            Ok(Ok(IOResult::IO(IOCompletions::Yield))) => return Stepped::Yielded,
            Ok(Ok(IOResult::IO(IOCompletions::Single(completion)))) => return Stepped::Waits(completion),
            Ok(Ok(IOResult::Done(value))) => Ok(value),
            Ok(Err(error)) => Err(TaskError::Failed(error)),
            Err(payload) => Err(TaskError::Panicked(payload.into())),
        };
        Stepped::Ended(stage.end(result))
    })
}

/// # Safety
///
/// See [`Table`].
unsafe fn stop<M, T, E>(task: NonNull<Header>, panic: Option<Payload>) -> Ending {
    let error = panic.map_or(TaskError::Cancelled, |panic| TaskError::Panicked(panic.into()));
    // SAFETY: as in `step`.
    let whole = unsafe { task.cast::<Whole<M, T, E>>().as_ref() };
    // SAFETY: the task is READY and the worker's.
    whole.stage.with_mut(|stage| unsafe { &mut *stage }.end(Err(error)))
}

impl<M, T, E> Stage<M, T, E> {
    /// Drops the machine and puts `result` into its place. A machine that panics when it is dropped has panicked.
    fn end(&mut self, result: Result<T, TaskError<E>>) -> Ending {
        let machine = mem::replace(self, Self::Ended(result));
        if let Err(payload) = panics::catch(|| drop(machine)) {
            let result = mem::replace(self, Self::Ended(Err(TaskError::Panicked(payload.into()))));
            // A second panic, of the result's own drop, adds nothing to the first.
            panics::contain(|| drop(result));
        }
        self.ending()
    }

    fn ending(&self) -> Ending {
        match self {
            Self::Ended(result) => Ending::of(result),
            Self::Taken(ending) => *ending,
            Self::Machine(_) => unreachable!("an ended task has no machine"),
        }
    }

    fn take(&mut self) -> Option<Result<T, TaskError<E>>> {
        let ending = self.ending();
        match mem::replace(self, Self::Taken(ending)) {
            Self::Ended(result) => Some(result),
            Self::Machine(_) | Self::Taken(_) => None,
        }
    }
}

/// # Safety
///
/// See [`Table`].
unsafe fn ending<M, T, E>(task: NonNull<Header>) -> Ending {
    // SAFETY: as in `step`.
    let whole = unsafe { task.cast::<Whole<M, T, E>>().as_ref() };
    // SAFETY: from ENDED on the stage is the joiner's.
    whole.stage.with(|stage| unsafe { &*stage }.ending())
}

/// # Safety
///
/// See [`Table`].
unsafe fn take<M, T, E>(task: NonNull<Header>, place: NonNull<()>) {
    // SAFETY: as in `step`.
    let whole = unsafe { task.cast::<Whole<M, T, E>>().as_ref() };
    // SAFETY: the caller's.
    let place = unsafe { place.cast::<Option<Result<T, TaskError<E>>>>().as_mut() };
    // SAFETY: from ENDED on the stage is the joiner's.
    *place = whole.stage.with_mut(|stage| unsafe { &mut *stage }.take());
}

/// # Safety
///
/// See [`Table`].
unsafe fn free<M, T, E>(task: NonNull<Header>) {
    // SAFETY: made by `allocate` from a box of this type, and this is the end of its last reference.
    let whole = unsafe { Box::from_raw(task.cast::<Whole<M, T, E>>().as_ptr()) };
    // Whether the worker or the handle comes last is a race, so a panic in the drop of a result that was not taken may be
    // neither's. The panic hook has reported it.
    panics::contain(|| drop(whole));
}

#[cfg(all(test, target_pointer_width = "64", not(any(tenterhook_loom, tenterhook_shuttle))))]
mod tests {
    use super::*;

    /// Thousands are parked at a time; a field more is a decision.
    #[test]
    fn a_task_adds_forty_eight_bytes_to_its_machine() {
        assert_eq!(size_of::<Header>(), 48);
        // The result takes the machine's place, and the tag a spare value of its `bool`.
        assert_eq!(size_of::<Whole<[u64; 4], (), ()>>(), 48 + 32 + 8);
        assert_eq!(size_of::<Whole<(u64, bool), u64, std::convert::Infallible>>(), 48 + 24);
    }
}
