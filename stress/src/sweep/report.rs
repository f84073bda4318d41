//! What a sweep did.

use std::fmt;

use serde::Serialize;

use super::case::Case;
use super::golden_run::Extent;

/// How many cases of a dimension were run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Count {
    /// As in [`Case::dimension`].
    pub dimension: &'static str,
    /// Cases.
    pub cases: u64,
}

/// One operation, swept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OperationReport {
    /// Its name.
    pub subject: String,
    /// I/Os when each ends inside `submit`.
    pub ios: u32,
    /// Yields when each is pending.
    pub yields: u32,
    /// Cases by dimension, in the order of [`Case::DIMENSIONS`].
    pub counts: Vec<Count>,
    /// Runs of the operation, one for each case and each of its aftermaths, and of restarts.
    pub runs: u64,
    /// What was run instead of everything, where everything would be too much.
    pub cuts: Vec<String>,
}

impl OperationReport {
    pub(super) fn new(subject: String, extent: &Extent) -> OperationReport {
        let counts = Case::DIMENSIONS.map(|dimension| Count { dimension, cases: 0 }).to_vec();
        OperationReport { subject, ios: extent.ios, yields: extent.yields, counts, runs: 0, cuts: Vec::new() }
    }

    pub(super) fn count(&mut self, case: &Case) {
        let dimension = case.dimension();
        if let Some(count) = self.counts.iter_mut().find(|count| count.dimension == dimension) {
            count.cases += 1;
        }
    }

    pub(super) fn cut(&mut self, what: String) {
        if !self.cuts.contains(&what) {
            self.cuts.push(what);
        }
    }

    /// All cases.
    pub fn cases(&self) -> u64 {
        self.counts.iter().map(|count| count.cases).sum()
    }

    /// The head of a table of these.
    pub fn head() -> String {
        let columns: String = Case::DIMENSIONS.iter().map(|dimension| format!(" {dimension:>12}")).collect();
        format!("{:<34} {:>5} {:>6}{columns}", "operation", "I/Os", "yields")
    }
}

impl fmt::Display for OperationReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<34} {:>5} {:>6}", self.subject, self.ios, self.yields)?;
        self.counts.iter().try_for_each(|count| write!(f, " {:>12}", count.cases))?;
        self.cuts.iter().try_for_each(|cut| write!(f, "\n    bounded: {cut}"))
    }
}
