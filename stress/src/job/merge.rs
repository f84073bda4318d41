//! Jobs of several machines as one.
//!
//! A merged job is the union of its parts. Where two have the same seed, an order that does not depend on the parts' order decides
//! which is kept. Merging in another order, or twice, therefore gives the same.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use rusqlite::{Connection, OptionalExtension as _, Transaction, params};

use super::catalogue::{self, Cause, State};
use super::counts::Counts;
use super::database::{self, Database};
use super::ledger::SittingCanary;
use super::lock::Lock;
use super::names::Names;
use super::row::{self, BLOCK, COLUMNS, Mode, Row};
use super::signature::Signature;
use super::{JobError, folder};

/// What decides what a seed means.
const FACTS: [&str; 4] = ["system", "first_seed", "recheck", "fixed"];

/// Puts the jobs of `parts` into the job `into`, which is made if it is not there.
///
/// # Errors
///
/// When one of them is no job that can be read, or not of the same seeds and options as the others. Then nothing is merged of it, nor
/// of those behind it.
pub fn merge(into: &Path, parts: &[impl AsRef<Path>]) -> Result<(), JobError> {
    let parts: Vec<&Path> = parts.iter().map(AsRef::as_ref).collect();
    let mut opened = Vec::new();
    for part in &parts {
        opened.push((Database::open(part)?, *part));
    }
    let Some((first, _)) = opened.first() else { return Ok(()) };
    let known = if Database::exists(into)? { Some(Database::open(into)?) } else { None };
    let expected = known.as_ref().unwrap_or(first);
    if let Some(shard) =
        known.as_ref().map(|known| known.fact("shard")).transpose()?.flatten().filter(|shard| shard != "0/1")
    {
        let (number, of) = shard.split_once('/').unwrap_or_default();
        let problem = format!(
            "is shard {number} of {of}, counted from 0, and can only be a part; name a new folder first"
        );
        return Err(JobError::input(into, problem));
    }
    for (part, path) in &opened {
        for fact in FACTS {
            let (one, other) =
                (part.fact(fact)?.unwrap_or_default(), expected.fact(fact)?.unwrap_or_default());
            if one != other {
                let problem = format!(
                    "its {} is {one}, that of {} is {other}: they must be parts of one job",
                    fact.replace('_', " "),
                    expected.folder().display()
                );
                return Err(JobError::input(path, problem));
            }
        }
    }
    let internal = |error: std::io::Error| JobError::internal(into, error);
    std::fs::create_dir_all(into).map_err(internal)?;
    let _lock = Lock::take(into)?;
    let scratch = folder::clear_scratch(into).map_err(internal)?;
    let mut target = match known {
        Some(known) => known,
        None => create(into, first)?,
    };
    for (part, path) in &opened {
        let changed = {
            let database = &mut target;
            let merged = merge_one(&mut database.connection, &part.connection);
            merged.map_err(|error| part.broken(&error))?
        };
        for (signature, order) in changed {
            // The same run: a merge that was killed may have kept it without its files.
            if order.is_eq() && (folder::has_tape(into, &signature) || !folder::has_tape(path, &signature)) {
                continue;
            }
            copy(&folder::of(path, &signature), &scratch.join(&signature)).map_err(internal)?;
            folder::adopt(into, &signature, &scratch.join(&signature)).map_err(internal)?;
        }
    }
    for cause in catalogue::all(&target.connection).map_err(|error| target.broken(&error))? {
        folder::write_account(into, &cause).map_err(internal)?;
    }
    let _ = std::fs::remove_dir_all(&scratch);
    Ok(())
}

/// A job without seeds that is the same as `like`, and has no shards.
fn create(into: &Path, like: &Database) -> Result<Database, JobError> {
    let mut facts = vec![("shard", "0/1".to_owned())];
    for name in ["system", "program", "first_seed", "recheck", "fixed", "began"] {
        facts.push((name, like.fact(name)?.unwrap_or_default()));
    }
    Database::create(into, &facts)
}

fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(to)?;
    let entries = match std::fs::read_dir(from) {
        Ok(entries) => entries,
        // A signature that has no files.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    for entry in entries {
        let entry = entry?;
        let to = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &to)?;
        } else {
            std::fs::copy(entry.path(), to)?;
        }
    }
    Ok(())
}

/// Merges one part, all or nothing, and gives the signatures whose smallest run is the part's: how it compares to what the target had.
fn merge_one(target: &mut Connection, part: &Connection) -> rusqlite::Result<BTreeMap<String, Ordering>> {
    let _moment = part.unchecked_transaction()?;
    let transaction = target.transaction()?;
    let builds = builds(&transaction, part)?;
    sittings(&transaction, part, &builds)?;
    canary(&transaction, part)?;
    runs(&transaction, part, &builds)?;
    failures(&transaction, part, &builds)?;
    let mut changed = BTreeMap::new();
    for cause in catalogue::all(part)? {
        let order = signature(&transaction, part, &cause)?;
        if order.is_le() {
            changed.insert(cause.signature, order);
        }
    }
    transaction.commit()?;
    Ok(changed)
}

/// The numbers that builds of the part have in the target.
fn builds(to: &Transaction<'_>, part: &Connection) -> rusqlite::Result<BTreeMap<i64, i64>> {
    let mut numbers = BTreeMap::new();
    let mut statement = part.prepare("SELECT id, build, first_used FROM builds ORDER BY build")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let (id, build, used): (i64, String, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
        let put = "INSERT INTO builds (build, first_used) VALUES (?1, ?2)
            ON CONFLICT (build) DO UPDATE SET first_used = MIN(first_used, ?2)";
        to.execute(put, params![build, used])?;
        numbers.insert(id, to.query_row("SELECT id FROM builds WHERE build = ?", [build], |row| row.get(0))?);
    }
    Ok(numbers)
}

/// The number in the target of a build that the part names.
fn known(builds: &BTreeMap<i64, i64>, number: i64) -> rusqlite::Result<i64> {
    builds.get(&number).copied().ok_or_else(|| database::damage("a build is not in its list"))
}

/// The canary of the newest sitting is kept, whatever the order of parts.
fn canary(to: &Transaction<'_>, part: &Connection) -> rusqlite::Result<()> {
    let (theirs, ours) = (SittingCanary::read(part)?, SittingCanary::read(to)?);
    let rank = |canary: SittingCanary| (canary.began, canary.seeds, canary.found);
    match theirs {
        Some(theirs) if ours.is_none_or(|ours| rank(theirs) > rank(ours)) => theirs.write(to),
        _ => Ok(()),
    }
}

fn sittings(to: &Transaction<'_>, part: &Connection, builds: &BTreeMap<i64, i64>) -> rusqlite::Result<()> {
    let mut statement =
        part.prepare("SELECT token, build, began, nanos, machine FROM sittings ORDER BY id")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let (token, build, machine): (String, i64, String) = (row.get(0)?, row.get(1)?, row.get(4)?);
        let (began, nanos): (i64, i64) = (row.get(2)?, row.get(3)?);
        // A sitting that went on since the last merge has more time.
        let put = "INSERT INTO sittings (token, build, began, nanos, machine) VALUES (?1, ?2, ?3, ?4, ?5)
            ON CONFLICT (token) DO UPDATE SET nanos = MAX(nanos, ?4)";
        to.execute(put, params![token, known(builds, build)?, began, nanos, machine])?;
    }
    Ok(())
}

fn runs(to: &Transaction<'_>, part: &Connection, builds: &BTreeMap<i64, i64>) -> rusqlite::Result<()> {
    let (theirs, mut ours) = (Names::read(part)?, Names::read(to)?);
    let numbers: Vec<u32> =
        theirs.known.iter().map(|(kind, name)| ours.number(*kind, name.clone())).collect();
    ours.write(to)?;
    let mut begun = BTreeSet::new();
    let mut statement =
        part.prepare(&format!("SELECT mode, first, build, {COLUMNS} FROM runs ORDER BY mode, first"))?;
    let mut rows = statement.query([])?;
    while let Some(found) = rows.next()? {
        let Some(mode) = Mode::of(found.get(0)?) else { continue };
        let (first, build) = (found.get::<_, i64>(1)? as u64, known(builds, found.get(2)?)?);
        let mut row = Row::read(found, 3)?;
        if row.seeds == BLOCK && !first.is_multiple_of(BLOCK) {
            return Err(database::damage("a block of seeds begins within another"));
        }
        let renamed = row.counts.0.iter().map(|(&name, &count)| {
            let number = (name as usize).checked_sub(1).and_then(|index| numbers.get(index));
            number.map(|&number| (number, count))
        });
        let renamed: Option<BTreeMap<u32, u64>> = renamed.collect();
        row.counts = Counts(renamed.ok_or_else(|| database::damage("a count of a run has no name"))?);
        if is_kept(to, mode, first, build, &row)? {
            if row.seeds == BLOCK {
                let single = "DELETE FROM runs WHERE mode = ? AND first BETWEEN ? AND ?";
                let last = first + (BLOCK - 1);
                to.prepare_cached(single)?.execute(params![mode as i64, first as i64, last as i64])?;
            } else if mode.is_folded() {
                begun.insert((mode, first / BLOCK));
            }
            row.write(to, mode, first, build)?;
        }
    }
    begun.into_iter().try_for_each(|(mode, block)| row::fold(to, mode, block * BLOCK))
}

/// Whether a run of the part is kept beside, or in place of, what the target has. A whole block is more than some of its seeds. Of two
/// runs of the same seeds the one of the lower build is kept, then the faster one.
fn is_kept(to: &Transaction<'_>, mode: Mode, first: u64, build: i64, row: &Row) -> rusqlite::Result<bool> {
    let find = "SELECT seeds, (SELECT build FROM builds WHERE id = runs.build), nanos,
            (SELECT build FROM builds WHERE id = ?3)
        FROM runs WHERE mode = ?1 AND first = ?2";
    let of = |first: u64| {
        let read = |row: &rusqlite::Row<'_>| {
            Ok((
                row.get::<_, i64>(0)? as u64,
                row.get::<_, String>(1)?,
                row.get::<_, i64>(2)? as u64,
                row.get::<_, String>(3)?,
            ))
        };
        to.prepare_cached(find)?.query_row(params![mode as i64, first as i64, build], read).optional()
    };
    let whole = if mode.is_folded() {
        of(first / BLOCK * BLOCK)?.filter(|(seeds, ..)| *seeds == BLOCK)
    } else {
        None
    };
    Ok(match whole.map_or_else(|| of(first), |whole| Ok(Some(whole)))? {
        None => true,
        Some((seeds, _, _, _)) if seeds != row.seeds => row.seeds > seeds,
        Some((_, known, nanos, new)) => (&new, row.nanos) < (&known, nanos),
    })
}

fn failures(to: &Transaction<'_>, part: &Connection, builds: &BTreeMap<i64, i64>) -> rusqlite::Result<()> {
    let mut statement = part.prepare("SELECT * FROM failures ORDER BY mode, seed, oracle")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let mut values = (0..11)
            .map(|column| row.get(column))
            .collect::<rusqlite::Result<Vec<rusqlite::types::Value>>>()?;
        let number: i64 = row.get(4)?;
        values[4] = known(builds, number)?.into();
        // The earlier one is kept.
        let put = "INSERT INTO failures VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)
            ON CONFLICT (mode, seed, oracle) DO UPDATE SET signature = ?4, build = ?5, at = ?6, steps = ?7, trace = ?8,
                finding = ?9, options = ?10, command = ?11 WHERE ?6 < at";
        to.prepare_cached(put)?.execute(rusqlite::params_from_iter(values))?;
    }
    Ok(())
}

/// Merges a signature, and gives how the part's smallest run compares to the target's: less where the target had none.
fn signature(to: &Transaction<'_>, part: &Connection, cause: &Cause) -> rusqlite::Result<Ordering> {
    let Some((_, rank)) = catalogue::of(part, &cause.signature)? else { return Ok(Ordering::Greater) };
    let before = look(to, &cause.signature)?;
    let known = catalogue::of(to, &cause.signature)?.map(|(_, rank)| rank);
    let signature = Signature {
        name: cause.signature.clone(),
        oracle: cause.oracle.clone(),
        class: cause.class.clone(),
        text: cause.text.clone(),
        operations: cause.operations.clone(),
    };
    let order = known.map_or(Ordering::Less, |known| rank.cmp(&known));
    catalogue::offer(to, &signature, rank, &cause.expected, &cause.seen)?;
    // The last look is right; of two at once, the worse.
    let looked = cause.looked.as_ref();
    let theirs = (
        looked.map(|(_, at)| *at),
        severity(cause.state),
        looked.map(|(build, _)| build.clone()),
        cause.state,
    );
    let ours = before.map(|(at, build, state)| (at, severity(state), build, state));
    let (at, _, build, state) = match ours {
        Some(ours) if (ours.0, ours.1, &ours.2) >= (theirs.0, theirs.1, &theirs.2) => ours,
        _ => theirs,
    };
    let put = "UPDATE signatures SET state = ?, looked_at = ?, looked = (SELECT id FROM builds WHERE build = ?) WHERE signature = ?";
    let state: &'static str = state.into();
    to.prepare_cached(put)?.execute(params![state, at.map(|at| at as i64), build, cause.signature])?;
    Ok(order)
}

fn severity(state: State) -> u8 {
    match state {
        State::Fixed => 0,
        State::New => 1,
        State::Open => 2,
        State::Regressed => 3,
    }
}

type Look = (Option<u64>, Option<String>, State);

fn look(within: &Connection, signature: &str) -> rusqlite::Result<Option<Look>> {
    let query = "SELECT looked_at, (SELECT build FROM builds WHERE id = looked), state FROM signatures WHERE signature = ?";
    let read = |row: &rusqlite::Row<'_>| {
        let state: String = row.get(2)?;
        Ok((
            row.get::<_, Option<i64>>(0)?.map(|at| at as u64),
            row.get(1)?,
            state.parse().unwrap_or(State::New),
        ))
    };
    within.prepare_cached(query)?.query_row([signature], read).optional()
}
