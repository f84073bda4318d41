//! The results: one document that the table, the page, the Markdown, the resumed run and the comparison of two runs read.

mod file;
mod growth;

use serde::{Deserialize, Serialize};

use crate::contender::Latencies;
use crate::goal::{Goal, Quantity, Verdict};
use crate::host::Host;
use crate::measure::{Samples, Settings};
use crate::row::Row;
use crate::statistics::{Interval, median};
use crate::warning::Warning;

pub(crate) use file::{FileError, load, resume, save};
pub(crate) use growth::{Growth, UNCLEAR, growth_of};

/// The version of the document. A change of what a field means, or of what a row of a name does, is a new one.
pub(crate) const FORMAT: u32 = 2;

/// Everything, in the shape of the JSON document.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Report {
    /// [`FORMAT`].
    pub(crate) format: u32,
    pub(crate) host: Host,
    pub(crate) repetitions: usize,
    pub(crate) milliseconds_per_repetition: f64,
    pub(crate) rows: Vec<RowReport>,
    /// Rows that were asked for and could not be measured here.
    pub(crate) skipped: Vec<Skipped>,
    /// Whether it ended before all rows were measured.
    pub(crate) interrupted: bool,
    /// What concerns the whole run; doubts about one figure are with that.
    pub(crate) warnings: Vec<Warning>,
}

/// One row.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct RowReport {
    pub(crate) name: String,
    /// The command line word that measures it.
    pub(crate) scenario: String,
    pub(crate) about: String,
    pub(crate) unit: String,
    pub(crate) baseline: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) place: Option<Place>,
    pub(crate) contenders: Vec<Figure>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) absent: Vec<Absence>,
    pub(crate) goals: Vec<Judged>,
}

/// The size of a row in its series.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Place {
    pub(crate) series: String,
    pub(crate) axis: String,
    pub(crate) size: u64,
    /// Whether a figure is the cost of the whole size, and not of one of its parts.
    pub(crate) whole: bool,
}

/// A row that was not measured.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Skipped {
    pub(crate) row: String,
    pub(crate) reason: String,
}

/// A contender that did not take part in a row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Absence {
    pub(crate) contender: String,
    pub(crate) reason: String,
}

/// One contender of a row.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Figure {
    pub(crate) contender: String,
    /// Whether it runs on the runtime of this project.
    pub(crate) ours: bool,
    /// In the row's unit.
    pub(crate) median: f64,
    /// Repetition by repetition, in the row's unit.
    pub(crate) values: Vec<f64>,
    /// Of the ratios to the baseline, each from the two repetitions of one round.
    pub(crate) ratio: Interval,
    pub(crate) operations_per_repetition: u64,
    pub(crate) allocations: f64,
    pub(crate) bytes: f64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) latency: Option<Latency>,
    pub(crate) warnings: Vec<Warning>,
}

/// Within how many nanoseconds an operation ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Latency {
    pub(crate) p50: u64,
    pub(crate) p99: u64,
    pub(crate) p999: u64,
    pub(crate) max: u64,
    /// Share of the operations, and the nanoseconds within which that share ended.
    pub(crate) curve: Vec<(f64, u64)>,
}

/// The shares of a curve: each further one halves what is left out, roughly.
const SHARES: [f64; 12] = [0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.98, 0.99, 0.995, 0.999, 0.9999];

impl Latency {
    fn new(latencies: &Latencies) -> Self {
        let within = |share| latencies.within(share);
        Self {
            p50: within(0.5),
            p99: within(0.99),
            p999: within(0.999),
            max: within(1.0),
            curve: SHARES.map(|share| (share, within(share))).into(),
        }
    }
}

/// A goal and what became of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
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
            format: FORMAT,
            host,
            repetitions: settings.repetitions,
            milliseconds_per_repetition: settings.target.as_secs_f64() * 1e3,
            rows: Vec::new(),
            skipped: Vec::new(),
            interrupted: false,
            warnings,
        }
    }

    /// Whether a row of this name is in it.
    pub(crate) fn has(&self, row: &str) -> bool {
        self.rows.iter().any(|known| known.name == row)
    }

    /// How many goals ended in `verdict`.
    pub(crate) fn count(&self, verdict: Verdict) -> usize {
        self.rows.iter().flat_map(|row| &row.goals).filter(|goal| goal.verdict == verdict).count()
    }
}

impl RowReport {
    pub(crate) fn new(
        scenario: &str,
        place: Option<&crate::row::Place>,
        row: &Row,
        samples: &[Samples],
    ) -> Self {
        let baseline = find(samples, row.baseline);
        let figure = |samples: &Samples| Figure {
            contender: samples.contender.into(),
            ours: samples.ours,
            median: median(&samples.values),
            values: samples.values.clone(),
            ratio: paired_ratio(samples, baseline),
            operations_per_repetition: samples.operations,
            allocations: samples.allocations,
            bytes: samples.bytes,
            latency: samples.latencies.as_ref().map(Latency::new),
            warnings: Warning::of_samples(row.measure, samples),
        };
        let absent = row.absent.iter();
        Self {
            name: row.name.clone(),
            scenario: scenario.into(),
            about: row.about.into(),
            unit: row.unit(),
            baseline: row.baseline.into(),
            place: place.map(|place| Place {
                series: place.series.into(),
                axis: place.axis.into(),
                size: place.size,
                whole: place.whole,
            }),
            contenders: samples.iter().map(figure).collect(),
            absent: absent
                .map(|absent| Absence { contender: absent.name.into(), reason: absent.reason.clone() })
                .collect(),
            goals: row.goals.iter().map(|goal| Judged::new(goal.clone(), samples)).collect(),
        }
    }
}

impl Judged {
    fn new(goal: Goal, samples: &[Samples]) -> Self {
        let ours = find(samples, &goal.contender);
        let measured = match &goal.quantity {
            Quantity::Ratio { against } => paired_ratio(ours, find(samples, against)),
            Quantity::Allocations => Interval::exact(ours.allocations),
            Quantity::Bytes => Interval::exact(ours.bytes),
        };
        let verdict = goal.judge(&measured);
        Self { goal, measured, verdict }
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

/// Four rows of one series, one skipped row, one absent contender, for the tests of what is written.
#[cfg(test)]
pub(crate) fn sample_report() -> Report {
    use std::time::Duration;

    use crate::row::Entry;

    struct Nothing;
    impl crate::contender::Contender for Nothing {
        fn run(&mut self, operations: u64) -> crate::contender::Evidence {
            crate::contender::Evidence::results(operations)
        }
    }
    let settings = Settings { repetitions: 9, target: Duration::from_millis(30) };
    let mut report = Report::new(Host::look(), settings);
    for size in [8, 64, 256, 1_024] {
        let mut row = Row::timed("group", "their one");
        row.name = format!("group of {size}");
        row.about = "work <of> two";
        row.contenders = vec![Entry::ours("our one", Nothing), Entry::new("their one", Nothing)];
        let reason = "it was refused".into();
        row.absent.push(crate::row::Absent { name: "absent one", reason });
        row.goals = vec![Goal::ratio("our one", "their one", 0.35), Goal::bytes("our one", 96.0)];
        let samples = row.contenders.iter().map(|entry| {
            let cost = size as f64 * if entry.ours { 50.0 } else { 100.0 };
            // The ratio spreads over some per cent.
            let values = (0..9).map(|at| if entry.ours { cost * (1.0 + 0.01 * f64::from(at)) } else { cost });
            let values = values.collect();
            Samples { ours: entry.ours, values, ..Samples::of_one(entry.name, settings.target) }
        });
        let place = crate::row::Place { series: "group", axis: "children", size, whole: true };
        let samples: Vec<_> = samples.collect();
        report.rows.push(RowReport::new("group", Some(&place), &row, &samples));
    }
    report.skipped.push(Skipped { row: "big row".into(), reason: "too big".into() });
    report
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn samples(contender: &'static str, values: &[f64]) -> Samples {
        Samples { values: values.into(), ..Samples::of_one(contender, Duration::from_millis(30)) }
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
}
