//! What a check of the system says of files, and what its own numbers say.

use std::path::Path;

use super::seat::Seat;
use super::system::{Recorded, Unrecorded};
use crate::disk::SimDisk;
use crate::panics;
use crate::violation::Violation;

/// How many commits of each connection are in the files on `disk`, which are recovered there.
pub(super) fn of_disk(
    system: &dyn Recorded,
    disk: &SimDisk,
    directory: &Path,
    seats: &[Seat],
) -> Result<Vec<u64>, Box<Violation>> {
    of(|| system.check(&disk.io(), directory, seats), seats)
}

/// The same of the files in `directory`.
pub(super) fn of_directory(
    system: &dyn Unrecorded,
    directory: &Path,
    seats: &[Seat],
) -> Result<Vec<u64>, Box<Violation>> {
    of(|| system.check(directory, seats), seats)
}

/// A check that panics has found something, too: recovery must not, whatever it reads.
fn of(
    check: impl FnOnce() -> Result<Vec<u64>, Box<Violation>>,
    seats: &[Seat],
) -> Result<Vec<u64>, Box<Violation>> {
    let found = panics::catch(check).unwrap_or_else(|panic| Err(Violation::panic(panic)))?;
    Seat::hold(seats, &found)?;
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::violation::Class;

    #[test]
    fn a_check_that_panics_or_finds_too_little_without_a_word_is_a_violation() {
        let seats = [Seat { asked: 2, kept: 2 }];
        assert_eq!(of(|| Ok(vec![2]), &seats), Ok(vec![2]));
        assert_eq!(of(|| Ok(vec![1]), &seats).unwrap_err().oracle, "durability");
        let panic = of(|| panic!("no such page"), &seats).unwrap_err();
        assert!(panic.class == Class::Panic && panic.seen.contains("no such page"), "{panic}");
    }
}
