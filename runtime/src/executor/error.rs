//! How a task can end other than well.

use std::any::Any;
use std::fmt;

use crate::panics::Payload;
use crate::{CompletionError, Outcome};

/// Why there is no value.
#[derive(Debug)]
pub enum TaskError<E> {
    /// The machine returned this.
    Failed(E),
    /// The task was cancelled, or its executor was shut down, before the machine had ended; the machine was dropped at
    /// the yield that it had reached.
    Cancelled,
    /// A step of the machine panicked, or its drop did.
    Panicked(Panic),
}

/// What a machine panicked with.
// Boxed twice: a result is kept in the place of the machine, and a fat pointer would make small machines bigger.
pub struct Panic(Box<Box<dyn Any + Send>>);

impl Panic {
    /// The panic's message, if it has one.
    #[must_use]
    pub fn message(&self) -> Option<&str> {
        let payload = &**self.0;
        payload
            .downcast_ref::<&str>()
            .copied()
            .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
    }

    /// What was given to `panic!`; for [`std::panic::resume_unwind`].
    #[must_use]
    pub fn into_payload(self) -> Box<dyn Any + Send> {
        *self.0
    }
}

impl From<Payload> for Panic {
    fn from(payload: Payload) -> Self {
        Self(Box::new(payload.into_inner()))
    }
}

impl fmt::Debug for Panic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Panic").field(&self.message().unwrap_or("a payload that is not a text")).finish()
    }
}

/// How a task ended, without what it ended with.
#[derive(Clone, Copy, Debug)]
pub(super) enum Ending {
    Done,
    Failed,
    Cancelled,
    Panicked,
}

impl Ending {
    pub(super) fn of<T, E>(result: &Result<T, TaskError<E>>) -> Self {
        match result {
            Ok(_) => Self::Done,
            Err(TaskError::Failed(_)) => Self::Failed,
            Err(TaskError::Cancelled) => Self::Cancelled,
            Err(TaskError::Panicked(_)) => Self::Panicked,
        }
    }

    /// What those are told who wait for the task's completion.
    pub(super) fn outcome(self) -> Outcome {
        match self {
            Self::Done => Ok(0),
            Self::Failed => Err(CompletionError::MachineFailed),
            Self::Cancelled => Err(CompletionError::Cancelled),
            Self::Panicked => Err(CompletionError::MachinePanicked),
        }
    }
}

impl<E: fmt::Display> fmt::Display for TaskError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(error) => error.fmt(f),
            Self::Cancelled => f.write_str("the task was cancelled"),
            Self::Panicked(panic) => match panic.message() {
                Some(message) => write!(f, "the task panicked: {message}"),
                None => f.write_str("the task panicked"),
            },
        }
    }
}

impl<E: std::error::Error + 'static> std::error::Error for TaskError<E> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Failed(error) => error.source(),
            Self::Cancelled | Self::Panicked(_) => None,
        }
    }
}
