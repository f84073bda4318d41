//! What the threads of one pool share: a queue, and a batch for each thread.
//!
//! A thread takes several jobs from the queue at once and puts them into its batch, because a lock and a wake for each
//! would cost more than a read from the page cache. A thread that finds the queue empty takes jobs from the batches of
//! the others, so a callback that takes long holds up nothing but itself.
//!
//! No job waits beside an idle thread. A submission wakes an idle thread if there is one, and a thread looks into the
//! queue and into all batches, under the queue's lock, before it becomes idle. Jobs move from the queue to a batch under
//! that lock, too. A batch holds more than one job only if there were more jobs than threads, and then each of the
//! idle threads has been woken.

use std::collections::VecDeque;

use super::job::Job;
use crate::io::abandon::abandon;
use crate::panics::{self, Panics};
use crate::sync::{Condvar, Mutex};

/// The most jobs in a batch.
const BATCH: usize = 16;

pub(super) struct Shared {
    queue: Mutex<Queue>,
    filled: Condvar,
    /// One for each thread. Locked after the queue where both are.
    batches: Box<[Mutex<VecDeque<Job>>]>,
    /// Whether submissions wait for `step` first.
    pub(super) stepped: bool,
}

#[derive(Default)]
struct Queue {
    /// For the threads.
    jobs: VecDeque<Job>,
    /// For `step`.
    submitted: Vec<Job>,
    /// The allocation that `submitted` had in the step before.
    spare: Vec<Job>,
    /// How many threads wait for `filled`.
    idle: usize,
    closed: bool,
}

impl Shared {
    pub(super) fn new(threads: usize, stepped: bool) -> Self {
        Self {
            queue: Mutex::default(),
            filled: Condvar::new(),
            batches: (0..threads).map(|_| Mutex::default()).collect(),
            stepped,
        }
    }

    /// What thread `number` does.
    pub(super) fn serve(&self, number: usize) {
        while let Some(job) = self.next(number) {
            // A callback's panic has been reported by the panic hook, and all waiters have been woken.
            panics::contain(|| job.run());
        }
    }

    /// The next job for thread `number`; waits for one. `None` when there will be none.
    fn next(&self, number: usize) -> Option<Job> {
        if let Some(job) = self.batches[number].lock().pop_front() {
            return Some(job);
        }
        let mut queue = self.queue.lock();
        loop {
            if let Some(job) = self.take(&mut queue, number).or_else(|| self.steal(&queue)) {
                return Some(job);
            }
            if queue.closed {
                return None;
            }
            queue.idle += 1;
            self.filled.wait(&mut queue);
            queue.idle -= 1;
        }
    }

    /// Takes this thread's share of the queue: one job now, the others into its batch, which is empty.
    fn take(&self, queue: &mut Queue, number: usize) -> Option<Job> {
        let share = queue.jobs.len().div_ceil(self.batches.len()).min(BATCH);
        let first = queue.jobs.pop_front()?;
        if share > 1 && !first.is_slow() {
            let mut batch = self.batches[number].lock();
            while batch.len() + 1 < share
                && let Some(job) = queue.jobs.pop_front()
            {
                let is_slow = job.is_slow();
                batch.push_back(job);
                if is_slow {
                    break;
                }
            }
        }
        Some(first)
    }

    /// Takes a job that another thread has put aside. Under the queue's lock, see the module.
    fn steal(&self, _queue: &Queue) -> Option<Job> {
        self.batches.iter().find_map(|batch| batch.lock().pop_back())
    }

    pub(super) fn submit(&self, job: Job) {
        let mut queue = self.queue.lock();
        if queue.closed {
            drop(queue);
            if let Some(submission) = job.into_submission() {
                abandon(submission);
            }
            return;
        }
        if self.stepped {
            return queue.submitted.push(job);
        }
        queue.jobs.push_back(job);
        let wake = queue.idle > 0;
        drop(queue);
        if wake {
            self.filled.notify_one();
        }
    }

    /// Runs what waits for `step`, or gives it to the threads; how many operations ended, and the panics of callbacks.
    pub(super) fn step(&self) -> (usize, Panics) {
        let mut panics = Panics::new();
        let mut due = {
            let mut queue = self.queue.lock();
            let spare = std::mem::take(&mut queue.spare);
            std::mem::replace(&mut queue.submitted, spare)
        };
        let submitted = due.len();
        let mut slow = Vec::new();
        for job in due.drain(..) {
            slow.extend(panics.guard(|| job.run_cached()).flatten());
        }
        let ended = submitted - slow.len();
        self.queue.lock().spare = due;
        if !slow.is_empty() {
            self.hand_over(slow, &mut panics);
        }
        (ended, panics)
    }

    /// Gives `jobs` to the threads.
    fn hand_over(&self, jobs: Vec<Job>, panics: &mut Panics) {
        let number = jobs.len();
        let mut queue = self.queue.lock();
        if queue.closed {
            // Closed by a callback of this step: the threads may have ended.
            drop(queue);
            return panics.drop_each(jobs);
        }
        queue.jobs.extend(jobs);
        let wake = queue.idle.min(number);
        drop(queue);
        (0..wake).for_each(|_| self.filled.notify_one());
    }

    /// Lets the threads end when they have run what they have taken, and abandons the rest.
    pub(super) fn close(&self) -> Panics {
        let (jobs, submitted) = {
            let mut queue = self.queue.lock();
            queue.closed = true;
            (std::mem::take(&mut queue.jobs), std::mem::take(&mut queue.submitted))
        };
        self.batches.iter().for_each(|_| self.filled.notify_one());
        let mut panics = Panics::new();
        panics.drop_each(jobs);
        panics.drop_each(submitted);
        panics
    }
}
