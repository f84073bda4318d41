//! Takes the figures: sizes a repetition for each contender, then lets them alternate.

use std::time::{Duration, Instant};

use crate::alloc::Snapshot;
use crate::contender::{Evidence, Latencies};
use crate::row::{Entry, Measure, Row};
use crate::stop::Stop;

/// How long and how often.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    pub(crate) repetitions: usize,
    /// What a repetition is sized to.
    pub(crate) target: Duration,
}

/// What was measured of one contender in one row.
#[derive(Clone, Debug)]
pub(crate) struct Samples {
    pub(crate) contender: &'static str,
    pub(crate) ours: bool,
    /// Operations of one repetition.
    pub(crate) operations: u64,
    /// The row's measure an operation, repetition by repetition: the n-th of all contenders were taken in one round.
    pub(crate) values: Vec<f64>,
    /// The shortest repetition; 0 where time is not what is measured.
    pub(crate) shortest: Duration,
    /// An operation's, in a pass of its own.
    pub(crate) allocations: f64,
    pub(crate) bytes: f64,
    /// In a pass of its own, where the contender takes them.
    pub(crate) latencies: Option<Latencies>,
}

#[cfg(test)]
impl Samples {
    /// Of one operation, without values yet.
    pub(crate) fn of_one(contender: &'static str, shortest: Duration) -> Self {
        let (operations, values, latencies) = (1, Vec::new(), None);
        Self {
            contender,
            ours: false,
            operations,
            values,
            shortest,
            allocations: 1.0,
            bytes: 64.0,
            latencies,
        }
    }
}

/// Why a row has no samples.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Unmeasured {
    Wrong(WrongResult),
    /// The user has asked for an end.
    Interrupted,
}

impl From<WrongResult> for Unmeasured {
    fn from(wrong: WrongResult) -> Self {
        Self::Wrong(wrong)
    }
}

/// A contender came to a result that is not right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct WrongResult {
    row: String,
    contender: &'static str,
    operations: u64,
    fault: String,
}

impl std::fmt::Display for WrongResult {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { row, contender, operations, fault } = self;
        write!(f, "{row}: {contender} came to a wrong result over {operations} operations: {fault}")
    }
}

/// Measures all contenders of a row. A stop is noticed between two runs.
pub(crate) fn measure(row: &mut Row, settings: Settings, stop: &Stop) -> Result<Vec<Samples>, Unmeasured> {
    let measure = row.measure;
    let (mut bench, contenders) = Bench::split(row);
    let mut samples = Vec::new();
    for entry in &mut *contenders {
        stop.check()?;
        samples.push(match measure {
            Measure::Time | Measure::Tail => bench.size_up(entry, settings)?,
            Measure::Memory => bench.weigh(entry)?,
        });
    }
    if measure == Measure::Memory {
        return Ok(samples);
    }
    for _ in 0..settings.repetitions {
        for (entry, samples) in contenders.iter_mut().zip(&mut samples) {
            stop.check()?;
            bench.repeat(entry, samples)?;
        }
    }
    Ok(samples)
}

/// The parts of a row that every run needs.
pub(crate) struct Bench<'a> {
    row: &'a str,
    measure: Measure,
    granule: u64,
    fixed: Option<u64>,
    expected: &'a dyn Fn(u64) -> u64,
}

impl<'a> Bench<'a> {
    /// What every run needs, and those who run.
    pub(crate) fn split(row: &'a mut Row) -> (Self, &'a mut [Entry]) {
        let Row { name, measure, granule, fixed, expected, contenders, .. } = row;
        let (measure, granule, fixed) = (*measure, *granule, *fixed);
        (Self { row: name, measure, granule, fixed, expected: &**expected }, contenders)
    }

    /// Takes one more value.
    pub(crate) fn repeat(&mut self, entry: &mut Entry, samples: &mut Samples) -> Result<(), WrongResult> {
        let elapsed = self.time(entry, samples.operations)?;
        samples.shortest = samples.shortest.min(elapsed);
        if self.measure == Measure::Time {
            samples.values.push(elapsed.as_secs_f64() * 1e9 / samples.operations as f64);
            return Ok(());
        }
        let latencies =
            entry.contender.last_run().expect("a contender of a row that measures the tail keeps them");
        samples.values.push(latencies.within(0.99) as f64);
        match &mut samples.latencies {
            Some(all) => all.add(&latencies),
            none => *none = Some(latencies),
        }
        Ok(())
    }

    /// One checked run and its time.
    fn time(&mut self, entry: &mut Entry, operations: u64) -> Result<Duration, WrongResult> {
        entry.contender.prepare(operations);
        let start = Instant::now();
        let evidence = entry.contender.run(operations);
        let elapsed = start.elapsed();
        self.check(entry, operations, evidence)?;
        Ok(elapsed)
    }

    fn check(&self, entry: &Entry, operations: u64, evidence: Evidence) -> Result<(), WrongResult> {
        match evidence.fault((self.expected)(operations)) {
            None => Ok(()),
            Some(fault) => {
                let (row, contender) = (self.row.to_owned(), entry.name);
                Err(WrongResult { row, contender, operations, fault })
            }
        }
    }

    /// Warms a contender up, finds how many operations take the target time, and counts its allocations.
    pub(crate) fn size_up(&mut self, entry: &mut Entry, settings: Settings) -> Result<Samples, WrongResult> {
        let mut operations = self.fixed.unwrap_or(self.granule);
        loop {
            let mut elapsed = self.time(entry, operations)?;
            if elapsed * 2 > settings.target && self.fixed.is_none() {
                // Long enough, or stalled by other work: once more tells. A repetition sized by a stall would be far too
                // short.
                elapsed = elapsed.min(self.time(entry, operations)?);
            }
            let factor = settings.target.as_secs_f64() / elapsed.as_secs_f64().max(1e-9);
            let wanted = (operations as f64 * factor.min(10.0)) as u64;
            operations = wanted.div_ceil(self.granule).max(1) * self.granule;
            if let Some(fixed) = self.fixed {
                operations = fixed;
                break;
            }
            if factor < 2.0 {
                break;
            }
        }
        let (allocations, bytes) = self.count_allocations(entry, operations)?;
        let latencies = match self.measure {
            Measure::Tail => None,
            Measure::Time | Measure::Memory => entry.contender.latencies(operations),
        };
        let (contender, ours, values, shortest) = (entry.name, entry.ours, Vec::new(), Duration::MAX);
        Ok(Samples { contender, ours, operations, values, shortest, allocations, bytes, latencies })
    }

    /// Allocations and bytes an operation, over a pass that is not timed. As long as a repetition, so that what a run
    /// allocates once disappears.
    fn count_allocations(&mut self, entry: &mut Entry, operations: u64) -> Result<(f64, f64), WrongResult> {
        entry.contender.prepare(operations);
        let before = Snapshot::take();
        let evidence = entry.contender.run(operations);
        let after = Snapshot::take();
        self.check(entry, operations, evidence)?;
        let each = |before: u64, after: u64| (after - before) as f64 / operations as f64;
        Ok((each(before.allocations, after.allocations), each(before.allocated, after.allocated)))
    }

    /// Bytes alive between preparation and run. A count, so once is enough; the second time, when one-off costs like
    /// the growth of a run queue have been paid for.
    pub(crate) fn weigh(&mut self, entry: &mut Entry) -> Result<Samples, WrongResult> {
        let operations = self.granule;
        self.time(entry, operations)?;
        let before = Snapshot::take();
        entry.contender.prepare(operations);
        let after = Snapshot::take();
        let evidence = entry.contender.run(operations);
        self.check(entry, operations, evidence)?;
        let each = |amount: u64| amount as f64 / operations as f64;
        Ok(Samples {
            contender: entry.name,
            ours: entry.ours,
            operations,
            values: vec![each(after.alive() - before.alive())],
            shortest: Duration::ZERO,
            allocations: each(after.allocations - before.allocations),
            bytes: each(after.allocated - before.allocated),
            latencies: None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contender::Contender;

    const QUICK: Settings = Settings { repetitions: 3, target: Duration::from_micros(200) };

    /// Adds 1 an operation, but forgets one in `lossy`, and calls back one time too often in `twice`.
    struct Sum {
        lossy: Option<u64>,
        twice: Option<u64>,
    }

    impl Contender for Sum {
        fn run(&mut self, operations: u64) -> Evidence {
            let lost = self.lossy.map_or(0, |every| operations / every);
            let extra = self.twice.map_or(0, |every| operations / every);
            let work: u64 = (0..operations).map(|_| std::hint::black_box(1)).sum();
            Evidence { results: work - lost, callbacks: [Some(operations + extra), None] }
        }
    }

    fn row_of(contenders: [Sum; 2]) -> Row {
        let [left, right] = contenders;
        let mut row = Row::timed("operation", "left");
        row.granule = 4;
        row.contenders = vec![Entry::new("left", left), Entry::new("right", right)];
        row
    }

    fn wrong(row: &mut Row) -> WrongResult {
        match measure(row, QUICK, &Stop::never()) {
            Err(Unmeasured::Wrong(wrong)) => wrong,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_stop_ends_a_row_without_samples() {
        let stop = Stop::never();
        stop.ask();
        let honest = || Sum { lossy: None, twice: None };
        let ended = measure(&mut row_of([honest(), honest()]), QUICK, &stop);
        assert_eq!(ended.unwrap_err(), Unmeasured::Interrupted);
    }

    #[test]
    fn a_stall_while_a_repetition_is_sized_does_not_make_it_short() {
        /// Its first run takes as long as a repetition should.
        struct StallsOnce(Option<Duration>);
        impl Contender for StallsOnce {
            fn run(&mut self, operations: u64) -> Evidence {
                let (stall, started) = (self.0.take().unwrap_or_default(), Instant::now());
                while started.elapsed() < stall {
                    std::hint::spin_loop();
                }
                Evidence::results((0..operations).map(|_| std::hint::black_box(1)).sum())
            }
        }
        let settings = Settings { repetitions: 1, target: Duration::from_millis(20) };
        let mut row = Row::timed("operation", "stalls");
        row.contenders = vec![Entry::new("stalls", StallsOnce(Some(settings.target)))];
        let samples = measure(&mut row, settings, &Stop::never()).unwrap().remove(0);
        assert!(samples.operations > 100, "{} operations", samples.operations);
    }

    #[test]
    fn a_rate_fixes_the_number_of_operations_and_the_tail_is_the_figure() {
        /// Each operation takes a microsecond, one in fifty a millisecond.
        struct Slow(Option<Latencies>);
        impl Contender for Slow {
            fn run(&mut self, operations: u64) -> Evidence {
                let mut latencies = Latencies::new();
                (0..operations).for_each(|at| latencies.keep(if at % 50 == 0 { 1_000_000 } else { 1_000 }));
                self.0 = Some(latencies);
                Evidence::results(operations)
            }
            fn last_run(&mut self) -> Option<Latencies> {
                self.0.take()
            }
        }
        let mut row = Row::timed("operation", "slow");
        (row.measure, row.fixed) = (Measure::Tail, Some(500));
        row.contenders = vec![Entry::new("slow", Slow(None))];
        let samples = measure(&mut row, QUICK, &Stop::never()).unwrap().remove(0);
        assert_eq!(samples.operations, 500);
        assert!(samples.values.iter().all(|value| (999_000.0..1_001_000.0).contains(value)), "{samples:?}");
        assert!(samples.latencies.is_some_and(|latencies| latencies.within(0.5) < 1_100));
    }

    #[test]
    fn right_contenders_are_measured_in_every_round() {
        let honest = || Sum { lossy: None, twice: None };
        let samples = measure(&mut row_of([honest(), honest()]), QUICK, &Stop::never()).unwrap();
        assert_eq!(samples.len(), 2);
        for samples in samples {
            assert_eq!(samples.values.len(), QUICK.repetitions);
            assert!(samples.values.iter().all(|&value| value > 0.0));
            assert!(samples.operations.is_multiple_of(4));
        }
    }

    #[test]
    fn a_contender_that_loses_one_operation_in_a_hundred_is_caught() {
        let lossy = Sum { lossy: Some(100), twice: None };
        let wrong = wrong(&mut row_of([Sum { lossy: None, twice: None }, lossy]));
        assert_eq!(wrong.contender, "right");
        assert!(wrong.to_string().contains("its observers saw"), "{wrong}");
    }

    #[test]
    fn a_contender_that_calls_back_twice_is_caught() {
        let twice = Sum { lossy: None, twice: Some(4) };
        let wrong = wrong(&mut row_of([twice, Sum { lossy: None, twice: None }]));
        assert_eq!(wrong.contender, "left");
        assert!(wrong.to_string().contains("its callbacks saw"), "{wrong}");
    }

    /// Panics when a run is missing between two preparations: what was prepared would meet the next run's work.
    #[derive(Default)]
    struct InTurns {
        prepared: bool,
    }

    impl Contender for InTurns {
        fn prepare(&mut self, _: u64) {
            assert!(!std::mem::replace(&mut self.prepared, true), "prepared twice");
        }

        fn run(&mut self, operations: u64) -> Evidence {
            assert!(std::mem::take(&mut self.prepared), "run without preparation");
            Evidence::results((0..operations).map(|_| std::hint::black_box(1)).sum())
        }
    }

    #[test]
    fn every_preparation_is_followed_by_its_run() {
        let mut row = Row::timed("operation", "contender");
        row.granule = 4;
        row.contenders = vec![Entry::new("contender", InTurns::default())];
        measure(&mut row, QUICK, &Stop::never()).unwrap();
    }
}
