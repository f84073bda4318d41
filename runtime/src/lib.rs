//! Completions, groups and re-entrant state machines for storage engines that do asynchronous I/O without `async`.
//!
//! An operation that needs I/O does not block and is not an `async fn`. It is an explicit state machine. Its step returns
//! [`IOResult::Done`], or [`IOResult::IO`] with a completion: "call me again when this has finished". A [`Completion`] tracks one
//! operation; a [`CompletionGroup`] combines many into one. A caller that gets `IO` returns it unchanged to its own caller, up to
//! the driver of the I/O.
//!
//! ```
//! use tenterhook_runtime::prelude::*;
//!
//! /// Writes a page and syncs it.
//! enum Store {
//!     Write(Completion),
//!     Sync(Completion),
//! }
//!
//! impl Store {
//!     fn step(&mut self, file: &dyn File) -> Result<IOResult<()>, CompletionError> {
//!         loop {
//!             match self {
//!                 Store::Write(io) => {
//!                     let Some(outcome) = io.result() else { io_yield_one!(io.clone()) };
//!                     outcome?;
//!                     *self = Store::Sync(file.start(Submission::sync(|_| {})));
//!                 }
//!                 Store::Sync(io) => {
//!                     let Some(outcome) = io.result() else { io_yield_one!(io.clone()) };
//!                     outcome?;
//!                     return Ok(IOResult::Done(()));
//!                 }
//!             }
//!         }
//!     }
//! }
//!
//! let io = MemoryIO::new();
//! let file = io.open("page".as_ref(), OpenOptions::creating())?;
//! let write = Submission::write(0, Buffer::zeroed(4096), |_, _| {});
//! let mut store = Store::Write(file.start(write));
//! drive(&io, || -> Result<_, Box<dyn std::error::Error>> { Ok(store.step(&*file)?) })?;
//! assert_eq!(file.len(), Ok(4096));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The protocol of completions and groups, with its proof, is the documentation of [`completion`].
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
pub mod sync;

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

/// The example of the package's README is compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
