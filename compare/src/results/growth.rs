//! How cost grows with size: the law that the figures follow, and the size from which they leave it.

use serde::Serialize;

use super::{Figure, Place, RowReport};

/// A size and what it costs.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Point {
    pub(crate) size: f64,
    pub(crate) cost: f64,
}

/// Laws of growth, the slowest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) enum Law {
    #[serde(rename = "O(1)")]
    Constant,
    #[serde(rename = "O(log n)")]
    Logarithmic,
    #[serde(rename = "O(n)")]
    Linear,
    #[serde(rename = "O(n log n)")]
    Linearithmic,
}

impl Law {
    const ALL: [Self; 4] = [Self::Constant, Self::Logarithmic, Self::Linear, Self::Linearithmic];

    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Constant => "O(1)",
            Self::Logarithmic => "O(log n)",
            Self::Linear => "O(n)",
            Self::Linearithmic => "O(n log n)",
        }
    }

    /// What the slope is multiplied with.
    pub(crate) fn term(self) -> &'static str {
        match self {
            Self::Constant => "",
            Self::Logarithmic => "log2 n",
            Self::Linear => "n",
            Self::Linearithmic => "n log2 n",
        }
    }

    fn of(self, size: f64) -> f64 {
        match self {
            Self::Constant => 1.0,
            Self::Logarithmic => size.log2(),
            Self::Linear => size,
            Self::Linearithmic => size * size.log2(),
        }
    }
}

/// `base + slope * law(size)`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Fit {
    pub(crate) law: Law,
    pub(crate) base: f64,
    pub(crate) slope: f64,
    /// Root of the mean square of the relative errors: 0.1 is ten per cent.
    pub(crate) error: f64,
}

/// A contender's growth in a series.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Growth {
    pub(crate) series: String,
    pub(crate) axis: String,
    pub(crate) unit: String,
    pub(crate) contender: String,
    pub(crate) ours: bool,
    pub(crate) points: Vec<Point>,
    pub(crate) fit: Fit,
    /// The smallest size from which on each figure is beyond what the smaller sizes foretell.
    pub(crate) knee: Option<f64>,
}

/// Sizes without which two laws can't be told apart.
const ENOUGH: usize = 4;
/// A slower law is kept when its error is within this factor of the best.
const AS_GOOD: f64 = 1.5;
/// Errors below this are noise, and no reason for a faster law.
const NOISE: f64 = 0.08;
/// With errors beyond this in all of them, none of the laws is one.
pub(crate) const UNCLEAR: f64 = 0.3;
/// A figure is beyond a fit when it exceeds it by this factor.
const BEYOND: f64 = 1.25;

impl Fit {
    /// The fit of one law by least squares of the relative errors: figures span decades, and a plain sum of squares would
    /// see the greatest alone. Neither coefficient may be negative.
    fn of(law: Law, points: &[Point]) -> Self {
        // With x = law(n)/cost and w = 1/cost the error of a point is 1 - base * w - slope * x: linear in both.
        let (mut ww, mut wx, mut xx, mut w, mut x) = (0.0, 0.0, 0.0, 0.0, 0.0);
        for point in points {
            let (a, b) = (1.0 / point.cost, law.of(point.size) / point.cost);
            (ww, wx, xx, w, x) = (ww + a * a, wx + a * b, xx + b * b, w + a, x + b);
        }
        let determinant = ww * xx - wx * wx;
        let both = ((w * xx - x * wx) / determinant, (x * ww - w * wx) / determinant);
        let (base, slope) = match both {
            _ if law == Law::Constant || xx == 0.0 => (w / ww, 0.0),
            (base, slope) if base >= 0.0 && slope >= 0.0 => (base, slope),
            (_, slope) if slope < 0.0 || slope.is_nan() => (w / ww, 0.0),
            _ => (0.0, x / xx),
        };
        let mut fit = Self { law, base, slope, error: 0.0 };
        let square = |point: &Point| (fit.at(point.size) / point.cost - 1.0).powi(2);
        fit.error = (points.iter().map(square).sum::<f64>() / points.len() as f64).sqrt();
        fit
    }

    /// What the fit foretells.
    pub(crate) fn at(&self, size: f64) -> f64 {
        self.base + self.slope * self.law.of(size)
    }

    /// The slowest law whose error is about as small as the best one's, or small enough. The one with the least error if
    /// none fits.
    fn best(points: &[Point]) -> Option<Self> {
        if points.len() < ENOUGH {
            return None;
        }
        let fits = Law::ALL.map(|law| Self::of(law, points));
        let least = fits.iter().map(|fit| fit.error).fold(f64::INFINITY, f64::min);
        let bound = if least > UNCLEAR { least } else { (AS_GOOD * least).clamp(NOISE, UNCLEAR) };
        fits.into_iter().find(|fit| fit.error <= bound)
    }
}

/// See [`Growth::knee`]. At least three sizes foretell, and at least two are beyond.
fn knee(points: &[Point]) -> Option<f64> {
    (3..points.len().saturating_sub(1)).find_map(|at| {
        let (below, above) = points.split_at(at);
        let fits = Law::ALL.map(|law| Fit::of(law, below));
        let least = fits.iter().map(|fit| fit.error).fold(f64::INFINITY, f64::min);
        let fit = fits.iter().find(|fit| fit.error <= (AS_GOOD * least).max(NOISE))?;
        let beyond = |point: &Point| point.cost > BEYOND * fit.at(point.size);
        above.iter().all(beyond).then(|| above[0].size)
    })
}

/// The growth of each contender of each series that has at least [`ENOUGH`] sizes, in the order of the rows. Two sizes or
/// three tell no law.
pub(crate) fn growth_of(rows: &[RowReport]) -> Vec<Growth> {
    let mut found: Vec<(&RowReport, &Place, &Figure, Vec<Point>)> = Vec::new();
    for row in rows {
        let Some(place) = &row.place else { continue };
        for figure in &row.contenders {
            let point = Point { size: place.size as f64, cost: figure.median };
            let same = found
                .iter_mut()
                .find(|(_, known, by, _)| known.series == place.series && by.contender == figure.contender);
            match same {
                Some((.., points)) => points.push(point),
                None => found.push((row, place, figure, vec![point])),
            }
        }
    }
    let growths = found.into_iter().filter_map(|(row, place, figure, mut points)| {
        points.sort_by(|a, b| a.size.total_cmp(&b.size));
        Some(Growth {
            series: place.series.clone(),
            axis: place.axis.clone(),
            unit: row.unit.clone(),
            contender: figure.contender.clone(),
            ours: figure.ours,
            fit: Fit::best(&points)?,
            knee: knee(&points),
            points,
        })
    });
    growths.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZES: [f64; 7] = [1.0, 4.0, 16.0, 64.0, 256.0, 1024.0, 4096.0];

    /// Figures that are off by up to five per cent, up and down in turns.
    fn noisy(cost: impl Fn(f64) -> f64) -> Vec<Point> {
        let noise = [1.0, 0.97, 1.04, 0.95, 1.03, 0.98, 1.05];
        SIZES.iter().zip(noise).map(|(&size, noise)| Point { size, cost: cost(size) * noise }).collect()
    }

    #[test]
    fn each_law_is_recognised_under_noise() {
        let law = |cost: fn(f64) -> f64| Fit::best(&noisy(cost)).unwrap().law;
        assert_eq!(law(|_| 40.0), Law::Constant);
        assert_eq!(law(|n| 40.0 + 20.0 * n.log2()), Law::Logarithmic);
        assert_eq!(law(|n| 30.0 + 50.0 * n), Law::Linear);
        // A logarithm would be off by a fifth.
        assert_eq!(law(|n| 200.0 + 0.1 * n), Law::Linear);
        assert_eq!(law(|n| 30.0 + 50.0 * n * n.log2()), Law::Linearithmic);
    }

    #[test]
    fn the_error_of_a_fit_is_that_of_the_figures() {
        let exact: Vec<Point> = SIZES.map(|size| Point { size, cost: 7.0 + 3.0 * size }).into();
        let fit = Fit::best(&exact).unwrap();
        assert!(
            (fit.base - 7.0).abs() < 1e-6 && (fit.slope - 3.0).abs() < 1e-6 && fit.error < 1e-9,
            "{fit:?}"
        );
        let fit = Fit::best(&noisy(|n| 7.0 + 3.0 * n)).unwrap();
        assert!((0.01..0.06).contains(&fit.error), "{fit:?}");
    }

    #[test]
    fn a_knee_is_the_first_size_that_leaves_the_law_for_good() {
        assert_eq!(knee(&noisy(|_| 40.0)), None);
        assert_eq!(knee(&noisy(|n| 50.0 * n)), None);
        // A cache that ends: four times the cost from 1,024 on.
        assert_eq!(knee(&noisy(|n| if n < 1024.0 { 40.0 } else { 160.0 })), Some(1024.0));
        // One figure that is off is no knee.
        assert_eq!(knee(&noisy(|n| if n == 256.0 { 160.0 } else { 40.0 })), None);
    }

    #[test]
    fn figures_that_follow_no_law_are_left_with_the_nearest_one() {
        let wild = [10.0, 900.0, 20.0, 5_000.0, 30.0, 7_000.0, 50.0];
        let points: Vec<Point> = SIZES.iter().zip(wild).map(|(&size, cost)| Point { size, cost }).collect();
        assert!(Fit::best(&points).unwrap().error > UNCLEAR);
    }

    #[test]
    fn three_sizes_are_no_law() {
        assert_eq!(Fit::best(&noisy(|n| n)[..3]), None);
    }
}
