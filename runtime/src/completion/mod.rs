#![doc = include_str!("README.md")]

mod aftermath;
mod behind;
pub(crate) mod blocks;
mod cancel;
mod completer;
mod handle;
mod link;
mod node;
mod running;
mod state;
mod waiters;

pub use completer::Completer;
pub use handle::Completion;

pub(crate) use aftermath::Aftermath;
pub(crate) use behind::{Behind, as_worker_of};
pub(crate) use cancel::cancel_members;
pub(crate) use link::Link;
pub(crate) use node::{FindBehind, Head, Header, Kind, NodeRef, Orphans};
pub(crate) use state::{LinkResult, State};
