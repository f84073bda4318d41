//! What connections do: a bank whose sum is kept, rows with an index, tables that come and go, savepoints, checkpoints of all modes.
//! Each transaction writes its number, so that what a snapshot must have is known to the last row.

mod draw;
mod lists;
mod look;
mod setup;
mod write;

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use tenterhook_stress::oracle::list_append::History;
use tenterhook_stress::violation::Violation;
use turso_core::{Database, Value};

pub(crate) use self::draw::{DEEDS, OPERATIONS, Operation};
pub(crate) use self::setup::{boot, look_over};
use crate::db::{Notes, Rows, Session, SqlError, int};
use crate::model::Model;
use crate::plan::{Journal, Plan};

/// How often each thing happened.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) commits: u64,
    pub(crate) snapshots: u64,
    pub(crate) checkpoints: u64,
    pub(crate) whole_checkpoints: u64,
    pub(crate) integrity_checks: u64,
    pub(crate) boots: u64,
    pub(crate) refused: u64,
    pub(crate) io_errors: u64,
    pub(crate) deaths: u64,
}

/// What the futures of a run share. None of it is borrowed across a wait.
pub(crate) struct Bank {
    pub(crate) plan: Plan,
    pub(crate) connections: u32,
    pub(crate) model: RefCell<Model>,
    /// Of transactions on lists.
    pub(crate) history: RefCell<History>,
    pub(crate) counts: RefCell<Counts>,
    /// The open database, once a life has booted.
    pub(crate) database: RefCell<Option<Arc<Database>>>,
    /// The connection of each fiber, while no operation has it.
    pub(crate) sessions: Vec<RefCell<Option<Session>>>,
    pub(crate) notes: Rc<Notes>,
}

/// Why an operation did not come to its end.
pub(crate) enum Stop {
    /// The engine said no, and may.
    Refused(SqlError),
    /// A promise is broken.
    Broken(Box<Violation>),
}

impl From<Box<Violation>> for Stop {
    fn from(violation: Box<Violation>) -> Stop {
        Stop::Broken(violation)
    }
}

impl From<SqlError> for Stop {
    fn from(error: SqlError) -> Stop {
        Stop::Refused(error)
    }
}

pub(crate) type Done<T> = Result<T, Stop>;

impl Bank {
    /// One operation of a connection. After an error the connection rolls back what is left of its transaction.
    pub(crate) async fn operate(self: Rc<Bank>, fiber: usize, operation: Operation) -> Done<()> {
        let session = self.sessions[fiber].take();
        let session = match session {
            Some(session) => session,
            None => self.connect().await?,
        };
        let done = self.operate_on(&session, fiber, &operation).await;
        let mut closes = operation.closes && done.is_err();
        if session.is_in_transaction() && session.run("ROLLBACK").await.is_err() {
            closes = true;
        }
        if !closes && !matches!(operation.what, draw::What::Reopen) {
            *self.sessions[fiber].borrow_mut() = Some(session);
        }
        done
    }

    async fn operate_on(&self, session: &Session, fiber: usize, operation: &Operation) -> Done<()> {
        match &operation.what {
            draw::What::Write(write) => self.write(session, fiber, write).await,
            draw::What::Lists(lists) => self.append(session, fiber, lists).await,
            draw::What::Read { waits } => self.read(session, *waits).await,
            draw::What::Checkpoint(mode) => self.checkpoint(session, *mode).await,
            draw::What::Check => self.check_integrity(session).await,
            draw::What::Reopen => Ok(session.close()?),
        }
    }

    /// Opens a connection as the workload wants it.
    pub(crate) async fn connect(&self) -> Done<Session> {
        let database = self.database.borrow().clone();
        let Some(database) = database else { unreachable!("operations follow a boot") };
        let session = Session::connect(&database, &self.notes)?;
        session.run(&format!("PRAGMA cache_size={}", self.plan.cache_size)).await?;
        session.run("PRAGMA temp_store=MEMORY").await?;
        if self.plan.journal == Journal::Wal {
            session.run(&format!("PRAGMA wal_autocheckpoint={}", self.plan.autocheckpoint)).await?;
        }
        Ok(session)
    }

    /// How a transaction begins that may write.
    fn begin_to_write(&self, immediate: bool) -> &'static str {
        match (self.plan.journal, immediate) {
            (Journal::Mvcc, false) => "BEGIN CONCURRENT",
            (Journal::Wal, false) => "BEGIN",
            (_, true) => "BEGIN IMMEDIATE",
        }
    }

    async fn checkpoint(&self, session: &Session, mode: crate::plan::Mode) -> Done<()> {
        let rows = session.run(&format!("PRAGMA wal_checkpoint({mode:?})")).await?;
        let numbers: Vec<i64> = rows.iter().flatten().map(int).collect();
        let mut counts = self.counts.borrow_mut();
        counts.checkpoints += 1;
        if let [busy, log, moved] = numbers[..] {
            counts.whole_checkpoints += u64::from(busy == 0 && log == moved);
        }
        Ok(())
    }

    pub(crate) async fn check_integrity(&self, session: &Session) -> Done<()> {
        let rows = session.run("PRAGMA integrity_check").await?;
        self.counts.borrow_mut().integrity_checks += 1;
        let texts: Vec<String> = rows.iter().flatten().map(Value::to_string).collect();
        if texts != ["ok"] {
            return Err(Violation::safety("integrity", "ok", texts.join("; ")).into());
        }
        Ok(())
    }
}

/// The number in the first column of the only row.
fn number(rows: &Rows) -> Option<i64> {
    rows.first().and_then(|row| row.first()).map(int)
}
