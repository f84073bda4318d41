//! A deterministic stress tester for re-entrant storage state machines.
//!
//! One seed decides everything: who is stepped next, what each connection does, when and in which order I/O
//! completes, which of it fails, when the power goes and what it leaves. A run is a function of its options and its
//! seed, so a failure is a line that anybody can repeat.
//!
//! # The parts
//!
//! | module | what it is |
//! | --- | --- |
//! | [`tape`] | every choice that is drawn, by actor, choice point and occurrence; 0 is the default choice |
//! | [`disk`] | a disk that delays, reorders, fails and forgets, and the kinds of fault |
//! | [`schedule`] | who goes next: uniform random, round robin, PCT, POS, delay-bounded, exhaustive |
//! | [`world`] | one run: fibers, lives, rests, the end of the world; what a seed draws of it |
//! | [`system`] | what a system under test has to offer: [`System`](system::System) |
//! | [`blocking`] | the same for an engine whose calls block: each fiber has a thread, one of them runs |
//! | [`subject`] | the front door: what a system offers, so that every command can test it |
//! | [`options`] | what a person fixes instead of leaving it to the seed |
//! | [`sim`] | a subject, one seed at a time |
//! | [`sweep`] | one operation at a time, through every harm |
//! | [`real`] | the same on real threads, files and processes |
//! | [`campaign`] | many seeds on all cores, summary, resumption |
//! | [`mod@sometimes`] | moments that a good campaign reaches |
//! | [`check`] | a system of one's own as an ordinary test |
//! | [`trace`] | the hash of every event |
//!
//! A fiber that neither yields nor ends cannot be stopped from outside. A campaign notices that its run has not moved
//! for thirty seconds, reports the seed as a violation of liveness, and ends the process.
//!
//! # A system of one's own
//!
//! Each connection adds one to a shared counter; between reading and writing it, it yields. The oracle at rest finds
//! that additions are lost.
//!
//! ```
//! use std::sync::Arc;
//! use tenterhook_runtime::io::IO;
//! use tenterhook_stress::system::{Context, Crash, Step, System};
//! use tenterhook_stress::tape::Source;
//! use tenterhook_stress::violation::Violation;
//! use tenterhook_stress::watch::Watch;
//! use tenterhook_stress::world::{Keep, World, WorldOptions};
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
//!     fn boot(&mut self, _: &Arc<dyn IO>, _: &mut Context<'_>) -> Result<Step, Box<Violation>> {
//!         Ok(Step::Ended)
//!     }
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
//!     fn quiesce(&mut self, _: &mut Context<'_>) -> Result<Step, Box<Violation>> {
//!         if self.value != self.added {
//!             return Err(Violation::safety("sum", self.added.to_string(), self.value.to_string()));
//!         }
//!         Ok(Step::Ended)
//!     }
//!     fn crash(&mut self, _: Crash) -> Result<(), Box<Violation>> {
//!         *self = Counter::default();
//!         Ok(())
//!     }
//!     fn describe(&self, fiber: u32) -> String {
//!         format!("addition {fiber}")
//!     }
//!     fn counters(&self) -> Vec<(&'static str, u64)> {
//!         vec![("added", self.added)]
//!     }
//! }
//!
//! let world = World::new(Counter::default(), WorldOptions::default(), &Source::Seed(1), Keep::Hash);
//! let violation = world.run(&Watch::default()).violation.expect("an addition is lost");
//! assert_eq!(violation.oracle, "sum");
//! ```

#[cfg(feature = "cli")]
pub mod allocator;
pub mod blocking;
pub mod campaign;
pub mod check;
#[cfg(feature = "cli")]
pub mod cli;
pub mod clock;
pub mod disk;
pub mod exit;
pub mod explore;
pub mod options;
mod panics;
pub mod progress;
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
pub mod world;
