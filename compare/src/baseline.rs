//! Two runs, one after the other: which rows changed, by the ratios to the same peer.
//!
//! Absolute times of two runs differ by what else the machine did. A ratio was taken within each run, so most of that is
//! not in it. A row changed when the two intervals of its ratio have nothing in common, and the medians differ by a
//! hundredth at least.

use std::fmt::Write as _;

use crate::output::{number, wrap};
use crate::results::{Figure, Report, RowReport};
use crate::statistics::Interval;

/// Smaller differences are no change. A count has no interval, and the bytes of a hundred thousand tasks depend on where a
/// block of memory happened to begin.
pub(crate) const LEAST: f64 = 0.01;

/// One contender of ours in one row.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Change {
    row: String,
    contender: String,
    then: Interval,
    now: Interval,
}

/// See [`changes`].
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Changes {
    slower: Vec<Change>,
    faster: Vec<Change>,
    /// Compared, and within their intervals.
    same: usize,
    /// Rows of ours that only one of the runs has.
    alone: usize,
}

impl Changes {
    pub(crate) fn any_slower(&self) -> bool {
        !self.slower.is_empty()
    }
}

/// Which contenders of ours changed from `then` to `now`.
pub(crate) fn changes(then: &Report, now: &Report) -> Changes {
    let mut found = Changes::default();
    for row in &now.rows {
        for figure in row.contenders.iter().filter(|figure| figure.ours) {
            match find(then, row, figure) {
                Some(earlier) => found.add(row, figure, earlier),
                None => found.alone += 1,
            }
        }
    }
    found
}

/// The same contender in the same row with the same peer.
fn find<'a>(report: &'a Report, row: &RowReport, figure: &Figure) -> Option<&'a Figure> {
    let row = report.rows.iter().find(|known| known.name == row.name && known.baseline == row.baseline)?;
    row.contenders.iter().find(|known| known.contender == figure.contender)
}

impl Changes {
    fn add(&mut self, row: &RowReport, now: &Figure, then: &Figure) {
        let change = Change {
            row: row.name.clone(),
            contender: now.contender.clone(),
            then: then.ratio,
            now: now.ratio,
        };
        let is_large = (change.now.median / change.then.median - 1.0).abs() >= LEAST;
        if is_large && change.now.low > change.then.high {
            self.slower.push(change);
        } else if is_large && change.now.high < change.then.low {
            self.faster.push(change);
        } else {
            self.same += 1;
        }
    }
}

/// For people.
pub(crate) fn describe(changes: &Changes, then: &Report) -> String {
    let Changes { slower, faster, same, alone } = changes;
    let compared = slower.len() + faster.len() + same;
    let mut text = format!(
        "against the run at {}: {} of {compared} figures of ours are slower beyond their intervals, {} faster, {same} the same",
        then.host.commit,
        slower.len(),
        faster.len()
    );
    if *alone > 0 {
        let _ = write!(text, "; {alone} are not in that run");
    }
    let mut text = wrap("", 2, &text);
    for (word, changes) in [("slower", slower), ("faster", faster)] {
        for Change { row, contender, then, now } in changes {
            let moved = number(now.median / then.median);
            let line = format!(
                "{moved}x {row}: {contender}: {:.2} [{:.2}, {:.2}] was {:.2} [{:.2}, {:.2}]",
                now.median, now.low, now.high, then.median, then.low, then.high
            );
            text.push('\n');
            text.push_str(&wrap(&format!("  {word}  "), 10, &line));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::sample_report;

    fn moved(by: f64) -> Report {
        let mut report = sample_report();
        for figure in report.rows.iter_mut().flat_map(|row| &mut row.contenders).filter(|figure| figure.ours)
        {
            let Interval { median, low, high, coverage } = figure.ratio;
            figure.ratio = Interval { median: median * by, low: low * by, high: high * by, coverage };
        }
        report
    }

    #[test]
    fn a_ratio_that_leaves_its_interval_is_a_change_and_one_that_does_not_is_none() {
        let then = sample_report();
        let same = changes(&then, &moved(1.0002));
        assert!(!same.any_slower() && same.faster.is_empty() && same.same == 4, "{same:?}");
        let slower = changes(&then, &moved(1.5));
        assert!(slower.any_slower() && slower.slower.len() == 4, "{slower:?}");
        let faster = changes(&then, &moved(0.5));
        assert!(!faster.any_slower() && faster.faster.len() == 4, "{faster:?}");
        let words = describe(&slower, &then);
        assert!(words.contains("slower  1.50x group of 8: our one"), "{words}");
        assert!(words.lines().all(|line| line.chars().count() <= 100), "{words}");
    }

    #[test]
    fn a_count_that_differs_by_less_than_a_hundredth_is_no_change() {
        let exact = |bytes: f64| {
            let mut report = sample_report();
            report.rows[0].contenders[0].ratio = Interval::exact(bytes / 320.0);
            report
        };
        assert!(!changes(&exact(216.0), &exact(216.1)).any_slower());
        assert!(changes(&exact(216.0), &exact(224.0)).any_slower());
    }

    #[test]
    fn rows_that_only_one_run_has_are_counted() {
        let (then, mut now) = (sample_report(), sample_report());
        now.rows[0].name = "another row".into();
        assert_eq!(changes(&then, &now).alone, 1);
    }
}
