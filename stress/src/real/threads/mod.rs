//! A system on real threads, over real backends and files, under faults and the kernel's noise.
//!
//! Many connections work on an executor over threads. An incarnation of the system is opened, looked over, worked on, and looked
//! over again once faults have stopped and every connection has ended its operation; then the next one opens the same files.
//!
//! | file | what it is |
//! | --- | --- |
//! | `workload` | what a system offers: [`Workload`], [`Incarnation`], [`Connection`] |
//! | `environment` | what the harness lends to it: [`Environment`] |
//! | `faults` | faults around a backend, and which of them explain an error |
//! | `shared` | what the connections of a run have in common |
//! | `machine` | a connection as a machine of the executor |
//! | `runner` | one backend, from one incarnation to the next |
//! | `summary` | what became of it |

mod environment;
mod faults;
mod machine;
mod runner;
mod shared;
mod summary;
#[cfg(test)]
mod tests;
mod workload;

use std::path::PathBuf;
use std::time::Duration;

use tenterhook_runtime::io::Backend;

pub use self::environment::Environment;
pub use self::faults::{Faults, KINDS, Mark};
pub use self::summary::{Count, FaultCount, NoiseCount, Run, Summary};
pub use self::workload::{Connection, Incarnation, Workload};
use super::noise::{NoiseKind, available};
use crate::disk::FaultKind;
use crate::stop::Stop;

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
    /// Kinds of fault that strike, of [`KINDS`].
    pub faults: Vec<FaultKind>,
    /// Kinds of noise that are made, of [`NoiseKind::WITHIN`]. The summary names those that this machine cannot make.
    pub noise: Vec<NoiseKind>,
    /// Time without progress after which the run has stalled.
    pub stall: Duration,
    /// Whether to draw a progress bar if there is a terminal.
    pub progress: bool,
}

/// Runs each backend for its share of the time, each with a fresh workload; stops at the first violation. A `stop` that
/// is told ends it early.
///
/// # Errors
///
/// When a backend or the directory cannot be used, or a kind of fault is none of [`KINDS`].
pub fn run(
    options: &ThreadsOptions,
    workload: impl Fn() -> Box<dyn Workload>,
    stop: &Stop,
) -> std::io::Result<Summary> {
    if let Some(kind) = options.faults.iter().find(|kind| KINDS.iter().all(|(known, _)| known != *kind)) {
        let problem = format!("{} does not strike on real threads", kind.name());
        return Err(std::io::Error::new(std::io::ErrorKind::InvalidInput, problem));
    }
    let (noise, unavailable) = available(&options.noise, &options.directory);
    let options = &ThreadsOptions { noise, ..options.clone() };
    let mut summary = Summary { unavailable, ..Summary::default() };
    for &backend in &options.backends {
        let run = runner::Runner::new(options, backend, workload().into(), stop)?.run()?;
        let is_over = run.violation.is_some();
        summary.runs.push(run);
        summary.interrupted = stop.is_told();
        if is_over || summary.interrupted {
            break;
        }
    }
    Ok(summary)
}
