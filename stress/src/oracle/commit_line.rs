//! A store whose transactions commit one after another, each upon the one that it has read.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::Verdict;
use crate::system::Crash;
use crate::violation::Violation;

/// What survives a loss of power once a commit is acknowledged.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Durable {
    /// The commit, and all before it.
    This,
    /// Those before it: a log that is synced with the next commit.
    Base,
    /// Nothing more than before.
    Nothing,
}

/// What became of a commit.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Fate {
    /// It is under way, or its outcome is unknown.
    Unknown,
    Acknowledged,
    /// It was refused, and rolled back.
    RolledBack,
    /// The life began without it. Only a loss of power can bring it back: it takes what was written over it, and not synced.
    Undone,
}

#[derive(Debug)]
struct Commit<S> {
    /// The one that its transaction has read.
    base: u64,
    state: Arc<S>,
    fate: Fate,
    by: Option<u32>,
    /// A reader has seen it.
    was_seen: bool,
}

/// The commits of a database, each with all that the database holds after it.
///
/// A transaction that writes leaves its number in the database, so that a reader knows which commit its snapshot is of, and the
/// model knows what must be in it. Commit 0 is the database before the first one. The acknowledged ones must form one line. What a
/// reader sees is not before the newest commit that was acknowledged when it began, and is not refused later: strict
/// serializability of writers, and snapshots for readers. Two readers of commits that are under way are not compared.
#[derive(Debug)]
pub struct CommitLine<S> {
    /// By number. Numbers grow along the line.
    commits: BTreeMap<u64, Commit<S>>,
    last: u64,
    /// The newest that was acknowledged or that this life began with.
    newest: u64,
    /// The newest that a loss of power must leave.
    durable: u64,
    initial: Arc<S>,
}

impl<S> CommitLine<S> {
    /// No commit yet: the database holds `initial`.
    pub fn new(initial: S) -> CommitLine<S> {
        CommitLine { commits: BTreeMap::new(), last: 0, newest: 0, durable: 0, initial: Arc::new(initial) }
    }

    /// The newest commit that a transaction which begins now must see.
    pub fn newest(&self) -> u64 {
        self.newest
    }

    /// The newest commit that no loss of power may take.
    pub fn durable(&self) -> u64 {
        self.durable
    }

    /// What the database holds after the commit `number`; none if there never was one.
    pub fn state(&self, number: u64) -> Option<Arc<S>> {
        match number {
            0 => Some(Arc::clone(&self.initial)),
            _ => self.commits.get(&number).map(|commit| Arc::clone(&commit.state)),
        }
    }

    /// A number for a commit that will be tried.
    pub fn reserve(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    /// The commit `number` is tried from here on, upon `base`, by a connection or by the setup. The database holds `state` after it.
    ///
    /// # Panics
    ///
    /// If the base has not a lower number.
    pub fn attempt(&mut self, number: u64, base: u64, state: S, by: Option<u32>) {
        assert!(base < number, "commit {number} is built on {base}");
        let state = Arc::new(state);
        self.commits.insert(number, Commit { base, state, fate: Fate::Unknown, by, was_seen: false });
    }

    /// The store has refused the commit, and says that nothing of it is left.
    ///
    /// # Errors
    ///
    /// A violation of "atomicity": a reader has seen it.
    pub fn rolled_back(&mut self, number: u64) -> Verdict {
        let Some(commit) = self.commits.get_mut(&number) else { return Ok(()) };
        commit.fate = Fate::RolledBack;
        if commit.was_seen {
            let seen = format!("{}, which a reader had seen", self.name(number));
            return Err(Violation::safety("atomicity", "a commit that is refused before it is seen", seen));
        }
        Ok(())
    }

    /// The store says that it is committed.
    ///
    /// # Errors
    ///
    /// A violation of "serial order": another commit was acknowledged that it is not built on.
    pub fn acknowledged(&mut self, number: u64, durable: Durable) -> Verdict {
        let Some(commit) = self.commits.get_mut(&number) else { return Ok(()) };
        commit.fate = Fate::Acknowledged;
        let base = commit.base;
        let survives = match durable {
            Durable::This => number,
            Durable::Base => base,
            Durable::Nothing => 0,
        };
        if self.is_before(self.durable, survives) {
            self.durable = survives;
        }
        if self.is_before(number, self.newest) {
            return Ok(());
        }
        if !self.is_before(self.newest, number) {
            let expected = format!("a commit that is built on the newest one, {}", self.name(self.newest));
            let seen = format!("{} is acknowledged, and built on {}", self.name(number), self.name(base));
            return Err(Violation::safety("serial order", expected, seen));
        }
        self.newest = number;
        Ok(())
    }

    /// What a snapshot must hold that is of the commit `seen`. `floor` is what [`newest`](CommitLine::newest) was when its
    /// transaction began.
    ///
    /// # Errors
    ///
    /// A violation of "atomicity": that commit was refused, or never tried. Of "visibility": it is older than `floor`.
    pub fn look(&mut self, seen: u64, floor: u64) -> Verdict<Arc<S>> {
        let was_refused = |commit: &Commit<S>| matches!(commit.fate, Fate::RolledBack | Fate::Undone);
        let state = self.state(seen).filter(|_| !self.commits.get(&seen).is_some_and(was_refused));
        let Some(state) = state else {
            let seen = format!("{}, which was not committed", self.name(seen));
            return Err(Violation::safety("atomicity", "a commit that was tried and not refused", seen));
        };
        if !self.is_before(floor, seen) {
            let floor = self.name(floor);
            let expected = format!("{floor}, acknowledged before the transaction began, or a later one");
            return Err(Violation::safety("visibility", expected, self.name(seen)));
        }
        self.commits.entry(seen).and_modify(|commit| commit.was_seen = true);
        Ok(state)
    }

    /// A life has ended. Returns the newest commit that must be there after it. A life that was killed before it had looked at the
    /// disk tells nothing more than the crash before it.
    pub fn ended(&mut self, crash: Crash) -> u64 {
        if crash == Crash::PowerLoss {
            self.newest = self.durable;
            let undone = self.commits.values_mut().filter(|commit| commit.fate == Fate::Undone);
            undone.for_each(|commit| commit.fate = Fate::Unknown);
        }
        self.newest
    }

    /// The database is opened after the end of a life, and has the commit `seen`. `floor` is what [`ended`](CommitLine::ended) said.
    /// Returns what it must hold.
    ///
    /// # Errors
    ///
    /// A violation of "durability": it is older than `floor`. Else those of [`look`](CommitLine::look).
    pub fn reopened(&mut self, seen: u64, floor: u64) -> Verdict<Arc<S>> {
        if self.state(seen).is_some() && !self.is_before(floor, seen) {
            let expected = format!("{}, which had to survive, or a later one", self.name(floor));
            return Err(Violation::safety("durability", expected, self.name(seen)));
        }
        self.look(seen, floor)
    }

    /// The life has begun from the commit `seen`: a later reader sees at least that one, and none that the crash has undone.
    pub fn begins_with(&mut self, seen: u64) {
        let keys = self.commits.keys().copied();
        let line: BTreeSet<u64> = keys.filter(|&number| self.is_before(number, seen)).collect();
        for (number, commit) in &mut self.commits {
            if !line.contains(number) && commit.fate != Fate::RolledBack {
                commit.fate = Fate::Undone;
            }
        }
        self.newest = seen;
    }

    /// Whether `early` is `late`, or one that it is built on.
    fn is_before(&self, early: u64, late: u64) -> bool {
        let mut at = late;
        while at > early {
            let Some(commit) = self.commits.get(&at) else { return false };
            at = commit.base;
        }
        at == early
    }

    fn name(&self, number: u64) -> String {
        match self.commits.get(&number) {
            Some(Commit { by: None, fate, .. }) => format!("commit {number} of the setup ({fate:?})"),
            Some(Commit { by: Some(by), fate, .. }) => {
                format!("commit {number} of connection {by} ({fate:?})")
            }
            None if number == 0 => "the database without a commit".into(),
            None => format!("commit {number}, which there never was"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Commits 1 and 2 are acknowledged, 3 upon 2 is under way.
    fn line(durable: Durable) -> CommitLine<()> {
        let mut line = CommitLine::new(());
        for (number, base) in [(1, 0), (2, 1), (3, 2)] {
            assert_eq!(line.reserve(), number);
            line.attempt(number, base, (), Some(0));
        }
        line.acknowledged(1, durable).unwrap();
        line.acknowledged(2, durable).unwrap();
        line
    }

    fn oracle<T: std::fmt::Debug>(verdict: Verdict<T>) -> String {
        verdict.map_or_else(|violation| violation.oracle, |_| "none".into())
    }

    #[test]
    fn a_reader_sees_the_newest_acknowledged_commit_or_one_that_is_under_way() {
        let mut line = line(Durable::This);
        let newest = line.newest();
        assert_eq!(oracle(line.look(1, newest)), "visibility");
        assert_eq!(oracle(line.look(2, newest)), "none");
        assert_eq!(oracle(line.look(3, newest)), "none");
        assert_eq!(oracle(line.rolled_back(3)), "atomicity", "it was seen");
        assert_eq!(oracle(line.look(3, newest)), "atomicity");
        assert_eq!(line.reserve(), 4);
        line.attempt(4, 2, (), Some(0));
        assert_eq!(oracle(line.rolled_back(4)), "none");
        assert_eq!(oracle(line.look(9, newest)), "atomicity");
    }

    #[test]
    fn a_loss_of_power_takes_what_is_not_durable() {
        for (durable, survives) in [(Durable::This, 2), (Durable::Base, 1), (Durable::Nothing, 0)] {
            let mut line = line(durable);
            assert_eq!(line.ended(Crash::ProcessKilled), 2, "a kill takes nothing");
            let floor = line.ended(Crash::PowerLoss);
            assert_eq!((floor, line.durable()), (survives, survives));
            assert_eq!(oracle(line.reopened(survives, floor)), "none");
            if survives > 0 {
                assert_eq!(oracle(line.reopened(survives - 1, floor)), "durability");
            }
        }
    }

    #[test]
    fn what_a_life_began_without_comes_back_after_a_loss_of_power_only() {
        let mut line = line(Durable::This);
        line.begins_with(2);
        let newest = line.newest();
        assert_eq!(oracle(line.look(3, newest)), "atomicity");
        line.ended(Crash::ProcessKilled);
        assert_eq!(oracle(line.reopened(3, 2)), "atomicity");
        let floor = line.ended(Crash::PowerLoss);
        assert_eq!(oracle(line.reopened(3, floor)), "none");
    }

    #[test]
    fn two_commits_upon_one_are_a_lost_update() {
        let mut line = line(Durable::This);
        line.acknowledged(3, Durable::This).unwrap();
        line.reserve();
        line.attempt(4, 2, (), Some(1));
        assert_eq!(oracle(line.acknowledged(4, Durable::This)), "serial order");
    }
}
