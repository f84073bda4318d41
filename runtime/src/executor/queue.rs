//! The tasks that are ready to run on one worker.
//!
//! A worker comes here once for a handful of tasks and not for each: what it has in its hand it steps with no
//! synchronisation at all. So a lock serves, where a lock-free deque would cost an atomic read-modify-write a step.

use std::collections::VecDeque;

use super::task::TaskRef;
use crate::sync::Mutex;

/// First in, first out. One owner, who takes a hand; everybody may push and steal.
pub(super) struct RunQueue {
    tasks: Mutex<VecDeque<TaskRef>>,
}

impl RunQueue {
    pub(super) fn new() -> Self {
        Self { tasks: Mutex::new(VecDeque::new()) }
    }

    /// Puts a task at the back.
    pub(super) fn push(&self, task: TaskRef) {
        self.tasks.lock().push_back(task);
    }

    /// Owner: puts `returned` at the back, takes up to `most` from the front into `hand`, but leaves the others their
    /// share when `sharing`. Returns how many tasks are left.
    pub(super) fn exchange(
        &self,
        returned: &mut Vec<TaskRef>,
        hand: &mut VecDeque<TaskRef>,
        most: usize,
        sharing: bool,
    ) -> usize {
        let mut tasks = self.tasks.lock();
        tasks.extend(returned.drain(..));
        let share = if sharing { tasks.len().div_ceil(2) } else { tasks.len() };
        hand.extend(tasks.drain(..share.min(most)));
        tasks.len()
    }

    /// Thief: takes the older half, at most `most`, into `hand`. Returns how many are left.
    pub(super) fn steal(&self, hand: &mut VecDeque<TaskRef>, most: usize) -> usize {
        let mut tasks = self.tasks.lock();
        let share = tasks.len().div_ceil(2).min(most);
        hand.extend(tasks.drain(..share));
        tasks.len()
    }

    /// Whether there is nothing to be taken.
    pub(super) fn is_empty(&self) -> bool {
        self.tasks.lock().is_empty()
    }
}
