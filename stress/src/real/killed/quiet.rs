//! How long a child has not moved, and what that means.

use std::time::Duration;

use super::record::{Entries, Tag};
use crate::real::noise::NoiseKind;

/// A look that comes later than this was held up itself. The rest of that time says nothing about the child.
const LONGEST: Duration = Duration::from_millis(20);
/// A child that was quiet for less than this is killed when its time is up. One that was quiet for longer has to move first.
const SHORT: Duration = Duration::from_millis(100);

/// How long a child has been quiet although it could run.
#[derive(Debug, Default)]
pub(super) struct Quiet {
    progress: u64,
    time: Duration,
}

/// What is to be done about a child that lives.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Sentence {
    Wait,
    Kill,
    /// It has stalled.
    Stalled,
}

impl Quiet {
    /// Takes in a look at the child: how much it has done so far, how long ago the last look was, and whether it could run.
    pub(super) fn look(&mut self, progress: u64, passed: Duration, can_run: bool) {
        if progress != self.progress {
            (self.progress, self.time) = (progress, Duration::ZERO);
        } else if can_run {
            self.time += passed.min(LONGEST);
        }
    }

    /// A child whose time is up is killed, unless it may hang. That shows when it does not move for as long as `stall`.
    pub(super) fn sentence(&self, time_is_up: bool, stall: Duration) -> Sentence {
        if self.time >= stall {
            Sentence::Stalled
        } else if time_is_up && self.time < SHORT.min(stall) {
            Sentence::Kill
        } else {
            Sentence::Wait
        }
    }
}

/// Counts the entries of `record` that show progress, and returns the length of the whole entries. Noise continues in a child that
/// hangs, and so does giving up.
pub(super) fn progress(record: &[u8]) -> (u64, usize) {
    let mut entries = Entries(record);
    let mut progress = 0;
    for entry in entries.by_ref() {
        let is_felt = entry.number == NoiseKind::FullDisk as u64;
        let gives_up = entry.tag == Tag::Harm && entry.number == super::harm::Harm::GivenUp as u64;
        progress += u64::from(!gives_up && (entry.tag != Tag::Noise || is_felt));
    }
    (progress, record.len() - entries.0.len())
}

#[cfg(test)]
mod tests {
    use super::super::harm::Harm;
    use super::super::record::append;
    use super::*;
    use crate::real::layer::Role;

    const MILLI: Duration = Duration::from_millis(1);
    const STALL: Duration = Duration::from_secs(2);

    /// A child that has been looked at `times` times, each `passed` after the one before, and has not moved.
    fn watched(times: u32, passed: Duration, can_run: bool) -> Quiet {
        let mut quiet = Quiet::default();
        (0..times).for_each(|_| quiet.look(0, passed, can_run));
        quiet
    }

    #[test]
    fn a_child_that_does_not_move_has_stalled_whether_its_time_is_up_or_not() {
        let quiet = watched(2000, MILLI, true);
        assert_eq!([true, false].map(|is_up| quiet.sentence(is_up, STALL)), [Sentence::Stalled; 2]);
        assert_eq!(watched(1999, MILLI, true).sentence(true, STALL), Sentence::Wait, "it may hang");
        assert_eq!(watched(99, MILLI, true).sentence(true, STALL), Sentence::Kill);
        assert_eq!(watched(99, MILLI, true).sentence(false, STALL), Sentence::Wait);
        assert_eq!(watched(1, MILLI, true).sentence(true, MILLI), Sentence::Stalled);
    }

    #[test]
    fn a_child_that_moves_again_has_not_stalled() {
        let mut quiet = watched(1999, MILLI, true);
        quiet.look(1, MILLI, true);
        assert_eq!(quiet.sentence(true, STALL), Sentence::Kill);
        (0..1999).for_each(|_| quiet.look(1, MILLI, true));
        assert_eq!(quiet.sentence(true, STALL), Sentence::Wait);
    }

    #[test]
    fn time_in_which_the_child_is_stopped_or_its_watcher_was_does_not_count() {
        assert_eq!(watched(100_000, MILLI, false).sentence(false, STALL), Sentence::Wait);
        // The watcher itself was stopped for an hour, and once more.
        assert_eq!(watched(2, Duration::from_secs(3600), true).sentence(true, STALL), Sentence::Kill);
    }

    #[test]
    fn noise_and_giving_up_are_no_progress() {
        let mut record = Vec::new();
        let mut add = |tag, number| append(&mut record, tag, Role::Log, number, 1, &[]).unwrap();
        add(Tag::Sync, 0);
        add(Tag::Noise, NoiseKind::Signals as u64);
        add(Tag::Noise, NoiseKind::FullDisk as u64);
        add(Tag::Harm, Harm::GivenUp as u64);
        add(Tag::Harm, Harm::RefusedWrite as u64);
        let whole = record.len();
        record.push(Tag::Sync as u8);
        assert_eq!(progress(&record), (3, whole));
    }
}
