//! The results: figures, ratios, verdicts, warnings. Written as a table, as Markdown or as one JSON document.

mod markdown;
mod table;

use serde::Serialize;

use crate::contender::{Latencies, Row};
use crate::goal::{Goal, Quantity, Verdict};
use crate::host::Host;
use crate::measure::{Samples, Settings};
use crate::statistics::{Interval, median};
use crate::warning::Warning;

pub(crate) use markdown::markdown as write_markdown;
pub(crate) use table::{header as write_header, row as write_row, summary as write_summary};

/// Everything, in the shape of the JSON document.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) host: Host,
    pub(crate) repetitions: usize,
    pub(crate) milliseconds_per_repetition: f64,
    pub(crate) rows: Vec<RowReport>,
    /// What concerns the whole run; doubts about one figure are with that.
    pub(crate) warnings: Vec<Warning>,
}

/// One row.
#[derive(Debug, Serialize)]
pub(crate) struct RowReport {
    pub(crate) name: String,
    pub(crate) about: &'static str,
    pub(crate) unit: String,
    pub(crate) baseline: &'static str,
    pub(crate) contenders: Vec<Figure>,
    pub(crate) goals: Vec<Judged>,
}

/// One contender of a row.
#[derive(Debug, Serialize)]
pub(crate) struct Figure {
    pub(crate) contender: &'static str,
    /// In the row's unit.
    pub(crate) median: f64,
    /// Repetition by repetition, in the row's unit.
    pub(crate) values: Vec<f64>,
    /// Of the ratios to the baseline, each from the two repetitions of one round.
    pub(crate) ratio: Interval,
    pub(crate) operations_per_repetition: u64,
    pub(crate) allocations: f64,
    pub(crate) bytes: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) latency: Option<Latency>,
    pub(crate) warnings: Vec<Warning>,
}

/// Within how many nanoseconds an operation ended.
#[derive(Debug, Serialize)]
pub(crate) struct Latency {
    pub(crate) p50: u64,
    pub(crate) p99: u64,
    pub(crate) p999: u64,
}

impl Latency {
    fn new(latencies: &Latencies) -> Self {
        let [p50, p99, p999] = [0.5, 0.99, 0.999].map(|share| latencies.within(share));
        Self { p50, p99, p999 }
    }
}

/// A goal and what became of it.
#[derive(Debug, Serialize)]
pub(crate) struct Judged {
    #[serde(flatten)]
    pub(crate) goal: Goal,
    pub(crate) measured: Interval,
    pub(crate) verdict: Verdict,
}

impl Report {
    pub(crate) fn new(host: Host, settings: Settings) -> Self {
        let warnings = Warning::of_setting(&host, settings);
        Self {
            host,
            repetitions: settings.repetitions,
            milliseconds_per_repetition: settings.target.as_secs_f64() * 1e3,
            rows: Vec::new(),
            warnings,
        }
    }

    /// Adds a measured row.
    pub(crate) fn add(&mut self, row: &Row, samples: &[Samples]) {
        self.rows.push(RowReport::new(row, samples));
    }

    /// How many goals ended in `verdict`.
    pub(crate) fn count(&self, verdict: Verdict) -> usize {
        self.rows.iter().flat_map(|row| &row.goals).filter(|goal| goal.verdict == verdict).count()
    }
}

impl RowReport {
    fn new(row: &Row, samples: &[Samples]) -> Self {
        let baseline = find(samples, row.baseline);
        let figure = |samples: &Samples| Figure {
            contender: samples.contender,
            median: median(&samples.values),
            values: samples.values.clone(),
            ratio: paired_ratio(samples, baseline),
            operations_per_repetition: samples.operations,
            allocations: samples.allocations,
            bytes: samples.bytes,
            latency: samples.latencies.as_ref().map(Latency::new),
            warnings: Warning::of_samples(row.measure, samples),
        };
        Self {
            name: row.name.clone(),
            about: row.about,
            unit: row.unit(),
            baseline: row.baseline,
            contenders: samples.iter().map(figure).collect(),
            goals: row.goals.iter().map(|&goal| Judged::new(goal, samples)).collect(),
        }
    }
}

impl Judged {
    fn new(goal: Goal, samples: &[Samples]) -> Self {
        let ours = find(samples, goal.contender);
        let measured = match goal.quantity {
            Quantity::Ratio { against } => paired_ratio(ours, find(samples, against)),
            Quantity::Allocations => Interval::exact(ours.allocations),
            Quantity::Bytes => Interval::exact(ours.bytes),
        };
        Self { goal, measured, verdict: goal.judge(&measured) }
    }
}

/// # Panics
///
/// When a row names a contender that it does not have; a test goes through all rows.
fn find<'a>(samples: &'a [Samples], contender: &str) -> &'a Samples {
    let found = samples.iter().find(|samples| samples.contender == contender);
    found.unwrap_or_else(|| panic!("a row names the contender {contender:?}, which it does not have"))
}

/// The median of the rounds' ratios: what drifts during a run drifts for both repetitions of a round.
fn paired_ratio(ours: &Samples, theirs: &Samples) -> Interval {
    let ratios: Vec<f64> =
        ours.values.iter().zip(&theirs.values).map(|(ours, theirs)| ours / theirs).collect();
    match ratios[..] {
        // A row that is counted and not sampled.
        [ratio] if ours.shortest.is_zero() => Interval::exact(ratio),
        _ => Interval::of_median(&ratios),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn samples(contender: &'static str, values: &[f64]) -> Samples {
        let (values, shortest) = (values.to_vec(), Duration::from_millis(30));
        Samples { contender, operations: 1, values, shortest, allocations: 1.0, bytes: 64.0, latencies: None }
    }

    #[test]
    fn ratios_are_taken_round_by_round() {
        // Both drift by 10x; the ratio is 2 in every round.
        let ours = samples("ours", &[2.0, 4.0, 8.0, 20.0, 2.0, 2.0, 2.0, 2.0, 2.0]);
        let theirs = samples("theirs", &[1.0, 2.0, 4.0, 10.0, 1.0, 1.0, 1.0, 1.0, 1.0]);
        let ratio = paired_ratio(&ours, &theirs);
        assert_eq!((ratio.low, ratio.median, ratio.high), (2.0, 2.0, 2.0));
    }

    #[test]
    fn a_goal_on_counts_is_judged_exactly() {
        let ours = [samples("ours", &[1.0])];
        assert_eq!(Judged::new(Goal::allocations("ours", 1.0), &ours).verdict, Verdict::Met);
        assert_eq!(Judged::new(Goal::bytes("ours", 63.0), &ours).verdict, Verdict::Missed);
    }

    #[test]
    fn every_row_names_contenders_that_it_has() {
        for workload in crate::workloads::ALL {
            for row in (workload.rows)() {
                let has = |name| row.contenders.iter().any(|entry| entry.name == name);
                assert!(has(row.baseline), "{}: baseline", row.name);
                for goal in &row.goals {
                    assert!(has(goal.contender), "{}: {goal:?}", row.name);
                    if let Quantity::Ratio { against } = goal.quantity {
                        assert!(has(against), "{}: {goal:?}", row.name);
                    }
                }
            }
        }
    }
}
