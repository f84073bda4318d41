//! What one connection has asked for, and what must be found again.

use crate::violation::Violation;

/// Commits of one connection, numbered from 1.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Seat {
    /// It may have so many at most.
    pub asked: u64,
    /// It must have so many at least.
    pub kept: u64,
}

impl Seat {
    /// What each connection has after a recovery: what was found, and neither less nor more.
    pub(super) fn settled(seats: &[Seat], found: &[u64]) -> Vec<Seat> {
        let own = found.iter().copied().chain(std::iter::repeat(0));
        seats.iter().zip(own).map(|(_, own)| Seat { asked: own, kept: own }).collect()
    }

    /// Holds the commits that were found of each connection against what it has asked for and must keep. A connection of which nothing is
    /// said has none.
    ///
    /// # Errors
    ///
    /// A violation of durability.
    pub fn hold(seats: &[Seat], found: &[u64]) -> Result<(), Box<Violation>> {
        let total: u64 = found.iter().sum();
        let own = found.iter().copied().chain(std::iter::repeat(0));
        for (connection, (Seat { asked, kept }, own)) in seats.iter().zip(own).enumerate() {
            if !(*kept..=*asked).contains(&own) {
                let expected = format!(
                    "from {kept} commits of connection {connection}, which it must keep, to {asked}, which were asked for"
                );
                return Err(Violation::safety("durability", expected, format!("{own}, of {total} in all")));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commit_that_is_lost_and_one_that_was_never_asked_for_are_violations() {
        let seats = [Seat { asked: 5, kept: 3 }, Seat { asked: 0, kept: 0 }];
        assert!([[3, 0], [5, 0]].iter().all(|found| Seat::hold(&seats, found).is_ok()));
        for (found, seen) in [([2, 0], "2, of 2 in all"), ([6, 0], "6, of 6"), ([3, 1], "1, of 4")] {
            let broken = Seat::hold(&seats, &found).unwrap_err();
            assert!(broken.oracle == "durability" && broken.seen.contains(seen), "{broken}");
        }
        assert!(Seat::hold(&seats, &[]).is_err(), "nothing is said of the first");
        let none = Seat::default();
        assert_eq!(Seat::settled(&seats, &[4]), [Seat { asked: 4, kept: 4 }, none]);
    }
}
