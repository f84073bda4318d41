//! The pager on real threads, over real backends, under faults.
//!
//! Many connections commit, read and checkpoint on an executor over threads. Every snapshot that is looked at has to be the
//! state after some number of commits, and have every commit that was acknowledged before it was begun; what that state is
//! follows from the number ([`ledger`](super::ledger)), so nothing is recorded and memory stays bounded however long it goes
//! on. When a sync fails the pager refuses writes, and a new life begins: the file is recovered, and nobody's commits may be
//! missing.

mod faults;
mod life;
mod shared;
mod summary;
mod worker;

use std::path::PathBuf;
use std::time::Duration;

use tenterhook_runtime::io::Backend;

pub use self::faults::KINDS;
pub use self::life::run;
pub use self::summary::{FaultCount, NoiseCount, Run, Summary};
use tenterhook_stress::disk::FaultKind;
use tenterhook_stress::real::noise::NoiseKind;

/// What is to be done.
#[derive(Clone, Debug)]
pub struct ThreadsOptions {
    /// Where the files are.
    pub directory: PathBuf,
    /// Decides which operations are struck, and what connections do.
    pub seed: u64,
    /// For how long, over all backends.
    pub duration: Duration,
    /// Backends, one after the other.
    pub backends: Vec<Backend>,
    /// Connections.
    pub connections: u64,
    /// Threads of the executor.
    pub workers: usize,
    /// Kinds of fault that strike.
    pub faults: Vec<FaultKind>,
    /// Kinds of noise that are made, of [`NoiseKind::WITHIN`].
    pub noise: Vec<NoiseKind>,
    /// Without any progress for so long it has stalled.
    pub stall: Duration,
    /// Whether to draw a progress bar if there is a terminal.
    pub progress: bool,
}
