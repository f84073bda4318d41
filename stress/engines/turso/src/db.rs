//! A database and its connections, as far as the workload needs them. Each wait is a future's.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;

use turso_core::storage::database::DatabaseFile;
use turso_core::types::IOCompletions;
use turso_core::{
    Connection, Database, DatabaseOpts, IO, IOResult, LimboError, Numeric, OpenDbAsyncState, OpenFlags,
    OpenOptions, SqliteDialect, StepResult, Value,
};

use crate::io::SimIo;

/// What futures say to the step that polls them.
#[derive(Default)]
pub(crate) struct Notes {
    /// The engine wants others stepped first, and wakes no one.
    yields: Cell<bool>,
    said: RefCell<Vec<String>>,
}

impl Notes {
    pub(crate) fn take_yield(&self) -> bool {
        self.yields.take()
    }

    pub(crate) fn take_said(&self) -> Vec<String> {
        self.said.take()
    }

    pub(crate) fn say(&self, what: impl Into<String>) {
        self.said.borrow_mut().push(what.into());
    }

    /// Lets others be stepped, so many times.
    pub(crate) async fn rest(&self, times: u32) {
        for _ in 0..times {
            let mut is_over = false;
            poll_fn(|_| {
                if std::mem::replace(&mut is_over, true) {
                    return Poll::Ready(());
                }
                self.yields.set(true);
                Poll::Pending
            })
            .await;
        }
    }
}

/// A statement that failed, or an opening.
#[derive(Clone, Debug)]
pub(crate) struct SqlError {
    pub(crate) error: LimboError,
    pub(crate) sql: String,
}

impl fmt::Display for SqlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} in \"{}\"", self.error, self.sql)
    }
}

pub(crate) type Rows = Vec<Vec<Value>>;

/// The number in a column.
pub(crate) fn int(value: &Value) -> i64 {
    match value {
        Value::Numeric(Numeric::Integer(number)) => *number,
        _ => i64::MIN,
    }
}

/// Opens the database, step by step.
pub(crate) async fn open(
    io: &Arc<SimIo>,
    is_mvcc: bool,
    notes: &Rc<Notes>,
) -> Result<Arc<Database>, SqlError> {
    let failed = |error: LimboError| SqlError { error, sql: "open".into() };
    let path = io.path();
    let file = io.open_file(&path, OpenFlags::Create, true).map_err(failed)?;
    let options = OpenOptions::new(Arc::new(SqliteDialect))
        .storage(Arc::new(DatabaseFile::new(file)))
        .db_opts(options_for(is_mvcc));
    let mut state = OpenDbAsyncState::new();
    let mut waits_for: Option<IOCompletions> = None;
    poll_fn(|context| {
        // Who drives an opening looks at what it waited for: a failed read must not be taken for a page.
        if let Some(error) = waits_for.take().and_then(|waits| waits.get_error()) {
            return Poll::Ready(Err(failed(error.into())));
        }
        let io: Arc<dyn IO> = Arc::clone(io) as _;
        match Database::open_async(&mut state, io, &path, &options) {
            Ok(IOResult::Done(database)) => Poll::Ready(Ok(database)),
            Ok(IOResult::IO(waits)) => {
                notes.yields.set(waits.is_explicit_yield());
                waits.set_waker(Some(context.waker()));
                waits_for = Some(waits);
                Poll::Pending
            }
            Err(error) => Poll::Ready(Err(failed(plain(error)))),
        }
    })
    .await
}

/// The newer version is asked for versions of rows when it opens, the older one with a pragma alone.
#[cfg(not(feature = "old"))]
fn options_for(is_mvcc: bool) -> DatabaseOpts {
    DatabaseOpts::new().with_mvcc(is_mvcc)
}
#[cfg(feature = "old")]
fn options_for(_is_mvcc: bool) -> DatabaseOpts {
    DatabaseOpts::new()
}

/// The newer version boxes its error here, the older one does not.
#[cfg(not(feature = "old"))]
#[expect(clippy::boxed_local, reason = "the caller has a box")]
fn plain(error: Box<LimboError>) -> LimboError {
    *error
}
#[cfg(feature = "old")]
fn plain(error: LimboError) -> LimboError {
    error
}

/// A connection.
pub(crate) struct Session {
    connection: Arc<Connection>,
    notes: Rc<Notes>,
}

impl Session {
    pub(crate) fn connect(database: &Arc<Database>, notes: &Rc<Notes>) -> Result<Session, SqlError> {
        #[cfg(not(feature = "old"))]
        let connection = database.connect(turso_core::ConnectOpts::new());
        #[cfg(feature = "old")]
        let connection = database.connect();
        let failed = |error| SqlError { error, sql: "connect".into() };
        Ok(Session { connection: connection.map_err(failed)?, notes: Rc::clone(notes) })
    }

    /// Runs one statement to its end.
    pub(crate) async fn run(&self, sql: &str) -> Result<Rows, SqlError> {
        self.notes.say(sql);
        let failed = |error| SqlError { error, sql: sql.into() };
        let mut statement = self.connection.prepare(sql).map_err(failed)?;
        let mut rows = Rows::new();
        let ended = poll_fn(|context| {
            loop {
                match statement.step_with_waker(context.waker()) {
                    Ok(StepResult::Done) => return Poll::Ready(Ok(())),
                    Ok(StepResult::Row) => {
                        let row = statement.row().map(|row| row.get_values().cloned().collect());
                        rows.extend(row);
                    }
                    Ok(StepResult::IO) => return Poll::Pending,
                    Ok(StepResult::Yield | StepResult::Sleep { .. }) => {
                        self.notes.yields.set(true);
                        return Poll::Pending;
                    }
                    Ok(StepResult::Busy) => return Poll::Ready(Err(failed(LimboError::Busy))),
                    Ok(StepResult::Interrupt) => return Poll::Ready(Err(failed(LimboError::Interrupt))),
                    Err(error) => return Poll::Ready(Err(failed(error))),
                }
            }
        });
        ended.await.map(|()| rows)
    }

    /// Whether a transaction is open.
    pub(crate) fn is_in_transaction(&self) -> bool {
        !self.connection.get_auto_commit()
    }

    /// Closes the connection as an application does: the last one of a database makes a checkpoint.
    pub(crate) fn close(&self) -> Result<(), SqlError> {
        self.notes.say("close");
        self.connection.close().map_err(|error| SqlError { error, sql: "close".into() })
    }
}
