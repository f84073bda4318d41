//! What a campaign says at its end: as text for people, as one document for programs.

mod glance;
mod json;
mod shrunk;
mod text;

pub use glance::glance;
pub use json::document;
pub use shrunk::ShrunkFailure;
pub use text::{failures, heading, tables};
