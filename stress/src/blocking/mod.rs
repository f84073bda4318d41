//! Engines whose calls block.
//!
//! A [`System`](crate::system::System) is stepped: it returns whenever it waits. Most engines do not work like that. Their calls
//! read and write, and come back when they are done. This module runs such an engine under the same world: each fiber has a thread,
//! and of all threads of a run exactly one holds the token at a time. The others are parked.
//!
//! - A step of a fiber gives the token to its thread. The world waits until it has the token back.
//! - The thread gives the token back at each scheduling point: an operation of the disk, a lock, a pause, the end of its job.
//! - What the thread waits for is a completion. The world parks the fiber on it, as it does for any other system.
//! - When the power goes or the process is killed, each call under way returns [`Gone`], and so does each call after it. The jobs
//!   run to their ends, one thread at a time, always in the same order. Then the engine's memory is dropped.
//!
//! Since only the holder of the token runs, a run is a function of its tape, whatever the machine does with the threads. Real
//! time is looked at for one purpose: a thread that does not give the token back within [`Blocking::patience`] is reported. With
//! [`Blocking::foreign_locks`] a thread that sleeps in a lock of the engine is not: it waits for its turn there.
//!
//! | part | what it is |
//! | --- | --- |
//! | [`BlockingSystem`] | what an engine's tester offers: jobs for booting, for operations, for looking it over |
//! | [`Blocking`] | the same as a [`System`](crate::system::System) |
//! | [`Call`] | what a job holds: scheduling points, choices, the time, remarks |
//! | [`BlockingDisk`], [`BlockingFile`] | files, names and directories of the simulated disk, for code that blocks |
//! | [`FileLocks`] | advisory locks between connections that stand for processes |
//! | [`Latch`] | a mutex for the engine: who waits for it gives the token away |
//! | [`Blocking::foreign_locks`] | for locks of the engine that can't be replaced |
//!
//! The adapter that calls [`BlockingFile`] for the engine is tested first: [`conformance::blocking`](crate::conformance::blocking).
//!
//! ```
//! use std::sync::Arc;
//! use tenterhook_runtime::io::{IO, OpenOptions};
//! use tenterhook_stress::blocking::{After, Blocking, BlockingDisk, BlockingSystem, Job};
//! use tenterhook_stress::disk::SimDisk;
//! use tenterhook_stress::system::Crash;
//! use tenterhook_stress::tape::Source;
//! use tenterhook_stress::violation::Violation;
//! use tenterhook_stress::watch::Watch;
//! use tenterhook_stress::world::{Keep, World, WorldOptions};
//!
//! /// Each connection writes its number and syncs. The calls block.
//! #[derive(Default)]
//! struct Notes {
//!     disk: Option<Arc<BlockingDisk>>,
//! }
//!
//! impl BlockingSystem for Notes {
//!     fn connections(&self) -> u32 {
//!         2
//!     }
//!     fn boot(&mut self, io: &Arc<dyn IO>, disk: &SimDisk) -> Job {
//!         self.disk = Some(Arc::new(BlockingDisk::new(io, disk)));
//!         Box::new(|_| Ok(After::Ended))
//!     }
//!     fn operation(&mut self, fiber: u32) -> Job {
//!         let disk = Arc::clone(self.disk.as_ref().unwrap());
//!         Box::new(move |call| {
//!             let Ok(file) = disk.open("notes".as_ref(), OpenOptions::creating()) else { return Ok(After::Ended) };
//!             let written = file.write(call, u64::from(fiber), &[fiber as u8]).and_then(|_| file.sync(call));
//!             call.remark(|| format!("{written:?}"));
//!             Ok(After::Ended)
//!         })
//!     }
//!     fn crash(&mut self, _: Crash) -> Result<(), Box<Violation>> {
//!         self.disk = None;
//!         Ok(())
//!     }
//! }
//!
//! let world = World::new(Blocking::new(Notes::default()), WorldOptions::default(), &Source::Seed(1), Keep::Hash);
//! assert_eq!(world.run(&Watch::default()).violation, None);
//! ```

mod adapter;
mod call;
mod disk;
mod foreign;
mod gate;
mod hand;
mod kernel;
mod latch;
mod locks;
mod seat;
mod system;
mod thread;

pub use self::adapter::Blocking;
pub use self::call::{Call, Gone};
pub use self::disk::{BlockingDisk, BlockingError, BlockingFile};
pub(crate) use self::foreign::NOT_PROVEN;
pub(crate) use self::hand::{Hand, Stand};
pub use self::latch::Latch;
pub use self::locks::{FileLocks, LockKind};
pub use self::system::{After, BlockingSystem, Job};

#[cfg(test)]
mod tests;
