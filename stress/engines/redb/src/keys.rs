//! Keys that several connections put, remove, read and scan at once. Each key is judged by the library's oracle for keys.
//!
//! redb makes a second writer wait in a lock of its own: the tester stops it there, see `Blocking::foreign_locks`.

use std::path::Path;
use std::sync::Arc;

use parking_lot::Mutex;
use redb::{Builder, Database, ReadableDatabase, TableDefinition, TableError};
use tenterhook_stress::blocking::{After, Call};
use tenterhook_stress::oracle::KeySet;
use tenterhook_stress::oracle::key_set::Change;
use tenterhook_stress::tape::ChoicePoint;
use tenterhook_stress::violation::Violation;

use crate::backend::{Backend, PATH};
use crate::life::{CACHE, Life, Stop, broken, is_refused};
use crate::plan::Broken;

const KEYS: TableDefinition<u64, &[u8]> = TableDefinition::new("keys");

const OPERATION: ChoicePoint = ChoicePoint::new(0, "operation");
const CHANGES: ChoicePoint = ChoicePoint::new(1, "changes");
const CHANGE: ChoicePoint = ChoicePoint::new(2, "change");
const KEY: ChoicePoint = ChoicePoint::new(3, "key");
const LENGTH: ChoicePoint = ChoicePoint::new(4, "length");
const HOW: ChoicePoint = ChoicePoint::new(5, "how it commits");

/// Few, so that connections meet at a key.
const KEY_COUNT: u32 = 60;

/// How often each thing happened.
#[derive(Clone, Debug, Default)]
pub(crate) struct KeyCounts {
    pub(crate) commits: u64,
    pub(crate) scans: u64,
    pub(crate) gets: u64,
    pub(crate) opened: u64,
    pub(crate) io_errors: u64,
    pub(crate) cut_off: u64,
}

impl KeyCounts {
    pub(crate) fn told(&self) -> Vec<(&'static str, u64)> {
        vec![
            ("commits", self.commits),
            ("range scans", self.scans),
            ("keys read", self.gets),
            ("openings", self.opened),
            ("I/O errors", self.io_errors),
            ("creations cut off", self.cut_off),
        ]
    }
}

/// What the jobs of a run share.
#[derive(Default)]
pub(crate) struct Keys {
    oracle: Mutex<KeySet<u64>>,
    last_value: Mutex<u64>,
    pub(crate) counts: Mutex<KeyCounts>,
    database: Mutex<Option<Arc<Database>>>,
    broken: Option<Broken>,
}

impl Keys {
    pub(crate) fn new(broken: Option<Broken>) -> Keys {
        Keys { broken, ..Keys::default() }
    }

    /// The life is over.
    pub(crate) fn ended(&self, crash: tenterhook_stress::system::Crash) {
        drop(self.database.lock().take());
        self.oracle.lock().ended(crash);
    }

    /// Opens the database, which redb repairs if it was not closed, and looks at all of it.
    pub(crate) fn boot(&self, call: &Call, life: &Life) -> Result<After, Box<Violation>> {
        let opened = self.open(call, life).and_then(|mut database| {
            self.look_over(&mut database)?;
            Ok(database)
        });
        match opened {
            Ok(database) if !call.is_gone() => {
                self.counts.lock().opened += 1;
                *self.database.lock() = Some(Arc::new(database));
                Ok(After::Ended)
            }
            Ok(_) => Ok(After::Retry),
            Err(stop) => self.stopped(call, life, stop).map(|()| After::Retry),
        }
    }

    /// One operation of a connection.
    pub(crate) fn operate(&self, call: &Call, life: &Life) -> Result<After, Box<Violation>> {
        let Some(database) = self.database.lock().clone() else { return Ok(After::Idle) };
        let done = match call.weighted(OPERATION, &[6, 3, 3]) {
            0 => self.write(call, &database),
            1 => self.scan(call, &database),
            _ => self.get(call, &database),
        };
        match done {
            Ok(()) => Ok(After::Ended),
            // redb wants to be opened again, which the other connections have open: the process starts again.
            Err(stop) => self.stopped(call, life, stop).map(|()| After::Restart),
        }
    }

    /// All connections are between two operations.
    pub(crate) fn rest(&self, call: &Call, life: &Life) -> Result<After, Box<Violation>> {
        let Some(mut shared) = self.database.lock().take() else { return Ok(After::Ended) };
        let done = match Arc::get_mut(&mut shared) {
            Some(database) => self.look_over(database),
            None => Err(broken(Violation::safety("rest", "a database that nobody uses", "one in use"))),
        };
        *self.database.lock() = Some(shared);
        match done {
            Ok(()) => Ok(After::Ended),
            Err(stop) => self.stopped(call, life, stop).map(|()| After::Restart),
        }
    }

    fn stopped(&self, call: &Call, life: &Life, stop: Stop) -> Result<(), Box<Violation>> {
        match stop {
            _ if call.is_gone() => Ok(()),
            Stop::Broken(violation) => Err(violation),
            Stop::Failed(error) if life.explains(call, &error, self.last_value() == 0) => {
                self.counts.lock().io_errors += 1;
                Ok(())
            }
            Stop::Failed(error) => Err(Life::unexplained(&error)),
        }
    }

    /// 0 while nothing was ever put.
    fn last_value(&self) -> u64 {
        *self.last_value.lock()
    }

    fn open(&self, call: &Call, life: &Life) -> Result<Database, Stop> {
        call.doing("open");
        let failed = |error| Stop::Failed(redb::Error::Io(std::io::Error::from(error)));
        let backend = Backend::open(call, &life.disk, self.broken).map_err(failed)?;
        match Builder::new().set_cache_size(CACHE).create_with_backend(backend) {
            // A creation that was cut off leaves a file that redb refuses for good. Nothing was in it: it is made again.
            Err(error) if is_refused(&error) && self.last_value() == 0 => {
                self.counts.lock().cut_off += 1;
                life.disk.remove(call, Path::new(PATH)).map_err(failed)?;
                Err(error.into())
            }
            other => Ok(other?),
        }
    }

    fn look_over(&self, database: &mut Database) -> Result<(), Stop> {
        if !database.check_integrity()? {
            let seen = "one that was repaired";
            return Err(broken(Violation::safety("integrity", "a database that is whole", seen)));
        }
        self.scan_range(database, 0, u64::from(KEY_COUNT))
    }

    /// A transaction with a change or a few.
    fn write(&self, call: &Call, database: &Database) -> Result<(), Stop> {
        call.doing("begin");
        let mut write = database.begin_write()?;
        let mut changes = Vec::new();
        let is_two_phase = call.choose(HOW, 3);
        write.set_two_phase_commit(is_two_phase == 1);
        write.set_quick_repair(is_two_phase == 2);
        call.doing("write");
        let result = self.change(call, &write, &mut changes).and_then(|()| {
            if call.choose(HOW, 8) == 7 {
                write.abort()?;
                return Ok(false);
            }
            call.doing("commit");
            if self.broken != Some(Broken::Put) {
                write.commit()?;
            }
            Ok(true)
        });
        let mut oracle = self.oracle.lock();
        for change in changes {
            match &result {
                Ok(true) if !call.is_gone() => oracle.acknowledged(change),
                Ok(false) => oracle.refused(change),
                Ok(true) | Err(_) => oracle.unknown(change),
            }
        }
        self.counts.lock().commits += u64::from(matches!(result, Ok(true)));
        result.map(|_| ())
    }

    /// Each key once: the last change of a transaction to a key is the one that counts.
    fn change(
        &self,
        call: &Call,
        write: &redb::WriteTransaction,
        changes: &mut Vec<Change>,
    ) -> Result<(), Stop> {
        let mut table = write.open_table(KEYS)?;
        let first = call.choose(KEY, KEY_COUNT);
        for step in 0..=call.choose(CHANGES, 4) {
            let key = u64::from((first + step * 7) % KEY_COUNT);
            if call.weighted(CHANGE, &[3, 1]) == 0 {
                let value = self.next_value();
                let length = 8 + call.choose(LENGTH, 1_500) as usize;
                let mut bytes = vec![value as u8; length];
                bytes[..8].copy_from_slice(&value.to_le_bytes());
                changes.push(self.oracle.lock().begin(key, Some(value)));
                table.insert(key, &*bytes)?;
            } else {
                changes.push(self.oracle.lock().begin(key, None));
                table.remove(key)?;
            }
        }
        Ok(())
    }

    fn next_value(&self) -> u64 {
        let mut last = self.last_value.lock();
        *last += 1;
        *last
    }

    fn get(&self, call: &Call, database: &Database) -> Result<(), Stop> {
        call.doing("get");
        let key = u64::from(call.choose(KEY, KEY_COUNT));
        let begun = self.oracle.lock().read();
        let read = database.begin_read()?;
        let seen = match read.open_table(KEYS) {
            Err(TableError::TableDoesNotExist(_)) => None,
            table => table?.get(key)?.map(|bytes| value_of(bytes.value())),
        };
        self.counts.lock().gets += 1;
        self.oracle.lock().look(key, begun, seen.as_ref()).map_err(broken)
    }

    fn scan(&self, call: &Call, database: &Database) -> Result<(), Stop> {
        call.doing("scan");
        let from = u64::from(call.choose(KEY, KEY_COUNT));
        self.scan_range(database, from, from + u64::from(call.choose(LENGTH, KEY_COUNT)))
    }

    fn scan_range(&self, database: &Database, from: u64, to: u64) -> Result<(), Stop> {
        let begun = self.oracle.lock().read();
        let read = database.begin_read()?;
        let mut seen = Vec::new();
        match read.open_table(KEYS) {
            Err(TableError::TableDoesNotExist(_)) => {}
            table => {
                for row in table?.range(from..to)? {
                    let (key, bytes) = row?;
                    seen.push((key.value(), value_of(bytes.value())));
                }
            }
        }
        if self.broken == Some(Broken::Scan) {
            seen.pop();
        }
        self.counts.lock().scans += 1;
        self.oracle.lock().look_at_range(from..to, begun, &seen).map_err(broken)
    }
}

/// The number in a value; one that was never put if the value is not whole.
fn value_of(bytes: &[u8]) -> u64 {
    let Some((number, rest)) = bytes.split_first_chunk::<8>() else { return u64::MAX };
    let number = u64::from_le_bytes(*number);
    if rest.iter().all(|&byte| byte == number as u8) { number } else { u64::MAX }
}
