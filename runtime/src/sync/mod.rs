//! The one place that names a synchronisation primitive.
//!
//! Everything else in this crate imports atomics, cells, locks and thread-locals from here, so that a model checker
//! sees all of them: `--cfg tenterhook_loom` swaps in loom, `--cfg tenterhook_shuttle` shuttle. The cfgs have names
//! of their own because a bare `loom` would also switch parts of tokio off. `--cfg tenterhook_orderings`, beside the first,
//! puts `orderings.rs` between loom's atomics and this crate.
//!
//! Cells are reached through [`UnsafeCell::with`] and [`UnsafeCell::with_mut`], the shape that loom tracks. Locks
//! hand out their guard directly: a panic while one is held does not poison it, since no user code runs under a lock.
#![allow(clippy::disallowed_types, reason = "this is the facade that the lint points to")]

#[cfg(tenterhook_loom)]
#[path = "loom.rs"]
mod imp;
#[cfg(tenterhook_shuttle)]
#[path = "shuttle.rs"]
mod imp;
#[cfg(not(any(tenterhook_loom, tenterhook_shuttle)))]
#[path = "std.rs"]
mod imp;
#[cfg(any(tenterhook_loom, tenterhook_shuttle))]
mod modelled;
#[cfg(not(any(tenterhook_loom, tenterhook_shuttle)))]
use imp as modelled;

#[cfg(tenterhook_orderings)]
pub mod orderings;
mod parker;

#[cfg(not(tenterhook_loom))]
pub(crate) use imp::Tracked;
#[cfg(tenterhook_loom)]
pub use imp::Tracked;
pub(crate) use imp::UnsafeCell;
#[cfg(not(tenterhook_orderings))]
pub(crate) use modelled::atomic;
pub(crate) use modelled::{Condvar, Mutex, Stopwatch, spin_while, thread, thread_local};
#[cfg(tenterhook_orderings)]
pub(crate) use orderings::atomic;
pub(crate) use parker::Parker;
