//! Every way known to us in which the numbers can mislead.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::host::Host;
use crate::measure::{Samples, Settings};
use crate::row::Measure;
use crate::statistics::{modes, spread};

/// Fewer than this, and no interval of 95 per cent leaves anything out.
const ENOUGH_REPETITIONS: usize = 9;
/// Shorter than this, and one interrupt shows.
const LONG_ENOUGH: Duration = Duration::from_millis(10);
/// The middle half of the repetitions as a share of the median; above it, ratios of single runs mean little.
const STEADY: f64 = 0.15;
/// Other runnable threads; above it, other work uses one of the cores for part of the time.
const QUIET_LOAD: f64 = 0.5;

/// A reason to doubt a figure.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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
    ShortRepetition { milliseconds: f64 },
    /// The repetitions fall into two groups: the median is one of them, by chance.
    TwoModes { apart: f64 },
    /// The repetitions differ widely without falling into groups.
    Unsteady { spread: f64 },
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
    pub(crate) fn of_samples(measure: Measure, samples: &Samples) -> Vec<Self> {
        if measure == Measure::Memory {
            return Vec::new();
        }
        let short = (samples.shortest < LONG_ENOUGH)
            .then_some(Self::ShortRepetition { milliseconds: samples.shortest.as_secs_f64() * 1e3 });
        let spread = spread(&samples.values);
        let uneven = match modes(&samples.values) {
            Some(apart) => Some(Self::TwoModes { apart }),
            None => (spread > STEADY).then_some(Self::Unsteady { spread }),
        };
        uneven.into_iter().chain(short).collect()
    }

    /// The mark beside a doubtful figure; empty for what concerns the whole run.
    pub(crate) fn mark(&self) -> String {
        match self {
            Self::ShortRepetition { milliseconds } => format!("short {milliseconds:.1} ms"),
            Self::TwoModes { apart } => format!("two modes {apart:.2}x"),
            Self::Unsteady { spread } => format!("unsteady {:.0} %", spread * 100.0),
            _ => String::new(),
        }
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
                 than 95 %; use {ENOUGH_REPETITIONS} or more"
            ),
            Self::UncertainSources => {
                f.write_str("the measured sources differ from the commit named above, or have none")
            }
            Self::ShortRepetition { .. } => {
                write!(f, "\"short\": a repetition took less than {} ms, so one interrupt shows", LONG_ENOUGH.as_millis())
            }
            Self::TwoModes { .. } => f.write_str(
                "\"two modes\": the repetitions fall into two groups this far apart, and the median is in one by chance",
            ),
            Self::Unsteady { .. } => {
                f.write_str("\"unsteady\": the middle half of the repetitions spreads this far around the median")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(values: &[f64], shortest: Duration) -> Samples {
        Samples { values: values.into(), ..Samples::of_one("it", shortest) }
    }

    fn doubts(values: &[f64], milliseconds: u64) -> Vec<Warning> {
        let samples = samples(values, Duration::from_millis(milliseconds));
        Warning::of_samples(Measure::Time, &samples)
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
            rustc: "any".into(),
            commit: "unknown".into(),
            peers: "any".into(),
            debug_build: true,
        };
        let settings = Settings { repetitions: 3, target: LONG_ENOUGH };
        assert_eq!(Warning::of_setting(&host, settings).len(), 5);
        let host =
            Host { cores: 2, load: Some(0.1), commit: "123456789abc".into(), debug_build: false, ..host };
        let settings = Settings { repetitions: ENOUGH_REPETITIONS, ..settings };
        assert_eq!(Warning::of_setting(&host, settings), []);
    }
}
