//! What the database may contain: each commit that was tried, what it was built on, and what became of it.
//!
//! A transaction that writes leaves its number in the database. So a reader of a snapshot knows which commit it is of, and what must
//! be in it. A commit is built on the one that its transaction has read. The committed ones must form one line; what a reader sees must
//! be on it, and not before the newest commit that was acknowledged when it began.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tenterhook_stress::system::Crash;
use tenterhook_stress::violation::Violation;

use crate::plan::{Durability, Plan};

pub(crate) type Verdict<T> = Result<T, Box<Violation>>;

/// A row of the tree: its value, and how long its text is.
pub(crate) type Row = (i64, i64);

/// All that the tables hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) balances: Vec<i64>,
    /// How many transactions each connection has committed.
    pub(crate) sequence: Vec<i64>,
    pub(crate) tree: BTreeMap<i64, Row>,
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
struct Commit {
    /// The one that its transaction has read.
    base: u64,
    state: Arc<State>,
    fate: Fate,
    by: u32,
}

/// The history.
#[derive(Debug)]
pub(crate) struct Model {
    durability: Durability,
    /// By number. Numbers grow along the line.
    commits: BTreeMap<u64, Commit>,
    next: u64,
    /// The newest that was acknowledged or that this life began with.
    tip: Option<u64>,
    /// The newest that a loss of power must leave.
    durable: Option<u64>,
    initial: Arc<State>,
}

impl Model {
    pub(crate) fn new(plan: &Plan, connections: u32) -> Model {
        let initial = State {
            balances: vec![100; plan.accounts as usize],
            sequence: vec![0; connections as usize],
            tree: BTreeMap::new(),
        };
        Model {
            durability: plan.durability(),
            commits: BTreeMap::new(),
            next: 1,
            tip: None,
            durable: None,
            initial: Arc::new(initial),
        }
    }

    pub(crate) fn initial(&self) -> Arc<State> {
        Arc::clone(&self.initial)
    }

    /// The newest commit that a transaction which begins now must see.
    pub(crate) fn tip(&self) -> Option<u64> {
        self.tip
    }

    /// A commit is about to be tried. Returns its number.
    pub(crate) fn reserve(&mut self) -> u64 {
        self.next += 1;
        self.next - 1
    }

    /// The commit of this number is tried from here on.
    pub(crate) fn attempt(&mut self, number: u64, base: u64, state: State, by: u32) {
        self.commits.insert(number, Commit { base, state: Arc::new(state), fate: Fate::Unknown, by });
    }

    /// SQLite has refused the commit.
    pub(crate) fn rolled_back(&mut self, number: u64) {
        if let Some(commit) = self.commits.get_mut(&number) {
            commit.fate = Fate::RolledBack;
        }
    }

    /// SQLite says that it is committed.
    pub(crate) fn acknowledged(&mut self, number: u64) -> Verdict<()> {
        let Some(commit) = self.commits.get_mut(&number) else { return Ok(()) };
        commit.fate = Fate::Acknowledged;
        let base = commit.base;
        let last = match self.durability {
            Durability::Every => number,
            Durability::AllButLast => base,
            Durability::None => 0,
        };
        if last > 0 && self.durable.is_none_or(|durable| self.is_before(durable, last)) {
            self.durable = Some(last);
        }
        match self.tip {
            Some(tip) if self.is_before(number, tip) => Ok(()),
            Some(tip) if !self.is_before(tip, number) => Err(Violation::safety(
                "serial order",
                format!("a commit that is built on the newest one, {}", self.name(tip)),
                format!("{} is acknowledged, and built on {}", self.name(number), self.name(base)),
            )),
            _ => {
                self.tip = Some(number);
                Ok(())
            }
        }
    }

    /// What a snapshot must contain that has the number `seen`. `tip` is what it was when the transaction began.
    pub(crate) fn look(&self, seen: u64, tip: Option<u64>) -> Verdict<Arc<State>> {
        let is_possible = |commit: &&Commit| !matches!(commit.fate, Fate::RolledBack | Fate::Undone);
        let commit = self.commits.get(&seen).filter(is_possible);
        let Some(commit) = commit else {
            let seen = format!("{}, which was not committed", self.name(seen));
            return Err(Violation::safety("atomicity", "a commit that was tried and not refused", seen));
        };
        match tip {
            Some(tip) if !self.is_before(tip, seen) => Err(Violation::safety(
                "visibility",
                format!("{}, acknowledged before the transaction began, or a later one", self.name(tip)),
                self.name(seen),
            )),
            _ => Ok(Arc::clone(&commit.state)),
        }
    }

    /// The database is opened after the end of a life, and has the commit `seen`; `None` is an empty one.
    pub(crate) fn reopened(&mut self, seen: Option<u64>, floor: Option<u64>) -> Verdict<Option<Arc<State>>> {
        let Some(seen) = seen else {
            return match floor {
                Some(floor) => Err(Violation::safety("durability", self.name(floor), "an empty database")),
                None => Ok(None),
            };
        };
        if let Some(floor) = floor
            && self.commits.contains_key(&seen)
            && !self.is_before(floor, seen)
        {
            let expected = format!("{}, which had to survive, or a later one", self.name(floor));
            return Err(Violation::safety("durability", expected, self.name(seen)));
        }
        self.look(seen, floor).map(Some)
    }

    /// The life has begun from the commit `seen`: a later reader sees at least that one, and none that the crash has undone.
    pub(crate) fn begins_with(&mut self, seen: u64) {
        let keys = self.commits.keys().copied();
        let line: BTreeSet<u64> = keys.filter(|&number| self.is_before(number, seen)).collect();
        for (number, commit) in &mut self.commits {
            if !line.contains(number) && commit.fate != Fate::RolledBack {
                commit.fate = Fate::Undone;
            }
        }
        self.tip = Some(seen);
    }

    /// What must be there after a life that ended like this. A life that was killed before it had looked at the disk tells nothing
    /// more than the crash before it.
    pub(crate) fn floor(&mut self, crash: Crash) -> Option<u64> {
        if crash == Crash::PowerLoss {
            self.tip = self.durable;
            let undone = self.commits.values_mut().filter(|commit| commit.fate == Fate::Undone);
            undone.for_each(|commit| commit.fate = Fate::Unknown);
        }
        self.tip
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
            Some(Commit { by: u32::MAX, fate, .. }) => format!("commit {number} of the setup ({fate:?})"),
            Some(Commit { by, fate, .. }) => format!("commit {number} of connection {by} ({fate:?})"),
            None => format!("commit {number}, which there never was"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model(durability: Durability) -> Model {
        let plan = Plan { synchronous: crate::plan::Synchronous::Full, ..Plan::default() };
        let mut model = Model { durability, ..Model::new(&plan, 2) };
        for (number, base) in [(1, 0), (2, 1), (3, 2)] {
            assert_eq!(model.reserve(), number);
            model.attempt(number, base, State::default(), 0);
        }
        model.acknowledged(1).unwrap();
        model.acknowledged(2).unwrap();
        model
    }

    fn oracle<T: std::fmt::Debug>(verdict: Verdict<T>) -> String {
        verdict.unwrap_err().oracle
    }

    #[test]
    fn a_reader_sees_the_newest_acknowledged_commit_or_one_that_is_under_way() {
        let mut model = model(Durability::Every);
        assert_eq!(oracle(model.look(1, model.tip())), "visibility");
        assert!(model.look(2, model.tip()).is_ok() && model.look(3, model.tip()).is_ok());
        model.rolled_back(3);
        assert_eq!(oracle(model.look(3, model.tip())), "atomicity");
        assert_eq!(oracle(model.look(9, model.tip())), "atomicity");
    }

    #[test]
    fn what_a_life_began_without_comes_back_after_a_loss_of_power_only() {
        let mut model = model(Durability::Every);
        model.begins_with(2);
        assert_eq!(oracle(model.look(3, model.tip())), "atomicity");
        model.floor(Crash::ProcessKilled);
        assert_eq!(oracle(model.reopened(Some(3), Some(2))), "atomicity");
        let floor = model.floor(Crash::PowerLoss);
        assert!(model.reopened(Some(3), floor).is_ok());
    }

    #[test]
    fn two_commits_upon_one_are_a_lost_update() {
        let mut model = model(Durability::Every);
        model.acknowledged(3).unwrap();
        model.reserve();
        model.attempt(4, 2, State::default(), 1);
        assert_eq!(oracle(model.acknowledged(4)), "serial order");
    }

    #[test]
    fn what_must_survive_depends_on_the_mode_and_the_crash() {
        for (durability, after_power_loss) in
            [(Durability::Every, Some(2)), (Durability::AllButLast, Some(1)), (Durability::None, None)]
        {
            let mut model = model(durability);
            assert_eq!(model.floor(Crash::ProcessKilled), Some(2));
            assert_eq!(model.floor(Crash::PowerLoss), after_power_loss);
            assert_eq!(model.floor(Crash::ProcessKilled), after_power_loss, "the loss came first");
            let floor = model.floor(Crash::PowerLoss);
            assert_eq!(model.reopened(None, floor).is_err(), after_power_loss.is_some());
            assert_eq!(model.reopened(Some(1), floor).is_err(), after_power_loss == Some(2));
            assert!(model.reopened(Some(3), floor).is_ok(), "it was under way");
        }
    }
}
