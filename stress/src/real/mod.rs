//! On real threads, real files and real processes: what the simulator does not see is the memory model and the kernel.
//!
//! | module | what it is |
//! | --- | --- |
//! | [`killed`] | processes that are killed in the middle, and what the next one finds |
//! | [`layer`] | a backend around a backend: sees every operation come and go, and may interfere |
//! | [`noise`] | what a kernel does unasked: signals, cold files, a full disk |
//! | [`room`] | whether the disk has room for real files |
//! | [`stacks`] | what the threads of this process do, when nothing moves |
//! | [`threads`] | many connections of a system on an executor over threads, under faults |
//! | [`storm`] | user code that re-enters, panics and cancels, over every backend |
//! | [`parts`] | completions, waiters, groups and tasks from several threads at once |

#![expect(clippy::disallowed_types, clippy::disallowed_methods, reason = "this is about real time")]

pub mod delay;
pub mod killed;
pub mod layer;
pub mod memory;
pub mod noise;
pub mod parts;
pub mod room;
pub mod stacks;
pub mod storm;
pub mod threads;
