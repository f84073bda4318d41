//! What one step of a state machine returns.

use crate::Completion;

/// The result of calling a state machine once: a value, or what has to finish before it is called again.
///
/// `IO` is returned up the stack unchanged, to the driver of the I/O; see [`return_if_io!`](crate::return_if_io).
#[must_use = "a step that returned `IO` has to be called again after its completions have finished"]
#[derive(Debug)]
pub enum IOResult<T> {
    /// The operation has ended with this value; the machine must not be stepped again.
    Done(T),
    /// Call again after these.
    IO(IOCompletions),
}

/// What a suspended state machine waits for.
///
/// A yield is its own variant and carries no completion: it can be neither waited on nor completed, and no driver can
/// take it for I/O that has already finished and spin on it.
#[must_use = "dropping this forgets what the machine waits for"]
#[derive(Debug)]
pub enum IOCompletions {
    /// Call again after this one has finished; many are folded into one by a [`CompletionGroup`](crate::CompletionGroup).
    Single(Completion),
    /// Step the others, then call again. Nothing is outstanding.
    Yield,
}

impl<T> IOResult<T> {
    /// Applies `f` to the value, if there is one.
    pub fn map<U>(self, f: impl FnOnce(T) -> U) -> IOResult<U> {
        match self {
            Self::Done(value) => IOResult::Done(f(value)),
            Self::IO(io) => IOResult::IO(io),
        }
    }

    /// Whether the machine is suspended.
    pub fn is_io(&self) -> bool {
        matches!(self, Self::IO(_))
    }

    /// What the machine waits for, if it is suspended.
    #[must_use]
    pub fn io(self) -> Option<IOCompletions> {
        match self {
            Self::Done(_) => None,
            Self::IO(io) => Some(io),
        }
    }
}

impl IOCompletions {
    /// The completion to wait for; `None` for a yield.
    #[must_use]
    pub fn completion(&self) -> Option<&Completion> {
        match self {
            Self::Single(completion) => Some(completion),
            Self::Yield => None,
        }
    }

    /// Whether this is a yield.
    pub fn is_yield(&self) -> bool {
        matches!(self, Self::Yield)
    }
}

/// Evaluates to the value of a step, or returns its `IO` (or its error) from the enclosing function.
///
/// Everything the enclosing function did before this line is done again when it is called again. Mutate after the
/// last call that can yield.
///
/// ```
/// use tenterhook_runtime::{CompletionError, IOResult, return_if_io};
/// fn read_both(
///     mut read: impl FnMut(u32) -> Result<IOResult<u64>, CompletionError>,
/// ) -> Result<IOResult<u64>, CompletionError> {
///     let first = return_if_io!(read(1));
///     let second = return_if_io!(read(2));
///     Ok(IOResult::Done(first + second))
/// }
/// assert!(matches!(read_both(|page| Ok(IOResult::Done(page.into()))), Ok(IOResult::Done(3))));
/// ```
#[macro_export]
macro_rules! return_if_io {
    ($step:expr) => {
        match $step? {
            $crate::IOResult::Done(value) => value,
            $crate::IOResult::IO(io) => return Ok($crate::IOResult::IO(io)),
        }
    };
}

/// Like [`return_if_io!`], for an arm that took its state out by value: puts `$saved` back into `$place` before it
/// returns `IO` or an error.
///
/// ```
/// use tenterhook_runtime::{CompletionError, IOCompletions, IOResult, return_and_restore_if_io};
/// enum State { Reading(String), Idle }
/// fn step(state: &mut State) -> Result<IOResult<usize>, CompletionError> {
///     let State::Reading(name) = std::mem::replace(state, State::Idle) else { return Ok(IOResult::Done(0)) };
///     let read: Result<IOResult<()>, CompletionError> = Ok(IOResult::IO(IOCompletions::Yield));
///     return_and_restore_if_io!(*state, State::Reading(name), read);
///     Ok(IOResult::Done(name.len()))
/// }
/// let mut state = State::Reading("journal".into());
/// assert!(step(&mut state).unwrap().is_io());
/// assert!(matches!(state, State::Reading(name) if name == "journal"));
/// ```
#[macro_export]
macro_rules! return_and_restore_if_io {
    ($place:expr, $saved:expr, $step:expr) => {
        match $step {
            Ok($crate::IOResult::Done(value)) => value,
            Ok($crate::IOResult::IO(io)) => {
                $place = $saved;
                return Ok($crate::IOResult::IO(io));
            }
            Err(error) => {
                $place = $saved;
                return Err(error.into());
            }
        }
    };
}

/// Suspends the enclosing step until `$completion` has finished.
///
/// The caller has already moved on to the state that expects the completion: this is the last act of an arm.
#[macro_export]
macro_rules! io_yield_one {
    ($completion:expr) => {
        return Ok($crate::IOResult::IO($crate::IOCompletions::Single($completion)))
    };
}
