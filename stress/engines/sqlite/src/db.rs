//! A connection, as far as the workloads need one.

use std::ffi::{CStr, CString, c_int, c_void};
use std::fmt;

use libsqlite3_sys as ffi;
use tenterhook_stress::blocking::Call;

/// An open connection. It belongs to one thread at a time, and may move between them.
pub(crate) struct Db {
    raw: *mut ffi::sqlite3,
}

// SAFETY: SQLite's connections may be used from any thread, one at a time, and a `Db` is not shared.
unsafe impl Send for Db {}

/// A value of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    Null,
    Int(i64),
    Text(String),
}

impl Value {
    /// The number; anything else is none.
    pub(crate) fn int(&self) -> Option<i64> {
        match self {
            Value::Int(number) => Some(*number),
            _ => None,
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Null => write!(f, "null"),
            Value::Int(number) => write!(f, "{number}"),
            Value::Text(text) => write!(f, "{text}"),
        }
    }
}

/// What SQLite says when a statement fails.
#[derive(Clone, Debug)]
pub(crate) struct SqlError {
    /// The extended result code.
    pub(crate) code: c_int,
    pub(crate) message: String,
    pub(crate) sql: String,
}

impl SqlError {
    /// The result code without its extension.
    pub(crate) fn primary(&self) -> c_int {
        self.code & 0xff
    }
}

impl fmt::Display for SqlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (result code {}) in \"{}\"", self.message, self.code, self.sql)
    }
}

pub(crate) type Rows = Vec<Vec<Value>>;

impl Db {
    /// Opens the database `path`. While it is locked SQLite asks again, `patience` times.
    pub(crate) fn open(path: &str, patience: u32) -> Result<Db, SqlError> {
        let name = CString::new(path).unwrap_or_default();
        let mut raw = std::ptr::null_mut();
        let flags = ffi::SQLITE_OPEN_READWRITE | ffi::SQLITE_OPEN_CREATE;
        // SAFETY: the name is a C string, and SQLite copies what it needs of it.
        let code = unsafe { ffi::sqlite3_open_v2(name.as_ptr(), &mut raw, flags, std::ptr::null()) };
        let db = Db { raw };
        if code != ffi::SQLITE_OK {
            return Err(db.error(code, "open"));
        }
        // SAFETY: the connection is open. The handler's argument is a number and no pointer.
        unsafe {
            ffi::sqlite3_extended_result_codes(raw, 1);
            ffi::sqlite3_busy_handler(raw, Some(busy), patience as usize as *mut c_void);
        }
        Ok(db)
    }

    /// Runs one statement to its end.
    pub(crate) fn run(&self, sql: &str) -> Result<Rows, SqlError> {
        if let Some(call) = Call::here() {
            call.remark(|| sql.to_owned());
        }
        let text = CString::new(sql).unwrap_or_default();
        let mut statement = std::ptr::null_mut();
        // SAFETY: the connection is open and the text a C string.
        let code = unsafe {
            ffi::sqlite3_prepare_v2(self.raw, text.as_ptr(), -1, &mut statement, std::ptr::null_mut())
        };
        if code != ffi::SQLITE_OK {
            return Err(self.error(code, sql));
        }
        let mut rows = Vec::new();
        let ended = loop {
            // SAFETY: prepared above, and finalized below.
            match unsafe { ffi::sqlite3_step(statement) } {
                ffi::SQLITE_ROW => rows.push(row(statement)),
                ffi::SQLITE_DONE => break Ok(rows),
                code => break Err(self.error(code, sql)),
            }
        };
        // SAFETY: prepared above, and not used after this.
        unsafe { ffi::sqlite3_finalize(statement) };
        ended
    }

    /// The number in the first column of the only row.
    pub(crate) fn number(&self, sql: &str) -> Result<Option<i64>, SqlError> {
        Ok(self.run(sql)?.first().and_then(|row| row.first()).and_then(Value::int))
    }

    /// Whether a transaction is open.
    pub(crate) fn is_in_transaction(&self) -> bool {
        // SAFETY: the connection is open.
        unsafe { ffi::sqlite3_get_autocommit(self.raw) == 0 }
    }

    fn error(&self, code: c_int, sql: &str) -> SqlError {
        // SAFETY: the connection is open, or null, for which there is a message, too. The text is copied at once.
        let message = unsafe { CStr::from_ptr(ffi::sqlite3_errmsg(self.raw)) };
        SqlError { code, message: message.to_string_lossy().into_owned(), sql: sql.into() }
    }
}

impl Drop for Db {
    fn drop(&mut self) {
        // SAFETY: no statement is left, as `run` finalizes its own; null is allowed.
        unsafe { ffi::sqlite3_close(self.raw) };
    }
}

/// The present row of a statement.
fn row(statement: *mut ffi::sqlite3_stmt) -> Vec<Value> {
    // SAFETY: `run` has a statement that has just returned a row.
    let columns = unsafe { ffi::sqlite3_column_count(statement) };
    let value = |column| {
        // SAFETY: as above, and the column exists.
        match unsafe { ffi::sqlite3_column_type(statement, column) } {
            // SAFETY: as above.
            ffi::SQLITE_INTEGER => Value::Int(unsafe { ffi::sqlite3_column_int64(statement, column) }),
            ffi::SQLITE_NULL => Value::Null,
            _ => {
                // SAFETY: as above. The text is copied before anything else happens to the statement.
                let text = unsafe { ffi::sqlite3_column_text(statement, column) };
                if text.is_null() {
                    return Value::Null;
                }
                // SAFETY: not null, and SQLite ends it with a zero.
                Value::Text(unsafe { CStr::from_ptr(text.cast()) }.to_string_lossy().into_owned())
            }
        }
    };
    (0..columns).map(value).collect()
}

/// Asked by SQLite when something is locked: whether to ask again.
unsafe extern "C" fn busy(patience: *mut c_void, asked: c_int) -> c_int {
    let Some(call) = Call::here() else { return 0 };
    c_int::from((asked as usize) < patience as usize && call.yield_now().is_ok())
}

/// The version of SQLite.
pub(crate) fn version() -> String {
    // SAFETY: a constant text.
    unsafe { CStr::from_ptr(ffi::sqlite3_libversion()) }.to_string_lossy().into_owned()
}
