//! The generic driver of explicit state machines.

use crate::{IOCompletions, IOResult};

/// What one transition of a state machine came to.
#[must_use]
#[derive(Debug)]
pub enum TransitionResult<T> {
    /// The state changed; take the next transition at once.
    Continue,
    /// Suspended: call again after these.
    Io(IOCompletions),
    /// The end state; the machine takes no more transitions.
    Done(T),
}

/// A state machine that is stepped from the top after each suspension.
///
/// A transition mutates only after the last call in it that can suspend, and assigns its own state last, so that it
/// can be taken again after any `Io` with the same effect.
pub trait StateTransition {
    /// What every step borrows from its caller: a pager, a connection.
    type Context: ?Sized;
    /// What the machine comes to.
    type Output;
    /// How it fails.
    type Error;

    /// Takes one transition.
    fn step(&mut self, context: &Self::Context) -> Result<TransitionResult<Self::Output>, Self::Error>;
}

/// Drives a [`StateTransition`]: transitions follow one another until the machine suspends, fails or is done.
///
/// ```
/// use tenterhook_runtime::{IOCompletions, IOResult, StateMachine, StateTransition, TransitionResult};
/// /// Yields `left` times, then says so.
/// struct Countdown { left: u32 }
/// impl StateTransition for Countdown {
///     type Context = ();
///     type Output = &'static str;
///     type Error = std::convert::Infallible;
///     fn step(&mut self, (): &()) -> Result<TransitionResult<&'static str>, Self::Error> {
///         if self.left == 0 {
///             return Ok(TransitionResult::Done("lift-off"));
///         }
///         self.left -= 1;
///         Ok(TransitionResult::Io(IOCompletions::Yield))
///     }
/// }
/// let mut machine = StateMachine::new(Countdown { left: 1 });
/// assert!(machine.step(&()).unwrap().is_io());
/// assert!(matches!(machine.step(&()), Ok(IOResult::Done("lift-off"))));
/// ```
#[derive(Debug)]
pub struct StateMachine<S> {
    transitions: S,
    finished: bool,
}

impl<S: StateTransition> StateMachine<S> {
    /// A machine that has not taken a transition yet.
    pub fn new(transitions: S) -> Self {
        Self { transitions, finished: false }
    }

    /// Steps the machine until it suspends or ends.
    ///
    /// # Panics
    ///
    /// At the caller's line when the machine has already returned `Done` or an error: its state is no longer one
    /// that a step may start from.
    #[track_caller]
    pub fn step(&mut self, context: &S::Context) -> Result<IOResult<S::Output>, S::Error> {
        assert!(
            !self.finished,
            "a finished state machine was stepped again; build a new one for a new operation"
        );
        loop {
            match self.transitions.step(context) {
                Ok(TransitionResult::Continue) => {}
                Ok(TransitionResult::Io(io)) => return Ok(IOResult::IO(io)),
                Ok(TransitionResult::Done(output)) => {
                    self.finished = true;
                    return Ok(IOResult::Done(output));
                }
                Err(error) => {
                    self.finished = true;
                    return Err(error);
                }
            }
        }
    }

    /// The transitions as they stand, to be looked at between two steps.
    pub fn transitions(&self) -> &S {
        &self.transitions
    }

    /// Whether the machine has ended, well or not.
    pub fn is_finished(&self) -> bool {
        self.finished
    }
}
