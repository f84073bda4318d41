//! Commits on their way: handed to the log, published after the sync that covers them.

use std::collections::VecDeque;

/// Commits on their way, in the order of their frames, and the one sync that may be running for them.
///
/// It decides, and does nothing: each transition returns what its caller owes, to be paid once no lock is held. So
/// there is no leader that could be lost. Whoever brings the news that made a sync possible starts it, and that is the
/// callback of some I/O, which comes whether or not a machine still waits.
#[derive(Debug)]
pub struct Pending<C> {
    /// By number.
    queue: VecDeque<Entry<C>>,
    last: Number,
    /// How many of the first the running sync covers. Those are all written.
    covered: Option<usize>,
}

/// Names a commit on its way. Never used again.
pub type Number = u64;

#[derive(Debug)]
struct Entry<C> {
    number: Number,
    written: bool,
    commit: C,
}

/// What the end of a write or a sync makes due.
#[must_use = "the caller owes it"]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// Start a sync, and tell how it ended with [`Pending::synced`] or [`Pending::sync_failed`].
    StartSync,
    /// Somebody else will come.
    Nothing,
}

/// What a sync that failed takes with it.
#[must_use = "they have to be told"]
#[derive(Debug)]
pub struct Failed<C> {
    /// Commits that the sync covered.
    pub covered: Vec<C>,
    /// Commits after those.
    pub later: Vec<C>,
}

impl<C> Default for Pending<C> {
    /// Nothing is on its way.
    fn default() -> Self {
        Self { queue: VecDeque::new(), last: 0, covered: None }
    }
}

impl<C> Pending<C> {
    /// Adds a commit whose frames follow those of the newest.
    pub fn push(&mut self, commit: C) -> Number {
        self.last += 1;
        self.queue.push_back(Entry { number: self.last, written: false, commit });
        self.last
    }

    /// From the newest to the oldest.
    pub fn newest_first(&self) -> impl Iterator<Item = &C> {
        self.queue.iter().rev().map(|entry| &entry.commit)
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.queue.len()
    }

    /// All frames of a commit have been written. One that has failed meanwhile is no longer here, and nothing is due.
    pub fn written(&mut self, number: Number) -> Due {
        if let Some(place) = self.place(number) {
            self.queue[place].written = true;
        }
        self.start_sync()
    }

    /// The same where no sync has to follow: the commits to publish, in order.
    pub fn written_for_good(&mut self, number: Number) -> Vec<C> {
        if let Some(place) = self.place(number) {
            self.queue[place].written = true;
        }
        let written = self.written_first();
        self.queue.drain(..written).map(|entry| entry.commit).collect()
    }

    /// A frame of a commit could not be written: takes it and all later ones, which were laid out upon it.
    pub fn write_failed(&mut self, number: Number) -> Vec<C> {
        // None of them is covered: a sync begins when all that it covers are written.
        let first = self.place(number).unwrap_or(self.queue.len());
        self.queue.drain(first..).map(|entry| entry.commit).collect()
    }

    /// The running sync has succeeded: the commits to publish, in order, and what is due next.
    pub fn synced(&mut self) -> (Vec<C>, Due) {
        let covered = self.covered.take().unwrap_or(0);
        let published = self.queue.drain(..covered).map(|entry| entry.commit).collect();
        (published, self.start_sync())
    }

    /// The running sync has failed, and nobody knows any more what is on disk: takes all.
    pub fn sync_failed(&mut self) -> Failed<C> {
        let covered = self.covered.take().unwrap_or(0);
        let mut commits = self.queue.drain(..).map(|entry| entry.commit);
        Failed { covered: commits.by_ref().take(covered).collect(), later: commits.collect() }
    }

    fn start_sync(&mut self) -> Due {
        let written = self.written_first();
        if self.covered.is_some() || written == 0 {
            return Due::Nothing;
        }
        self.covered = Some(written);
        Due::StartSync
    }

    /// How many of the first are written, without a gap.
    fn written_first(&self) -> usize {
        self.queue.iter().take_while(|entry| entry.written).count()
    }

    fn place(&self, number: Number) -> Option<usize> {
        self.queue.binary_search_by_key(&number, |entry| entry.number).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Commits 'a', 'b', 'c' on their way.
    fn three() -> (Pending<char>, [Number; 3]) {
        let mut pending = Pending::default();
        let numbers = ['a', 'b', 'c'].map(|commit| pending.push(commit));
        (pending, numbers)
    }

    #[test]
    fn one_sync_covers_what_is_written_without_a_gap() {
        let (mut pending, [a, b, c]) = three();
        assert_eq!(pending.written(c), Due::Nothing, "what goes before it is not written");
        assert_eq!(pending.written(a), Due::StartSync);
        assert_eq!(pending.written(b), Due::Nothing, "too late for the running sync");
        assert_eq!(pending.synced(), (vec!['a'], Due::StartSync));
        assert_eq!(pending.synced(), (vec!['b', 'c'], Due::Nothing));
        assert_eq!(pending.count(), 0);
    }

    #[test]
    fn failed_write_takes_the_later_commits_and_leaves_the_earlier() {
        let (mut pending, [a, b, c]) = three();
        assert_eq!(pending.written(a), Due::StartSync);
        assert_eq!(pending.write_failed(b), ['b', 'c']);
        assert_eq!(pending.written(c), Due::Nothing, "it has failed already");
        assert_eq!(pending.write_failed(c), [], "once is enough");
        assert_eq!(pending.synced(), (vec!['a'], Due::Nothing));
    }

    #[test]
    fn failed_sync_takes_all() {
        let (mut pending, [a, b, c]) = three();
        assert_eq!((pending.written(b), pending.written(a)), (Due::Nothing, Due::StartSync));
        let Failed { covered, later } = pending.sync_failed();
        assert_eq!((covered, later), (vec!['a', 'b'], vec!['c']));
        assert_eq!(pending.written(c), Due::Nothing);
    }

    #[test]
    fn without_syncs_commits_are_published_when_they_are_written_without_a_gap() {
        let (mut pending, [a, b, c]) = three();
        assert_eq!(pending.written_for_good(b), []);
        assert_eq!(pending.written_for_good(a), ['a', 'b']);
        assert_eq!(pending.written_for_good(c), ['c']);
    }

    #[test]
    fn number_of_a_failed_commit_never_means_another() {
        let (mut pending, [_, b, c]) = three();
        assert_eq!(pending.write_failed(b), ['b', 'c']);
        let d = pending.push('d');
        assert_eq!(pending.write_failed(c), [], "c's other frames end late");
        assert_eq!(pending.newest_first().collect::<Vec<_>>(), [&'d', &'a']);
        assert_eq!(pending.write_failed(d), ['d']);
    }
}
