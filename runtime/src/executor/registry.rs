//! Every task whose machine has not ended: what is to be cancelled when the executor goes.

use super::task::TaskRef;
use crate::sync::{Mutex, UnsafeCell};

/// Where on its list a task is; the list's, under its lock.
pub(super) struct Position(UnsafeCell<u32>);

impl Position {
    pub(super) fn new() -> Self {
        Self(UnsafeCell::new(u32::MAX))
    }

    /// # Safety
    ///
    /// The caller holds the lock of the list that the task is on.
    unsafe fn get(&self) -> usize {
        // SAFETY: the caller's.
        self.0.with(|position| unsafe { *position }) as usize
    }

    /// # Safety
    ///
    /// As for `get`.
    unsafe fn set(&self, position: usize) {
        let position =
            u32::try_from(position).expect("a list of four thousand million tasks doesn't fit in memory");
        // SAFETY: the caller's.
        self.0.with_mut(|cell| unsafe { *cell = position });
    }
}

/// Lists of tasks, of which each has a lock of its own.
pub(super) struct Registry {
    shards: Box<[Mutex<Vec<TaskRef>>]>,
}

impl Registry {
    /// `shards` lists; more of them than threads, so that two threads seldom meet.
    pub(super) fn new(shards: usize) -> Self {
        Self { shards: (0..shards).map(|_| Mutex::new(Vec::new())).collect() }
    }

    fn shard(&self, task: &TaskRef) -> &Mutex<Vec<TaskRef>> {
        // The low bits are the allocator's alignment and mostly equal.
        &self.shards[(task.as_ptr().addr().get() >> 7) % self.shards.len()]
    }

    /// Takes over a reference to a task that is on no list.
    pub(super) fn insert(&self, task: TaskRef) {
        let mut list = self.shard(&task).lock();
        // SAFETY: the list's lock is held.
        unsafe { task.position.set(list.len()) };
        list.push(task);
    }

    /// Gives back the reference of a task that was inserted.
    ///
    /// # Safety
    ///
    /// The task is on its list: this is done once, by the thread that ends it.
    pub(super) unsafe fn remove(&self, task: &TaskRef) -> TaskRef {
        let mut list = self.shard(task).lock();
        // SAFETY: the list's lock is held.
        let position = unsafe { task.position.get() };
        let removed = list.swap_remove(position);
        debug_assert_eq!(removed.as_ptr(), task.as_ptr(), "a task is where its position says");
        if let Some(moved) = list.get(position) {
            // SAFETY: the list's lock is held.
            unsafe { moved.position.set(position) };
        }
        removed
    }

    /// References to all tasks that are on the lists now.
    pub(super) fn snapshot(&self) -> Vec<TaskRef> {
        let mut tasks = Vec::new();
        for shard in &self.shards {
            tasks.extend(shard.lock().iter().cloned());
        }
        tasks
    }
}
