//! Completions, groups and re-entrant state machines for storage engines that do async I/O without `async`.
//!
//! An operation that needs I/O does not block and is not an `async fn`. It is an explicit state machine whose step
//! returns [`IOResult::Done`], or [`IOResult::IO`]: "call me again after these finish". A [`Completion`] tracks one
//! operation; a [`CompletionGroup`] folds many into one. Whoever gets `IO` hands it up, untouched, to whoever drives
//! the I/O.
//!
//! The protocol behind completions and groups, with its proof sketch, is the module documentation of
//! [`completion`].
#![cfg_attr(feature = "pager", doc = "The file formats and the durability argument are that of [`pager`].")]

pub mod completion;
mod error;
pub mod executor;
mod future;
pub mod io;
mod io_result;
#[cfg(feature = "pager")]
pub mod pager;
mod panics;
pub mod prelude;
mod state_machine;
mod sync;

pub use completion::group::{self, CompletionGroup};
pub use completion::{Completer, Completion};
pub use error::{CompletionError, Outcome};
pub use future::MachineFuture;
pub use io_result::{IOCompletions, IOResult};
pub use state_machine::{StateMachine, StateTransition, TransitionResult};

/// For the models alone.
#[cfg(tenterhook_loom)]
#[doc(hidden)]
pub use sync::Tracked;
#[cfg(tenterhook_orderings)]
#[doc(hidden)]
pub use sync::orderings;

/// The README's example is compiled and run.
#[cfg(all(doctest, feature = "pager"))]
#[doc = include_str!("../../README.md")]
pub struct Readme;
