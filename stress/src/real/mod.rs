//! On real threads, real files and real processes: what the simulator does not see is the memory model and the kernel.
//!
//! | module | what it is |
//! | --- | --- |
//! | [`layer`] | a backend around a backend: sees every operation come and go, and may interfere |
//! | [`ledger`] | a workload whose whole content is a function of how many commits there were |
//! | [`noise`] | what a kernel does that nobody asked for: signals, cold files, a full disk |
//! | [`threads`] | many connections on an executor over threads, under faults |
//! | [`storm`] | user code that re-enters, panics and cancels, over every backend |
//! | [`crash`] | processes that are killed in the middle, and what the next one finds |

#![expect(clippy::disallowed_types, clippy::disallowed_methods, reason = "this is about real time")]

pub mod crash;
mod delay;
pub mod layer;
pub mod ledger;
pub mod noise;
pub mod storm;
pub mod threads;
