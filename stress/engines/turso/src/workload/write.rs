//! Transactions.

use super::draw::{Deed, Write};
use super::{Bank, Done, Stop, number};
use crate::db::Session;
use tenterhook_stress::oracle::bank::Transfer;

use crate::model::Deeds;
use crate::plan::Broken;

/// Rows of a connection are this far from those of the next.
pub(super) const KEYS_A_CONNECTION: i64 = 1_000_000;

impl Bank {
    /// One transaction.
    pub(super) async fn write(&self, session: &Session, fiber: usize, write: &Write) -> Done<()> {
        session.run(self.begin_to_write(write.immediate)).await?;
        let rows = session.run(&format!("SELECT number FROM sequence WHERE connection={fiber}")).await?;
        let base = number(&rows).unwrap_or(-1) as u64;
        let number = self.model.borrow_mut().transactions.begin(fiber, base)?;
        let mut deeds = Deeds { part: self.model.borrow().part(fiber, base), transfers: Vec::new() };
        for deed in &write.deeds {
            self.deed(session, fiber, deed, &mut deeds).await?;
        }
        session.run(&format!("UPDATE sequence SET number={number} WHERE connection={fiber}")).await?;
        self.notes.rest(write.waits).await;
        self.model.borrow_mut().transactions.attempt(fiber, number, base, deeds);
        if !write.commits {
            self.model.borrow_mut().transactions.rolled_back(fiber, number)?;
            session.run("ROLLBACK").await?;
            return Ok(());
        }
        if let Err(error) = session.run("COMMIT").await {
            // After any other error its fate is unknown.
            if crate::verdict::is_refusal(&error.error) {
                self.model.borrow_mut().transactions.rolled_back(fiber, number)?;
            }
            return Err(Stop::Refused(error));
        }
        self.model.borrow_mut().acknowledged(fiber, number);
        self.notes.say(format!("acknowledged: transaction {number} of connection {fiber}"));
        self.counts.borrow_mut().commits += 1;
        Ok(())
    }

    async fn deed(&self, session: &Session, fiber: usize, deed: &Deed, progress: &mut Deeds) -> Done<()> {
        let Deed::Savepoint { deeds, releases } = deed else {
            return self.simple_deed(session, fiber, deed, progress).await;
        };
        session.run("SAVEPOINT inner").await?;
        let before = progress.clone();
        for deed in deeds {
            self.simple_deed(session, fiber, deed, progress).await?;
        }
        if !releases {
            session.run("ROLLBACK TO inner").await?;
            *progress = before;
        }
        session.run("RELEASE inner").await?;
        Ok(())
    }

    async fn simple_deed(
        &self,
        session: &Session,
        fiber: usize,
        deed: &Deed,
        progress: &mut Deeds,
    ) -> Done<()> {
        let Deeds { part, transfers } = progress;
        let row = |key: &i64| fiber as i64 * KEYS_A_CONNECTION + key;
        match deed {
            Deed::Transfer { from, to, amount } => {
                let change = |account: &usize, sign: char| {
                    format!("UPDATE accounts SET balance=balance{sign}{amount} WHERE id={account}")
                };
                session.run(&change(from, '-')).await?;
                if self.plan.broken != Some(Broken::Transfer) {
                    session.run(&change(to, '+')).await?;
                }
                transfers.push(Transfer { from: *from, to: *to, amount: *amount });
            }
            Deed::Put { key, length } => {
                let text = text(*key, *length);
                let id = row(key);
                let sql = match part.rows.insert(*key, *length) {
                    None => format!("INSERT INTO tree VALUES ({id}, {length}, '{text}')"),
                    Some(_) => format!("UPDATE tree SET length={length}, text='{text}' WHERE id={id}"),
                };
                session.run(&sql).await?;
            }
            Deed::Remove { key } => {
                part.rows.remove(key);
                session.run(&format!("DELETE FROM tree WHERE id={}", row(key))).await?;
            }
            Deed::Schema { table, with_index } => {
                let name = format!("t_{fiber}_{table}");
                let index = format!("i_{fiber}_{table}");
                if part.schema.remove(&name) {
                    part.schema.remove(&index);
                    session.run(&format!("DROP TABLE {name}")).await?;
                    return Ok(());
                }
                session.run(&format!("CREATE TABLE {name} (a INTEGER, b TEXT)")).await?;
                if *with_index {
                    session.run(&format!("CREATE INDEX {index} ON {name} (b)")).await?;
                    part.schema.insert(index);
                }
                session.run(&format!("INSERT INTO {name} VALUES (1, '{}')", text(1, 20))).await?;
                part.schema.insert(name);
            }
            Deed::Savepoint { .. } => {}
        }
        Ok(())
    }
}

/// The text of a row. It is as long as it says, and its row's own.
pub(super) fn text(key: i64, length: i64) -> String {
    let letter = char::from(b'a' + ((key * 7 + length) % 26) as u8);
    letter.to_string().repeat(length as usize)
}
