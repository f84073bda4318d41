//! Transactions that are numbered by connection, so that a snapshot says which of each connection's it has.

use std::collections::BTreeMap;

use super::Verdict;
use crate::system::Crash;
use crate::violation::Violation;

#[derive(Debug)]
struct Attempt<T> {
    base: u64,
    what: T,
    was_rolled_back: bool,
    /// A snapshot had it.
    was_seen: bool,
    /// The present life began without it.
    is_undone: bool,
}

/// The transactions of one connection.
#[derive(Debug)]
struct Sequence<T> {
    attempts: BTreeMap<u64, Attempt<T>>,
    last: u64,
    /// The newest that was acknowledged: it is durable.
    acknowledged: u64,
    /// The newest that a snapshot of the present life must have.
    floor: u64,
}

/// The transactions of all connections, and what each did.
///
/// Each transaction writes its number to a place of its connection's, and reads there on which one it is built. Transactions of two
/// connections may commit in any order. Demands of the store: a transaction is atomic, a snapshot is read as one, a connection
/// reads what it has written, and what was acknowledged survives every crash. What was seen and never acknowledged stays
/// until the power goes.
#[derive(Debug)]
pub struct Sequences<T> {
    connections: Vec<Sequence<T>>,
}

impl<T> Sequences<T> {
    /// No transaction of so many connections yet.
    pub fn new(connections: usize) -> Sequences<T> {
        let none = || Sequence { attempts: BTreeMap::new(), last: 0, acknowledged: 0, floor: 0 };
        Sequences { connections: (0..connections).map(|_| none()).collect() }
    }

    /// The newest transactions, by connection, that a snapshot which begins now must have.
    pub fn floor(&self) -> Vec<u64> {
        self.connections.iter().map(|sequence| sequence.floor).collect()
    }

    /// A transaction of `connection` begins, and has read that `base` is the newest of that connection. Returns its own number.
    ///
    /// # Errors
    ///
    /// Those of [`look`](Sequences::look).
    pub fn begin(&mut self, connection: usize, base: u64) -> Verdict<u64> {
        let sequence = &mut self.connections[connection];
        sequence.look(connection, base, sequence.floor)?;
        sequence.last += 1;
        Ok(sequence.last)
    }

    /// It is tried from here on, and does `what`.
    ///
    /// # Panics
    ///
    /// If the base has not a lower number.
    pub fn attempt(&mut self, connection: usize, number: u64, base: u64, what: T) {
        assert!(base < number, "transaction {number} is built on {base}");
        let attempt = Attempt { base, what, was_rolled_back: false, was_seen: false, is_undone: false };
        self.connections[connection].attempts.insert(number, attempt);
    }

    /// The store says that it is committed.
    pub fn acknowledged(&mut self, connection: usize, number: u64) {
        let sequence = &mut self.connections[connection];
        (sequence.acknowledged, sequence.floor) = (number, number);
    }

    /// It was given up before its commit began, or refused, and nothing of it is left.
    ///
    /// # Errors
    ///
    /// A violation of "atomicity": a snapshot had it.
    pub fn rolled_back(&mut self, connection: usize, number: u64) -> Verdict {
        let Some(attempt) = self.connections[connection].attempts.get_mut(&number) else { return Ok(()) };
        attempt.was_rolled_back = true;
        if attempt.was_seen {
            let seen = format!("transaction {number} of connection {connection}, which a snapshot had");
            return Err(Violation::safety(
                "atomicity",
                "transactions that are refused before they are seen",
                seen,
            ));
        }
        Ok(())
    }

    /// Whether a snapshot may have `numbers` as the newest transactions, by connection. `floor` is what
    /// [`floor`](Sequences::floor) was when it began.
    ///
    /// # Errors
    ///
    /// A violation of "atomicity": one was refused, never tried, or not there when this life began. Of "durability": one is older
    /// than the floor.
    pub fn look(&mut self, numbers: &[u64], floor: &[u64]) -> Verdict {
        let connections = self.connections.len();
        for (connection, sequence) in self.connections.iter_mut().enumerate() {
            let Some(&number) = numbers.get(connection) else {
                let expected = format!("a number for each of {connections} connections");
                let seen = format!("{} numbers", numbers.len());
                return Err(Violation::safety("atomicity", expected, seen));
            };
            sequence.look(connection, number, floor[connection])?;
            sequence.attempts.entry(number).and_modify(|attempt| attempt.was_seen = true);
        }
        Ok(())
    }

    /// What transaction `number` of `connection` did; none of 0.
    pub fn what(&self, connection: usize, number: u64) -> Option<&T> {
        self.connections[connection].attempts.get(&number).map(|attempt| &attempt.what)
    }

    /// What the transactions of `connection` up to `number` did, the newest first.
    pub fn up_to(&self, connection: usize, number: u64) -> impl Iterator<Item = &T> {
        let attempts = &self.connections[connection].attempts;
        let newest = attempts.get(&number);
        let line = std::iter::successors(newest, |attempt| attempts.get(&attempt.base));
        line.map(|attempt| &attempt.what)
    }

    /// A life has begun with these: later snapshots of it must have at least them, and none that it began without. Only a loss of
    /// power can bring such a one back: it takes what was written over it, and not synced.
    pub fn begins_with(&mut self, numbers: &[u64]) {
        for (sequence, &number) in self.connections.iter_mut().zip(numbers) {
            sequence.floor = number;
            let undone: Vec<u64> =
                sequence.attempts.keys().copied().filter(|&at| !sequence.is_before(at, number)).collect();
            for at in undone {
                sequence.attempts.entry(at).and_modify(|attempt| attempt.is_undone = true);
            }
        }
    }

    /// A life has ended. What was seen and never acknowledged need not survive a loss of power.
    pub fn ended(&mut self, crash: Crash) {
        if crash == Crash::PowerLoss {
            for sequence in &mut self.connections {
                sequence.floor = sequence.acknowledged;
                sequence.attempts.values_mut().for_each(|attempt| attempt.is_undone = false);
            }
        }
    }
}

impl<T> Sequence<T> {
    fn look(&self, connection: usize, number: u64, floor: u64) -> Verdict {
        let attempt = self.attempts.get(&number);
        let is_refused = |attempt: &Attempt<T>| attempt.was_rolled_back || attempt.is_undone;
        if number != 0 && attempt.is_none_or(is_refused) {
            let seen = format!("transaction {number} of connection {connection}, which was not committed");
            return Err(Violation::safety("atomicity", "transactions that were committed", seen));
        }
        if !self.is_before(floor, number) {
            let expected = format!("transaction {floor} of connection {connection}, or a later one");
            return Err(Violation::safety("durability", expected, format!("transaction {number}")));
        }
        Ok(())
    }

    fn is_before(&self, early: u64, late: u64) -> bool {
        let mut at = late;
        while at > early {
            at = self.attempts.get(&at).map_or(0, |attempt| attempt.base);
        }
        at == early
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Connection 0 has committed 1 and 2, which is built on it; 3 is under way.
    fn sequences() -> Sequences<u64> {
        let mut sequences = Sequences::new(2);
        for number in 1..=3 {
            assert_eq!(sequences.begin(0, number - 1).unwrap(), number);
            sequences.attempt(0, number, number - 1, 10 * number);
            if number < 3 {
                sequences.acknowledged(0, number);
            }
        }
        sequences
    }

    fn oracle(verdict: Verdict) -> String {
        verdict.map_or_else(|violation| violation.oracle, |()| "none".into())
    }

    #[test]
    fn a_snapshot_has_what_was_acknowledged_and_perhaps_what_is_under_way() {
        let mut sequences = sequences();
        let floor = sequences.floor();
        assert_eq!(floor, [2, 0]);
        assert_eq!(oracle(sequences.look(&[1, 0], &floor)), "durability");
        assert_eq!(oracle(sequences.look(&[2, 0], &floor)), "none");
        assert_eq!(oracle(sequences.look(&[3, 0], &floor)), "none");
        assert_eq!(oracle(sequences.look(&[4, 0], &floor)), "atomicity");
        assert_eq!(oracle(sequences.look(&[2], &floor)), "atomicity");
        assert_eq!(oracle(sequences.rolled_back(0, 3)), "atomicity", "it was seen");
        assert_eq!(oracle(sequences.look(&[3, 0], &floor)), "atomicity");
    }

    #[test]
    fn what_was_seen_and_not_acknowledged_survives_a_kill_but_perhaps_no_loss_of_power() {
        let mut sequences = sequences();
        sequences.begins_with(&[3, 0]);
        sequences.ended(Crash::ProcessKilled);
        let floor = sequences.floor();
        assert_eq!(oracle(sequences.look(&[2, 0], &floor)), "durability");
        sequences.ended(Crash::PowerLoss);
        let floor = sequences.floor();
        assert_eq!(oracle(sequences.look(&[2, 0], &floor)), "none");
        assert_eq!(oracle(sequences.look(&[1, 0], &floor)), "durability");
    }

    #[test]
    fn what_a_life_began_without_comes_back_after_a_loss_of_power_only() {
        let mut sequences = sequences();
        sequences.begins_with(&[2, 0]);
        let floor = sequences.floor();
        assert_eq!(oracle(sequences.look(&[3, 0], &floor)), "atomicity");
        sequences.ended(Crash::ProcessKilled);
        assert_eq!(oracle(sequences.look(&[3, 0], &floor)), "atomicity");
        sequences.ended(Crash::PowerLoss);
        assert_eq!(oracle(sequences.look(&[3, 0], &floor)), "none");
    }

    #[test]
    fn what_a_connection_did_is_told_along_the_line_that_was_built_on() {
        let mut sequences = sequences();
        sequences.rolled_back(0, 3).unwrap();
        assert_eq!(sequences.begin(0, 2).unwrap(), 4);
        sequences.attempt(0, 4, 2, 40);
        assert_eq!(sequences.up_to(0, 4).copied().collect::<Vec<_>>(), [40, 20, 10]);
        assert_eq!((sequences.what(0, 2), sequences.what(0, 0)), (Some(&20), None));
    }
}
