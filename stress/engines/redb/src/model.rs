//! What the database may contain. Each commit leaves its number in it.

use std::collections::BTreeMap;

use tenterhook_stress::violation::Violation;

/// Keys, with the length of each value and the byte that fills it.
pub(crate) type State = BTreeMap<u64, (usize, u8)>;

#[derive(Debug)]
struct Commit {
    base: u64,
    state: State,
    was_refused: bool,
}

/// The commits that were tried. Number 0 is the empty database.
#[derive(Debug, Default)]
pub(crate) struct Model {
    commits: BTreeMap<u64, Commit>,
    next: u64,
    /// The newest that was acknowledged as durable.
    durable: u64,
    /// What readers see.
    tip: u64,
}

impl Model {
    pub(crate) fn tip(&self) -> (u64, State) {
        (self.tip, self.commits.get(&self.tip).map(|commit| commit.state.clone()).unwrap_or_default())
    }

    /// Whether nothing durable was ever committed.
    pub(crate) fn is_empty(&self) -> bool {
        self.durable == 0
    }

    /// A commit is tried from here on. Returns its number.
    pub(crate) fn reserve(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    pub(crate) fn attempt(&mut self, number: u64, state: State) {
        self.commits.insert(number, Commit { base: self.tip, state, was_refused: false });
    }

    pub(crate) fn acknowledged(&mut self, number: u64, is_durable: bool) {
        self.tip = number;
        if is_durable {
            self.durable = number;
        }
    }

    /// The database is open, and has this commit. Returns what must be in it.
    pub(crate) fn reopened(&mut self, seen: u64) -> Result<State, Box<Violation>> {
        let known = seen == 0 || self.commits.get(&seen).is_some_and(|commit| !commit.was_refused);
        if !known {
            return Err(Violation::safety("atomicity", "a commit that was tried", format!("commit {seen}")));
        }
        if !self.is_before(self.durable, seen) {
            let expected = format!("commit {}, which is durable, or a later one", self.durable);
            return Err(Violation::safety("durability", expected, format!("commit {seen}")));
        }
        self.tip = seen;
        // What was undone must not come back.
        let undone: Vec<u64> = self.commits.keys().copied().filter(|&at| !self.is_before(at, seen)).collect();
        for number in undone {
            self.commits.get_mut(&number).expect("a key of it").was_refused = true;
        }
        Ok(self.tip().1)
    }

    fn is_before(&self, early: u64, late: u64) -> bool {
        let mut at = late;
        while at > early {
            at = self.commits.get(&at).map_or(0, |commit| commit.base);
        }
        at == early
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_durable_commit_must_be_there_and_what_was_undone_must_not() {
        let mut model = Model::default();
        for (number, is_durable) in [(1, true), (2, false), (3, false)] {
            assert_eq!(model.reserve(), number);
            model.attempt(number, State::from([(number, (1, 1))]));
            model.acknowledged(number, is_durable);
        }
        assert_eq!(model.reopened(9).unwrap_err().oracle, "atomicity");
        assert_eq!(model.reopened(0).unwrap_err().oracle, "durability");
        assert_eq!(model.reopened(2).unwrap(), State::from([(2, (1, 1))]));
        assert_eq!(model.reopened(3).unwrap_err().oracle, "atomicity");
    }
}
