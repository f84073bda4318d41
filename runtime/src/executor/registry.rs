//! Every task whose machine has not ended: what is to be cancelled when the executor goes.
//!
//! Doubly linked through the tasks themselves, so that being on the list costs no allocation and leaving it no search.

use std::ptr::{self, NonNull};

use super::task::{Header, TaskRef};
use crate::sync::{Mutex, UnsafeCell};

/// A task's neighbours on its list.
pub(super) struct Links(UnsafeCell<Neighbours>);

#[derive(Clone, Copy)]
struct Neighbours {
    previous: *mut Header,
    next: *mut Header,
}

impl Links {
    pub(super) fn new() -> Self {
        Self(UnsafeCell::new(Neighbours { previous: ptr::null_mut(), next: ptr::null_mut() }))
    }

    /// # Safety
    ///
    /// The caller holds the lock of the list that the task is on.
    unsafe fn get(&self) -> Neighbours {
        // SAFETY: the caller's.
        self.0.with(|neighbours| unsafe { *neighbours })
    }

    /// # Safety
    ///
    /// As for `get`.
    unsafe fn change(&self, change: impl FnOnce(&mut Neighbours)) {
        // SAFETY: the caller's.
        self.0.with_mut(|neighbours| change(unsafe { &mut *neighbours }));
    }
}

/// Lists of tasks, of which each has a lock of its own.
pub(super) struct Registry {
    shards: Box<[Mutex<List>]>,
}

/// The tasks of one shard, each held by a reference.
struct List {
    first: *mut Header,
}

// SAFETY: the pointers are references to tasks, which are Send.
unsafe impl Send for List {}

impl Registry {
    /// `shards` lists; more of them than threads, so that two threads seldom meet.
    pub(super) fn new(shards: usize) -> Self {
        let list = || Mutex::new(List { first: ptr::null_mut() });
        Self { shards: (0..shards).map(|_| list()).collect() }
    }

    fn shard(&self, task: NonNull<Header>) -> &Mutex<List> {
        // The low bits are the allocator's alignment and mostly equal.
        &self.shards[(task.addr().get() >> 7) % self.shards.len()]
    }

    /// Takes over a reference to a task that is on no list.
    pub(super) fn insert(&self, task: TaskRef) {
        let task = task.into_raw();
        let mut list = self.shard(task).lock();
        let next = list.first;
        // SAFETY: `task` and `next` are on this list or on none, whose lock is held; the list's references keep them
        // alive.
        unsafe {
            task.as_ref().links.change(|links| links.next = next);
            if let Some(next) = next.as_ref() {
                next.links.change(|links| links.previous = task.as_ptr());
            }
        }
        list.first = task.as_ptr();
    }

    /// Gives back the reference of a task that was inserted.
    ///
    /// # Safety
    ///
    /// The task is on the list: this is done once, by whoever ends it.
    pub(super) unsafe fn remove(&self, task: &TaskRef) -> TaskRef {
        let task = task.as_ptr();
        let mut list = self.shard(task).lock();
        // SAFETY: all three are on this list, whose lock is held.
        unsafe {
            let Neighbours { previous, next } = task.as_ref().links.get();
            match previous.as_ref() {
                Some(previous) => previous.links.change(|links| links.next = next),
                None => list.first = next,
            }
            if let Some(next) = next.as_ref() {
                next.links.change(|links| links.previous = previous);
            }
            TaskRef::from_raw(task)
        }
    }

    /// References to all tasks that are on the lists now.
    pub(super) fn snapshot(&self) -> Vec<TaskRef> {
        let mut tasks = Vec::new();
        for shard in &self.shards {
            let list = shard.lock();
            let mut next = list.first;
            // SAFETY: what is on the list is alive while the lock is held.
            while let Some(task) = unsafe { next.as_ref() } {
                task.word.retain();
                // SAFETY: the reference that was made just now.
                tasks.push(unsafe { TaskRef::from_raw(NonNull::from(task)) });
                // SAFETY: the lock is held.
                next = unsafe { task.links.get() }.next;
            }
        }
        tasks
    }
}
