//! What the database may contain.
//!
//! Each connection numbers its transactions and writes the number, so that a snapshot says which transactions of each connection it
//! has. From the numbers the model knows each balance, each row and each table of the snapshot.

use std::collections::{BTreeMap, BTreeSet};

use tenterhook_stress::oracle::bank::Transfer;
use tenterhook_stress::oracle::{Bank, Sequences, Verdict};
use tenterhook_stress::system::Crash;
use tenterhook_stress::violation::Violation;

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

/// What a transaction does.
#[derive(Clone, Debug, Default)]
pub(crate) struct Deeds {
    /// What its connection has after it.
    pub(crate) part: Part,
    pub(crate) transfers: Vec<Transfer>,
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
    bank: Bank,
    pub(crate) transactions: Sequences<Deeds>,
    connections: usize,
    /// The creation of the tables was acknowledged, or a transaction on them was: no loss of power takes them.
    is_made: bool,
    /// The present life has begun with the tables, or has made them.
    is_seen: bool,
}

impl Model {
    pub(crate) fn new(accounts: u32, connections: u32) -> Model {
        let connections = connections as usize;
        let (bank, transactions) = (Bank::new(accounts as usize, BALANCE), Sequences::new(connections));
        Model { bank, transactions, connections, is_made: false, is_seen: false }
    }

    pub(crate) fn made(&mut self) {
        (self.is_made, self.is_seen) = (true, true);
    }

    /// The database is empty.
    pub(crate) fn is_empty(&self) -> Verdict {
        if self.is_made || self.is_seen {
            return Err(Violation::safety("durability", "tables that were committed", "an empty database"));
        }
        Ok(())
    }

    /// What `connection` has after its transaction `number`.
    pub(crate) fn part(&self, connection: usize, number: u64) -> Part {
        self.transactions.what(connection, number).map(|deeds| deeds.part.clone()).unwrap_or_default()
    }

    pub(crate) fn acknowledged(&mut self, connection: usize, number: u64) {
        self.is_made = true;
        self.transactions.acknowledged(connection, number);
    }

    /// Whether a snapshot may be like this.
    pub(crate) fn look(&mut self, seen: &Seen, floor: &[u64]) -> Verdict {
        self.transactions.look(&seen.numbers, floor)?;
        let numbers = || format!("transactions by connection: {:?}", seen.numbers);
        let deeds = (0..self.connections).flat_map(|at| self.transactions.up_to(at, seen.numbers[at]));
        let transfers = deeds.flat_map(|deeds| deeds.transfers.iter().copied());
        let balances = self.bank.look_after(transfers, &seen.balances);
        balances.map_err(|violation| violation.note(numbers()))?;
        for connection in 0..self.connections {
            let expected = self.part(connection, seen.numbers[connection]);
            same(&expected, &seen.parts[connection]).map_err(|violation| violation.note(numbers()))?;
        }
        Ok(())
    }

    /// The life has begun with this: later snapshots of it must have at least that.
    pub(crate) fn begins_with(&mut self, seen: &Seen) {
        self.is_seen = true;
        self.transactions.begins_with(&seen.numbers);
    }

    /// A life has ended. What was seen and never acknowledged need not survive a loss of power.
    pub(crate) fn ended(&mut self, crash: Crash) {
        if crash == Crash::PowerLoss {
            self.is_seen = self.is_made;
        }
        self.transactions.ended(crash);
    }
}

fn same(expected: &Part, found: &Part) -> Verdict {
    if expected.rows != found.rows {
        let mut keys = expected.rows.keys().chain(found.rows.keys()).copied();
        let key = keys.find(|key| expected.rows.get(key) != found.rows.get(key)).unwrap_or(0);
        let row = |rows: &BTreeMap<i64, i64>| format!("row {key}: {:?}", rows.get(&key));
        return Err(Violation::safety("rows", row(&expected.rows), row(&found.rows)));
    }
    if expected.schema != found.schema {
        let (expected, found) = (format!("{:?}", expected.schema), format!("{:?}", found.schema));
        return Err(Violation::safety("schema", expected, found));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Connection 0 has committed 1 and 2, each of which moves 10.
    fn model() -> Model {
        let mut model = Model::new(2, 1);
        for number in 1..=2 {
            assert_eq!(model.transactions.begin(0, number - 1).unwrap(), number);
            let transfers = vec![Transfer { from: 0, to: 1, amount: 10 }];
            model.transactions.attempt(0, number, number - 1, Deeds { part: Part::default(), transfers });
            model.acknowledged(0, number);
        }
        model
    }

    fn seen(number: u64, balances: [i64; 2]) -> Seen {
        Seen { numbers: vec![number], balances: balances.into(), parts: vec![Part::default()] }
    }

    fn oracle(verdict: Verdict) -> String {
        verdict.map_or_else(|violation| violation.oracle, |()| "none".into())
    }

    #[test]
    fn half_a_transaction_is_no_snapshot() {
        let mut model = model();
        let floor = model.transactions.floor();
        assert_eq!(oracle(model.look(&seen(2, [980, 1_020]), &floor)), "none");
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
    fn tables_that_were_seen_and_never_acknowledged_need_not_survive_a_loss_of_power() {
        let mut model = Model::new(2, 1);
        model.begins_with(&seen(0, [1_000, 1_000]));
        model.ended(Crash::ProcessKilled);
        assert_eq!(oracle(model.is_empty()), "durability");
        model.ended(Crash::PowerLoss);
        assert_eq!(oracle(model.is_empty()), "none");
        model.made();
        model.ended(Crash::PowerLoss);
        assert_eq!(oracle(model.is_empty()), "durability");
    }
}
