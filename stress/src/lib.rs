//! A deterministic stress tester for re-entrant storage state machines.
//!
//! One seed decides everything: who is stepped next, what each connection does, when and in which order I/O
//! completes, which of it fails, when the power goes and what it leaves. A run is a function of its options and its
//! seed, so a failure is a line that anybody can repeat.

pub mod campaign;
pub mod cli;
pub mod clock;
pub mod disk;
pub mod exit;
pub mod options;
pub mod oracle;
mod pager;
mod panics;
mod ready;
pub mod report;
pub mod rng;
pub mod schedule;
pub mod sim;
pub mod system;
pub mod tape;
pub mod trace;
pub mod violation;
pub mod watch;
mod workload;
pub mod world;
