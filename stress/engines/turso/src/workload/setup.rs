//! The begin of a life.

use std::rc::Rc;
use std::sync::Arc;

use super::{Bank, Done};
use crate::db::{self, Session};
use crate::io::SimIo;
use crate::model::BALANCE;
use crate::plan::Journal;

/// Opens the database, makes the tables if there are none, and compares what there is with what must be.
pub(crate) async fn boot(bank: Rc<Bank>, io: Arc<SimIo>) -> Done<()> {
    let is_mvcc = bank.plan.journal == Journal::Mvcc;
    let database = db::open(&io, is_mvcc, &bank.notes).await?;
    *bank.database.borrow_mut() = Some(database);
    let session = bank.connect().await?;
    let tables = session.run("SELECT count(*) FROM sqlite_schema WHERE name='sequence'").await?;
    if super::number(&tables) == Some(0) {
        bank.model.borrow().is_empty()?;
        bank.make(&session, is_mvcc).await?;
    }
    let floor = bank.model.borrow().transactions.floor();
    session.run("BEGIN").await?;
    let seen = bank.look(&session, 0).await?;
    session.run("COMMIT").await?;
    bank.model.borrow_mut().look(&seen, &floor)?;
    bank.model.borrow_mut().begins_with(&seen);
    bank.counts.borrow_mut().boots += 1;
    Ok(())
}

/// A look at a system at rest.
pub(crate) async fn look_over(bank: Rc<Bank>) -> Done<()> {
    let session = bank.connect().await?;
    bank.read(&session, 0).await?;
    bank.judge_lists()?;
    bank.check_integrity(&session).await
}

impl Bank {
    async fn make(&self, session: &Session, is_mvcc: bool) -> Done<()> {
        session.run(&format!("PRAGMA page_size={}", self.plan.page_size)).await?;
        if is_mvcc {
            session.run("PRAGMA journal_mode='mvcc'").await?;
        }
        session.run("BEGIN").await?;
        for table in [
            "CREATE TABLE sequence (connection INTEGER PRIMARY KEY, number INTEGER)",
            "CREATE TABLE accounts (id INTEGER PRIMARY KEY, balance INTEGER)",
            "CREATE TABLE tree (id INTEGER PRIMARY KEY, length INTEGER, text TEXT)",
            "CREATE INDEX by_length ON tree (length)",
        ] {
            session.run(table).await?;
        }
        if self.plan.lists {
            session.run("CREATE TABLE lists (id INTEGER PRIMARY KEY, items TEXT)").await?;
        }
        for connection in 0..self.connections {
            session.run(&format!("INSERT INTO sequence VALUES ({connection}, 0)")).await?;
        }
        for account in 0..self.plan.accounts {
            session.run(&format!("INSERT INTO accounts VALUES ({account}, {BALANCE})")).await?;
        }
        session.run("COMMIT").await?;
        self.model.borrow_mut().made();
        Ok(())
    }
}
