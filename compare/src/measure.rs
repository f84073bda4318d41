//! Takes the figures: sizes a repetition for each contender, then lets them alternate.

use std::time::{Duration, Instant};

use crate::alloc::Snapshot;
use crate::contender::{Entry, Evidence, Latencies, Measure, Row};

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

/// Measures all contenders of a row.
pub(crate) fn measure(row: &mut Row, settings: Settings) -> Result<Vec<Samples>, WrongResult> {
    let mut bench = Bench { row: &row.name, granule: row.granule, expected: &*row.expected };
    let mut samples = Vec::new();
    for entry in &mut row.contenders {
        samples.push(match row.measure {
            Measure::Time => bench.size_up(entry, settings)?,
            Measure::Memory => bench.weigh(entry)?,
        });
    }
    if row.measure == Measure::Memory {
        return Ok(samples);
    }
    for _ in 0..settings.repetitions {
        for (entry, samples) in row.contenders.iter_mut().zip(&mut samples) {
            let elapsed = bench.time(entry, samples.operations)?;
            samples.values.push(elapsed.as_secs_f64() * 1e9 / samples.operations as f64);
            samples.shortest = samples.shortest.min(elapsed);
        }
    }
    Ok(samples)
}

/// The parts of a row that every run needs.
struct Bench<'a> {
    row: &'a str,
    granule: u64,
    expected: &'a dyn Fn(u64) -> u64,
}

impl Bench<'_> {
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
    fn size_up(&mut self, entry: &mut Entry, settings: Settings) -> Result<Samples, WrongResult> {
        let mut operations = self.granule;
        loop {
            let elapsed = self.time(entry, operations)?;
            let factor = settings.target.as_secs_f64() / elapsed.as_secs_f64().max(1e-9);
            let wanted = (operations as f64 * factor.min(10.0)) as u64;
            operations = wanted.div_ceil(self.granule).max(1) * self.granule;
            if factor < 2.0 {
                break;
            }
        }
        let (allocations, bytes) = self.count_allocations(entry, operations)?;
        let latencies = entry.contender.latencies(operations);
        Ok(Samples {
            contender: entry.name,
            operations,
            values: Vec::new(),
            shortest: Duration::MAX,
            allocations,
            bytes,
            latencies,
        })
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
    fn weigh(&mut self, entry: &mut Entry) -> Result<Samples, WrongResult> {
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
        let mut row = Row::timed("a row", "operation", "left");
        row.granule = 4;
        row.contenders = vec![Entry::new("left", left), Entry::new("right", right)];
        row
    }

    #[test]
    fn right_contenders_are_measured_in_every_round() {
        let honest = || Sum { lossy: None, twice: None };
        let samples = measure(&mut row_of([honest(), honest()]), QUICK).unwrap();
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
        let wrong = measure(&mut row_of([Sum { lossy: None, twice: None }, lossy]), QUICK).unwrap_err();
        assert_eq!(wrong.contender, "right");
        assert!(wrong.to_string().contains("its observers saw"), "{wrong}");
    }

    #[test]
    fn a_contender_that_calls_back_twice_is_caught() {
        let twice = Sum { lossy: None, twice: Some(4) };
        let wrong = measure(&mut row_of([twice, Sum { lossy: None, twice: None }]), QUICK).unwrap_err();
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
        let mut row = Row::timed("a row", "operation", "contender");
        row.granule = 4;
        row.contenders = vec![Entry::new("contender", InTurns::default())];
        measure(&mut row, QUICK).unwrap();
    }
}
