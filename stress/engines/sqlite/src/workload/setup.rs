//! How a life begins: the database is opened, recovered by SQLite, set up if it is empty, and looked over. At rest it is looked over
//! again.

use tenterhook_stress::blocking::{After, Call};
use tenterhook_stress::violation::Violation;

use super::{Bank, Done, PATH};
use crate::db::Db;
use crate::kernel::Kernel;
use tenterhook_stress::oracle::Verdict;

use crate::model::State;
use crate::plan::Journal;

/// Boots the life of `bank`. What SQLite refuses because of a fault or a lock is tried again.
pub(crate) fn boot(bank: &Bank, call: &Call) -> Verdict<After> {
    let life = bank.life();
    life.kernel.enter();
    let done = bank.open_first();
    let is_open = done.is_ok();
    let first = match done {
        Ok(db) => Some(db),
        Err(stop) => {
            let verdict = bank.judge(call, &life, Err(stop));
            Kernel::leave();
            verdict?;
            None
        }
    };
    if is_open {
        bank.counts.lock().boots += 1;
    }
    let keeps = bank.plan.keeps_first;
    *bank.connections[call.fiber() as usize].lock() = first.filter(|_| keeps);
    Kernel::leave();
    Ok(if is_open { After::Ended } else { After::Retry })
}

impl Bank {
    fn open_first(&self) -> Done<Db> {
        let plan = &self.plan;
        let db = Db::open(PATH, plan.patience)?;
        db.run(&format!("PRAGMA page_size={}", plan.page_size))?;
        db.run("PRAGMA temp_store=MEMORY")?;
        db.run(&format!("PRAGMA synchronous={:?}", plan.synchronous))?;
        db.run(&format!("PRAGMA cache_size={}", plan.cache_size))?;
        db.run(&format!("PRAGMA wal_autocheckpoint={}", plan.autocheckpoint))?;
        let mode = match plan.journal {
            Journal::Wal => "wal",
            Journal::Delete => "delete",
        };
        let answer = db.run(&format!("PRAGMA journal_mode={mode}"))?;
        let answer = answer.into_iter().flatten().next().map(|value| value.to_string());
        if answer.as_deref() != Some(mode) {
            let answer = answer.unwrap_or_default();
            return Err(Violation::safety("journal mode", mode, answer).into());
        }
        let is_set_up = db.number("SELECT count(*) FROM sqlite_master WHERE name = 'latest'")? == Some(1);
        let floor = self.life().floor;
        if is_set_up {
            db.run("BEGIN")?;
            let seen = self.seen(&db)?;
            let state = self.model.lock().reopened(seen, floor)?;
            self.compare(&db, &state)?;
            self.check_integrity(&db)?;
            db.run("COMMIT")?;
            self.model.lock().begins_with(seen);
        } else {
            let state = self.model.lock().reopened(0, floor)?;
            self.set_up(&db, &state)?;
        }
        Ok(db)
    }

    fn set_up(&self, db: &Db, state: &State) -> Done<()> {
        db.run("BEGIN IMMEDIATE")?;
        db.run("CREATE TABLE latest (number INTEGER NOT NULL)")?;
        db.run("CREATE TABLE account (id INTEGER PRIMARY KEY, balance INTEGER NOT NULL)")?;
        db.run("CREATE TABLE sequence (connection INTEGER PRIMARY KEY, n INTEGER NOT NULL)")?;
        db.run("CREATE TABLE tree (k INTEGER PRIMARY KEY, v INTEGER NOT NULL, text TEXT NOT NULL)")?;
        db.run("CREATE INDEX tree_by_value ON tree (v)")?;
        for (id, balance) in state.balances.iter().enumerate() {
            db.run(&format!("INSERT INTO account VALUES ({id}, {balance})"))?;
        }
        for connection in 0..state.sequence.len() {
            db.run(&format!("INSERT INTO sequence VALUES ({connection}, 0)"))?;
        }
        let number = self.model.lock().reserve();
        db.run(&format!("INSERT INTO latest VALUES ({number})"))?;
        self.model.lock().attempt(number, 0, state.clone(), None);
        db.run("COMMIT")?;
        self.model.lock().begins_with(number);
        Ok(self.model.lock().acknowledged(number, self.plan.durable())?)
    }

    /// Looks over a database at rest.
    pub(crate) fn look_over(&self, call: &Call) -> Verdict<After> {
        let life = self.life();
        life.kernel.enter();
        let slot = &self.connections[call.fiber() as usize];
        let mut first = slot.lock().take();
        let done = self.look_over_with(call, &mut first);
        let is_done = done.is_ok();
        let verdict = self.judge(call, &life, done);
        *slot.lock() = first.filter(|db| self.plan.keeps_first && !db.is_in_transaction());
        Kernel::leave();
        verdict?;
        Ok(if is_done { After::Ended } else { After::Retry })
    }

    fn look_over_with(&self, _: &Call, first: &mut Option<Db>) -> Done<()> {
        let newest = self.model.lock().newest();
        let db = match first {
            Some(db) => db,
            None => first.insert(self.connect()?),
        };
        db.run("BEGIN")?;
        let seen = self.seen(db)?;
        let state = self.model.lock().look(seen, newest)?;
        self.compare(db, &state)?;
        self.check_integrity(db)?;
        db.run("COMMIT")?;
        Ok(())
    }
}
