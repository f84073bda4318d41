//! A value that comes once and that any number of machines wait for.

use std::sync::Arc;

use super::wakes::Wakes;
use crate::sync::Mutex;
use crate::{Completer, Completion, CompletionError, IOCompletions, IOResult};

/// A value that comes once, set by the callback of some I/O, and that any number of machines wait for.
///
/// The I/O belongs to the pager, not to the machine that happened to start it. So each waiter gets a completion of its
/// own: dropping or cancelling one neither ends the I/O nor disturbs the other waiters.
#[derive(Debug)]
pub(super) struct Latch<T> {
    inner: Mutex<Inner<T>>,
}

#[derive(Debug)]
struct Inner<T> {
    value: Option<T>,
    waiters: Vec<Completer>,
}

impl<T: Clone> Latch<T> {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self { inner: Mutex::new(Inner { value: None, waiters: Vec::new() }) })
    }

    /// Sets the value and wakes all waiters. Only the first call counts.
    ///
    /// Wakers are user code: the caller holds no lock.
    pub(super) fn set(&self, value: T) {
        let waiters = {
            let mut inner = self.inner.lock();
            if inner.value.is_some() {
                return;
            }
            inner.value = Some(value);
            std::mem::take(&mut inner.waiters).into_iter().collect::<Wakes>()
        };
        waiters.wake();
    }

    pub(super) fn is_set(&self) -> bool {
        self.inner.lock().value.is_some()
    }

    /// The value, or a new completion that ends when it has come.
    fn value_or_wait(&self) -> Result<T, Completion> {
        let mut inner = self.inner.lock();
        if let Some(value) = &inner.value {
            return Ok(value.clone());
        }
        let (completion, completer) = Completion::new(|_| {});
        inner.waiters.push(completer);
        Err(completion)
    }
}

/// One machine's place at a [`Latch`]. Stepping the machine early any number of times keeps it at one place.
#[derive(Debug)]
pub(super) struct Wait<T> {
    latch: Arc<Latch<T>>,
    completion: Option<Completion>,
}

impl<T: Clone> Wait<T> {
    pub(super) fn new(latch: Arc<Latch<T>>) -> Self {
        Self { latch, completion: None }
    }

    /// Takes a new place after this one was cancelled.
    pub(super) fn renew(&mut self) {
        self.completion = None;
    }

    /// The value once it has come. An error when this wait was cancelled; what was waited for continues.
    pub(super) fn poll(&mut self) -> Result<IOResult<T>, CompletionError> {
        if let Some(completion) = &self.completion {
            match completion.result() {
                None => return Ok(IOResult::IO(IOCompletions::Single(completion.clone()))),
                Some(outcome) => outcome?,
            };
        }
        match self.latch.value_or_wait() {
            Ok(value) => Ok(IOResult::Done(value)),
            Err(completion) => {
                self.completion = Some(completion.clone());
                Ok(IOResult::IO(IOCompletions::Single(completion)))
            }
        }
    }
}

/// Evaluates to the value of an `IOResult`, or leaves the transition with its `IO` (or its error).
macro_rules! transition_if_io {
    ($step:expr) => {
        match $step? {
            $crate::IOResult::Done(value) => value,
            $crate::IOResult::IO(io) => return Ok($crate::TransitionResult::Io(io)),
        }
    };
}

pub(super) use transition_if_io;
