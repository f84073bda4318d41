//! The names of what is counted, and sums of counts by name.

use std::collections::BTreeMap;

use rusqlite::{Connection, params};

use super::counts::{Counts, Kind, Named};
use super::database;
use super::row::{COLUMNS, Mode, Row};
use crate::campaign::{FaultTotals, Totals};
use crate::disk::FaultKind;

/// The names of counts and their numbers.
#[derive(Debug, Default)]
pub(super) struct Names {
    pub(super) known: Vec<(Kind, String)>,
    numbers: BTreeMap<(Kind, String), u32>,
    /// Those from here on are in memory only.
    saved: usize,
}

impl Names {
    /// Reads those of a database.
    pub(super) fn read(connection: &Connection) -> rusqlite::Result<Names> {
        let mut names = Names::default();
        let mut statement = connection.prepare("SELECT kind, name, id FROM names ORDER BY id")?;
        let found =
            statement.query_map([], |row| Ok((row.get(0)?, row.get::<_, String>(1)?, row.get(2)?)))?;
        for name in found {
            let (kind, name, id): (u8, _, i64) = name?;
            // A kind that another version knows keeps its place.
            if i64::from(names.number(Kind::of(kind).unwrap_or(Kind::Counter), name)) != id {
                return Err(database::damage("names of counts are missing"));
            }
        }
        names.saved = names.known.len();
        Ok(names)
    }

    /// The number of a name, from 1.
    pub(super) fn number(&mut self, kind: Kind, name: String) -> u32 {
        let next = self.known.len() as u32 + 1;
        let known = &mut self.known;
        *self.numbers.entry((kind, name)).or_insert_with_key(|(kind, name)| {
            known.push((*kind, name.clone()));
            next
        })
    }

    /// The name with a number.
    pub(super) fn of(&self, number: u32) -> Option<&(Kind, String)> {
        self.known.get((number as usize).checked_sub(1)?)
    }

    /// Puts new names into the database; [`Names::keep`] says that they are there.
    pub(super) fn write(&self, to: &Connection) -> rusqlite::Result<()> {
        for (index, (kind, name)) in self.known.iter().enumerate().skip(self.saved) {
            let put = "INSERT INTO names VALUES (?, ?, ?)";
            to.prepare_cached(put)?.execute(params![index as i64 + 1, *kind as u8, name])?;
        }
        Ok(())
    }

    pub(super) fn keep(&mut self) {
        self.saved = self.known.len();
    }

    /// `named` by number.
    pub(super) fn counts(&mut self, named: Vec<Named>) -> Counts {
        let mut counts = Counts::default();
        for (kind, name, count) in named {
            *counts.0.entry(self.number(kind, name)).or_default() += count;
        }
        counts
    }
}

/// The sums of all runs, by mode. Each of their counts has one of `names`.
pub(super) fn sums(connection: &Connection, names: &Names) -> rusqlite::Result<BTreeMap<Mode, Row>> {
    let mut sums: BTreeMap<Mode, Row> = Mode::ALL.map(|mode| (mode, Row::default())).into();
    let mut statement = connection.prepare(&format!("SELECT mode, {COLUMNS} FROM runs"))?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        if let Some(sum) = Mode::of(row.get(0)?).and_then(|mode| sums.get_mut(&mode)) {
            sum.add(&Row::read(row, 1)?);
        }
    }
    let is_named = |number: &u32| names.known.len() >= *number as usize;
    if !sums.values().flat_map(|sum| sum.counts.0.keys()).all(is_named) {
        return Err(database::damage("a count of a run has no name"));
    }
    Ok(sums)
}

/// What was to happen in runs of a real kind by name, how often, and how often it did.
pub(super) type Meant = BTreeMap<String, (u64, u64)>;

/// What was to happen in the runs of `row`.
pub(super) fn meant(row: &Row, names: &Names) -> Meant {
    let mut meant = Meant::new();
    for (&number, &count) in &row.counts.0 {
        match names.of(number) {
            Some((Kind::Requested, name)) => meant.entry(name.clone()).or_default().0 += count,
            Some((Kind::Delivered, name)) => meant.entry(name.clone()).or_default().1 += count,
            _ => {}
        }
    }
    meant
}

/// The same as a campaign has it.
pub(super) fn totals(row: &Row, names: &Names) -> Totals {
    let mut totals =
        Totals { seeds: row.seeds, rechecked: row.rechecked, steps: row.steps, ..Totals::default() };
    (totals.crashes, totals.busy_nanos, totals.trace_digest) = (row.crashes, row.nanos, row.digest);
    totals.slowest = row.slowest;
    let fault = |totals: &mut Totals, name: &str, count: &dyn Fn(&mut FaultTotals)| {
        let kind = FaultKind::ALL.into_iter().find(|kind| kind.name() == name);
        totals.faults.iter_mut().filter(|fault| Some(fault.kind) == kind).for_each(count);
    };
    for (&number, &count) in &row.counts.0 {
        let Some((kind, name)) = names.of(number) else { continue };
        match kind {
            Kind::Counter => totals.counters.push((name.clone(), count)),
            Kind::Point => drop(totals.reached.insert(name.clone(), count)),
            Kind::FaultSeeds => fault(&mut totals, name, &|fault| fault.seeds = count),
            Kind::Requested => fault(&mut totals, name, &|fault| fault.requested = count),
            Kind::Delivered => fault(&mut totals, name, &|fault| fault.delivered = count),
            Kind::Noticed => fault(&mut totals, name, &|fault| fault.noticed = count),
            Kind::Option => {}
        }
    }
    totals
}
