//! A job: campaigns for hours or weeks on one folder, which finds each bug once and forgets nothing.
//!
//! A folder has one SQLite database and the files of failures. Whatever ends the process, at most the seeds that were being run are
//! lost, and the same command continues. Another build of the program may continue, too: what older builds have found is looked at
//! again first.
//!
//! Each failing seed is shrunk where it is found. What is left of it decides its *signature*: the subject, the oracle, what the oracle
//! said without its numbers, and what connections did last. Failures of one signature are one bug, with one folder.
//!
//! | file | what it is |
//! | --- | --- |
//! | `runner` | one sitting: workers, results, the clock, Ctrl-C |
//! | `work` | what a worker does, and what is left to do |
//! | `plan`, `mix` | which seed is next; which kind of run is next |
//! | `real` | kinds of runs beside seeds: sweeps and real threads |
//! | `canary` | a subject that is wrong on purpose and must be found |
//! | `opening` | the database of a job that begins or goes on |
//! | `ledger`, `row`, `counts`, `names` | what is done, kept exactly |
//! | `database`, `schema`, `lock` | the file, its tables, one job a folder |
//! | `triage`, `signature` | from a failing seed to its cause |
//! | `catalogue`, `folder` | causes and what is kept of each |
//! | `look` | whether a known failure is still there |
//! | `screen` | what a person sees of a running job |
//! | `metrics` | figures of a running job for Prometheus |
//! | `merge` | jobs of several machines as one |
//! | `totals` | what a job has come to |
//! | `page`, `chart` | the report as one HTML file |
//! | `tracker` | the text of an issue |
//! | `bisect` | the commit that broke it |
#![expect(
    clippy::disallowed_types,
    reason = "a job is outside of all simulated runs and may look at a clock"
)]

mod build;
mod canary;
mod catalogue;
mod chart;
mod counts;
mod database;
mod error;
mod folder;
mod ledger;
mod lock;
mod look;
mod merge;
mod metrics;
mod mix;
mod names;
mod opening;
mod page;
mod plan;
mod real;
mod row;
mod runner;
mod schema;
mod screen;
mod signature;
mod stretch;
mod told;
mod totals;
mod tracker;
mod triage;
mod work;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use self::catalogue::{Cause, State};
use self::database::Database;
pub use self::error::JobError;
use self::lock::Lock;
pub use self::look::Looked;
pub use self::merge::merge;
pub use self::mix::Mix;
pub use self::page::page;
pub use self::plan::Shard;
pub use self::runner::{Ended, run};
pub(crate) use self::screen::restore as restore_terminal;
pub use self::told::{document, exit_code, glance, glance_at};
pub use self::totals::code_of;
pub use self::tracker::issue;
use crate::options::Fixed;
use crate::stop::Stop;
use crate::subject::Subject;

/// What a job is to do.
#[derive(Clone, Debug)]
pub struct JobOptions<S: Subject> {
    /// Its folder.
    pub folder: PathBuf,
    /// The first seed; `None` for the one that the job has, or a fresh one.
    pub first_seed: Option<u64>,
    /// A seed that nothing has asked for, for a job that has none.
    pub fresh_seed: u64,
    /// How many seeds, those of all shards; `None` for as many as fit into the duration.
    pub seeds: Option<u64>,
    /// For how long, over all sittings.
    pub duration: Option<Duration>,
    /// After how many failing seeds of a sitting no new one begins.
    pub max_failures: Option<u64>,
    /// How the time is shared.
    pub mix: Mix,
    /// Threads.
    pub jobs: usize,
    /// One in how many seeds is run twice; 0 for none.
    pub recheck: u64,
    /// What the command line fixes.
    pub fixed: Fixed<S::Options>,
    /// Which part of the seeds is this machine's.
    pub shard: Shard,
    /// Where figures are served for Prometheus.
    pub metrics: Option<SocketAddr>,
    /// Whether the canary is right, and can't be found: what a test of the job needs.
    pub blind_canary: bool,
    /// Whether nothing is told before the end.
    pub quiet: bool,
}

/// The causes that the job in `folder` has found: open ones first.
///
/// # Errors
///
/// When there is no job that can be read.
pub fn causes(folder: &Path) -> Result<Vec<Cause>, JobError> {
    let database = Database::open(folder)?;
    catalogue::all(&database.connection).map_err(|error| database.broken(&error))
}

/// The account of the cause whose name is `signature` or begins so.
///
/// # Errors
///
/// When there is no job that can be read, or not exactly one such cause.
pub fn account(folder: &Path, signature: &str) -> Result<String, JobError> {
    Ok(folder::account(folder, &cause(folder, signature)?))
}

/// The cause whose name is `signature` or begins so.
///
/// # Errors
///
/// As for [`account`].
pub fn cause(folder: &Path, signature: &str) -> Result<Cause, JobError> {
    let database = Database::open(folder)?;
    let found = catalogue::find(&database.connection, signature).map_err(|error| database.broken(&error))?;
    found.ok_or_else(|| {
        let problem = format!("there is not one signature '{signature}'; `failures` lists them");
        JobError::input(folder, problem)
    })
}

/// Replays every failure that the job in `folder` has found, fixed ones too, and keeps what it finds. When `stop` is told it leaves the
/// rest.
///
/// # Errors
///
/// When there is no job of `S` that can be written.
pub fn retest<S: Subject>(
    folder: &Path,
    stop: &Stop,
    tell: impl FnMut(&Looked),
) -> Result<Vec<Looked>, JobError> {
    let database = Database::open(folder)?;
    let fixed = fixed::<S>(&database)?;
    let _lock = Lock::take(folder)?;
    folder::clear_scratch(folder).map_err(|error| JobError::internal(folder, error))?;
    let looked = look::look::<S>(&database, &fixed, |_| true, stop, tell)?;
    for cause in catalogue::all(&database.connection).map_err(|error| database.broken(&error))? {
        folder::write_account(folder, &cause).map_err(|error| JobError::internal(folder, error))?;
    }
    Ok(looked)
}

/// What the job of `database` fixes; it must be one of `S`.
fn fixed<S: Subject>(database: &Database) -> Result<Fixed<S::Options>, JobError> {
    let wrong = |problem: String| JobError::input(database.folder(), problem);
    let system = database.fact("system")?.unwrap_or_default();
    if system != S::NAME {
        return Err(wrong(format!("is a job of {system}, this is {}; use the program of {system}", S::NAME)));
    }
    let text = database.fact("fixed")?.unwrap_or_default();
    let value = serde_json::from_str(&text).map_err(|error| error.to_string());
    value.and_then(Fixed::read).map_err(|problem| {
        wrong(format!("its options are not understood ({problem}); use the program that made it"))
    })
}
