//! Places that a good campaign reaches: what must be true now and then, as an oracle says what must be true always.
//!
//! A tester whose runs never see a reader that holds a checkpoint back proves nothing about readers and checkpoints,
//! however green it is. [`sometimes!`](crate::sometimes!) names such a moment where it happens; every one that is compiled
//! in is known to the campaign, whether a run reaches it or not, and one that is never reached is named in the summary. The
//! idea is Antithesis's, of "sometimes assertions".

use std::cell::RefCell;
use std::collections::BTreeMap;

/// A place that must be reached now and then.
#[derive(Debug)]
pub struct Point {
    /// What is true there, as a sentence; two places may share it.
    pub name: &'static str,
}

/// Every point of the program, by the linker.
#[doc(hidden)]
#[linkme::distributed_slice]
pub static POINTS: [Point];

thread_local! {
    /// How often this thread's run has reached each point.
    static REACHED: RefCell<BTreeMap<&'static str, u64>> = const { RefCell::new(BTreeMap::new()) };
}

/// Says that `$name` is to be true now and then, and that it is now if `$condition` holds.
///
/// ```
/// # let (readers, frames_left) = (1, 3);
/// tenterhook_stress::sometimes!(readers > 0 && frames_left > 0, "a checkpoint is held back by a reader");
/// ```
#[macro_export]
macro_rules! sometimes {
    ($condition:expr, $name:literal) => {{
        #[$crate::sometimes::linkme::distributed_slice($crate::sometimes::POINTS)]
        #[linkme(crate = $crate::sometimes::linkme)]
        static POINT: $crate::sometimes::Point = $crate::sometimes::Point { name: $name };
        if $condition {
            $crate::sometimes::reach(&POINT);
        }
    }};
}

#[doc(hidden)]
pub use linkme;

/// The names of all points, each once.
pub fn names() -> Vec<&'static str> {
    let mut names: Vec<&str> = POINTS.iter().map(|point| point.name).collect();
    names.sort_unstable();
    names.dedup();
    names
}

#[doc(hidden)]
pub fn reach(point: &'static Point) {
    REACHED.with_borrow_mut(|reached| *reached.entry(point.name).or_default() += 1);
}

/// How often the run in this thread has reached each point since the last call.
pub(crate) fn take() -> BTreeMap<&'static str, u64> {
    REACHED.take()
}

/// The run in this thread has come by these points, in another thread that worked for it.
pub(crate) fn add(points: BTreeMap<&'static str, u64>) {
    for (name, count) in points {
        REACHED.with_borrow_mut(|reached| *reached.entry(name).or_default() += count);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pass(is_late: bool) {
        sometimes!(is_late, "the test is late");
    }

    #[test]
    fn a_point_is_known_before_it_is_reached_and_counted_when_it_is() {
        assert!(names().contains(&"the test is late"));
        take();
        pass(false);
        assert_eq!(take().get("the test is late"), None);
        pass(true);
        pass(true);
        assert_eq!(take().get("the test is late"), Some(&2));
        assert!(take().is_empty());
    }
}
