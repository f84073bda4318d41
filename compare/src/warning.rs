//! Every way known to us in which the numbers can mislead.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use crate::contender::Measure;
use crate::host::Host;
use crate::measure::{Samples, Settings};
use crate::statistics::{modes, spread};

/// Fewer than this, and no interval of 95 per cent leaves anything out.
const ENOUGH_REPETITIONS: usize = 9;
/// Shorter than this, and one interrupt shows.
const LONG_ENOUGH: Duration = Duration::from_millis(10);
/// The middle half of the repetitions as a share of the median; above it, ratios of single runs mean little.
const STEADY: f64 = 0.15;
/// Other runnable threads; above it, somebody else has one of the cores for part of the time.
const QUIET_LOAD: f64 = 0.5;

/// A reason to doubt a figure.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(crate) enum Warning {
    /// Unoptimised code was measured.
    DebugBuild,
    /// Rows with two threads measure the scheduler.
    OneCore,
    /// Something else was running when the measurement began.
    BusyMachine { load: f64 },
    /// Intervals are wider, or cover less, than they should.
    TooFewRepetitions { repetitions: usize },
    /// The sources measured can't be told from the commit in the header.
    UncertainSources,
    /// Repetitions so short that the clock and interrupts show.
    ShortRepetition { row: String, contender: &'static str, milliseconds: f64 },
    /// The repetitions fall into two groups: the median is one of them, by chance.
    TwoModes { row: String, contender: &'static str, apart: f64 },
    /// The repetitions differ widely without falling into groups.
    Unsteady { row: String, contender: &'static str, spread: f64 },
}

impl Warning {
    /// What is doubtful before anything was measured.
    pub(crate) fn of_setting(host: &Host, settings: Settings) -> Vec<Self> {
        let doubts = [
            host.debug_build.then_some(Self::DebugBuild),
            (host.cores == 1).then_some(Self::OneCore),
            host.load.filter(|&load| load > QUIET_LOAD).map(|load| Self::BusyMachine { load }),
            (settings.repetitions < ENOUGH_REPETITIONS)
                .then_some(Self::TooFewRepetitions { repetitions: settings.repetitions }),
            host.sources_are_uncertain().then_some(Self::UncertainSources),
        ];
        doubts.into_iter().flatten().collect()
    }

    /// What is doubtful about one contender's figure.
    pub(crate) fn of_samples(row: &str, measure: Measure, samples: &Samples) -> Vec<Self> {
        if measure == Measure::Memory {
            return Vec::new();
        }
        let (row, contender) = (row.to_owned(), samples.contender);
        let mut doubts = Vec::new();
        if samples.shortest < LONG_ENOUGH {
            let milliseconds = samples.shortest.as_secs_f64() * 1e3;
            doubts.push(Self::ShortRepetition { row: row.clone(), contender, milliseconds });
        }
        let spread = spread(&samples.values);
        if let Some(apart) = modes(&samples.values) {
            doubts.push(Self::TwoModes { row, contender, apart });
        } else if spread > STEADY {
            doubts.push(Self::Unsteady { row, contender, spread });
        }
        doubts
    }

    /// One line for many contenders that are doubtful for the same reason would hide which: but short repetitions
    /// come from a setting and concern all, so they are told once.
    pub(crate) fn condense(warnings: &[Self]) -> Vec<String> {
        let mut lines = Vec::new();
        let mut short = 0;
        for warning in warnings {
            if matches!(warning, Self::ShortRepetition { .. }) {
                short += 1;
                if short > 1 {
                    continue;
                }
            }
            lines.push(warning.to_string());
        }
        if short > 1 {
            lines.push(format!("too short as well: {} more", short - 1));
        }
        lines
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DebugBuild => f.write_str("debug build: nothing here is comparable; use --release"),
            Self::OneCore => f.write_str("one core: rows with two threads measure the scheduler"),
            Self::BusyMachine { load } => {
                write!(f, "the machine was busy at the start (load {load:.1}): expect wide intervals")
            }
            Self::TooFewRepetitions { repetitions } => write!(
                f,
                "{repetitions} repetitions: intervals run from the least to the greatest, and below 6 cover less \
                 than 95 per cent; use {ENOUGH_REPETITIONS} or more"
            ),
            Self::UncertainSources => {
                f.write_str("the measured sources differ from the commit named above, or have none")
            }
            Self::ShortRepetition { row, contender, milliseconds } => write!(
                f,
                "{row}: a repetition of {contender} took {milliseconds:.1} ms; below {} ms one interrupt shows",
                LONG_ENOUGH.as_millis()
            ),
            Self::TwoModes { row, contender, apart } => {
                write!(f, "{row}: repetitions of {contender} fall into two groups, {apart:.2}x apart")
            }
            Self::Unsteady { row, contender, spread } => {
                write!(
                    f,
                    "{row}: repetitions of {contender} vary by {:.0} % around the median",
                    spread * 100.0
                )
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(values: &[f64], shortest: Duration) -> Samples {
        let values = values.to_vec();
        Samples { contender: "it", operations: 1, values, shortest, allocations: 0.0, bytes: 0.0 }
    }

    fn doubts(values: &[f64], milliseconds: u64) -> Vec<Warning> {
        let samples = samples(values, Duration::from_millis(milliseconds));
        Warning::of_samples("row", Measure::Time, &samples)
    }

    #[test]
    fn steady_long_repetitions_are_not_doubted() {
        assert_eq!(doubts(&[10.0, 10.1, 10.2, 10.3, 10.1], 30), []);
    }

    #[test]
    fn each_doubt_has_its_warning() {
        assert!(matches!(doubts(&[10.0; 5], 9)[..], [Warning::ShortRepetition { .. }]));
        assert!(matches!(doubts(&[10.0, 10.1, 17.0, 17.1, 10.0], 30)[..], [Warning::TwoModes { .. }]));
        assert!(matches!(doubts(&[10.0, 12.0, 14.0, 16.0, 18.0], 30)[..], [Warning::Unsteady { .. }]));
    }

    #[test]
    fn the_setting_is_doubted_too() {
        let host = Host {
            cpu: "any".into(),
            cores: 1,
            load: Some(2.0),
            rustc: "any",
            commit: "unknown",
            peers: "any",
            debug_build: true,
        };
        let settings = Settings { repetitions: 3, target: LONG_ENOUGH };
        assert_eq!(Warning::of_setting(&host, settings).len(), 5);
        let host = Host { cores: 2, load: Some(0.1), commit: "123456789abc", debug_build: false, ..host };
        let settings = Settings { repetitions: ENOUGH_REPETITIONS, ..settings };
        assert_eq!(Warning::of_setting(&host, settings), []);
    }
}
