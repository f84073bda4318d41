//! Who is compared: the trait, and what its work must come to.

use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

use hdrhistogram::Histogram;

use crate::sync::AtomicU64;

/// One implementation of a row's work.
///
/// All contenders of a row do the same work and prove it with the same evidence, which the harness checks after each
/// run. The loop over the operations belongs to the contender, so that nothing but the work is dispatched.
pub(crate) trait Contender {
    /// Sets up what is not to be timed. In rows that measure memory: builds what is to be weighed.
    fn prepare(&mut self, operations: u64) {
        let _ = operations;
    }

    /// Does the work `operations` times, which is a multiple of the row's granule, and drops what it made.
    fn run(&mut self, operations: u64) -> Evidence;

    /// How long the operations of the last run took, each from the moment at which it was due. In rows that measure the
    /// tail: its percentiles are the figure.
    fn last_run(&mut self) -> Option<Latencies> {
        None
    }

    /// The same, with the nanoseconds from the start to the end of each operation, where these are asked for. A pass of
    /// its own, without `prepare`: looking at the clock is not part of the work.
    fn latencies(&mut self, operations: u64) -> Option<Latencies> {
        let _ = operations;
        None
    }
}

/// Nanoseconds an operation, each in its place.
#[derive(Clone, Debug)]
pub(crate) struct Latencies(Histogram<u64>);

impl Latencies {
    /// With three significant digits.
    pub(crate) fn new() -> Self {
        Self(Histogram::new(3).expect("three digits are allowed"))
    }

    pub(crate) fn record(&mut self, since: Instant) {
        self.keep(u64::try_from(since.elapsed().as_nanos()).unwrap_or(u64::MAX));
    }

    pub(crate) fn keep(&mut self, nanos: u64) {
        self.0.record(nanos).expect("it grows by itself");
    }

    /// Adds what another thread has recorded.
    pub(crate) fn add(&mut self, other: &Self) {
        self.0.add(&other.0).expect("it grows by itself");
    }

    /// The value that this share of all operations stayed within.
    pub(crate) fn within(&self, share: f64) -> u64 {
        self.0.value_at_quantile(share)
    }
}

/// What a run came to, to be compared with what it must come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Evidence {
    /// The sum of what the observers saw.
    pub(crate) results: u64,
    /// The sums of what the callbacks saw, where the contender has callbacks; each must equal the results.
    pub(crate) callbacks: [Option<u64>; 2],
}

impl Evidence {
    /// Of a contender without callbacks.
    pub(crate) fn results(results: u64) -> Self {
        Self { results, callbacks: [None; 2] }
    }

    /// What is wrong with it, if anything.
    pub(crate) fn fault(&self, expected: u64) -> Option<String> {
        let callbacks = self.callbacks.iter().flatten().copied();
        let mut seen = callbacks.map(|sum| ("its callbacks", sum)).chain([("its observers", self.results)]);
        let (who, sum) = seen.find(|&(_, sum)| sum != expected)?;
        Some(format!("{who} saw {sum} where {expected} is right"))
    }
}

/// A sum that callbacks add to. One thread at a time adds, so an addition is a load and a store, not a locked
/// instruction that would be charged to the contenders that have callbacks.
#[derive(Debug, Default)]
pub(crate) struct Tally(AtomicU64);

impl Tally {
    /// Lives as long as the program, so that a callback can capture a plain reference.
    pub(crate) fn leak() -> &'static Self {
        Box::leak(Box::default())
    }

    pub(crate) fn add(&self, value: u64) {
        self.0.store(self.0.load(Relaxed).wrapping_add(value), Relaxed);
    }

    /// The sum so far, which starts again from 0.
    pub(crate) fn take(&self) -> u64 {
        self.0.swap(0, Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latencies_of_any_size_are_kept() {
        let mut latencies = Latencies::new();
        (1..=1_000).for_each(|micros| latencies.keep(micros * 1_000));
        let mut other = Latencies::new();
        other.keep(3_000_000_000);
        latencies.add(&other);
        assert!((499_000..502_000).contains(&latencies.within(0.5)), "{}", latencies.within(0.5));
        assert!((2_990_000_000..3_010_000_000).contains(&latencies.within(1.0)));
    }
}
