//! The file of a job: one SQLite database in WAL mode.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension as _, params};

use super::schema::{APPLICATION, TABLES, VERSION};
use super::{JobError, build, folder};

/// The database's name in the folder.
pub(super) const FILE: &str = "job.sqlite";
/// Its name until it is whole.
const NEW: &str = "job.sqlite.new";
/// How long a command waits for another that writes. A writer needs milliseconds.
const PATIENCE: Duration = Duration::from_secs(10);

/// The database of the job in a folder.
#[derive(Debug)]
pub(super) struct Database {
    folder: PathBuf,
    pub(super) connection: Connection,
}

/// Whether there is no room on the disk. A file size limit of the process counts, too.
pub(super) fn is_full(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DiskFull | ErrorCode::SystemIoFailure))
}

/// What a database says that no program of ours has written.
pub(super) fn damage(problem: &'static str) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Null, problem.into())
}

/// Whether the bytes of a database are wrong.
fn is_damage(error: &rusqlite::Error) -> bool {
    use rusqlite::Error::{FromSqlConversionFailure, IntegralValueOutOfRange, InvalidColumnType, Utf8Error};
    match error {
        FromSqlConversionFailure(..)
        | IntegralValueOutOfRange(..)
        | InvalidColumnType(..)
        | Utf8Error(..) => true,
        other => {
            matches!(other.sqlite_error_code(), Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
        }
    }
}

impl Database {
    /// Whether `folder` has a job.
    ///
    /// # Errors
    ///
    /// When it is there and has other things.
    pub(super) fn exists(folder: &Path) -> Result<bool, JobError> {
        if folder.join(FILE).is_file() {
            return Ok(true);
        }
        let has_others = match std::fs::read_dir(folder) {
            // What a job leaves that was killed in its first moment.
            Ok(mut entries) => entries.any(|entry| {
                entry.is_ok_and(|entry| {
                    let name = entry.file_name().to_string_lossy().into_owned();
                    name != "lock" && name != folder::SCRATCH && !name.starts_with(NEW)
                })
            }),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => false,
            Err(error) => {
                let problem = format!("is no folder that can be read ({error}); name a new one, or a job's");
                return Err(JobError::input(folder, problem));
            }
        };
        match has_others {
            true => Err(JobError::input(
                folder,
                format!("is no job: it has files, and no {FILE}; name a new folder"),
            )),
            false => Ok(false),
        }
    }

    /// Makes the database of a new job in `folder`, which exists and has none. It has its name only when it is whole, so that a
    /// process which is killed here leaves no half of one.
    pub(super) fn create(folder: &Path, facts: &[(&str, String)]) -> Result<Database, JobError> {
        let internal =
            |error: rusqlite::Error| JobError::internal(folder, format!("cannot be written ({error})"));
        let path = folder.join(NEW);
        let _ = std::fs::remove_file(&path);
        let mut connection = Connection::open(&path).map_err(internal)?;
        let make = |connection: &mut Connection| -> rusqlite::Result<()> {
            let transaction = connection.transaction()?;
            transaction.pragma_update(None, "application_id", APPLICATION)?;
            transaction.pragma_update(None, "user_version", VERSION)?;
            transaction.execute_batch(TABLES)?;
            for (name, value) in facts {
                transaction.execute("INSERT INTO job VALUES (?, ?)", params![name, value])?;
            }
            transaction.commit()
        };
        // The mode stays with the file.
        connection.pragma_update(None, "journal_mode", "wal").map_err(internal)?;
        make(&mut connection).map_err(internal)?;
        connection.close().map_err(|(_, error)| internal(error))?;
        let renamed = std::fs::rename(&path, folder.join(FILE));
        renamed.map_err(|error| JobError::internal(folder, format!("cannot be written ({error})")))?;
        Database::open(folder)
    }

    /// Opens the database of the job in `folder`.
    ///
    /// # Errors
    ///
    /// When there is none, or it is damaged, or another version's.
    pub(super) fn open(folder: &Path) -> Result<Database, JobError> {
        let path = folder.join(FILE);
        let wrong = |problem: String| JobError::input(folder, problem);
        if !path.is_file() {
            return Err(wrong(format!("is no job: it has no {FILE}; name the folder of a job")));
        }
        let damaged =
            |error: rusqlite::Error| wrong(format!("{FILE} is damaged ({error}); restore a copy of it"));
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&path, flags).map_err(damaged)?;
        connection.busy_timeout(PATIENCE).map_err(damaged)?;
        let number = |name: &str| connection.pragma_query_value(None, name, |row| row.get::<_, i32>(0));
        let application = match number("application_id") {
            Ok(application) => application,
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::NotADatabase) => {
                return Err(wrong(format!(
                    "is no job: {FILE} is no SQLite database; name the folder of a job"
                )));
            }
            Err(error) => return Err(damaged(error)),
        };
        if application != APPLICATION {
            return Err(wrong(format!(
                "is no job: {FILE} is a database of another program; name the folder of a job"
            )));
        }
        let version = number("user_version").map_err(damaged)?;
        if version != VERSION {
            return Err(wrong(format!(
                "{FILE} has schema version {version}: this program knows {VERSION}; use the program that made it"
            )));
        }
        let check = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get::<_, String>(0));
        let check = check.map_err(damaged)?;
        if check != "ok" {
            let first = check.lines().next().unwrap_or_default();
            return Err(wrong(format!("{FILE} is damaged ({first}); restore a copy of it")));
        }
        connection.pragma_update(None, "synchronous", "normal").map_err(damaged)?;
        Ok(Database { folder: folder.to_owned(), connection })
    }

    /// The folder.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// A failure of the database: it is damaged, or no input explains it.
    pub(super) fn broken(&self, error: &rusqlite::Error) -> JobError {
        if is_damage(error) {
            return JobError::input(
                &self.folder,
                format!("{FILE} is damaged ({error}); restore a copy of it"),
            );
        }
        JobError::internal(&self.folder, format!("{FILE}: {error}"))
    }

    /// A fact about the job.
    pub(super) fn fact(&self, name: &str) -> Result<Option<String>, JobError> {
        let query = "SELECT value FROM job WHERE name = ?";
        let value = self.connection.query_row(query, [name], |row| row.get(0)).optional();
        value.map_err(|error| self.broken(&error))
    }

    /// The number of the build that is running, which is made if it is new.
    pub(super) fn build(&self, name: &str) -> Result<i64, JobError> {
        let make = "INSERT OR IGNORE INTO builds (build, first_used) VALUES (?, ?)";
        let find = "SELECT id FROM builds WHERE build = ?";
        let made = self.connection.execute(make, params![name, build::now() as i64]);
        let found = made.and_then(|_| self.connection.query_row(find, [name], |row| row.get(0)));
        found.map_err(|error| self.broken(&error))
    }
}
