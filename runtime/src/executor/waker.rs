//! A task as a [`Waker`]: what a completion calls when a parked machine can go on.

use std::mem::ManuallyDrop;
use std::ptr::NonNull;
use std::sync::Arc;
use std::task::{RawWaker, RawWakerVTable, Waker};

use super::task::{Header, TaskRef};
use super::word::Schedule;

static TABLE: RawWakerVTable = RawWakerVTable::new(clone, wake, wake_by_ref, release);

/// A waker on the caller's reference: it costs nothing, and lives no longer.
pub(super) fn borrowed(task: &TaskRef) -> ManuallyDrop<Waker> {
    // SAFETY: the table keeps the contract of `RawWaker`; the reference is the caller's, and is not given back.
    ManuallyDrop::new(unsafe { Waker::from_raw(RawWaker::new(task.as_ptr().as_ptr().cast(), &TABLE)) })
}

/// # Safety
///
/// `data` is that of a waker with this table.
unsafe fn task(data: *const ()) -> ManuallyDrop<TaskRef> {
    let header = NonNull::new(data.cast_mut().cast::<Header>()).expect("made from a reference");
    // SAFETY: the waker holds the reference; the thread that gives it up unwraps the result.
    ManuallyDrop::new(unsafe { TaskRef::from_raw(header) })
}

unsafe fn clone(data: *const ()) -> RawWaker {
    // SAFETY: called on wakers with this table only. So below.
    let task = unsafe { task(data) };
    task.word.retain();
    RawWaker::new(data, &TABLE)
}

unsafe fn wake(data: *const ()) {
    // SAFETY: as above; the waker's reference becomes the queue's, or ends here.
    let task = ManuallyDrop::into_inner(unsafe { task(data) });
    if task.word.wake() == Schedule::Enqueue {
        let pool = Arc::clone(&task.pool);
        pool.push(task);
    }
}

unsafe fn wake_by_ref(data: *const ()) {
    // SAFETY: as above.
    let task = unsafe { task(data) };
    if task.word.wake() == Schedule::Enqueue {
        task.pool.push(TaskRef::clone(&task));
    }
}

unsafe fn release(data: *const ()) {
    // SAFETY: as above; the waker's reference ends here.
    drop(ManuallyDrop::into_inner(unsafe { task(data) }));
}
