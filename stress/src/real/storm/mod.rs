//! A storm of re-entrant, panicking, cancelling user code over every backend.
//!
//! A round builds one backend with drawn sizes. Several threads submit to it, cancel, poll, build groups, spawn machines,
//! and step; callbacks, wakers and machines do the same from inside, panic, panic with payloads whose drop panics, and drop
//! the backend while it works. Writes of more parts than one system call takes, and writes beyond a file size limit, are transfers in pieces;
//! some threads end while what they have submitted is under way. Then the round ends, and judges:
//!
//! - each callback ran once, and each completion has finished;
//! - each outcome is explained: by success, by a cancel that was asked for, by a panic that was planned, or by the end of
//!   the backend;
//! - each byte that was read is right, and a buffer that came back is not written to afterwards;
//! - each panic was planned.
//!
//! What the threads do follows from the seed; how they meet does not.

mod actor;
mod buffers;
mod operation;
pub(super) mod planned;
mod round;
mod summary;

use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use self::buffers::Quarantine;
use self::round::Round;
pub use self::summary::StormSummary;
use super::noise::SizeLimit;
use crate::rng;
use crate::stop::Stop;

/// The backends, each in both of its forms where it has two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
#[derive(strum::IntoStaticStr, strum::VariantArray)]
#[strum(serialize_all = "kebab-case")]
pub enum StormBackend {
    /// `MemoryIO`.
    Memory,
    /// `YieldingIO`, released by the threads of the storm.
    Yielding,
    /// `ThreadsIO::new`.
    Threads,
    /// `ThreadsIO::stepped`.
    ThreadsStepped,
    /// `UringIO::new`.
    Uring,
    /// `UringIO::stepped`.
    UringStepped,
}

impl StormBackend {
    /// All of them, in the order of their help.
    pub const ALL: [Self; 6] =
        [Self::Memory, Self::Yielding, Self::Threads, Self::ThreadsStepped, Self::Uring, Self::UringStepped];

    /// What it is called.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.into()
    }
}

/// What a storm does.
#[derive(Clone, Debug)]
pub struct StormOptions {
    /// Where the files are: a folder on a disk, so that direct I/O reaches a device.
    pub directory: PathBuf,
    /// Decides what each thread does.
    pub seed: u64,
    /// The storm ends after so many actions.
    pub actions: u64,
    /// It ends after so long, whatever it has done.
    pub duration: Duration,
    /// Backends, in turn.
    pub backends: Vec<StormBackend>,
    /// Threads that act.
    pub threads: usize,
    /// A completion that has not finished for so long never will.
    pub stall: Duration,
}

/// Runs rounds until something is found, the actions are done, the time is over, or `stop` is told.
///
/// # Errors
///
/// When the directory can't be used, or a backend is refused by the system.
pub fn run(options: &StormOptions, stop: &Stop) -> io::Result<StormSummary> {
    planned::keep_quiet();
    buffers::prepare();
    // Writes go beyond it, and end in the middle.
    let _limit = SizeLimit::new(round::FILE);
    let started = Instant::now();
    let mut summary = StormSummary::new(options.seed);
    let mut quarantine = Quarantine::default();
    while summary.violation.is_none()
        && summary.actions < options.actions
        && started.elapsed() < options.duration
        && !stop.is_told()
    {
        let backend = options.backends[summary.rounds as usize % options.backends.len()];
        let key = rng::derive(options.seed, summary.rounds);
        let round = Round::new(options, backend, key)?;
        summary.take(backend, round.run(options, &mut quarantine));
    }
    summary.elapsed = started.elapsed();
    Ok(summary)
}
