#![doc = include_str!("README.md")]

mod behind;
mod blocks;
mod cancel;
mod completer;
pub mod group;
mod handle;
mod link;
mod node;
mod notifications;
mod running;
mod state;
mod typed;
mod waiters;

pub use completer::Completer;
pub use handle::Completion;

pub(crate) use behind::{Behind, as_worker_of};
pub(crate) use completer::CompleterOf;
pub(crate) use node::{FindBehind, Head, Header, Kind};
