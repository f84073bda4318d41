//! Jobs that are run by hand, without a world: for tests of adapters.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use tenterhook_runtime::Completion;

use super::seat::{News, Order, Seat, Watch};
use super::{Job, thread};
use crate::schedule::FiberId;
use crate::violation::Violation;

/// A call of the disk is not late before this.
const PATIENCE: Duration = Duration::from_secs(10);

/// Threads for jobs, one of which runs at a time.
pub(crate) struct Hand {
    workers: Vec<(Arc<Seat>, Option<JoinHandle<()>>)>,
}

/// Where a job stands.
pub(crate) enum Stand {
    /// It can go on.
    Ready,
    /// It can go on once this has finished.
    Waits(Completion),
    /// It has ended, perhaps with a panic.
    Over(Result<(), Box<Violation>>),
    /// It has not come back, or still calls after its life. Its thread is given up.
    Lost,
}

impl Hand {
    pub(crate) fn new(fibers: FiberId) -> Hand {
        Hand { workers: (0..fibers).map(|fiber| (Arc::new(Seat::new(fiber)), None)).collect() }
    }

    /// Begins a job, up to its first scheduling point.
    pub(crate) fn begin(&mut self, fiber: FiberId, job: Job) -> Stand {
        let (seat, thread) = &mut self.workers[fiber as usize];
        if thread.is_none() {
            match thread::start(seat) {
                Ok(started) => *thread = Some(started),
                Err(_) => return Stand::Lost,
            }
        }
        self.give(fiber, Order::Begin(job))
    }

    /// Lets it go on, up to its next scheduling point.
    pub(crate) fn go_on(&mut self, fiber: FiberId) -> Stand {
        self.give(fiber, Order::GoOn)
    }

    fn give(&mut self, fiber: FiberId, order: Order) -> Stand {
        let (seat, thread) = &mut self.workers[fiber as usize];
        match seat.resume_gone(order, Watch { patience: PATIENCE, foreign: None }) {
            Ok(News::Continue | News::Yield) => Stand::Ready,
            Ok(News::Wait(completion)) => Stand::Waits(completion),
            Ok(News::Over(end)) => Stand::Over(end.map(drop)),
            Ok(News::Stuck | News::Asleep(_)) | Err(_) => {
                // It is never joined.
                thread.take();
                Stand::Lost
            }
        }
    }

    /// From here on the life is over for each job, or a new one has begun.
    pub(crate) fn set_gone(&self, gone: bool) {
        for (seat, _) in &self.workers {
            let mut state = seat.lock();
            (state.gone, state.late_calls) = (gone, 0);
        }
    }
}

impl Drop for Hand {
    /// Each job has ended.
    fn drop(&mut self) {
        for fiber in 0..self.workers.len() {
            let is_started = self.workers[fiber].1.is_some();
            if is_started && matches!(self.give(fiber as FiberId, Order::Leave), Stand::Over(_)) {
                let _ = self.workers[fiber].1.take().map(JoinHandle::join);
            }
        }
    }
}
