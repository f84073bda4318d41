//! What one detector made of one mutant.

use serde::{Deserialize, Serialize};

use crate::attempt::{Attempt, Outcome};
use crate::detector::Detector;

/// All runs of a detector on a mutant.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Cell {
    pub(crate) detector: Detector,
    pub(crate) attempts: Vec<Attempt>,
}

/// So much, or, of a run that found nothing, more than that.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Amount {
    pub(crate) value: f64,
    /// The run ended before: the budget was too small.
    pub(crate) is_open: bool,
}

/// A median of all runs, the smallest and the largest. A run that found nothing would have taken longer than all others.
///
/// Below the true median is one run as likely as not, so all of six are on one side of it with 2^-5: these enclose it with
/// 96.9 %, open above if one of them found nothing. Those of two or three runs are a range and claim nothing.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Median {
    pub(crate) value: Amount,
    pub(crate) low: Amount,
    pub(crate) high: Amount,
}

impl Cell {
    /// How many runs noticed something.
    pub(crate) fn found(&self) -> usize {
        self.attempts.iter().filter(|attempt| attempt.is_found()).count()
    }

    /// How many runs ended in this way.
    pub(crate) fn count(&self, outcome: Outcome) -> usize {
        self.attempts.iter().filter(|attempt| attempt.outcome == outcome).count()
    }

    /// Until it was found, over the runs that end: the progress of a run that hangs is unknown.
    pub(crate) fn executions(&self) -> Option<Median> {
        let ending = self.attempts.iter().filter(|attempt| attempt.outcome != Outcome::Hangs);
        median(ending.filter_map(|attempt| {
            let value = attempt.executions? as f64;
            Some(Amount { value, is_open: !attempt.is_found() })
        }))
    }

    /// Of all runs, found or not; the runs themselves where nothing smaller is counted.
    pub(crate) fn executions_in_all(&self) -> u64 {
        let counted = self.attempts.iter().filter_map(|attempt| attempt.executions);
        counted.reduce(|sum, count| sum + count).unwrap_or(self.attempts.len() as u64)
    }

    /// Seconds until it was found, over all runs.
    pub(crate) fn seconds(&self) -> Option<Median> {
        let amount = |attempt: &Attempt| Amount { value: attempt.seconds, is_open: !attempt.is_found() };
        median(self.attempts.iter().map(amount))
    }

    /// Of the first run that noticed something; if there is none, of the first that has something to say.
    pub(crate) fn evidence(&self) -> &str {
        let found = self.attempts.iter().find(|attempt| attempt.is_found());
        let telling = || self.attempts.iter().find(|attempt| !attempt.evidence.is_empty());
        found.or_else(telling).map_or("", |attempt| &attempt.evidence)
    }
}

/// Nothing if no run found it.
fn median(amounts: impl Iterator<Item = Amount>) -> Option<Median> {
    let mut amounts: Vec<Amount> = amounts.collect();
    amounts.sort_by(|a, b| a.is_open.cmp(&b.is_open).then(a.value.total_cmp(&b.value)));
    let (low, high) = (*amounts.first()?, *amounts.last()?);
    // The same one twice, if their number is odd.
    let (below, above) = (amounts[(amounts.len() - 1) / 2], amounts[amounts.len() / 2]);
    let value = Amount { value: f64::midpoint(below.value, above.value), is_open: above.is_open };
    (!low.is_open).then_some(Median { value, low, high })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(runs: &[(Outcome, u64)]) -> Cell {
        let attempt = |&(outcome, executions)| Attempt {
            outcome,
            executions: Some(executions),
            seconds: 1.0,
            evidence: String::new(),
        };
        Cell { detector: Detector::Sim, attempts: runs.iter().map(attempt).collect() }
    }

    fn closed(value: f64) -> Amount {
        Amount { value, is_open: false }
    }

    fn open(value: f64) -> Amount {
        Amount { value, is_open: true }
    }

    use Outcome::{Found, Hangs, Missed};

    #[test]
    fn the_median_of_complete_finds_lies_between_the_smallest_and_the_largest() {
        let cell = cell(&[(Found, 9), (Found, 2), (Found, 3), (Found, 4)]);
        let median = Median { value: closed(3.5), low: closed(2.0), high: closed(9.0) };
        assert_eq!(cell.executions(), Some(median));
    }

    #[test]
    fn a_run_that_found_nothing_opens_the_upper_end() {
        let most = cell(&[(Found, 9), (Missed, 300), (Found, 3), (Found, 4), (Found, 5)]);
        let median = Median { value: closed(5.0), low: closed(3.0), high: open(300.0) };
        assert_eq!((most.found(), most.executions()), (4, Some(median)));
        let few = cell(&[(Missed, 300), (Found, 3), (Missed, 300)]);
        let median = Median { value: open(300.0), low: closed(3.0), high: open(300.0) };
        assert_eq!(few.executions(), Some(median), "half of all runs need more than the budget");
        assert_eq!(cell(&[(Missed, 300)]).executions(), None);
    }

    #[test]
    fn where_nothing_smaller_is_counted_runs_are() {
        let mut cell = cell(&[(Missed, 9), (Found, 2)]);
        assert_eq!(cell.executions_in_all(), 11);
        cell.attempts[0].executions = None;
        assert_eq!(cell.executions_in_all(), 2, "one hung");
        cell.attempts[1].executions = None;
        assert_eq!(cell.executions_in_all(), 2);
    }

    #[test]
    fn a_run_that_hangs_has_found_it_after_an_unknown_count() {
        let cell = cell(&[(Hangs, 0), (Found, 7)]);
        assert_eq!((cell.found(), cell.count(Hangs)), (2, 1));
        assert_eq!(
            cell.executions().map(|median| (median.low, median.high)),
            Some((closed(7.0), closed(7.0)))
        );
    }
}
