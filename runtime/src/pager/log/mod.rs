//! The log: where its frames go, what is in flight to it, and where in it a page is.

mod deferred;
pub(super) mod frames;
pub(super) mod index;
pub(super) mod io;
#[cfg(tenterhook_loom)]
pub mod pending;
#[expect(unreachable_pub, reason = "reached by the models of its hand-over only")]
#[cfg(not(tenterhook_loom))]
pub(super) mod pending;
pub(super) mod prepare;
pub(super) mod writer;
