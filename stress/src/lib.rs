//! A deterministic stress tester for storage engines.
//!
//! Your engine runs on a simulated disk. One seed decides everything in a run: which connection is stepped, what it does, when
//! and in which order I/O completes, which of it fails, when the power is lost and what survives. A run is a function of its
//! options and its seed, so one command repeats a failure. A shrinker reduces it to the choices that matter.
//!
//! # A first test
//!
//! Each connection adds one to a shared counter. It yields between reading the counter and writing it. The check at rest finds
//! that additions are lost.
//!
//! ```
//! use tenterhook_stress::prelude::*;
//!
//! #[derive(Default)]
//! struct Counter {
//!     value: u64,
//!     added: u64,
//!     /// What each connection has read and not yet written.
//!     read: [Option<u64>; 3],
//! }
//!
//! impl System for Counter {
//!     fn connections(&self) -> u32 {
//!         3
//!     }
//!
//!     fn step(&mut self, context: &mut Context<'_>) -> Result<Step, Box<Violation>> {
//!         match self.read[context.fiber as usize].take() {
//!             None => {
//!                 self.read[context.fiber as usize] = Some(self.value);
//!                 Ok(Step::Yield)
//!             }
//!             Some(read) => {
//!                 self.value = read + 1;
//!                 self.added += 1;
//!                 Ok(Step::Ended)
//!             }
//!         }
//!     }
//!
//!     fn quiesce(&mut self, _: &mut Context<'_>) -> Result<Step, Box<Violation>> {
//!         if self.value != self.added {
//!             return Err(Violation::safety("sum", self.added.to_string(), self.value.to_string()));
//!         }
//!         Ok(Step::Ended)
//!     }
//!
//!     fn crash(&mut self, _: Crash) -> Result<(), Box<Violation>> {
//!         *self = Counter::default();
//!         Ok(())
//!     }
//! }
//!
//! let found = Check::new("a_counter_counts", |_| Counter::default()).search(0, 100);
//! assert_eq!(found.expect("an addition is lost").shrunk.violation.oracle, "sum");
//! ```
//!
//! [`simulate!`](crate::simulate!) makes such a check a `#[test]`. A [`Subject`](subject::Subject) makes a system a program with a command line. The
//! repository's `docs/your-engine.md` is a tutorial.
//!
//! # The parts
//!
//! | module | what it is |
//! | --- | --- |
//! | [`prelude`] | what the first program needs, in one `use` |
//! | [`system`] | what a system under test offers: [`System`](system::System) |
//! | [`blocking`] | the same for an engine whose calls block: each fiber has a thread, and one of them runs |
//! | [`race`] | threads that are stopped at any synchronisation operation, in a build of its own |
//! | [`check`] | a system as an ordinary test |
//! | [`subject`] | a system with its options, for every command |
//! | [`options`] | what a person fixes instead of leaving it to the seed |
//! | [`tape`] | every choice, by actor, choice point and occurrence; 0 is the default |
//! | [`conformance`] | tests an adapter of an engine's I/O before it tests the engine |
//! | [`disk`] | a disk that delays, reorders, fails and loses writes, and the kinds of fault |
//! | [`oracle`] | promises of stores to take: a line of commits, numbered transactions, a bank, keys, lists |
//! | [`history`] | what connections did, as text that other checkers read |
//! | [`schedule`] | what runs next: uniform random, round robin, PCT, POS, delay-bounded, exhaustive |
//! | [`world`] | one run: fibers, lives, checks at rest, and what a seed draws of it |
//! | [`sim`] | a subject, one seed at a time |
//! | [`sweep`] | one operation at a time, exhaustively |
//! | [`real`] | the same on real threads, files and processes |
//! | [`explain`] | after which step a failure was likely, and the nearest run that does not fail |
//! | [`campaign`] | many seeds on all cores, with a summary |
//! | `job` | with the feature `job`: campaigns for hours on one folder, each bug once |
//! | [`mod@sometimes`] | states that a good campaign reaches |
//! | [`trace`] | the hash of every event |
//!
//! A fiber that neither yields nor ends cannot be stopped from outside. A campaign reports a run that has not moved for thirty
//! seconds as a violation of liveness, and ends the process.

#[cfg(feature = "cli")]
pub mod allocator;
pub mod blocking;
pub mod campaign;
pub mod check;
#[cfg(feature = "cli")]
pub mod cli;
pub mod clock;
mod complaint;
pub mod conformance;
pub mod disk;
pub mod exit;
pub mod explain;
pub mod explore;
pub mod history;
#[cfg(feature = "job")]
pub mod job;
pub mod options;
pub mod oracle;
mod panics;
pub mod prelude;
pub mod progress;
pub mod race;
mod ready;
pub mod real;
pub mod report;
pub mod rng;
pub mod schedule;
pub mod shrink;
pub mod sim;
pub mod sometimes;
pub mod stop;
pub mod subject;
pub mod sweep;
pub mod system;
pub mod tape;
pub mod timeline;
pub mod trace;
pub mod violation;
pub mod watch;
mod words;
pub mod world;

/// The examples of the README and of the guides are compiled and run.
#[cfg(doctest)]
mod documents {
    #[doc = include_str!("../README.md")]
    struct Package;
    #[doc = include_str!("../../README.md")]
    struct Readme;
    #[doc = include_str!("../../docs/disk.md")]
    struct Disk;
    #[doc = include_str!("../../docs/long-job.md")]
    struct LongJob;
    #[doc = include_str!("../../docs/oracle.md")]
    struct Oracle;
    #[doc = include_str!("../../docs/race.md")]
    struct Race;
    #[doc = include_str!("../../docs/regression.md")]
    struct Regression;
    #[doc = include_str!("../../docs/schedulers.md")]
    struct Schedulers;
    #[doc = include_str!("../../docs/timeline.md")]
    struct Timeline;
}
