//! What the runtime's integration tests share.
#![allow(dead_code, reason = "each test binary uses its part")]
#![allow(clippy::disallowed_types, reason = "tests observe from outside the facade")]

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::task::{Context, Poll, Wake, Waker};

use tenterhook_runtime::{Completer, Completion, Outcome};

/// Counts how often something happened.
#[derive(Clone, Default)]
pub(crate) struct Counter(Arc<AtomicUsize>);

impl Counter {
    pub(crate) fn bump(&self) {
        self.0.fetch_add(1, SeqCst);
    }

    pub(crate) fn get(&self) -> usize {
        self.0.load(SeqCst)
    }

    /// A waker that counts its calls.
    pub(crate) fn waker(&self) -> Waker {
        Waker::from(Arc::new(CountingWaker(self.clone())))
    }
}

struct CountingWaker(Counter);

impl Wake for CountingWaker {
    fn wake(self: Arc<Self>) {
        self.0.bump();
    }
}

/// A pair whose callback does nothing.
pub(crate) fn pair() -> (Completion, Completer) {
    Completion::new(|_| {})
}

/// Polls once.
pub(crate) fn poll(completion: &mut Completion, waker: &Waker) -> Poll<Outcome> {
    Pin::new(completion).poll(&mut Context::from_waker(waker))
}

/// Runs `f` on a thread with a stack of 2 MiB, the size that deep structures must be content with.
pub(crate) fn on_small_stack(f: impl FnOnce() + Send + 'static) {
    let thread = std::thread::Builder::new().stack_size(2 << 20).spawn(f).expect("a thread");
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}
