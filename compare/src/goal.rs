//! What we go for, and whether a measurement shows that it was reached.

use serde::{Deserialize, Serialize};

use crate::statistics::Interval;

/// A bound on one contender's figure.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Goal {
    /// Whose figure.
    pub(crate) contender: String,
    pub(crate) quantity: Quantity,
    pub(crate) at_most: f64,
}

/// The figure that a goal bounds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Quantity {
    /// The row's measure, as a multiple of another contender's.
    Ratio { against: String },
    /// Allocations an operation.
    Allocations,
    /// Bytes allocated an operation.
    Bytes,
}

/// What the measurement says about a goal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Verdict {
    /// The whole interval is within the goal.
    Met,
    /// The whole interval is beyond it.
    Missed,
    /// The interval spans it: more repetitions, or a quieter machine, would tell.
    Unresolved,
}

impl Goal {
    /// Our time, or memory, as a multiple of that of `against`.
    pub(crate) fn ratio(contender: &str, against: &str, at_most: f64) -> Self {
        let quantity = Quantity::Ratio { against: against.into() };
        Self { contender: contender.into(), quantity, at_most }
    }

    pub(crate) fn allocations(contender: &str, at_most: f64) -> Self {
        Self { contender: contender.into(), quantity: Quantity::Allocations, at_most }
    }

    pub(crate) fn bytes(contender: &str, at_most: f64) -> Self {
        Self { contender: contender.into(), quantity: Quantity::Bytes, at_most }
    }

    pub(crate) fn judge(&self, measured: &Interval) -> Verdict {
        if measured.high <= self.at_most {
            Verdict::Met
        } else if measured.low > self.at_most {
            Verdict::Missed
        } else {
            Verdict::Unresolved
        }
    }
}

impl Verdict {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Met => "met",
            Self::Missed => "MISSED",
            Self::Unresolved => "unresolved",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(low: f64, high: f64) -> Verdict {
        let measured = Interval { median: f64::midpoint(low, high), low, high, coverage: 0.95 };
        Goal::ratio("ours", "theirs", 0.75).judge(&measured)
    }

    #[test]
    fn only_an_interval_clear_of_the_goal_decides() {
        assert_eq!(judge(0.5, 0.75), Verdict::Met);
        assert_eq!(judge(0.7, 0.8), Verdict::Unresolved);
        assert_eq!(judge(0.76, 0.9), Verdict::Missed);
    }
}
