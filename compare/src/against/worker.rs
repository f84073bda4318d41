//! One side of a comparison of builds: a process that measures what it is told to, one repetition at a time.
//!
//! Requests are lines on standard input, answers are lines on standard output. `row NAME` builds a row and sizes its
//! contenders up; the answer is a JSON list of those that are compared. `run AT` measures the contender at that place once;
//! the answer is the figure in the row's unit. The process ends with its input.

use std::io::{self, BufRead, Write};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::measure::{Bench, Samples, Settings};
use crate::row::{Entry, Measure, Row};
use crate::session::Failure;
use crate::workloads;

/// A contender that takes part: each of ours, and the peer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Part {
    pub(super) at: usize,
    pub(super) contender: String,
    pub(super) ours: bool,
    /// Whether one figure is the whole truth: bytes that are counted.
    pub(super) exact: bool,
}

/// Repetitions are short: see `pairs`.
const SETTINGS: Settings = Settings { repetitions: 1, target: Duration::from_millis(1) };

/// Serves until its input ends.
pub(crate) fn serve() -> Result<(), Failure> {
    let mut row: Option<Sized> = None;
    let mut out = io::stdout().lock();
    for line in io::stdin().lock().lines() {
        let line = line?;
        match line.split_once(' ') {
            Some(("row", name)) => {
                // The old one first: its files and threads would disturb the new one.
                drop(row.take());
                let sized = Sized::new(name)?;
                serde_json::to_writer(&mut out, &sized.parts()).map_err(io::Error::from)?;
                row = Some(sized);
            }
            Some(("run", at)) => {
                let at = at.parse::<usize>().ok();
                let value = row.as_mut().zip(at).map(|(row, at)| row.run(at)).transpose()?.flatten();
                let value = value.ok_or_else(|| io::Error::other(format!("{line:?}: no such contender")))?;
                write!(out, "{value}")?;
            }
            _ => {
                return Err(
                    io::Error::other(format!("{line:?}: \"row NAME\" or \"run AT\" is needed")).into()
                );
            }
        }
        writeln!(out)?;
        out.flush()?;
    }
    Ok(())
}

/// A row whose contenders are ready to be timed.
struct Sized {
    row: Row,
    samples: Vec<Option<Samples>>,
}

impl Sized {
    fn new(name: &str) -> Result<Self, Failure> {
        let plans = workloads::ALL.iter().flat_map(|workload| (workload.plans)());
        let plan = plans.into_iter().find(|plan| plan.name == name);
        let mut row = plan.ok_or_else(|| io::Error::other(format!("no row {name:?}")))?.build();
        let (measure, baseline) = (row.measure, row.baseline);
        let (mut bench, contenders) = Bench::split(&mut row);
        let mut samples = Vec::new();
        for entry in contenders {
            let takes_part = entry.ours || entry.name == baseline;
            samples.push(if takes_part { Some(size_up(&mut bench, measure, entry)?) } else { None });
        }
        Ok(Self { row, samples })
    }

    fn parts(&self) -> Vec<Part> {
        let entries = self.row.contenders.iter().enumerate().zip(&self.samples);
        let parts = entries.filter(|(_, samples)| samples.is_some()).map(|((at, entry), _)| Part {
            at,
            contender: entry.name.into(),
            ours: entry.ours,
            exact: self.row.measure == Measure::Memory,
        });
        parts.collect()
    }

    fn run(&mut self, at: usize) -> Result<Option<f64>, Failure> {
        let Some(Some(samples)) = self.samples.get_mut(at) else { return Ok(None) };
        if self.row.measure != Measure::Memory {
            let (mut bench, contenders) = Bench::split(&mut self.row);
            bench.repeat(&mut contenders[at], samples).map_err(Failure::Wrong)?;
        }
        Ok(samples.values.last().copied())
    }
}

fn size_up(bench: &mut Bench<'_>, measure: Measure, entry: &mut Entry) -> Result<Samples, Failure> {
    match measure {
        Measure::Memory => bench.weigh(entry),
        Measure::Time | Measure::Tail => bench.size_up(entry, SETTINGS),
    }
    .map_err(Failure::Wrong)
}
