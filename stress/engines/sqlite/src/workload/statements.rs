//! The statements of a transaction that writes, with what each does to the model's state.

use tenterhook_stress::blocking::Call;
use tenterhook_stress::tape::ChoicePoint;

use super::{Bank, Done};
use crate::db::Db;
use crate::model::State;

const STATEMENT: ChoicePoint = ChoicePoint::new(5, "statement");
const ACCOUNT: ChoicePoint = ChoicePoint::new(6, "account");
const AMOUNT: ChoicePoint = ChoicePoint::new(7, "amount");
const KEY: ChoicePoint = ChoicePoint::new(8, "key");
const TEXT: ChoicePoint = ChoicePoint::new(9, "text");
const RANGE: ChoicePoint = ChoicePoint::new(10, "range");

impl Bank {
    /// One statement, or two that belong together.
    pub(super) fn statement(&self, call: &Call, db: &Db, state: &mut State) -> Done<()> {
        match call.weighted(STATEMENT, &[4, 4, 2, 2, 1, 2]) {
            0 => self.transfer(call, db, state),
            1 => {
                let (key, row) = (self.key(call), self.row(call));
                db.run(&format!("REPLACE INTO tree VALUES ({key}, {}, {})", row.0, text(row)))?;
                state.tree.insert(key, row);
                Ok(())
            }
            2 => {
                let key = self.key(call);
                db.run(&format!("DELETE FROM tree WHERE k = {key}"))?;
                state.tree.remove(&key);
                Ok(())
            }
            3 => {
                let (from, to) = self.range(call);
                db.run(&format!("UPDATE tree SET v = v + 1 WHERE k BETWEEN {from} AND {to}"))?;
                state.tree.range_mut(from..=to).for_each(|(_, row)| row.0 += 1);
                Ok(())
            }
            4 => {
                let (from, to) = self.range(call);
                db.run(&format!("DELETE FROM tree WHERE k BETWEEN {from} AND {to}"))?;
                state.tree.retain(|key, _| !(from..=to).contains(key));
                Ok(())
            }
            _ => {
                let (from, to) = self.range(call);
                self.compare_range(db, state, from, to)
            }
        }
    }

    fn transfer(&self, call: &Call, db: &Db, state: &mut State) -> Done<()> {
        let from = call.choose(ACCOUNT, self.plan.accounts) as usize;
        let to = call.choose(ACCOUNT, self.plan.accounts) as usize;
        let amount = 1 + i64::from(call.choose(AMOUNT, 50));
        db.run(&format!("UPDATE account SET balance = balance - {amount} WHERE id = {from}"))?;
        db.run(&format!("UPDATE account SET balance = balance + {amount} WHERE id = {to}"))?;
        state.balances[from] -= amount;
        state.balances[to] += amount;
        Ok(())
    }

    fn key(&self, call: &Call) -> i64 {
        i64::from(call.choose(KEY, self.plan.keys))
    }

    /// A value, and the length of its text.
    fn row(&self, call: &Call) -> (i64, i64) {
        let length = 1 + i64::from(call.choose(TEXT, self.plan.text));
        (i64::from(call.choose(AMOUNT, 50)), length)
    }

    fn range(&self, call: &Call) -> (i64, i64) {
        let from = self.key(call);
        (from, from + i64::from(call.choose(RANGE, 8)))
    }
}

/// The text of a row: of its length, and for people to tell from others.
fn text((value, length): (i64, i64)) -> String {
    let letter = char::from(b'a' + (value % 26) as u8);
    format!("'{}'", letter.to_string().repeat(length as usize))
}
