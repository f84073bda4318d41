//! Tests an adapter whose calls block, before it tests an engine: see [`blocking`](crate::blocking).
//!
//! The suite calls the adapter as the engine does, in a thread that holds the token. It runs one body for each behaviour, over many
//! seeds of a disk that shortens and fails operations and loses the power, and says what the adapter did wrong. The author of an
//! adapter implements [`Adapter`] and calls [`check`]:
//!
//! ```
//! use tenterhook_runtime::io::OpenOptions;
//! use tenterhook_stress::blocking::{BlockingDisk, BlockingFile, Call};
//! use tenterhook_stress::conformance::blocking::{self, Adapter};
//!
//! /// An engine that calls the blocking disk itself: its adapter asks for the rest of short transfers.
//! struct Plain(BlockingDisk);
//!
//! fn told<T>(result: Result<T, impl std::fmt::Display>) -> Result<T, String> {
//!     result.map_err(|error| error.to_string())
//! }
//!
//! impl Adapter for Plain {
//!     type File = BlockingFile;
//!
//!     fn open(&self, _: &Call, name: &str) -> Result<BlockingFile, String> {
//!         told(self.0.open(&self.path(name), OpenOptions::creating()))
//!     }
//!
//!     fn read(&self, call: &Call, file: &BlockingFile, offset: u64, target: &mut [u8]) -> Result<usize, String> {
//!         let mut filled = 0;
//!         while filled < target.len() {
//!             match told(file.read(call, offset + filled as u64, &mut target[filled..]))? {
//!                 0 => break,
//!                 count => filled += count,
//!             }
//!         }
//!         Ok(filled)
//!     }
//!
//!     fn write(&self, call: &Call, file: &BlockingFile, offset: u64, bytes: &[u8]) -> Result<(), String> {
//!         let mut written = 0;
//!         while written < bytes.len() {
//!             written += told(file.write(call, offset + written as u64, &bytes[written..]))?;
//!         }
//!         Ok(())
//!     }
//!
//!     fn sync(&self, call: &Call, file: &BlockingFile) -> Result<(), String> {
//!         told(file.sync(call))
//!     }
//!
//!     fn truncate(&self, call: &Call, file: &BlockingFile, len: u64) -> Result<(), String> {
//!         told(file.truncate(call, len))
//!     }
//!
//!     fn len(&self, _: &Call, file: &BlockingFile) -> Result<u64, String> {
//!         told(file.len())
//!     }
//!
//!     fn keep_name(&self, call: &Call, name: &str) -> Result<(), String> {
//!         told(self.0.sync_directory(call, self.path(name).parent().unwrap()))
//!     }
//!
//!     fn path(&self, name: &str) -> std::path::PathBuf {
//!         std::path::Path::new("d").join(name)
//!     }
//! }
//!
//! let report = blocking::check(|disk, io| Plain(BlockingDisk::new(io, disk)));
//! assert!(report.is_clean(), "{report}");
//! ```
//!
//! What is not tested: shared memory, memory maps, what threads of the engine itself do.

mod adapter;
mod behaviours;
mod rig;

use std::sync::Arc;

use tenterhook_runtime::io::IO;

pub use self::adapter::Adapter;
use self::behaviours::{Behaviour, all};
use self::rig::{Make, Rig};
use super::Report;
use super::report::{Finding, SEEDS};
use super::rig::Seen;
use crate::disk::SimDisk;
use crate::panics;

/// Runs each behaviour with 64 seeds on adapters that `make` makes for a life of the disk. The same adapter gives the same report.
pub fn check<A: Adapter>(make: impl Fn(&SimDisk, &Arc<dyn IO>) -> A) -> Report {
    let findings = all::<A>().into_iter().map(|behaviour| (behaviour.name, examine(&behaviour, &make)));
    Report { findings: findings.collect() }
}

fn examine<A: Adapter>(behaviour: &Behaviour<A>, make: Make<'_, A>) -> Finding {
    let mut delivered = vec![0; behaviour.faults.len()];
    let mut kept = Seen::Kept;
    for seed in 0..SEEDS {
        let examined = panics::catch(|| {
            let mut rig = Rig::new(make, seed, behaviour.faults);
            let verdict = (behaviour.body)(&mut rig);
            for (sum, &fault) in delivered.iter_mut().zip(behaviour.faults) {
                *sum += rig.delivered(fault);
            }
            verdict
        });
        match examined {
            Err(panic) => return Finding::Wrong(Some(seed), format!("it panics: {panic}")),
            Ok(Err(wrong)) => return Finding::Wrong(Some(seed), wrong),
            Ok(Ok(seen)) => kept = seen,
        }
    }
    Finding::of(kept, &delivered, behaviour.faults)
}

#[cfg(test)]
mod tests;
