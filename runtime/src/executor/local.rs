//! What a worker's own thread can do without synchronisation: put a task aside until the worker has worked through its batch.

use std::cell::{Cell, RefCell};
use std::ptr;

use super::pool::Pool;
use super::task::TaskRef;
use crate::completion::as_worker_of;
use crate::sync::thread_local;

thread_local! {
    static CURRENT: Cell<*const Local> = Cell::new(ptr::null());
}

/// The worker of one thread, as seen by what runs in it.
pub(super) struct Local {
    pool: *const Pool,
    pub(super) index: usize,
    /// Ready tasks on their way to the back of the worker's queue.
    later: RefCell<Vec<TaskRef>>,
}

impl Local {
    pub(super) fn new(pool: &Pool, index: usize) -> Self {
        Self { pool, index, later: RefCell::new(Vec::new()) }
    }

    /// Makes this the worker of this thread for as long as `f` runs.
    pub(super) fn enter<R>(&self, f: impl FnOnce() -> R) -> R {
        /// Also when `f` unwinds: nothing may point to a worker that is gone.
        struct Leave;
        impl Drop for Leave {
            fn drop(&mut self) {
                CURRENT.with(|current| current.set(ptr::null()));
            }
        }
        CURRENT.with(|current| current.set(self));
        let _leave = Leave;
        as_worker_of(self.pool.cast(), f)
    }

    /// Calls `f` with the worker of this thread, if it is one of `pool`'s.
    #[inline]
    pub(super) fn with<R>(pool: &Pool, f: impl FnOnce(Option<&Self>) -> R) -> R {
        CURRENT.with(|current| {
            // SAFETY: `enter` has not returned, since it takes the pointer away when it does.
            let local = unsafe { current.get().as_ref() };
            f(local.filter(|local| ptr::eq(local.pool, pool)))
        })
    }

    /// To the back of the line.
    #[inline]
    pub(super) fn defer(&self, task: TaskRef) {
        self.later.borrow_mut().push(task);
    }

    /// Calls `f`, which must not run user code, with what was deferred.
    pub(super) fn with_deferred<R>(&self, f: impl FnOnce(&mut Vec<TaskRef>) -> R) -> R {
        f(&mut self.later.borrow_mut())
    }
}
