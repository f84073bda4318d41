//! What the database may contain.
//!
//! Each connection numbers its transactions and writes the number, so that a snapshot says which transactions of each connection it
//! has. A transaction is built on the one of its connection that it has read. From the numbers the model knows each balance, each
//! row and each table of the snapshot.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tenterhook_stress::system::Crash;
use tenterhook_stress::violation::Violation;

pub(crate) type Verdict<T> = Result<T, Box<Violation>>;

/// What each account has at first.
pub(crate) const BALANCE: i64 = 1_000;

/// What belongs to one connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Part {
    /// The length of each row's text.
    pub(crate) rows: BTreeMap<i64, i64>,
    /// Tables and indexes that it has made.
    pub(crate) schema: BTreeSet<String>,
}

/// Money that moves: from, to, how much.
pub(crate) type Transfer = (usize, usize, i64);

#[derive(Debug)]
struct Attempt {
    base: u64,
    part: Arc<Part>,
    transfers: Vec<Transfer>,
    was_rolled_back: bool,
}

/// The transactions of one connection.
#[derive(Debug, Default)]
struct Line {
    attempts: BTreeMap<u64, Attempt>,
    last: u64,
    /// The newest that was acknowledged: it is durable.
    acknowledged: u64,
    /// The newest that a snapshot of the present life must have.
    tip: u64,
}

/// All that a snapshot has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) numbers: Vec<u64>,
    pub(crate) balances: Vec<i64>,
    /// By connection.
    pub(crate) parts: Vec<Part>,
}

/// The history.
#[derive(Debug)]
pub(crate) struct Model {
    accounts: usize,
    lines: Vec<Line>,
    /// Whether the creation of the tables was acknowledged.
    is_made: bool,
}

impl Model {
    pub(crate) fn new(accounts: u32, connections: u32) -> Model {
        let lines = (0..connections).map(|_| Line::default()).collect();
        Model { accounts: accounts as usize, lines, is_made: false }
    }

    pub(crate) fn made(&mut self) {
        self.is_made = true;
    }

    /// The database is empty.
    pub(crate) fn is_empty(&self) -> Verdict<()> {
        if self.is_made {
            return Err(Violation::safety("durability", "tables that were committed", "an empty database"));
        }
        Ok(())
    }

    /// The newest transactions that a snapshot which begins now must have, by connection.
    pub(crate) fn floor(&self) -> Vec<u64> {
        self.lines.iter().map(|line| line.tip).collect()
    }

    /// A transaction of `connection` has read that `base` is its newest. Returns the number of the new one, and what it begins with.
    pub(crate) fn begin(&mut self, connection: usize, base: u64) -> Verdict<(u64, Part)> {
        let line = &mut self.lines[connection];
        line.look(connection, base, line.tip)?;
        line.last += 1;
        Ok((line.last, line.part(base)))
    }

    /// It is tried from here on.
    pub(crate) fn attempt(
        &mut self,
        connection: usize,
        number: u64,
        base: u64,
        part: Part,
        transfers: Vec<Transfer>,
    ) {
        let attempt = Attempt { base, part: Arc::new(part), transfers, was_rolled_back: false };
        self.lines[connection].attempts.insert(number, attempt);
    }

    pub(crate) fn acknowledged(&mut self, connection: usize, number: u64) {
        let line = &mut self.lines[connection];
        (line.acknowledged, line.tip) = (number, number);
    }

    /// It was given up before its commit began, or refused because of another one.
    pub(crate) fn rolled_back(&mut self, connection: usize, number: u64) {
        if let Some(attempt) = self.lines[connection].attempts.get_mut(&number) {
            attempt.was_rolled_back = true;
        }
    }

    /// Whether a snapshot may be like this.
    pub(crate) fn look(&self, seen: &Seen, floor: &[u64]) -> Verdict<()> {
        let mut balances = vec![BALANCE; self.accounts];
        for (connection, line) in self.lines.iter().enumerate() {
            let number = *seen.numbers.get(connection).unwrap_or(&u64::MAX);
            line.look(connection, number, floor[connection])?;
            for (from, to, amount) in line.transfers(number) {
                balances[from] -= amount;
                balances[to] += amount;
            }
        }
        if balances != seen.balances {
            let (sum, right) = (seen.balances.iter().sum::<i64>(), balances.iter().sum::<i64>());
            let expected = format!("balances {balances:?}, in all {right}");
            let found = format!("balances {:?}, in all {sum}", seen.balances);
            return Err(self.torn("balances", expected, found, seen));
        }
        for (connection, line) in self.lines.iter().enumerate() {
            let expected = line.part(seen.numbers[connection]);
            let found = &seen.parts[connection];
            if expected.rows != found.rows {
                let keys = expected.rows.keys().chain(found.rows.keys());
                let key =
                    keys.copied().find(|key| expected.rows.get(key) != found.rows.get(key)).unwrap_or(0);
                let row = |rows: &BTreeMap<i64, i64>| format!("row {key}: {:?}", rows.get(&key));
                return Err(self.torn("rows", row(&expected.rows), row(&found.rows), seen));
            }
            if expected.schema != found.schema {
                let (expected, found) = (format!("{:?}", expected.schema), format!("{:?}", found.schema));
                return Err(self.torn("schema", expected, found, seen));
            }
        }
        Ok(())
    }

    fn torn(&self, oracle: &str, expected: String, found: String, seen: &Seen) -> Box<Violation> {
        let numbers = format!("transactions by connection: {:?}", seen.numbers);
        Violation::safety(oracle, expected, found).note(numbers)
    }

    /// The life has begun with this: later snapshots of it must have at least that.
    pub(crate) fn begins_with(&mut self, seen: &Seen) {
        self.is_made = true;
        for (line, &number) in self.lines.iter_mut().zip(&seen.numbers) {
            line.tip = number;
        }
    }

    /// A life has ended. What was seen and never acknowledged need not survive a loss of power.
    pub(crate) fn ended(&mut self, crash: Crash) {
        if crash == Crash::PowerLoss {
            for line in &mut self.lines {
                line.tip = line.acknowledged;
            }
        }
    }
}

impl Line {
    fn part(&self, number: u64) -> Part {
        self.attempts.get(&number).map(|attempt| (*attempt.part).clone()).unwrap_or_default()
    }

    fn look(&self, connection: usize, number: u64, floor: u64) -> Verdict<()> {
        let attempt = self.attempts.get(&number);
        if number != 0 && attempt.is_none_or(|attempt| attempt.was_rolled_back) {
            let found = format!("transaction {number} of connection {connection}, which was not committed");
            return Err(Violation::safety("atomicity", "transactions that were committed", found));
        }
        if !self.is_before(floor, number) {
            let expected = format!("transaction {floor} of connection {connection}, or a later one");
            let seen = format!("transaction {number}");
            return Err(Violation::safety("durability", expected, seen));
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

    /// What all transactions up to `number` have moved.
    fn transfers(&self, number: u64) -> Vec<Transfer> {
        let mut moved = Vec::new();
        let mut at = number;
        while let Some(attempt) = self.attempts.get(&at) {
            moved.extend(&attempt.transfers);
            at = attempt.base;
        }
        moved
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Connection 0 has committed 1 and 2, which is built on it; 3 is under way.
    fn model() -> Model {
        let mut model = Model::new(2, 1);
        for number in 1..=3 {
            let (given, part) = model.begin(0, number - 1).unwrap();
            assert_eq!(given, number);
            model.attempt(0, number, number - 1, part, vec![(0, 1, 10)]);
            if number < 3 {
                model.acknowledged(0, number);
            }
        }
        model
    }

    fn seen(number: u64, balances: [i64; 2]) -> Seen {
        Seen { numbers: vec![number], balances: balances.into(), parts: vec![Part::default()] }
    }

    fn oracle(verdict: Verdict<()>) -> String {
        verdict.map_or_else(|violation| violation.oracle, |()| "none".into())
    }

    #[test]
    fn a_snapshot_has_what_was_acknowledged_and_perhaps_what_is_under_way() {
        let mut model = model();
        let floor = model.floor();
        assert_eq!(oracle(model.look(&seen(1, [990, 1_010]), &floor)), "durability");
        assert_eq!(oracle(model.look(&seen(2, [980, 1_020]), &floor)), "none");
        assert_eq!(oracle(model.look(&seen(3, [970, 1_030]), &floor)), "none");
        assert_eq!(oracle(model.look(&seen(4, [960, 1_040]), &floor)), "atomicity");
        model.rolled_back(0, 3);
        assert_eq!(oracle(model.look(&seen(3, [970, 1_030]), &floor)), "atomicity");
    }

    #[test]
    fn half_a_transaction_is_no_snapshot() {
        let model = model();
        let floor = model.floor();
        assert_eq!(oracle(model.look(&seen(2, [980, 1_010]), &floor)), "balances");
        assert_eq!(oracle(model.look(&seen(2, [970, 1_030]), &floor)), "balances");
        let mut with_row = seen(2, [980, 1_020]);
        with_row.parts[0].rows.insert(1, 1);
        assert_eq!(oracle(model.look(&with_row, &floor)), "rows");
        let mut with_table = seen(2, [980, 1_020]);
        with_table.parts[0].schema.insert("t".into());
        assert_eq!(oracle(model.look(&with_table, &floor)), "schema");
    }

    #[test]
    fn what_was_seen_and_not_acknowledged_survives_a_kill_but_perhaps_no_loss_of_power() {
        let mut model = model();
        model.begins_with(&seen(3, [970, 1_030]));
        model.ended(Crash::ProcessKilled);
        assert_eq!(oracle(model.look(&seen(2, [980, 1_020]), &model.floor())), "durability");
        model.ended(Crash::PowerLoss);
        assert_eq!(oracle(model.look(&seen(2, [980, 1_020]), &model.floor())), "none");
        assert_eq!(oracle(model.is_empty()), "durability");
    }
}
