//! Which points of two threads came close to each other.
//!
//! After TSVD (Li et al., "Efficient scalable thread-safety-violation detection", SOSP 2019): pairs of points that were close in time are
//! remembered, and the next time a thread comes to the first of a pair it may be delayed, so that the second comes before it. A delay in
//! which another thread came makes the next one longer; one in vain makes it shorter.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

/// What a thread is about to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::IntoStaticStr, strum::VariantArray, strum::FromRepr)]
#[strum(serialize_all = "kebab-case")]
#[repr(u8)]
pub(super) enum Point {
    /// To come to a case.
    Arrive,
    /// To end an operation.
    End,
    /// To start an operation.
    Start,
    /// To ask for an end.
    Cancel,
    /// To look for an end.
    Look,
    /// To leave a waker.
    Poll,
    /// To drop a handle that waits.
    Leave,
    /// To add a member to a group.
    Add,
    /// To build a group.
    Build,
    /// To spawn a machine.
    Spawn,
    /// To wait for a machine.
    Join,
    /// In a callback, a waker or a step.
    Inside,
}

const POINTS: usize = 12;
/// Two points are close within so many nanoseconds.
const CLOSE: u64 = 2_000;
/// The longest delay, in turns of a loop.
const LONGEST: u32 = 600;
/// What a point begins with.
const SHORTEST: u32 = 16;

/// The pairs of a storm. All its words are statistics.
/// ORDERING: Relaxed throughout, so that the storm puts no order between its threads that the runtime doesn't.
pub(super) struct Near {
    pairs: [AtomicU64; POINTS * POINTS],
    lengths: [AtomicU32; POINTS],
}

impl Near {
    pub(super) fn new() -> Near {
        Near {
            pairs: std::array::from_fn(|_| AtomicU64::new(0)),
            lengths: std::array::from_fn(|_| AtomicU32::new(0)),
        }
    }

    /// `second` came `apart` nanoseconds after another thread's `first`.
    pub(super) fn came(&self, first: Point, second: Point, apart: u64) {
        if apart <= CLOSE {
            self.pairs[first as usize * POINTS + second as usize].fetch_add(1, Relaxed);
            let _ = self.lengths[first as usize].compare_exchange(0, SHORTEST, Relaxed, Relaxed);
        }
    }

    /// How long a delay at `point` may be.
    pub(super) fn length(&self, point: Point) -> u32 {
        self.lengths[point as usize].load(Relaxed)
    }

    /// A delay at `point` is over; `met` says whether another thread came meanwhile.
    pub(super) fn learn(&self, point: Point, met: bool) {
        let length = self.length(point);
        let next =
            if met { (length + length / 4 + 1).min(LONGEST) } else { (length - length / 16).max(SHORTEST) };
        self.lengths[point as usize].store(next, Relaxed);
    }

    /// The pairs that came close most often, with their counts.
    pub(super) fn closest(&self, most: usize) -> Vec<(String, u64)> {
        let name = |index: usize| Point::from_repr(index as u8).map_or("", <&str>::from);
        let pair = |(index, count): (usize, &AtomicU64)| {
            (format!("{}/{}", name(index / POINTS), name(index % POINTS)), count.load(Relaxed))
        };
        let mut pairs: Vec<_> =
            self.pairs.iter().enumerate().map(pair).filter(|(_, count)| *count > 0).collect();
        pairs.sort_by(|one, other| other.1.cmp(&one.1).then_with(|| one.0.cmp(&other.0)));
        pairs.truncate(most);
        pairs
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_point_is_delayed_after_it_was_first_of_a_close_pair_and_longer_when_that_helped() {
        let near = Near::new();
        near.came(Point::Add, Point::End, CLOSE + 1);
        assert_eq!((near.length(Point::Add), near.closest(9).len()), (0, 0));
        near.came(Point::Add, Point::End, CLOSE);
        assert_eq!((near.length(Point::Add), near.length(Point::End)), (SHORTEST, 0));
        near.learn(Point::Add, true);
        let longer = near.length(Point::Add);
        assert!(longer > SHORTEST);
        (0..100).for_each(|_| near.learn(Point::Add, true));
        assert_eq!(near.length(Point::Add), LONGEST);
        (0..100).for_each(|_| near.learn(Point::Add, false));
        assert_eq!(near.length(Point::Add), SHORTEST);
        assert_eq!(near.closest(9), [("add/end".to_owned(), 1)]);
    }
}
