//! Whether a failure that is known is still there.

use std::path::Path;
use std::time::Duration;

use crossbeam_channel::{Receiver, bounded, select};
use rusqlite::params;
use serde::Serialize;

use super::catalogue::{self, Cause, State};
use super::database::Database;
use super::folder;
use super::row::Mode;
use super::signature;
use super::{JobError, build};
use crate::campaign::{Finding, SeedRunner};
use crate::options::Fixed;
use crate::shrink::Replay as _;
use crate::sim::Setup;
use crate::stop::Stop;
use crate::subject::Subject;
use crate::sweep::{self, Bounds, Case};
use crate::tape::TapeFile;
use crate::watch::Watch;
use crate::world::Keep;

/// Seeds that are run again if the tape no longer fails: another build may draw otherwise, and then its choices mean nothing.
const SEEDS: usize = 3;
/// A look that takes longer does not end.
const PATIENCE: Duration = Duration::from_secs(120);

/// What a look has found.
#[derive(Clone, Debug, Serialize)]
pub struct Looked {
    /// The signature.
    pub signature: String,
    /// Whether it still fails; `None` if no run of a job can tell.
    pub fails: Option<bool>,
    /// What was known before.
    pub before: State,
    /// What is known now.
    pub after: State,
}

impl std::fmt::Display for Looked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let state = |state: State| -> &'static str { state.into() };
        let found = match self.fails {
            Some(true) => "still fails",
            Some(false) => "gone",
            None => "cannot tell: no run of a job replays it",
        };
        write!(f, "{}: {found}", self.signature)?;
        if self.before != self.after {
            write!(f, " ({} -> {})", state(self.before), state(self.after))?;
        }
        Ok(())
    }
}

/// Looks at the causes of `database` that `wanted` chooses, and keeps what it finds. When `stop` is told it looks at no more of them.
pub(super) fn look<S: Subject>(
    database: &Database,
    fixed: &Fixed<S::Options>,
    wanted: impl Fn(&Cause) -> bool,
    stop: &Stop,
    mut tell: impl FnMut(&Looked),
) -> Result<Vec<Looked>, JobError> {
    let broken = |error: rusqlite::Error| database.broken(&error);
    let build = database.build(&build::name())?;
    let mut all = Vec::new();
    for cause in catalogue::all(&database.connection).map_err(broken)?.into_iter().filter(wanted) {
        let seeds = seeds(database, &cause).map_err(broken)?;
        let replay = start::<S>(database.folder(), &cause, fixed, seeds);
        let fails = select! {
            recv(replay) -> fails => fails.unwrap_or(Some(true)),
            recv(stop.told()) -> _ => break,
            default(PATIENCE) => Some(true),
        };
        let after = fails.map_or(cause.state, |fails| cause.state.after(fails));
        if fails.is_some() {
            let put = "UPDATE signatures SET state = ?, looked = ?, looked_at = ? WHERE signature = ?";
            let state: &'static str = after.into();
            let values = params![state, build, build::now() as i64, cause.signature];
            database.connection.execute(put, values).map_err(broken)?;
        }
        let looked = Looked { signature: cause.signature, fails, before: cause.state, after };
        tell(&looked);
        all.push(looked);
    }
    Ok(all)
}

fn seeds(database: &Database, cause: &Cause) -> rusqlite::Result<Vec<u64>> {
    let query =
        "SELECT seed FROM failures WHERE signature = ? AND mode = ? ORDER BY seed <> ?, at, seed LIMIT ?";
    let mut statement = database.connection.prepare_cached(query)?;
    let of_cause = params![cause.signature, Mode::Sim as i64, cause.seed as i64, SEEDS as i64];
    statement.query_map(of_cause, |row| row.get::<_, i64>(0).map(|seed| seed as u64))?.collect()
}

/// Replays the tape, then the seeds, in a thread of its own: a build in which a step does not return still fails. It sends whether the
/// cause still fails, and `None` if there is nothing to replay.
fn start<S: Subject>(
    job: &Path,
    cause: &Cause,
    fixed: &Fixed<S::Options>,
    seeds: Vec<u64>,
) -> Receiver<Option<bool>> {
    let (sender, receiver) = bounded(1);
    let (cause, fixed, job) = (cause.clone(), fixed.clone(), job.to_owned());
    std::thread::spawn(move || {
        let found = match cause.mode {
            Some(mode) if mode.is_real() => Ok(None),
            _ => crate::panics::catch(|| fails_here::<S>(&job, &cause, &fixed, &seeds)),
        };
        // A receiver that has gone has given up.
        let _ = sender.send(found.unwrap_or(Some(true)));
    });
    receiver
}

fn fails_here<S: Subject>(
    job: &Path,
    cause: &Cause,
    fixed: &Fixed<S::Options>,
    seeds: &[u64],
) -> Option<bool> {
    if cause.mode == Some(Mode::Sweep) {
        return case_fails::<S>(cause);
    }
    let tape = folder::file(job, &cause.signature, "tape");
    let played = tape.and_then(|path| TapeFile::read(&path).and_then(Setup::<S>::of).ok());
    let outcome = played.map(|(setup, source)| setup.play(&source, Keep::Hash));
    if outcome.is_none() && seeds.is_empty() {
        return None;
    }
    if outcome.and_then(|outcome| outcome.violation).is_some_and(|violation| violation.oracle == cause.oracle)
    {
        return Some(true);
    }
    // Twice, so that a seed with two traces shows them.
    let runner = SeedRunner::<S> { recheck: 1, fixed: fixed.clone() };
    // The oracle decides. Another build may shrink a seed to another run, and then its signature is another.
    Some(seeds.iter().any(|&seed| {
        runner.run(0, seed, &Watch::default()).failures.iter().any(|failure| match &failure.finding {
            Finding::Violation(violation) => violation.oracle == cause.oracle,
            Finding::Nondeterminism { .. } => cause.oracle == signature::DETERMINISM,
        })
    }))
}

/// Whether the case of a sweep fails. An operation that is not there any more does not. `None` if it is not known what failed.
fn case_fails<S: Subject>(cause: &Cause) -> Option<bool> {
    let option = |wanted: &str| cause.options.iter().find(|(name, _)| name == wanted).map(|(_, value)| value);
    let (Some(operation), Some(case)) = (option("operation"), option("case")) else { return None };
    let operations = S::operations();
    let Some(operation) = operations.iter().find(|known| known.name() == *operation) else {
        return Some(false);
    };
    if case.is_empty() {
        // The sweep has panicked as a whole.
        return Some(crate::panics::catch(|| sweep::sweep(operation.as_ref(), Bounds::default())).is_err());
    }
    let case = case.parse::<Case>().ok()?;
    Some(matches!(sweep::replay(operation.as_ref(), &case), Err(sweep::Objection::Failure(_))))
}
