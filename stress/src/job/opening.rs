//! The database of a job that begins or goes on, and what is left to do.

use std::collections::{BTreeMap, VecDeque};

use super::database::Database;
use super::ledger::Ledger;
use super::plan::{Done, Seeds, Shard};
use super::row::Mode;
use super::work::Desk;
use super::{JobError, JobOptions, build};
use crate::subject::Subject;

/// Makes the database of a new job.
pub(super) fn create<S: Subject>(options: &JobOptions<S>) -> Result<Database, JobError> {
    let facts = [
        ("system", S::NAME.to_owned()),
        ("program", S::PROGRAM.to_owned()),
        ("first_seed", options.first_seed.unwrap_or(options.fresh_seed).to_string()),
        ("recheck", options.recheck.to_string()),
        ("fixed", serde_json::json!(options.fixed).to_string()),
        ("shard", shard(options.shard)),
        ("began", build::now().to_string()),
    ];
    Database::create(&options.folder, &facts)
}

fn shard(shard: Shard) -> String {
    format!("{}/{}", shard.number, shard.of)
}

/// Opens the job that is there. It must be this one.
pub(super) fn open<S: Subject>(options: &JobOptions<S>) -> Result<Database, JobError> {
    let database = Database::open(&options.folder)?;
    let wrong = |problem: String| Err(JobError::input(&options.folder, problem));
    let (fixed, fact) = (super::fixed::<S>(&database)?, |name: &str| database.fact(name));
    let recheck = fact("recheck")?.unwrap_or_default();
    if fixed != options.fixed || recheck != options.recheck.to_string() {
        let flags = fixed.flags();
        return wrong(format!(
            "was begun with other flags; use those ({flags} --recheck {recheck}) or a new folder"
        ));
    }
    let first = first_seed(&database)?;
    if options.first_seed.is_some_and(|seed| seed != first) {
        return wrong(format!("was begun with --seed {first:#x}; use that, or a new folder"));
    }
    let known = fact("shard")?.unwrap_or_default();
    if known != shard(options.shard) {
        let (number, of) = known.split_once('/').unwrap_or(("0", "1"));
        return wrong(format!(
            "was begun as shard {number} of {of}, counted from 0; use that, or a new folder"
        ));
    }
    Ok(database)
}

/// The first seed of the job.
pub(super) fn first_seed(database: &Database) -> Result<u64, JobError> {
    let text = database.fact("first_seed")?.unwrap_or_default();
    text.parse().map_err(|_| JobError::input(database.folder(), "has no first seed; use a whole copy of it"))
}

/// What is left to do.
pub(super) fn desk<S: Subject>(
    options: &JobOptions<S>,
    ledger: &Ledger,
    first_seed: u64,
) -> Result<Desk, JobError> {
    let mix = &options.mix;
    let wrong = |problem: String| Err(JobError::input(&options.folder, problem));
    let (mut operations, mut stretches) = (VecDeque::new(), BTreeMap::new());
    if mix.has(Mode::Sweep) {
        let count = S::operations().len() as u64;
        if count == 0 {
            return wrong(format!("--mix {mix}: {} has no operations to sweep", S::NAME));
        }
        let swept = swept(ledger)?;
        operations.extend((0..count).filter(|&number| options.shard.has_unit(number) && !swept.has(number)));
    }
    let real = [
        (Mode::Threads, "real threads", S::threads(1).is_some()),
        (Mode::Crash, "processes that are killed", S::killed().is_some()),
    ];
    for (mode, what, is_offered) in real.into_iter().filter(|(mode, ..)| mix.has(*mode)) {
        if !is_offered {
            return wrong(format!("--mix {mix}: {} offers nothing for {what}", S::NAME));
        }
        // Shards begin at different seeds, so that they don't do the same.
        let next = first_seed.wrapping_add(ledger.sum(mode).seeds) ^ options.shard.number << 48;
        stretches.insert(mode, next);
    }
    let had = Mode::ALL.into_iter().map(|mode| (mode, ledger.sum(mode).nanos)).collect::<BTreeMap<_, _>>();
    Ok(Desk {
        mix: mix.clone(),
        seeds: Seeds::new(first_seed, options.seeds, options.shard, ledger.done(Mode::Sim)?),
        operations,
        stretches,
        canary: Some(Seeds::new(first_seed, None, options.shard, ledger.done(Mode::Canary)?)),
        canaries: 0,
        is_found: false,
        had,
        on_stretch: false,
        seeds_are_out: false,
    })
}

/// Operations that this build has swept. Another build's sweep says nothing about this one.
fn swept(ledger: &Ledger) -> Result<Done, JobError> {
    let read = || -> rusqlite::Result<Done> {
        let mut done = Done::default();
        let query = "SELECT first FROM runs WHERE mode = ? AND build = ?";
        let mut statement = ledger.database.connection.prepare(query)?;
        let mut rows = statement.query([Mode::Sweep as i64, ledger.build])?;
        while let Some(row) = rows.next()? {
            done.insert(row.get::<_, i64>(0)? as u64, 1);
        }
        Ok(done)
    };
    read().map_err(|error| ledger.database.broken(&error))
}
