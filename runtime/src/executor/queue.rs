//! The tasks that are ready to run on one worker.
//!
//! A worker comes here once for a batch of tasks and not for each: what it has taken it steps with no
//! synchronisation at all. So a lock serves, where a lock-free deque would cost an atomic read-modify-write a step. And
//! the tasks are kept by the batch, so that what changes hands is one pointer.

use std::collections::VecDeque;
use std::mem;

use super::task::TaskRef;
use crate::sync::Mutex;

/// The most tasks in a batch.
pub(super) const BATCH: usize = 128;

/// First in, first out. One owner, who takes a batch; every thread may push and steal.
pub(super) struct RunQueue {
    batches: Mutex<Batches>,
}

/// Batches of at most [`BATCH`] tasks, none of them empty.
#[derive(Default)]
struct Batches {
    batches: VecDeque<Vec<TaskRef>>,
    /// The tasks in all of them.
    len: usize,
    /// An empty batch that keeps its allocation for the next push.
    spare: Vec<TaskRef>,
}

impl Batches {
    fn push(&mut self, task: TaskRef) {
        self.len += 1;
        match self.batches.back_mut() {
            Some(batch) if batch.len() < BATCH => batch.push(task),
            _ => {
                let mut batch = mem::take(&mut self.spare);
                batch.push(task);
                self.batches.push_back(batch);
            }
        }
    }

    /// Appends `tasks`; they are empty afterwards, and have lost their allocation.
    fn append(&mut self, tasks: &mut Vec<TaskRef>) {
        self.len += tasks.len();
        while tasks.len() > BATCH {
            let rest = tasks.split_off(BATCH);
            self.batches.push_back(mem::replace(tasks, rest));
        }
        if !tasks.is_empty() {
            self.batches.push_back(mem::take(tasks));
        }
    }

    /// Moves at most `most` tasks, all of one batch, to the empty `taken`; gives `taken`'s allocation if it could swap.
    fn take(&mut self, most: usize, taken: &mut Vec<TaskRef>) -> Option<Vec<TaskRef>> {
        let batch = self.batches.front_mut()?;
        if batch.len() > most {
            taken.extend(batch.drain(..most));
            self.len -= most;
            return None;
        }
        self.len -= batch.len();
        self.batches.pop_front().map(|batch| mem::replace(taken, batch))
    }
}

impl RunQueue {
    pub(super) fn new() -> Self {
        Self { batches: Mutex::new(Batches::default()) }
    }

    /// Puts a task at the back.
    pub(super) fn push(&self, task: TaskRef) {
        self.batches.lock().push(task);
    }

    /// Owner: puts `returned` at the back and takes up to `most` from the front into the empty `taken`, but leaves the
    /// others their share when `sharing`. Returns how many tasks are left.
    pub(super) fn exchange(
        &self,
        returned: &mut Vec<TaskRef>,
        taken: &mut Vec<TaskRef>,
        most: usize,
        sharing: bool,
    ) -> usize {
        let mut batches = self.batches.lock();
        batches.append(returned);
        let share = if sharing { batches.len.div_ceil(2) } else { batches.len };
        if let Some(empty) = batches.take(share.min(most), taken) {
            // If nothing was returned, that still has its allocation.
            if returned.capacity() == 0 {
                *returned = empty;
            } else if batches.spare.capacity() == 0 {
                batches.spare = empty;
            }
        }
        batches.len
    }

    /// Thief: takes from the front, at most `most` and no more than half, into the empty `taken`. Returns how many are left.
    pub(super) fn steal(&self, taken: &mut Vec<TaskRef>, most: usize) -> usize {
        let mut batches = self.batches.lock();
        let share = batches.len.div_ceil(2).min(most);
        if let Some(empty) = batches.take(share, taken)
            && batches.spare.capacity() == 0
        {
            batches.spare = empty;
        }
        batches.len
    }

    /// Whether there is nothing to be taken.
    pub(super) fn is_empty(&self) -> bool {
        self.batches.lock().len == 0
    }
}
