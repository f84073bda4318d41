//! A workload whose whole content is a function of how many commits there were.
//!
//! Commit number g writes g into the root, counts up the cell of the connection that made it, stamps two pages of a
//! stripe with g, and replaces a leaf of a directory every fourth time. A reader of a snapshot finds g there and knows what
//! every other page has to say: no history has to be kept to judge it, by whatever thread or process, before a crash or
//! after.

mod begin;
mod layout;
mod read;
mod stray;
mod tidy;
mod write;

pub use self::layout::{Layout, Wrong};
pub use self::read::Audit;
pub use self::tidy::Tidy;
pub use self::write::{Committed, Make, Post};

#[cfg(test)]
mod tests;
