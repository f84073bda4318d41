//! What one seed came to, or the seeds of a block.

use rusqlite::{Connection, Row as SqlRow, params};

use super::counts::{Counts, Kind, Named};
use crate::campaign::{SeedResult, SlowestSeed};
use crate::rng;

/// Seeds of a block: `first` to `first + 63`, where `first` is a multiple of 64.
pub(super) const BLOCK: u64 = 64;

/// The part of a job that a run belongs to.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(super) enum Mode {
    /// A seed, simulated.
    Sim = 0,
    /// An operation, swept; its place in the subject's list stands for the seed.
    Sweep = 1,
    /// A stretch of time on real threads.
    Threads = 2,
    /// A stretch of time with processes that are killed.
    Crash = 3,
    /// A seed of the canary.
    Canary = 4,
}

impl Mode {
    pub(super) const ALL: [Mode; 5] = [Mode::Sim, Mode::Sweep, Mode::Threads, Mode::Crash, Mode::Canary];

    pub(super) fn name(self) -> &'static str {
        match self {
            Mode::Sim => "sim",
            Mode::Sweep => "sweep",
            Mode::Threads => "threads",
            Mode::Crash => "crash",
            Mode::Canary => "canary",
        }
    }

    pub(super) fn of(number: i64) -> Option<Mode> {
        Mode::ALL.into_iter().find(|&mode| mode as i64 == number)
    }

    /// Whether it takes real time and real files: it has no end, and its failures can't be replayed.
    pub(super) fn is_real(self) -> bool {
        matches!(self, Mode::Threads | Mode::Crash)
    }

    /// Whether a whole block of its seeds becomes one row.
    pub(super) fn is_folded(self) -> bool {
        matches!(self, Mode::Sim | Mode::Canary)
    }
}

/// The numbers of a run. Adding runs in any order gives the same.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) seeds: u64,
    pub(super) rechecked: u64,
    pub(super) steps: u64,
    pub(super) crashes: u64,
    pub(super) nanos: u64,
    pub(super) digest: u64,
    pub(super) slowest: Option<SlowestSeed>,
    pub(super) counts: Counts,
}

/// The columns of `runs` behind its key and build.
pub(super) const COLUMNS: &str =
    "seeds, rechecked, steps, crashes, nanos, digest, slowest, slowest_nanos, slowest_steps, counts";

impl Row {
    /// A seed of the simulator, without its counts, and those.
    pub(super) fn of(result: &SeedResult) -> (Row, Vec<Named>) {
        let slowest = SlowestSeed { seed: result.seed, nanos: result.busy_nanos, steps: result.steps };
        let row = Row {
            seeds: 1,
            rechecked: u64::from(result.rechecked),
            steps: result.steps,
            crashes: result.crashes,
            nanos: result.busy_nanos,
            digest: rng::derive(result.seed, result.trace_hash),
            slowest: Some(slowest),
            counts: Counts::default(),
        };
        let counters = result.counters.iter().map(|&(name, value)| (Kind::Counter, name.to_owned(), value));
        let points = result.reached.iter().map(|(&name, &count)| (Kind::Point, name.to_owned(), count));
        let faults = crate::disk::FaultKind::ALL.into_iter().flat_map(|kind| {
            [
                (Kind::FaultSeeds, u64::from(result.enabled.contains(&kind))),
                (Kind::Requested, result.faults.requested(kind)),
                (Kind::Delivered, result.faults.delivered(kind)),
                (Kind::Noticed, result.faults.noticed(kind)),
            ]
            .map(|(count, number)| (count, kind.name().to_owned(), number))
        });
        (row, counters.chain(points).chain(faults).filter(|&(.., count)| count > 0).collect())
    }

    pub(super) fn add(&mut self, other: &Row) {
        self.seeds = self.seeds.saturating_add(other.seeds);
        self.rechecked = self.rechecked.saturating_add(other.rechecked);
        self.steps = self.steps.saturating_add(other.steps);
        self.crashes = self.crashes.saturating_add(other.crashes);
        self.nanos = self.nanos.saturating_add(other.nanos);
        self.digest = self.digest.wrapping_add(other.digest);
        // Of two that took the same time, the lower seed: the order of additions must not show.
        let rank = |slowest: &SlowestSeed| (slowest.nanos, std::cmp::Reverse(slowest.seed));
        self.slowest = self.slowest.into_iter().chain(other.slowest).max_by_key(rank);
        self.counts.add(&other.counts);
    }

    /// Reads [`COLUMNS`] from column `at` on.
    pub(super) fn read(row: &SqlRow<'_>, at: usize) -> rusqlite::Result<Row> {
        let number = |column: usize| row.get::<_, i64>(at + column).map(|number| number as u64);
        let bytes = row.get_ref(at + 9)?.as_blob()?;
        let counts = Counts::decode(bytes).ok_or_else(|| {
            let problem = "counts of a run are damaged".into();
            rusqlite::Error::FromSqlConversionFailure(at + 9, rusqlite::types::Type::Blob, problem)
        })?;
        let slowest = SlowestSeed { seed: number(6)?, nanos: number(7)?, steps: number(8)? };
        Ok(Row {
            seeds: number(0)?,
            rechecked: number(1)?,
            steps: number(2)?,
            crashes: number(3)?,
            nanos: number(4)?,
            digest: number(5)?,
            slowest: Some(slowest),
            counts,
        })
    }

    /// Puts it into `runs`, in place of what is there.
    pub(super) fn write(&self, to: &Connection, mode: Mode, first: u64, build: i64) -> rusqlite::Result<()> {
        let query = format!(
            "INSERT OR REPLACE INTO runs (mode, first, build, {COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
        );
        let slowest = self.slowest.unwrap_or(SlowestSeed { seed: first, nanos: 0, steps: 0 });
        let numbers = params![
            mode as i64,
            first as i64,
            build,
            self.seeds as i64,
            self.rechecked as i64,
            self.steps as i64,
            self.crashes as i64,
            self.nanos as i64,
            self.digest as i64,
            slowest.seed as i64,
            slowest.nanos as i64,
            slowest.steps as i64,
            self.counts.encode(),
        ];
        to.prepare_cached(&query)?.execute(numbers).map(drop)
    }
}

/// Makes one row of the block of `seed` if all of it is done by one build.
pub(super) fn fold(within: &Connection, mode: Mode, seed: u64) -> rusqlite::Result<()> {
    let first = seed / BLOCK * BLOCK;
    let last = first + (BLOCK - 1);
    let query = format!("SELECT build, {COLUMNS} FROM runs WHERE mode = ? AND first BETWEEN ? AND ?");
    let mut statement = within.prepare_cached(&query)?;
    let of_block = params![mode as i64, first as i64, last as i64];
    let found = statement.query_map(of_block, |row| Ok((row.get::<_, i64>(0)?, Row::read(row, 1)?)))?;
    let found = found.collect::<rusqlite::Result<Vec<_>>>()?;
    let Some(&(build, _)) = found.first() else { return Ok(()) };
    if found.len() < BLOCK as usize || found.iter().any(|&(other, _)| other != build) {
        return Ok(());
    }
    let mut sum = Row::default();
    found.iter().for_each(|(_, row)| sum.add(row));
    within.prepare_cached("DELETE FROM runs WHERE mode = ? AND first BETWEEN ? AND ?")?.execute(params![
        mode as i64,
        first as i64,
        last as i64
    ])?;
    sum.write(within, mode, first, build)
}
