//! What a job has come to, for reports.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use super::canary::BOUND;
use super::catalogue::{self, Cause};
use super::counts::Kind;
use super::database::Database;
use super::ledger::SittingCanary;
use super::names::{self, Meant, Names};
use super::row::{Mode, Row};
use super::work::FOUND;
use super::{JobError, fixed};
use crate::campaign::{CampaignOptions, Failure, Summary, Totals};
use crate::exit::ExitCode;
use crate::report;
use crate::subject::Subject;

/// The build of the newest sitting.
const NEWEST: &str = "(SELECT build FROM sittings ORDER BY began DESC, id DESC LIMIT 1)";
/// Failing seeds that a document lists. All are in the database.
const FAILURES: usize = 1_000;
/// Something that was meant for fewer processes may have been missed by chance: many die before they come to it.
const ENOUGH: u64 = 40;

/// How a job went at one moment.
#[derive(Copy, Clone, Debug)]
pub(super) struct Sample {
    /// Time worked, in seconds.
    pub(super) at: f64,
    pub(super) seeds: u64,
    pub(super) steps: u64,
    pub(super) failures: u64,
    pub(super) resident_kib: u64,
    pub(super) points: u64,
    pub(super) fault_kinds: u64,
}

/// Seeds that drew a value of an option, or for which a kind of fault was enabled, and those of them that failed.
#[derive(Clone, Debug)]
pub(super) struct Drawn {
    pub(super) option: String,
    pub(super) seeds: u64,
    pub(super) failed: u64,
}

/// Everything that a job has come to.
#[derive(Debug)]
pub(super) struct Whole<S: Subject> {
    pub(super) options: CampaignOptions<S>,
    pub(super) summary: Summary,
    pub(super) causes: Vec<Cause>,
    pub(super) by_mode: BTreeMap<Mode, Row>,
    pub(super) totals_by_mode: BTreeMap<Mode, Totals>,
    pub(super) meant_by_mode: BTreeMap<Mode, Meant>,
    /// The canary of the newest sitting.
    pub(super) canary: Canary,
    pub(super) builds: Vec<String>,
    pub(super) sittings: u64,
    pub(super) machines: Vec<String>,
    pub(super) samples: Vec<Sample>,
    pub(super) drawn: Vec<Drawn>,
    pub(super) failing_seeds: u64,
    pub(super) newest: Newest,
}

/// The simulator's seeds of the build that has run last. What older builds have run says nothing about it.
#[derive(Copy, Clone, Debug)]
pub(super) struct Newest {
    pub(super) seeds: u64,
    pub(super) failed: u64,
}

impl Newest {
    /// What is known of the rate of failures: it is below that, with 95 %.
    pub(super) fn rate(self) -> Option<f64> {
        (self.seeds > 0 && self.failed == 0).then(|| 3.0 / self.seeds as f64)
    }
}

/// Whether the bug of ours was found by the newest sitting.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Canary {
    Found { seeds: u64, found: u64 },
    NotYet { seeds: u64 },
    Lost { seeds: u64 },
}

impl std::fmt::Display for Canary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Canary::Found { seeds, found } => write!(f, "found in {found} of {seeds} seeds"),
            Canary::NotYet { seeds } => {
                write!(f, "not found yet, in {seeds} of the {BOUND} seeds that it may take")
            }
            Canary::Lost { seeds } => {
                write!(f, "NOT FOUND in {seeds} seeds: a green of this job means nothing")
            }
        }
    }
}

/// Reads what the job in `folder` has come to.
pub(super) fn read<S: Subject>(folder: &Path) -> Result<Whole<S>, JobError> {
    let database = Database::open(folder)?;
    let fixed = fixed::<S>(&database)?;
    let fact =
        |name: &str| database.fact(name).map(|value| value.and_then(|text| text.parse().ok()).unwrap_or(0));
    let (first_seed, recheck) = (fact("first_seed")?, fact("recheck")?);
    whole(&database, fixed, first_seed, recheck).map_err(|error| database.broken(&error))
}

fn whole<S: Subject>(
    database: &Database,
    fixed: crate::options::Fixed<S::Options>,
    first_seed: u64,
    recheck: u64,
) -> rusqlite::Result<Whole<S>> {
    let connection = &database.connection;
    // One moment of a job that may be running.
    let _moment = connection.unchecked_transaction()?;
    let names = Names::read(connection)?;
    let by_mode = names::sums(connection, &names)?;
    let causes = catalogue::all(connection)?;
    let number =
        |query: &str| connection.query_row(query, [], |row| row.get::<_, i64>(0)).map(|number| number as u64);
    let list = |query: &str| -> rusqlite::Result<Vec<String>> {
        connection.prepare(query)?.query_map([], |row| row.get(0))?.collect()
    };
    let totals = names::totals(&by_mode[&Mode::Sim], &names);
    let totals_by_mode =
        by_mode.iter().map(|(&mode, row)| (mode, names::totals(row, &names))).collect::<BTreeMap<_, _>>();
    let all_canaries = (totals_by_mode[&Mode::Canary].seeds, totals_by_mode[&Mode::Canary].counter(FOUND));
    let newest_canaries = SittingCanary::read(connection)?.map(|canary| (canary.seeds, canary.found));
    let canary = match newest_canaries.unwrap_or(all_canaries) {
        (seeds, found @ 1..) => Canary::Found { seeds, found },
        (seeds, 0) if seeds >= BOUND => Canary::Lost { seeds },
        (seeds, 0) => Canary::NotYet { seeds },
    };
    let failures = failures(connection)?;
    let drawn = drawn(connection, &by_mode[&Mode::Sim], &names)?;
    let samples = samples(connection)?;
    let elapsed = Duration::from_nanos(number("SELECT IFNULL(SUM(nanos), 0) FROM sittings")?);
    let options = CampaignOptions {
        first_seed,
        seeds: None,
        duration: None,
        jobs: 1,
        recheck,
        strict: false,
        max_failures: usize::MAX,
        state: None,
        fixed,
        progress: false,
    };
    let mut summary = Summary {
        totals,
        failures,
        first_seed,
        elapsed,
        earlier: Duration::ZERO,
        interrupted: false,
        warnings: Vec::new(),
        internal: None,
    };
    summary.judge();
    let real = by_mode.iter().filter(|(mode, _)| mode.is_real());
    let meant_by_mode: BTreeMap<_, _> = real.map(|(&mode, row)| (mode, names::meant(row, &names))).collect();
    let missed = meant_by_mode[&Mode::Crash].iter().find(|(_, (meant, done))| *meant >= ENOUGH && *done == 0);
    if let Some((what, (meant, _))) = missed {
        summary.internal =
            Some(format!("crash: {meant} processes were to come to {what}, and none did: it tests nothing"));
    }
    if let Canary::Lost { .. } = canary {
        summary.internal = Some(format!("the canary, a bug of ours, was {canary}"));
    }
    Ok(Whole {
        options,
        summary,
        causes,
        by_mode,
        totals_by_mode,
        meant_by_mode,
        canary,
        builds: list("SELECT build FROM builds ORDER BY first_used, build")?,
        sittings: number("SELECT COUNT(*) FROM sittings")?,
        machines: list("SELECT DISTINCT machine FROM sittings ORDER BY machine")?,
        samples,
        drawn,
        failing_seeds: number("SELECT COUNT(DISTINCT seed) FROM failures WHERE mode = 0")?,
        newest: Newest {
            seeds: number(&format!(
                "SELECT IFNULL(SUM(seeds), 0) FROM runs WHERE mode = 0 AND build = {NEWEST}"
            ))?,
            failed: number(&format!(
                "SELECT COUNT(DISTINCT seed) FROM failures WHERE mode = 0 AND build = {NEWEST}"
            ))?,
        },
    })
}

fn failures(connection: &rusqlite::Connection) -> rusqlite::Result<Vec<Failure>> {
    let query = "SELECT seed, options, steps, trace, finding, command FROM failures WHERE mode = 0 ORDER BY seed LIMIT ?";
    let mut statement = connection.prepare(query)?;
    let read = |row: &rusqlite::Row<'_>| {
        let number = |column: usize| row.get::<_, i64>(column).map(|number| number as u64);
        let text = |column: usize| row.get::<_, String>(column);
        let damaged = |error: serde_json::Error| {
            rusqlite::Error::FromSqlConversionFailure(4, rusqlite::types::Type::Text, Box::new(error))
        };
        Ok(Failure {
            seed: number(0)?,
            options: serde_json::from_str(&text(1)?).map_err(damaged)?,
            steps: number(2)?,
            trace_hash: number(3)?,
            finding: serde_json::from_str(&text(4)?).map_err(damaged)?,
            command: text(5)?,
        })
    };
    statement.query_map([FAILURES as i64], read)?.collect()
}

fn samples(connection: &rusqlite::Connection) -> rusqlite::Result<Vec<Sample>> {
    let query =
        "SELECT at, seeds, steps, failures, resident_kib, points, fault_kinds FROM samples ORDER BY at";
    let read = |row: &rusqlite::Row<'_>| {
        let number = |column: usize| row.get::<_, i64>(column).map(|number| number as u64);
        Ok(Sample {
            at: number(0)? as f64 / 1e9,
            seeds: number(1)?,
            steps: number(2)?,
            failures: number(3)?,
            resident_kib: number(4)?,
            points: number(5)?,
            fault_kinds: number(6)?,
        })
    };
    connection.prepare(query)?.query_map([], read)?.collect()
}

/// Values of options, by how much more often seeds failed that drew them.
fn drawn(connection: &rusqlite::Connection, all: &Row, names: &Names) -> rusqlite::Result<Vec<Drawn>> {
    let mut statement = connection.prepare("SELECT options FROM failures WHERE mode = 0 GROUP BY seed")?;
    let failed = statement.query_map([], |row| row.get::<_, String>(0))?;
    let mut of_failed: BTreeMap<String, u64> = BTreeMap::new();
    for options in failed {
        let options: Vec<(String, String)> = serde_json::from_str(&options?).unwrap_or_default();
        for (name, value) in options {
            *of_failed.entry(super::counts::option(&name, &value)).or_default() += 1;
        }
    }
    let of_all = all.counts.0.iter().filter_map(|(&number, &seeds)| {
        let (kind, name) = names.of(number)?;
        (*kind == Kind::Option).then(|| {
            let failed = of_failed.get(name).copied().unwrap_or(0);
            Drawn { option: name.clone(), seeds, failed }
        })
    });
    Ok(of_all.collect())
}

impl<S: Subject> Whole<S> {
    /// Causes that are there, as far as is known.
    pub(super) fn open(&self) -> impl Iterator<Item = &Cause> {
        self.causes.iter().filter(|cause| cause.state.is_open())
    }

    /// The canary in words: that of the newest sitting decides, beside that of all sittings.
    pub(super) fn told_canary(&self) -> String {
        let all = &self.totals_by_mode[&Mode::Canary];
        match self.canary {
            Canary::Found { seeds, .. } if seeds < all.seeds => format!(
                "{} of the newest sitting, and in {} of {} in all",
                self.canary,
                all.counter(FOUND),
                all.seeds
            ),
            _ => self.canary.to_string(),
        }
    }

    /// What a person wants to know first, with what it is worth, and what a script gets for it. The text, the document and the exit
    /// code of a job come from here, so that they agree.
    pub(super) fn verdict(&self) -> (String, ExitCode) {
        let (seeds, failed) = (self.summary.totals.seeds, self.failing_seeds);
        let open: Vec<&Cause> = self.open().collect();
        if !open.is_empty() {
            let causes = if open.len() == 1 { "1 cause".into() } else { format!("{} causes", open.len()) };
            let others: BTreeSet<&str> = open
                .iter()
                .filter_map(|cause| cause.mode)
                .filter(|&mode| mode != Mode::Sim)
                .map(Mode::name)
                .collect();
            let others = others.iter().map(|name| format!(", and in {name}")).collect::<String>();
            return (format!("FAILED: {causes}, in {failed} of {seeds} seeds{others}"), code_of(open));
        }
        // The canary of the newest sitting is part of it, and what the judge of a campaign says.
        if let Some(problem) = &self.summary.internal {
            return (format!("TESTER AT FAULT: {problem}"), ExitCode::Internal);
        }
        let before = if failed == 0 { String::new() } else { format!("; {failed} seeds failed before") };
        let which = if self.newest.seeds == seeds { "" } else { " of this build" };
        let text = match (self.newest.rate(), seeds) {
            (_, 0) => "nothing was run yet".into(),
            (Some(rate), _) => format!(
                "passed: no failure in {} seeds{which}; the rate is below {rate:.2e} with 95 %{before}",
                self.newest.seeds
            ),
            (None, _) => format!("passed: no failure is open{before}"),
        };
        (text, ExitCode::Ok)
    }

    /// What a program reads: what `sim --json` says of the same seeds, with the causes and what a job has beside.
    pub(super) fn document(&self) -> Value {
        let mut document = report::document(&self.options, &self.summary, &[]);
        let by_mode = self.totals_by_mode.iter().filter(|(mode, _)| **mode != Mode::Sim).map(|(mode, totals)| {
            let counters: BTreeMap<_, _> = totals.counters.iter().cloned().collect();
            let mut kind = json!({ "units": totals.seeds, "seconds": totals.busy_nanos as f64 / 1e9, "counters": counters });
            if let Some(meant) = self.meant_by_mode.get(mode) {
                let done = meant.iter().map(|(name, &(meant, done))| (name, json!({ "meant": meant, "done": done })));
                kind["faults"] = json!(done.collect::<BTreeMap<_, _>>());
            }
            (mode.name(), kind)
        });
        document["exit_code"] = json!(self.verdict().1 as u8);
        document["job"] = json!({
            "causes": self.causes,
            "canary": self.told_canary(),
            "builds": self.builds,
            "sittings": self.sittings,
            "failing_seeds": self.failing_seeds,
            "failure_rate_below": self.newest.rate(),
            "other_kinds": by_mode.collect::<BTreeMap<_, _>>(),
        });
        document
    }
}

/// The exit code of `causes`: what outranks what is as in a campaign.
pub fn code_of<'a>(causes: impl IntoIterator<Item = &'a Cause>) -> ExitCode {
    let code = |cause: &Cause| match cause.class.as_str() {
        "nondeterminism" => (0, ExitCode::Nondeterminism),
        "liveness" => (2, ExitCode::Liveness),
        _ => (1, ExitCode::Violation),
    };
    let codes = causes.into_iter().map(code);
    codes.min_by_key(|(rank, _)| *rank).map_or(ExitCode::Ok, |(_, code)| code)
}
