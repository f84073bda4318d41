//! Commits in flight: handed to the log, not published yet.

use std::mem;

/// Commits in flight, in the order of their frames: those of the one write or sync that is running for
/// them, and those that have come since. These share the next write and the next sync, so the busier the log,
/// the less a commit costs. They are published after the sync, or after the write where no sync follows.
///
/// A write does not run beside a sync, although it could: on ext4 it makes the sync longer, and costs a wake of its own.
///
/// It decides, and does nothing: each transition returns what its caller owes, to be paid once no lock is held. So
/// there is no leader that could be lost. The event that makes a write or a sync possible starts it: a commit that hands
/// frames over while nothing is running, and else the callback of some I/O, which comes whether or not a machine still waits.
#[derive(Debug)]
pub struct Pending<C, F> {
    running: Running<C>,
    /// With their frames, for the next write.
    queued: Vec<(C, F)>,
}

/// What is running, for which commits.
#[derive(Debug)]
enum Running<C> {
    Nothing,
    /// For none, if another sync has failed since it began; the same for a sync.
    Write(Vec<C>),
    Sync(Vec<C>),
}

/// What a transition makes due.
#[must_use = "the caller owes it"]
#[derive(Debug, Default, PartialEq, Eq)]
pub enum Due<F> {
    /// Another event will come.
    #[default]
    Nothing,
    /// Write the frames of these commits, and tell how that ended with [`Pending::written`] or [`Pending::write_failed`].
    Write(Vec<F>),
    /// Start a sync, and tell how it ended with [`Pending::synced`] or [`Pending::sync_failed`].
    Sync,
}

/// What a sync that failed takes with it.
#[must_use = "they have to be told"]
#[derive(Debug, PartialEq, Eq)]
pub struct Failed<C, F> {
    /// Commits that the sync of those in flight covered.
    pub covered: Vec<C>,
    /// Commits after those.
    pub later: Vec<C>,
    /// Frames that are not written any more, maybe many: to be freed once no lock is held.
    pub unwritten: Vec<F>,
}

impl<C, F> Default for Pending<C, F> {
    /// Nothing is in flight.
    fn default() -> Self {
        Self { running: Running::Nothing, queued: Vec::new() }
    }
}

impl<C, F> Pending<C, F> {
    /// Adds a commit whose frames follow those of the newest.
    pub fn push(&mut self, commit: C, frames: F) -> Due<F> {
        self.queued.push((commit, frames));
        match self.running {
            Running::Nothing => self.start_write(),
            Running::Write(_) | Running::Sync(_) => Due::Nothing,
        }
    }

    /// From the newest to the oldest.
    pub fn newest_first(&self) -> impl Iterator<Item = &C> {
        let running = match &self.running {
            Running::Nothing => [].as_slice(),
            Running::Write(commits) | Running::Sync(commits) => commits,
        };
        self.queued.iter().map(|(commit, _)| commit).rev().chain(running.iter().rev())
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.newest_first().count()
    }

    /// The running write has ended: all its frames are in the file.
    pub fn written(&mut self) -> Due<F> {
        let commits = self.end();
        if commits.is_empty() {
            return self.start_write();
        }
        self.running = Running::Sync(commits);
        Due::Sync
    }

    /// The same where no sync has to follow: the commits to publish, in order, and what is due next.
    pub fn written_for_good(&mut self) -> (Vec<C>, Due<F>) {
        (self.end(), self.start_write())
    }

    /// A frame of the running write could not be written: takes all that it was for, and all later commits, which were
    /// laid out upon those, with their frames, maybe many: to be freed once no lock is held.
    pub fn write_failed(&mut self) -> (Vec<C>, Vec<F>) {
        let mut failed = self.end();
        let (later, unwritten) = self.take_queued();
        failed.extend(later);
        (failed, unwritten)
    }

    /// The running sync has succeeded: the commits to publish, in order, and what is due next.
    pub fn synced(&mut self) -> (Vec<C>, Due<F>) {
        (self.end(), self.start_write())
    }

    /// The running sync has failed, and it is unknown what is on disk: takes all.
    pub fn sync_failed(&mut self) -> Failed<C, F> {
        let covered = self.end();
        let (later, unwritten) = self.take_queued();
        Failed { covered, later, unwritten }
    }

    /// Another sync of the same file has failed: takes all, too. What is running still has to end before
    /// anything else may begin.
    pub fn other_sync_failed(&mut self) -> Failed<C, F> {
        let (covered, mut later) = match &mut self.running {
            Running::Nothing => (Vec::new(), Vec::new()),
            Running::Write(commits) => (Vec::new(), mem::take(commits)),
            Running::Sync(commits) => (mem::take(commits), Vec::new()),
        };
        let (queued, unwritten) = self.take_queued();
        later.extend(queued);
        Failed { covered, later, unwritten }
    }

    /// What was running is over.
    fn end(&mut self) -> Vec<C> {
        match mem::replace(&mut self.running, Running::Nothing) {
            Running::Nothing => Vec::new(),
            Running::Write(commits) | Running::Sync(commits) => commits,
        }
    }

    /// Called when nothing is running.
    fn start_write(&mut self) -> Due<F> {
        if self.queued.is_empty() {
            return Due::Nothing;
        }
        let (commits, frames) = self.take_queued();
        self.running = Running::Write(commits);
        Due::Write(frames)
    }

    fn take_queued(&mut self) -> (Vec<C>, Vec<F>) {
        mem::take(&mut self.queued).into_iter().unzip()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Commit 'a' is being written, 'b' and 'c' are queued.
    fn three() -> Pending<char, u8> {
        let mut pending = Pending::default();
        assert_eq!(pending.push('a', 0), Due::Write(vec![0]));
        assert_eq!(pending.push('b', 1), Due::Nothing, "one at a time");
        assert_eq!(pending.push('c', 2), Due::Nothing);
        pending
    }

    #[test]
    fn what_comes_meanwhile_shares_the_next_write_and_the_next_sync() {
        let mut pending = three();
        assert_eq!(pending.written(), Due::Sync);
        assert_eq!(pending.synced(), (vec!['a'], Due::Write(vec![1, 2])));
        assert_eq!(pending.written(), Due::Sync);
        assert_eq!(pending.push('d', 3), Due::Nothing, "too late for the running sync");
        assert_eq!(pending.synced(), (vec!['b', 'c'], Due::Write(vec![3])));
        assert_eq!(pending.written(), Due::Sync);
        assert_eq!(pending.synced(), (vec!['d'], Due::Nothing));
        assert_eq!(pending.count(), 0);
    }

    #[test]
    fn newest_are_the_queued() {
        let mut pending = three();
        assert_eq!(pending.newest_first().collect::<String>(), "cba");
        assert_eq!(pending.written(), Due::Sync);
        assert_eq!((pending.newest_first().collect::<String>(), pending.count()), ("cba".into(), 3));
    }

    fn failed(covered: &str, later: &str, unwritten: &[u8]) -> Failed<char, u8> {
        let [covered, later] = [covered, later].map(|commits| commits.chars().collect());
        Failed { covered, later, unwritten: unwritten.to_vec() }
    }

    #[test]
    fn failed_write_takes_its_commits_and_the_later_ones() {
        let mut pending = three();
        assert_eq!(pending.write_failed(), (vec!['a', 'b', 'c'], vec![1, 2]));
        assert_eq!(pending.push('d', 3), Due::Write(vec![3]), "the failed write has ended");
    }

    #[test]
    fn failed_sync_takes_all() {
        let mut pending = three();
        assert_eq!(pending.written(), Due::Sync);
        assert_eq!(pending.sync_failed(), failed("a", "bc", &[1, 2]));
        assert_eq!(pending.count(), 0);
        assert_eq!(pending.push('d', 3), Due::Write(vec![3]), "the failed sync has ended");
    }

    #[test]
    fn write_that_runs_when_another_sync_fails_finds_nothing_at_its_end() {
        for end in [Pending::written, |pending: &mut Pending<char, u8>| pending.written_for_good().1] {
            let mut pending = three();
            assert_eq!(pending.other_sync_failed(), failed("", "abc", &[1, 2]));
            assert_eq!(pending.push('d', 3), Due::Nothing, "that write is still under way");
            assert_eq!(end(&mut pending), Due::Write(vec![3]));
        }
        let mut pending = three();
        assert_eq!(pending.other_sync_failed().later.len(), 3);
        assert_eq!(pending.write_failed(), (vec![], vec![]));
    }

    #[test]
    fn sync_that_runs_when_another_one_fails_finds_nothing_at_its_end() {
        for fails in [false, true] {
            let mut pending = three();
            assert_eq!(pending.written(), Due::Sync);
            assert_eq!(pending.other_sync_failed(), failed("a", "bc", &[1, 2]));
            assert_eq!(pending.push('d', 3), Due::Nothing, "that sync is still under way");
            if fails {
                assert_eq!(pending.sync_failed(), failed("", "d", &[3]));
            } else {
                assert_eq!(pending.synced(), (vec![], Due::Write(vec![3])));
            }
        }
        let mut idle: Pending<char, u8> = Pending::default();
        assert_eq!(idle.other_sync_failed(), failed("", "", &[]));
        assert_eq!(idle.push('a', 0), Due::Write(vec![0]));
    }

    #[test]
    fn without_syncs_commits_are_published_when_they_are_written() {
        let mut pending = three();
        assert_eq!(pending.written_for_good(), (vec!['a'], Due::Write(vec![1, 2])));
        assert_eq!(pending.written_for_good(), (vec!['b', 'c'], Due::Nothing));
    }
}
