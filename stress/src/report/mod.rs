//! What a campaign says at its end: as text for people, as one document for programs.

mod glance;
mod json;
pub mod lanes;
pub mod page;
mod shrunk;
mod text;

pub use glance::glance;
pub use json::document;
pub use shrunk::ShrunkFailure;
#[cfg(feature = "job")]
pub(crate) use text::grouped;
pub use text::{failures, heading, tables};
