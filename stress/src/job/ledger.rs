//! What is done, kept so that nothing but the seeds in flight is lost, whatever ends the process.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension as _, TransactionBehavior, params};

use super::catalogue;
use super::counts::Named;
use super::database::{self, Database};
use super::folder;
use super::names::{self, Names};
use super::plan::Done;
use super::row::{self, BLOCK, Mode, Row};
use super::triage::Case;
use super::{JobError, build};
use crate::campaign::Totals;

/// A unit of work that is done.
#[derive(Debug)]
pub(super) struct Finished {
    pub(super) mode: Mode,
    pub(super) seed: u64,
    pub(super) row: Row,
    pub(super) named: Vec<Named>,
    pub(super) cases: Vec<Case>,
}

/// Why something could not be kept.
#[derive(Debug)]
pub(super) enum Trouble {
    /// There is no room. It is all there to be tried again.
    Full(String),
    /// It will not go better the next time.
    Broken(JobError),
}

/// The database of a job that is running.
#[derive(Debug)]
pub(super) struct Ledger {
    pub(super) database: Database,
    pub(super) build: i64,
    sitting: i64,
    names: Names,
    sums: BTreeMap<Mode, Row>,
    /// Seeds of blocks that are begun.
    begun: BTreeMap<(Mode, u64), u64>,
    /// Time worked before this sitting.
    pub(super) earlier: Duration,
    failures: u64,
    /// Those of this sitting.
    failures_now: u64,
    /// The canary in this sitting.
    canary: SittingCanary,
}

impl Ledger {
    /// Begins a sitting.
    pub(super) fn begin(database: Database, build_name: &str) -> Result<Ledger, JobError> {
        let build = database.build(build_name)?;
        let read = || -> rusqlite::Result<_> {
            let connection = &database.connection;
            let earlier: i64 =
                connection.query_row("SELECT IFNULL(SUM(nanos), 0) FROM sittings", [], |row| row.get(0))?;
            let failures: i64 =
                connection.query_row("SELECT COUNT(*) FROM failures", [], |row| row.get(0))?;
            let make = "INSERT INTO sittings (token, build, began, nanos, machine) VALUES (?, ?, ?, 0, ?)";
            #[expect(clippy::disallowed_methods, reason = "it only tells sittings apart")]
            let token =
                format!("{:x}-{:x}-{earlier:x}-{}", build::now(), std::process::id(), build::machine());
            connection.execute(make, params![token, build, build::now() as i64, build::machine()])?;
            let sitting = connection.last_insert_rowid();
            let canary = SittingCanary { began: build::now_nanos(), seeds: 0, found: 0 };
            canary.write(connection)?;
            let names = Names::read(connection)?;
            let sums = names::sums(connection, &names)?;
            Ok((earlier, failures, sitting, names, sums, canary))
        };
        let (earlier, failures, sitting, names, sums, canary) =
            read().map_err(|error| database.broken(&error))?;
        let mut ledger = Ledger {
            database,
            build,
            sitting,
            names,
            sums,
            begun: BTreeMap::new(),
            earlier: Duration::from_nanos(earlier as u64),
            failures: failures as u64,
            failures_now: 0,
            canary,
        };
        for mode in Mode::ALL {
            ledger.count_begun(mode)?;
        }
        Ok(ledger)
    }

    fn count_begun(&mut self, mode: Mode) -> Result<(), JobError> {
        let connection = &self.database.connection;
        let read = || -> rusqlite::Result<Vec<u64>> {
            let mut statement = connection.prepare("SELECT first FROM runs WHERE mode = ? AND seeds = 1")?;
            statement
                .query_map([mode as i64], |row| row.get::<_, i64>(0).map(|first| first as u64))?
                .collect()
        };
        for seed in read().map_err(|error| self.database.broken(&error))? {
            *self.begun.entry((mode, seed / BLOCK)).or_default() += 1;
        }
        Ok(())
    }

    /// The seeds of `mode` that are done.
    pub(super) fn done(&self, mode: Mode) -> Result<Done, JobError> {
        let read = || -> rusqlite::Result<Done> {
            let mut done = Done::default();
            let mut statement =
                self.database.connection.prepare("SELECT first, seeds FROM runs WHERE mode = ?")?;
            let mut rows = statement.query([mode as i64])?;
            while let Some(row) = rows.next()? {
                done.insert(row.get::<_, i64>(0)? as u64, row.get::<_, i64>(1)? as u64);
            }
            Ok(done)
        };
        read().map_err(|error| self.database.broken(&error))
    }

    /// Keeps what is done, all or nothing. `elapsed` is the time of this sitting.
    pub(super) fn record(&mut self, finished: &[Finished], elapsed: Duration) -> Result<(), Trouble> {
        let rows: Vec<Row> = finished
            .iter()
            .map(|unit| Row { counts: self.names.counts(unit.named.clone()), ..unit.row.clone() })
            .collect();
        let canary = self.canary.after(finished);
        let changed = match self.write(finished, &rows, elapsed, canary) {
            Ok(changed) => changed,
            Err(Refused::Database(error)) if database::is_full(&error) => {
                return Err(Trouble::Full(error.to_string()));
            }
            Err(Refused::Database(error)) => return Err(Trouble::Broken(self.database.broken(&error))),
            Err(Refused::Files(error)) if folder::is_full(&error) => {
                return Err(Trouble::Full(error.to_string()));
            }
            Err(Refused::Files(error)) => {
                return Err(Trouble::Broken(JobError::internal(self.database.folder(), error)));
            }
        };
        self.names.keep();
        self.canary = canary;
        for (unit, row) in finished.iter().zip(&rows) {
            self.sums.entry(unit.mode).or_default().add(row);
            self.failures += unit.cases.len() as u64;
            self.failures_now += unit.cases.len() as u64;
            if unit.mode.is_folded() {
                let block = (unit.mode, unit.seed / BLOCK);
                let begun = self.begun.entry(block).or_default();
                *begun += 1;
                if *begun >= BLOCK {
                    self.begun.remove(&block);
                }
            }
        }
        // What is left of cases that are not the smallest.
        for files in finished.iter().flat_map(|unit| &unit.cases).filter_map(|case| case.small.files.as_ref())
        {
            let _ = std::fs::remove_dir_all(files);
        }
        if !changed.is_empty() {
            self.write_accounts(Some(&changed)).map_err(Trouble::Broken)?;
        }
        Ok(())
    }

    /// The transaction of [`Ledger::record`], and the signatures that have a smaller run now.
    fn write(
        &mut self,
        finished: &[Finished],
        rows: &[Row],
        elapsed: Duration,
        canary: SittingCanary,
    ) -> Result<BTreeSet<String>, Refused> {
        let folder = self.database.folder().to_owned();
        let transaction =
            self.database.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut changed = BTreeSet::new();
        self.names.write(&transaction)?;
        if canary.seeds > self.canary.seeds {
            canary.write(&transaction)?;
        }
        let mut begun: BTreeMap<(Mode, u64), u64> = BTreeMap::new();
        for (unit, row) in finished.iter().zip(rows) {
            row.write(&transaction, unit.mode, unit.seed, self.build)?;
            let block = (unit.mode, unit.seed / BLOCK);
            let count = begun.entry(block).or_insert_with(|| self.begun.get(&block).copied().unwrap_or(0));
            *count += 1;
            if unit.mode.is_folded() && *count >= BLOCK {
                row::fold(&transaction, unit.mode, unit.seed)?;
            }
            for case in &unit.cases {
                let name = &case.signature.name;
                if !catalogue::insert(&transaction, unit.mode, case, self.build, build::now())? {
                    continue;
                }
                changed.insert(name.clone());
                // Before the commit: a process that is killed in between runs the seed again, and writes the same.
                if let Some(files) = &case.small.files
                    && files.exists()
                {
                    folder::adopt(&folder, name, files).map_err(Refused::Files)?;
                }
            }
        }
        let put = "UPDATE sittings SET nanos = ? WHERE id = ?";
        transaction.prepare_cached(put)?.execute(params![nanos(elapsed), self.sitting])?;
        transaction.commit()?;
        Ok(changed)
    }

    /// Writes the accounts of `changed`, or of all.
    pub(super) fn write_accounts(&self, changed: Option<&BTreeSet<String>>) -> Result<(), JobError> {
        let causes =
            catalogue::all(&self.database.connection).map_err(|error| self.database.broken(&error))?;
        for cause in
            causes.iter().filter(|cause| changed.is_none_or(|changed| changed.contains(&cause.signature)))
        {
            // An account can be written again at any time: a full disk is no reason to stop.
            let _ = folder::write_account(self.database.folder(), cause);
        }
        Ok(())
    }

    /// Keeps how the job goes.
    pub(super) fn sample(&self, elapsed: Duration, resident: u64) -> rusqlite::Result<()> {
        let totals = self.totals(Mode::Sim);
        let delivered: u64 = totals.faults.iter().map(|fault| fault.delivered).sum();
        let kinds = totals.faults.iter().filter(|fault| fault.delivered > 0).count();
        let points = totals.reached.values().filter(|&&count| count > 0).count();
        let put = "INSERT OR REPLACE INTO samples VALUES (?, ?, ?, ?, ?, ?, ?, ?)";
        self.database.connection.prepare_cached(put)?.execute(params![
            nanos(self.earlier + elapsed),
            totals.seeds as i64,
            totals.steps as i64,
            self.failures as i64,
            resident as i64,
            points as i64,
            kinds as i64,
            delivered as i64,
        ])?;
        // At most so many, evenly thinned out: a picture has no room for more.
        let count: i64 =
            self.database.connection.query_row("SELECT COUNT(*) FROM samples", [], |row| row.get(0))?;
        if count > 1_200 {
            let thin = "DELETE FROM samples WHERE at IN (SELECT at FROM (SELECT at, ROW_NUMBER() OVER (ORDER BY at) AS n FROM samples) WHERE n % 2 = 0)";
            self.database.connection.execute(thin, [])?;
        }
        Ok(())
    }

    /// Sums of a mode.
    pub(super) fn totals(&self, mode: Mode) -> Totals {
        self.sums.get(&mode).map(|row| names::totals(row, &self.names)).unwrap_or_default()
    }

    pub(super) fn sum(&self, mode: Mode) -> &Row {
        &self.sums[&mode]
    }

    /// Seeds that have failed, once for each oracle.
    pub(super) fn failures(&self) -> u64 {
        self.failures
    }

    /// Those of this sitting. Earlier ones may be fixed.
    pub(super) fn failures_now(&self) -> u64 {
        self.failures_now
    }
}

/// How often a sitting has run the canary, and found it.
#[derive(Copy, Clone, Debug)]
pub(super) struct SittingCanary {
    /// When the sitting began, in nanoseconds since 1970. Of several the newest counts.
    pub(super) began: u64,
    pub(super) seeds: u64,
    pub(super) found: u64,
}

impl SittingCanary {
    const FACT: &str = "canary";

    fn after(mut self, finished: &[Finished]) -> SittingCanary {
        for unit in finished.iter().filter(|unit| unit.mode == Mode::Canary) {
            self.seeds += 1;
            self.found += u64::from(!unit.named.is_empty());
        }
        self
    }

    /// That of the newest sitting. A job of an older program has none.
    pub(super) fn read(connection: &Connection) -> rusqlite::Result<Option<SittingCanary>> {
        let query = "SELECT value FROM job WHERE name = ?";
        let text: Option<String> =
            connection.query_row(query, [SittingCanary::FACT], |row| row.get(0)).optional()?;
        let Some(text) = text else { return Ok(None) };
        let numbers: Vec<u64> = text.split(' ').filter_map(|number| number.parse().ok()).collect();
        match *numbers {
            [began, seeds, found] => Ok(Some(SittingCanary { began, seeds, found })),
            _ => Err(database::damage("the canary's numbers are not numbers")),
        }
    }

    pub(super) fn write(self, to: &Connection) -> rusqlite::Result<()> {
        let put = "INSERT OR REPLACE INTO job VALUES (?, ?)";
        let text = format!("{} {} {}", self.began, self.seeds, self.found);
        to.prepare_cached(put)?.execute(params![SittingCanary::FACT, text]).map(drop)
    }
}

/// What refuses to keep something.
enum Refused {
    Database(rusqlite::Error),
    Files(std::io::Error),
}

impl From<rusqlite::Error> for Refused {
    fn from(error: rusqlite::Error) -> Refused {
        Refused::Database(error)
    }
}

fn nanos(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}
