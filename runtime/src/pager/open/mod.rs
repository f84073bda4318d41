//! Opening a file: making it, or recovering it.

mod database;
mod harden;
mod opening;
mod recovery;
mod scan;

pub use opening::Open;
