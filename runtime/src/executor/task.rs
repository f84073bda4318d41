//! A machine as the executor sees it: the same for all types of machine.

use std::ops::Deref;
use std::ptr::NonNull;
use std::sync::Arc;

use super::error::Ending;
use super::machine::{Stepped, Table};
use super::pool::Pool;
use super::registry::Position;
use super::word::Word;
use crate::completion::Behind;
use crate::panics::Payload;
use crate::sync::{Tracked, UnsafeCell};
use crate::{Completer, Completion};

/// The part of a task that does not depend on its machine's type.
#[repr(C)] // what a step touches comes last, next to the machine
pub(super) struct Header {
    pub(super) pool: Arc<Pool>,
    /// The joiner's until JOINED, then of the thread that ends the task.
    join: UnsafeCell<Option<Completer>>,
    tracked: Tracked,
    pub(super) position: Position,
    pub(super) word: Word,
    table: &'static Table,
    /// What the machine waits for. The worker's, while the task is READY.
    waiting: UnsafeCell<Option<Completion>>,
}

/// A counted reference to a task.
pub(super) struct TaskRef(NonNull<Header>);

// SAFETY: machine, output and error are Send, which `machine::allocate` demands; who may touch which of them when is what the
// word decides, so that references may go to and be used from any thread.
unsafe impl Send for TaskRef {}
// SAFETY: as above.
unsafe impl Sync for TaskRef {}

impl TaskRef {
    /// One of the references that the task was allocated with.
    pub(super) fn from_allocation(header: NonNull<Header>) -> Self {
        Self(header)
    }

    pub(super) fn as_ptr(&self) -> NonNull<Header> {
        self.0
    }

    /// Takes over a reference.
    ///
    /// # Safety
    ///
    /// `raw` is a task's, and the caller gives up a reference to it.
    pub(super) unsafe fn from_raw(raw: NonNull<Header>) -> Self {
        Self(raw)
    }

    /// This machine, as its completion knows it.
    pub(super) fn behind(&self) -> Behind {
        Behind { machine: self.0.as_ptr().cast_const().cast(), executor: Arc::as_ptr(&self.pool).cast() }
    }

    /// A hint that the task is about to be run.
    #[inline]
    pub(super) fn prefetch(&self) {
        #[cfg(target_arch = "x86_64")]
        {
            use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
            let hot = (&raw const self.word).cast::<i8>();
            // SAFETY: a prefetch has no effect that a program could see, wherever it points.
            unsafe {
                _mm_prefetch::<_MM_HINT_T0>(hot);
                _mm_prefetch::<_MM_HINT_T0>(hot.wrapping_add(64));
            }
        }
    }

    /// Worker, task READY: steps the machine once.
    ///
    /// # Safety
    ///
    /// The caller took the task from a queue and has neither parked nor ended it since.
    #[inline]
    pub(super) unsafe fn step(&self) -> Stepped {
        // SAFETY: the caller's; the table belongs to this allocation.
        unsafe { (self.table.step)(self.0) }
    }

    /// Worker, task READY: drops the machine and puts `panic`, or else `Cancelled`, into its place.
    ///
    /// # Safety
    ///
    /// As for [`TaskRef::step`].
    pub(super) unsafe fn stop(&self, panic: Option<Payload>) -> Ending {
        // SAFETY: as above.
        unsafe { (self.table.stop)(self.0, panic) }
    }

    /// Worker, task READY: calls `f` with the completion that the machine waits for.
    ///
    /// # Safety
    ///
    /// As for [`TaskRef::step`].
    #[inline]
    pub(super) unsafe fn with_waiting<R>(&self, f: impl FnOnce(&mut Option<Completion>) -> R) -> R {
        // SAFETY: the caller's.
        self.waiting.with_mut(|waiting| f(unsafe { &mut *waiting }))
    }

    /// Joiner, once: has `completer` told of the task's end. Gives it back when the task has ended before.
    ///
    /// # Safety
    ///
    /// The caller is the task's only handle, and has not done this before.
    pub(super) unsafe fn join(&self, completer: Completer) -> Result<(), Completer> {
        // SAFETY: before JOINED the slot belongs to the joiner, and there is one.
        self.join.with_mut(|slot| unsafe { *slot = Some(completer) });
        if self.word.join() {
            return Ok(());
        }
        // SAFETY: the task had ended without looking into the slot.
        Err(self.join.with_mut(|slot| unsafe { (*slot).take() }).expect("put there above"))
    }

    /// Worker: declares that the task has ended, and returns the joiner to notify.
    ///
    /// # Safety
    ///
    /// As for [`TaskRef::step`]; the result is in its place, and this is not done twice.
    pub(super) unsafe fn end(&self) -> Option<Completer> {
        if !self.word.end() {
            return None;
        }
        // SAFETY: JOINED was seen with Acquire, and from then on the slot belongs to the thread that ends the task.
        self.join.with_mut(|slot| unsafe { (*slot).take() })
    }

    /// Joiner: how it ended.
    ///
    /// # Safety
    ///
    /// The task has ended, and the caller is its only handle.
    pub(super) unsafe fn ending(&self) -> Ending {
        // SAFETY: the caller's; the table belongs to this allocation.
        unsafe { (self.table.ending)(self.0) }
    }

    /// Joiner: moves the result, once, to `place`.
    ///
    /// # Safety
    ///
    /// The task has ended, the caller is its only handle, and `place` is an `Option<Result<T, TaskError<E>>>` of the
    /// types that the task was allocated with.
    pub(super) unsafe fn take(&self, place: NonNull<()>) {
        // SAFETY: the caller's; the table belongs to this allocation.
        unsafe { (self.table.take)(self.0, place) };
    }
}

impl Header {
    /// Held by `references`.
    pub(super) fn new(table: &'static Table, pool: Arc<Pool>, references: u32) -> Self {
        Self {
            word: Word::ready(references),
            table,
            waiting: UnsafeCell::new(None),
            pool,
            position: Position::new(),
            join: UnsafeCell::new(None),
            tracked: Tracked::new(),
        }
    }
}

impl Deref for TaskRef {
    type Target = Header;

    #[inline]
    fn deref(&self) -> &Header {
        // SAFETY: the reference keeps the task alive.
        unsafe { self.0.as_ref() }
    }
}

impl Clone for TaskRef {
    fn clone(&self) -> Self {
        self.word.retain();
        Self(self.0)
    }
}

impl Drop for TaskRef {
    fn drop(&mut self) {
        self.tracked.touch();
        if self.word.release() {
            // SAFETY: that was the last reference.
            unsafe { (self.table.free)(self.0) };
        }
    }
}
