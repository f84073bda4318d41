//! The pager on real threads, real files and real processes.
//!
//! | module | what it is |
//! | --- | --- |
//! | [`ledger`] | a workload whose whole content is a function of how many commits there were |
//! | [`threads`] | many connections on an executor over threads, under faults |
//! | [`crash`] | processes that the tester kills, and what must be there afterwards |

#![expect(clippy::disallowed_types, clippy::disallowed_methods, reason = "this is about real time")]

pub mod crash;
pub mod ledger;
pub mod threads;
