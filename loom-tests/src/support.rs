//! What the models share: a callback that leaves a trace, a waker that counts.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::task::{Context, Poll, Wake, Waker};

use loom::cell::UnsafeCell;
use loom::sync::Arc;
use tenterhook_runtime::{Completion, Outcome};

use crate::panics::OnPurpose;

/// What a callback did. The cell is written with no synchronisation of its own, so loom reports a race if another thread
/// sees the completion finished without also seeing the callback's effects; and it is loom's `Arc`, so loom reports
/// a callback that is never dropped.
#[derive(Clone)]
pub(crate) struct Trace(Arc<UnsafeCell<Vec<Outcome>>>);

impl Trace {
    pub(crate) fn new() -> Self {
        Self(Arc::new(UnsafeCell::new(Vec::new())))
    }

    /// A callback that notes its outcome.
    pub(crate) fn callback(&self) -> impl FnOnce(Outcome) + Send + 'static {
        let trace = self.clone();
        move |outcome| trace.note(outcome)
    }

    /// A callback that notes its outcome and panics.
    pub(crate) fn panicking_callback(&self) -> impl FnOnce(Outcome) + Send + 'static {
        let trace = self.clone();
        move |outcome| {
            trace.note(outcome);
            std::panic::panic_any(OnPurpose);
        }
    }

    fn note(&self, outcome: Outcome) {
        // SAFETY: loom checks that no other thread is here.
        self.0.with_mut(|trace| unsafe { (*trace).push(outcome) });
    }

    /// Leaves one more mark, with no synchronisation of its own.
    pub(crate) fn mark(&self) {
        self.note(Ok(0));
    }

    /// How many marks there are.
    pub(crate) fn marks(&self) -> usize {
        // SAFETY: loom checks that no thread writes.
        self.0.with(|trace| unsafe { (*trace).len() })
    }

    /// The outcome that the callback was called with. For a thread that has seen the completion finished.
    #[track_caller]
    pub(crate) fn only(&self) -> Outcome {
        // SAFETY: loom checks that no thread writes.
        let calls = self.0.with(|trace| unsafe { (*trace).clone() });
        assert_eq!(calls.len(), 1, "the callback runs once: {calls:?}");
        calls[0]
    }

    /// The callback has run, once. For a thread that has seen the completion finished.
    #[track_caller]
    pub(crate) fn assert_called(&self) {
        let _ = self.only();
    }
}

// SAFETY: loom checks every access for races, which is the point.
unsafe impl Send for Trace {}
// SAFETY: as above.
unsafe impl Sync for Trace {}

/// Counts its wake-ups. A plain std atomic: loom is to explore the runtime, not this.
#[derive(Default)]
pub(crate) struct CountingWaker(AtomicUsize);

impl CountingWaker {
    pub(crate) fn new() -> (std::sync::Arc<Self>, Waker) {
        let counter = std::sync::Arc::new(Self::default());
        (std::sync::Arc::clone(&counter), Waker::from(counter))
    }

    /// A waiter that was told to wait is woken once. One that came too late may be: the publisher can meet its slot
    /// before it learns that the completion has finished.
    #[track_caller]
    pub(crate) fn assert_woken_if(&self, pending: bool) {
        let wakes = self.0.load(SeqCst);
        assert!(wakes == 1 || (wakes == 0 && !pending), "woken {wakes} times, told to wait: {pending}");
    }

    /// No waker of it is left in a completion: it was called, or dropped. For a thread that has dropped its own.
    #[track_caller]
    pub(crate) fn assert_let_go(self: std::sync::Arc<Self>) {
        assert_eq!(std::sync::Arc::strong_count(&self), 1, "a waker that is no longer called is kept");
    }
}

impl Wake for CountingWaker {
    fn wake(self: std::sync::Arc<Self>) {
        self.0.fetch_add(1, SeqCst);
    }
}

/// Polls once.
pub(crate) fn poll(completion: &mut Completion, waker: &Waker) -> Poll<Outcome> {
    Pin::new(completion).poll(&mut Context::from_waker(waker))
}

/// Asserts that every accessor tells the same story, and returns it.
#[track_caller]
pub(crate) fn settled(completion: &Completion) -> Outcome {
    assert!(completion.finished());
    let outcome = completion.result().expect("finished implies an outcome");
    assert_eq!(completion.succeeded(), outcome.is_ok());
    assert_eq!(completion.failed(), outcome.is_err());
    assert_eq!(completion.get_error(), outcome.err());
    outcome
}
