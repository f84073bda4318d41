//! Snapshots, and what must be in them.

use tenterhook_stress::violation::Violation;

use super::write::{KEYS_A_CONNECTION, text};
use super::{Bank, Done};
use crate::db::{Session, int};
use crate::model::{Part, Seen};

impl Bank {
    /// A read transaction, which has one snapshot. It lets others go `waits` times in its middle.
    pub(crate) async fn read(&self, session: &Session, waits: u32) -> Done<()> {
        let floor = self.model.borrow().transactions.floor();
        session.run("BEGIN").await?;
        let seen = self.look(session, waits).await?;
        self.model.borrow_mut().look(&seen, &floor)?;
        self.counts.borrow_mut().snapshots += 1;
        session.run("COMMIT").await?;
        Ok(())
    }

    /// All that the present snapshot has.
    pub(super) async fn look(&self, session: &Session, waits: u32) -> Done<Seen> {
        let mut seen = Seen::default();
        let numbers = session.run("SELECT number FROM sequence ORDER BY connection").await?;
        seen.numbers = numbers.iter().flatten().map(|value| int(value) as u64).collect();
        self.notes.rest(waits).await;
        let balances = session.run("SELECT balance FROM accounts ORDER BY id").await?;
        seen.balances = balances.iter().flatten().map(int).collect();
        seen.parts = vec![Part::default(); self.connections as usize];
        for row in session.run("SELECT id, length, text FROM tree ORDER BY id").await? {
            let (id, length) = (int(&row[0]), int(&row[1]));
            let key = id % KEYS_A_CONNECTION;
            let is_whole = row[2].to_string() == text(key, length.clamp(0, 10_000));
            let part = seen.parts.get_mut((id / KEYS_A_CONNECTION) as usize);
            let Some(part) = part.filter(|_| is_whole) else {
                return Err(
                    Violation::safety("rows", "a row's own text", format!("row {id}: {row:?}")).into()
                );
            };
            part.rows.insert(key, length);
        }
        // The index must say the same.
        let indexed = session.run("SELECT count(*) FROM tree INDEXED BY by_length WHERE length > 0").await?;
        let rows = seen.parts.iter().map(|part| part.rows.len() as i64).sum::<i64>();
        if super::number(&indexed) != Some(rows) {
            let found = format!("{:?} entries", super::number(&indexed));
            return Err(Violation::safety("index", format!("{rows} entries"), found).into());
        }
        let names =
            session.run("SELECT name FROM sqlite_schema WHERE name LIKE '%\\_%\\_%' ESCAPE '\\'").await?;
        for name in names.iter().flatten().map(ToString::to_string) {
            let number = name.split('_').nth(1).and_then(|number| number.parse::<usize>().ok());
            if let Some(part) = number.and_then(|number| seen.parts.get_mut(number)) {
                part.schema.insert(name);
            }
        }
        Ok(seen)
    }
}
