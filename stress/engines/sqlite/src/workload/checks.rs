//! What must be in a snapshot.

use libsqlite3_sys as ffi;
use tenterhook_stress::violation::Violation;

use super::{Bank, Done};
use crate::db::{Db, SqlError, Value};
use crate::model::State;

impl Bank {
    /// The number of the commit that the open transaction sees.
    pub(super) fn seen(&self, db: &Db) -> Done<u64> {
        let number = db.number("SELECT number FROM latest")?;
        let number =
            number.ok_or_else(|| Violation::safety("latest", "a number in each snapshot", "none"))?;
        Ok(number as u64)
    }

    /// Compares all tables with what they must hold, each in the order of its key, the tree by its index, too.
    pub(super) fn compare(&self, db: &Db, state: &State) -> Done<()> {
        let balances = column(db, "SELECT balance FROM account ORDER BY id")?;
        same("balances", &state.balances, &balances)?;
        let sum: i64 = balances.iter().sum();
        let expected = 100 * i64::from(self.plan.accounts);
        if sum != expected {
            return Err(Violation::safety("sum", expected.to_string(), sum.to_string()).into());
        }
        same("sequence", &state.sequence, &column(db, "SELECT n FROM sequence ORDER BY connection")?)?;
        self.compare_range(db, state, 0, i64::MAX)?;
        let mut by_value: Vec<(i64, i64)> = state.tree.iter().map(|(&key, row)| (row.0, key)).collect();
        by_value.sort_unstable();
        let found = db.run("SELECT v, k FROM tree INDEXED BY tree_by_value WHERE v >= 0 ORDER BY v, k")?;
        let pair = |row: &Vec<Value>| Some((row.first()?.int()?, row.get(1)?.int()?));
        let found: Vec<(i64, i64)> = found.iter().filter_map(pair).collect();
        Ok(same("index", &by_value, &found)?)
    }

    /// Compares the tree's rows with keys in a range.
    pub(super) fn compare_range(&self, db: &Db, state: &State, from: i64, to: i64) -> Done<()> {
        let sql = format!("SELECT k, v, length(text) FROM tree WHERE k BETWEEN {from} AND {to} ORDER BY k");
        let triple = |row: &Vec<Value>| Some((row.first()?.int()?, (row.get(1)?.int()?, row.get(2)?.int()?)));
        let found: Vec<_> = db.run(&sql)?.iter().filter_map(triple).collect();
        let expected: Vec<_> = state.tree.range(from..=to).map(|(&key, &row)| (key, row)).collect();
        Ok(same("tree", &expected, &found)?)
    }

    /// SQLite's own check of all pages.
    pub(super) fn check_integrity(&self, db: &Db) -> Done<()> {
        let before = self.life().disk.fault_counts().struck();
        let rows = db.run("PRAGMA integrity_check")?;
        self.counts.lock().integrity_checks += 1;
        let said: Vec<String> = rows.iter().flatten().map(ToString::to_string).collect();
        if said == ["ok"] {
            return Ok(());
        }
        // The check tells of a page that it could not read as of a page that is wrong.
        if self.life().disk.fault_counts().struck() > before {
            let message = "integrity_check met a fault".into();
            return Err(
                SqlError { code: ffi::SQLITE_IOERR, message, sql: "PRAGMA integrity_check".into() }.into()
            );
        }
        Err(Violation::safety("integrity", "ok", said.join("; ")).into())
    }
}

fn column(db: &Db, sql: &str) -> Done<Vec<i64>> {
    Ok(db.run(sql)?.iter().filter_map(|row| row.first()?.int()).collect())
}

/// Says where two lists differ first.
fn same<T: PartialEq + std::fmt::Debug>(
    what: &str,
    expected: &[T],
    found: &[T],
) -> Result<(), Box<Violation>> {
    if expected == found {
        return Ok(());
    }
    let at = expected.iter().zip(found).take_while(|(expected, found)| expected == found).count();
    let at_least = |list: &[T]| match list.get(at) {
        Some(item) => format!("{item:?} at place {at} of {}", list.len()),
        None => format!("an end after {}", list.len()),
    };
    Err(Violation::safety("snapshot", at_least(expected), at_least(found)).note(format!("in: {what}")))
}

#[cfg(test)]
mod tests {
    use super::same;

    #[test]
    fn the_first_difference_of_two_lists_is_named() {
        assert!(same("x", &[1, 2], &[1, 2]).is_ok());
        let violation = same("x", &[1, 2, 3], &[1, 5, 3]).unwrap_err();
        assert_eq!(
            (violation.expected.as_str(), violation.seen.as_str()),
            ("2 at place 1 of 3", "5 at place 1 of 3")
        );
        assert_eq!(same("x", &[1], &[]).unwrap_err().seen, "an end after 0");
    }
}
