//! The one place that names a synchronisation primitive.
//!
//! Everything else in this crate imports atomics, cells, locks and thread-locals from here, so that a model checker
//! sees all of them: `--cfg tenterhook_loom` swaps in loom, `--cfg tenterhook_shuttle` shuttle. The cfgs have names
//! of their own because a bare `loom` would also switch parts of tokio off. `--cfg tenterhook_orderings`, beside the first,
//! puts `orderings.rs` between loom's atomics and this crate.
//!
//! What is public is for a system that is tested with deterministic threads (`make race` in this repository): its threads are stopped at
//! each operation of these primitives. In an ordinary build they are std's atomics and threads and parking_lot's locks. Use of a mutex
//! what all builds have: `new`, `lock`, `try_lock`; of a condition variable `new`, `wait`, `wait_until`, `notify_one`. Under shuttle
//! each atomic operation is `SeqCst`, whatever ordering it names.
//!
//! ```
//! use tenterhook_runtime::sync::{Mutex, atomic::{AtomicU64, Ordering}};
//! let (count, total) = (AtomicU64::new(0), Mutex::new(0));
//! count.fetch_add(1, Ordering::AcqRel);
//! *total.lock() += count.load(Ordering::Acquire);
//! assert_eq!(*total.lock(), 1);
//! ```
//!
//! Cells are reached through `UnsafeCell::with` and `UnsafeCell::with_mut`, the shape that loom tracks. Locks
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
pub use modelled::atomic;
pub use modelled::{Condvar, Mutex, MutexGuard, thread};
pub(crate) use modelled::{Stopwatch, spin_while, thread_local};
#[cfg(tenterhook_orderings)]
pub(crate) use orderings::atomic;
pub(crate) use parker::Parker;
