//! What a campaign says at its end: as text for people, as one document for programs.

mod json;
mod shrunk;
mod text;

pub use json::document;
pub use shrunk::ShrunkFailure;
pub use text::{brief, failures, heading, repetition, summary};
