//! Tests an adapter before it tests an engine.
//!
//! An engine has a trait for its I/O, and an adapter puts the simulated disk behind that trait. An adapter that wakes the engine too
//! early, or tells it of an end twice, looks like hundreds of faults of the engine. This suite runs one body for each behaviour,
//! over many seeds of a disk that delays, shortens and fails operations, and says what the adapter did wrong.
//!
//! The author of an adapter implements [`Adapter`] by calling the engine's trait, as the engine does, and calls [`check`]:
//!
//! ```
//! use std::sync::{Arc, Mutex};
//! use tenterhook_runtime::io::{Buffer, File, IO, OpenOptions, Submission};
//! use tenterhook_runtime::{CompletionError, Outcome};
//! use tenterhook_stress::conformance::{self, Adapter, Request};
//!
//! /// Here the engine's trait is the runtime's own, so there is hardly anything to adapt.
//! struct Plain(Arc<dyn IO>);
//!
//! #[derive(Default)]
//! struct Operation {
//!     ends: u32,
//!     outcome: Option<Result<u64, String>>,
//!     buffer: Vec<u8>,
//! }
//!
//! impl Adapter for Plain {
//!     type File = Arc<dyn File>;
//!     type Operation = Arc<Mutex<Operation>>;
//!
//!     fn open(&mut self, name: &str) -> Result<Self::File, String> {
//!         self.0.open(name.as_ref(), OpenOptions::creating()).map_err(|error| error.to_string())
//!     }
//!
//!     fn submit(&mut self, file: &Self::File, request: Request<'_>) -> Self::Operation {
//!         let operation = Self::Operation::default();
//!         let told = Arc::clone(&operation);
//!         let end = move |outcome: Outcome, buffer: &[u8]| {
//!             if outcome == Err(CompletionError::Abandoned) {
//!                 return; // The life has ended: the engine is told nothing any more.
//!             }
//!             let mut told = told.lock().unwrap();
//!             told.ends += 1;
//!             told.buffer = buffer.to_vec();
//!             told.outcome = Some(outcome.map_err(|error| error.to_string()));
//!         };
//!         let submission = match request {
//!             Request::Read { offset, len } => {
//!                 Submission::read(offset, Buffer::zeroed(len), move |outcome, buffer| end(outcome, &buffer))
//!             }
//!             Request::Write { offset, bytes } => {
//!                 Submission::write(offset, Buffer::copy_of(bytes), move |outcome, buffer| end(outcome, &buffer))
//!             }
//!             Request::Sync => Submission::sync(move |outcome| end(outcome, &[])),
//!             Request::Truncate { len } => Submission::truncate(len, move |outcome| end(outcome, &[])),
//!         };
//!         file.submit(submission.1);
//!         operation
//!     }
//!
//!     fn len(&mut self, file: &Self::File) -> Result<u64, String> {
//!         file.len().map_err(|error| error.to_string())
//!     }
//!
//!     fn ends(&self, operation: &Self::Operation) -> u32 {
//!         operation.lock().unwrap().ends
//!     }
//!
//!     fn outcome(&self, operation: &Self::Operation) -> Option<Result<u64, String>> {
//!         operation.lock().unwrap().outcome.clone()
//!     }
//!
//!     fn buffer(&self, operation: &Self::Operation) -> Vec<u8> {
//!         operation.lock().unwrap().buffer.clone()
//!     }
//!
//!     /// This trait leaves the rest of a short transfer to the engine.
//!     fn continues(&self) -> bool {
//!         false
//!     }
//! }
//!
//! let report = conformance::check(|_, io| Plain(Arc::clone(io)));
//! assert!(report.is_clean(), "{report}");
//! ```
//!
//! An adapter whose calls block has no operations in flight: it is tested by [`blocking`]. What neither tests: memory maps.

mod adapter;
mod behaviours;
pub mod blocking;
mod report;
mod rig;

pub use self::adapter::{Adapter, Request};
pub use self::report::{Report, check};

#[cfg(test)]
mod tests;
