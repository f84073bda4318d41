//! The executor of the await rows: as little as polls a task when it was woken, identical for all contenders.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Wake, Waker};

use crate::sync::AtomicBool;

/// Set by a task's waker. Everything here is on one thread, so no access needs more than Relaxed.
#[derive(Debug)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.store(true, Relaxed);
    }
}

struct Task {
    /// `None` once it has ended.
    future: Option<Pin<Box<dyn Future<Output = ()>>>>,
    woken: Arc<Woken>,
    waker: Waker,
}

/// Tasks on one thread, polled in their order.
#[derive(Default)]
pub(super) struct Poller {
    tasks: Vec<Task>,
}

impl Poller {
    pub(super) fn spawn(&mut self, future: impl Future<Output = ()> + 'static) {
        let woken = Arc::new(Woken(AtomicBool::new(true)));
        let waker = Waker::from(Arc::clone(&woken));
        self.tasks.push(Task { future: Some(Box::pin(future)), woken, waker });
    }

    /// Polls each task that was woken, once; true when it polled any.
    pub(super) fn pass(&mut self) -> bool {
        let mut polled = false;
        for task in &mut self.tasks {
            if !task.woken.0.load(Relaxed) {
                continue;
            }
            task.woken.0.store(false, Relaxed);
            let Some(future) = &mut task.future else {
                // Some futures wake their task as they become ready.
                continue;
            };
            polled = true;
            if future.as_mut().poll(&mut Context::from_waker(&task.waker)).is_ready() {
                task.future = None;
            }
        }
        polled
    }
}
