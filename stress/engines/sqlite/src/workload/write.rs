//! A transaction that writes.

use libsqlite3_sys as ffi;
use tenterhook_stress::blocking::Call;
use tenterhook_stress::sometimes;
use tenterhook_stress::tape::ChoicePoint;

use super::{Bank, Done};
use crate::db::Db;
use crate::model::State;

const BEGIN: ChoicePoint = ChoicePoint::new(11, "begin");
const STATEMENTS: ChoicePoint = ChoicePoint::new(12, "statements");
const SAVEPOINT: ChoicePoint = ChoicePoint::new(13, "savepoint");

/// How often a commit that is locked out is tried again.
const COMMITS: u32 = 3;

impl Bank {
    /// Changes the bank and the tree, and commits if `commits` says so.
    pub(super) fn write(&self, call: &Call, db: &Db, commits: bool) -> Done<()> {
        let newest = self.model.lock().newest();
        db.run(["BEGIN", "BEGIN IMMEDIATE"][call.choose(BEGIN, 2) as usize])?;
        let base = self.seen(db)?;
        let mut state = State::clone(&*self.model.lock().look(base, newest)?);
        for _ in 0..=call.choose(STATEMENTS, self.plan.statements) {
            match call.choose(SAVEPOINT, 8) {
                7 => self.in_savepoint(call, db, &mut state)?,
                _ => self.statement(call, db, &mut state)?,
            }
        }
        let connection = call.fiber() as usize;
        state.sequence[connection] += 1;
        db.run(&format!("UPDATE sequence SET n = n + 1 WHERE connection = {connection}"))?;
        let number = self.model.lock().reserve();
        db.run(&format!("UPDATE latest SET number = {number}"))?;
        if !commits {
            db.run("ROLLBACK")?;
            return Ok(());
        }
        self.commit(call, db, number, base, state)
    }

    fn commit(&self, call: &Call, db: &Db, number: u64, base: u64, state: State) -> Done<()> {
        // Others may see it before SQLite says that it is committed.
        self.model.lock().attempt(number, base, state, Some(call.fiber()));
        for again in 0.. {
            let Err(error) = db.run("COMMIT") else { break };
            let is_locked = error.primary() == ffi::SQLITE_BUSY && !call.is_gone();
            sometimes!(is_locked, "a commit is locked out");
            if !is_locked {
                return Err(error.into());
            }
            if again == COMMITS {
                self.model.lock().rolled_back(number)?;
                return Err(error.into());
            }
            let _ = call.yield_now();
        }
        if call.is_gone() {
            return Ok(());
        }
        call.observe(3, number);
        call.remark(|| format!("commit {number} is acknowledged"));
        self.counts.lock().commits += 1;
        Ok(self.model.lock().acknowledged(number, self.plan.durable())?)
    }

    /// A statement within a savepoint, which is kept or undone.
    fn in_savepoint(&self, call: &Call, db: &Db, state: &mut State) -> Done<()> {
        let mut inner = state.clone();
        db.run("SAVEPOINT inner")?;
        self.statement(call, db, &mut inner)?;
        if call.choose(SAVEPOINT, 2) == 1 {
            db.run("ROLLBACK TO inner")?;
            db.run("RELEASE inner")?;
        } else {
            db.run("RELEASE inner")?;
            *state = inner;
        }
        Ok(())
    }
}
