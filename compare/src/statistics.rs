//! Medians and what can be said of them without knowing the distribution.

use serde::{Deserialize, Serialize};

/// A median and an interval that contains the true one with probability `coverage`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Interval {
    pub(crate) median: f64,
    pub(crate) low: f64,
    pub(crate) high: f64,
    /// Below [`CONFIDENCE`] when there were too few values for that.
    pub(crate) coverage: f64,
}

/// What intervals go for.
pub(crate) const CONFIDENCE: f64 = 0.95;

impl Interval {
    /// A figure that is counted, not sampled.
    pub(crate) fn exact(value: f64) -> Self {
        Self { median: value, low: value, high: value, coverage: 1.0 }
    }

    /// Whether `value` lies in it.
    pub(crate) fn contains(&self, value: f64) -> bool {
        self.low <= value && value <= self.high
    }

    /// The median of `values` between two order statistics.
    ///
    /// The true median of any continuous distribution lies between the k-th smallest and the k-th largest of n values
    /// with probability 1 - 2 P(Bin(n, 1/2) < k); k is the largest that keeps [`CONFIDENCE`] (David and Nagaraja,
    /// Order Statistics, 7.1). Times here are bimodal, so nothing that assumes a bell is of use.
    pub(crate) fn of_median(values: &[f64]) -> Self {
        Self::of_median_at(values, CONFIDENCE)
    }

    /// The same with another confidence.
    pub(crate) fn of_median_at(values: &[f64], confidence: f64) -> Self {
        let sorted = sorted(values);
        let n = sorted.len();
        let mut k = 1;
        while coverage(n, k + 1) >= confidence {
            k += 1;
        }
        let coverage = coverage(n, k).max(0.0);
        Self { median: median_of_sorted(&sorted), low: sorted[k - 1], high: sorted[n - k], coverage }
    }
}

/// Probability that the median lies between the `k`-th smallest and the `k`-th largest of `n` values.
fn coverage(n: usize, k: usize) -> f64 {
    if 2 * k > n {
        return 0.0;
    }
    let mut term = 0.5_f64.powi(i32::try_from(n).unwrap_or(i32::MAX));
    let mut tail = 0.0;
    for i in 0..k {
        tail += term;
        term *= (n - i) as f64 / (i + 1) as f64;
    }
    1.0 - 2.0 * tail
}

/// The middle value, or the mean of the two.
///
/// # Panics
///
/// Without values.
pub(crate) fn median(values: &[f64]) -> f64 {
    median_of_sorted(&sorted(values))
}

fn median_of_sorted(sorted: &[f64]) -> f64 {
    let n = sorted.len();
    assert!(n > 0, "a median of no values");
    f64::midpoint(sorted[(n - 1) / 2], sorted[n / 2])
}

fn sorted(values: &[f64]) -> Vec<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted
}

/// How far apart two modes are, as the ratio of their medians; `None` when the values have one mode.
///
/// Splits at the widest gap. Two modes are called when both sides have at least two values, the gap is wider than
/// either side, and the medians differ by more than a tenth.
pub(crate) fn modes(values: &[f64]) -> Option<f64> {
    let sorted = sorted(values);
    let widest = (1..sorted.len()).max_by(|&a, &b| gap(&sorted, a).total_cmp(&gap(&sorted, b)))?;
    let (fast, slow) = sorted.split_at(widest);
    let spread = |side: &[f64]| side[side.len() - 1] - side[0];
    let apart = median_of_sorted(slow) / median_of_sorted(fast);
    let two = fast.len() >= 2
        && slow.len() >= 2
        && gap(&sorted, widest) > spread(fast).max(spread(slow))
        && apart > 1.1;
    two.then_some(apart)
}

fn gap(sorted: &[f64], at: usize) -> f64 {
    sorted[at] - sorted[at - 1]
}

/// The half of the values around the median, as a share of it: (third quartile - first) / median.
pub(crate) fn spread(values: &[f64]) -> f64 {
    let sorted = sorted(values);
    (quantile_of_sorted(&sorted, 0.75) - quantile_of_sorted(&sorted, 0.25)) / median_of_sorted(&sorted)
}

/// The value that this share of the values stays within, to the nearest of them.
///
/// # Panics
///
/// Without values.
pub(crate) fn quantile(values: &[f64], share: f64) -> f64 {
    quantile_of_sorted(&sorted(values), share)
}

fn quantile_of_sorted(sorted: &[f64], share: f64) -> f64 {
    sorted[(share * (sorted.len() - 1) as f64).round() as usize]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_an_even_number_is_between_the_middle_two() {
        assert_eq!(median(&[4.0, 1.0, 3.0, 2.0]), 2.5);
        assert_eq!(median(&[9.0, 1.0, 5.0]), 5.0);
    }

    #[test]
    fn nine_values_leave_out_the_extremes() {
        let values: Vec<f64> = (1..=9).map(f64::from).collect();
        let interval = Interval::of_median(&values);
        assert_eq!((interval.low, interval.median, interval.high), (2.0, 5.0, 8.0));
        // 1 - 2 (1 + 9) / 512
        assert!((interval.coverage - 0.9609).abs() < 1e-4);
    }

    #[test]
    fn too_few_values_say_how_little_they_cover() {
        let interval = Interval::of_median(&[3.0, 1.0, 2.0]);
        assert_eq!((interval.low, interval.high), (1.0, 3.0));
        assert!((interval.coverage - 0.75).abs() < 1e-9);
        let alone = Interval::of_median(&[7.0]);
        assert_eq!((alone.low, alone.high, alone.coverage), (7.0, 7.0, 0.0));
    }

    #[test]
    fn the_interval_covers_the_true_median_as_often_as_it_says() {
        // Uniform on [0, 1) by a linear congruence: reproducible, and far from a bell.
        let mut state = 1_u64;
        let mut uniform = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 11) as f64 / (1_u64 << 53) as f64
        };
        let trials = 20_000;
        let covered = (0..trials)
            .filter(|_| {
                let values: Vec<f64> = (0..9).map(|_| uniform()).collect();
                let interval = Interval::of_median(&values);
                interval.low <= 0.5 && 0.5 <= interval.high
            })
            .count();
        let share = covered as f64 / f64::from(trials);
        assert!((share - 0.9609).abs() < 0.01, "covered {share}");
    }

    #[test]
    fn two_modes_are_told_from_one() {
        assert!(modes(&[10.0, 10.1, 10.2, 10.1, 18.0, 18.1, 18.2]).is_some_and(|apart| apart > 1.7));
        assert_eq!(modes(&[10.0, 10.5, 11.0, 11.4, 12.0, 12.3]), None);
        // One outlier is not a mode.
        assert_eq!(modes(&[10.0, 10.1, 10.2, 18.0]), None);
        assert_eq!(modes(&[10.0]), None);
    }

    #[test]
    fn a_quantile_is_the_nearest_value() {
        let values = [5.0, 1.0, 4.0, 2.0, 3.0, 6.0];
        assert_eq!([0.0, 0.2, 0.5, 1.0].map(|share| quantile(&values, share)), [1.0, 2.0, 4.0, 6.0]);
    }

    #[test]
    fn the_spread_is_that_of_the_middle_half() {
        assert!((spread(&[8.0, 9.0, 10.0, 11.0, 100.0]) - 0.2).abs() < 1e-9);
        assert_eq!(spread(&[5.0]), 0.0);
    }
}
