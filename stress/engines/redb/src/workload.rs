//! What the connection does: transactions of each durability, savepoints, reads, integrity checks, and opening again.

use std::path::Path;

use parking_lot::Mutex;
use redb::{Builder, Database, Durability, ReadableDatabase, ReadableTable, Savepoint, TableDefinition};
use tenterhook_stress::blocking::{After, Call};
use tenterhook_stress::oracle::Durable;
use tenterhook_stress::tape::ChoicePoint;
use tenterhook_stress::violation::Violation;

use crate::backend::{Backend, PATH};
use crate::life::{CACHE, Life, Stop, broken, is_refused};
use crate::model::{Model, State};
use crate::plan::Broken;

const ROWS: TableDefinition<u64, &[u8]> = TableDefinition::new("rows");
const LATEST: TableDefinition<u64, u64> = TableDefinition::new("latest");

const OPERATION: ChoicePoint = ChoicePoint::new(0, "operation");
const CHANGES: ChoicePoint = ChoicePoint::new(1, "changes");
const CHANGE: ChoicePoint = ChoicePoint::new(2, "change");
const KEY: ChoicePoint = ChoicePoint::new(3, "key");
const LENGTH: ChoicePoint = ChoicePoint::new(4, "length");
const HOW: ChoicePoint = ChoicePoint::new(5, "how it commits");

const KEYS: u32 = 200;

/// How often each thing happened.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) durable: u64,
    pub(crate) others: u64,
    pub(crate) opened: u64,
    pub(crate) restored: u64,
    pub(crate) checked: u64,
    pub(crate) io_errors: u64,
    pub(crate) cut_off: u64,
}

impl Counts {
    pub(crate) fn told(&self) -> Vec<(&'static str, u64)> {
        vec![
            ("durable commits", self.durable),
            ("other commits", self.others),
            ("openings", self.opened),
            ("savepoints restored", self.restored),
            ("integrity checks", self.checked),
            ("I/O errors", self.io_errors),
            ("creations cut off", self.cut_off),
        ]
    }
}

/// What the jobs of a run share.
pub(crate) struct Store {
    pub(crate) model: Mutex<Model>,
    pub(crate) counts: Mutex<Counts>,
    pub(crate) open: Mutex<Option<Open>>,
    broken: Option<Broken>,
}

/// An open database, with the savepoint that was taken last and what it had.
pub(crate) struct Open {
    savepoint: Option<(Savepoint, State)>,
    database: Database,
}

impl Store {
    pub(crate) fn new(broken: Option<Broken>) -> Store {
        Store {
            model: Mutex::new(Model::new(State::new())),
            counts: Mutex::default(),
            open: Mutex::default(),
            broken,
        }
    }

    /// One operation; the boot is that of opening. After an error the database is opened again.
    pub(crate) fn operate(&self, call: &Call, life: &Life, boots: bool) -> Result<After, Box<Violation>> {
        let mut open = self.open.lock().take();
        let done = self.operate_on(call, life, &mut open, boots);
        let is_done = done.is_ok();
        let verdict = match done {
            _ if call.is_gone() => Ok(()),
            Ok(()) => Ok(()),
            Err(Stop::Broken(violation)) => Err(violation),
            Err(Stop::Failed(error)) => self.judge(call, life, &error),
        };
        if is_done && !call.is_gone() {
            *self.open.lock() = open;
        } else {
            drop(open);
        }
        verdict?;
        Ok(if boots && !is_done { After::Retry } else { After::Ended })
    }

    fn judge(&self, call: &Call, life: &Life, error: &redb::Error) -> Result<(), Box<Violation>> {
        if !life.explains(call, error, self.has_nothing_durable()) {
            return Err(Life::unexplained(error));
        }
        self.counts.lock().io_errors += 1;
        Ok(())
    }

    fn operate_on(&self, call: &Call, life: &Life, slot: &mut Option<Open>, boots: bool) -> Result<(), Stop> {
        let operation = call.weighted(OPERATION, &[12, 4, 2, 2, 1, 1]);
        if !boots && operation == 4 {
            *slot = None;
        }
        let open = match slot {
            Some(open) => open,
            None => slot.insert(self.open(call, life)?),
        };
        match operation {
            _ if boots => self.look_over(open),
            0 => self.write(call, open),
            1 => self.read(open),
            2 => {
                let write = open.database.begin_write()?;
                open.savepoint = Some((write.ephemeral_savepoint()?, self.newest().1));
                Ok(write.abort()?)
            }
            3 => self.restore(call, open),
            4 => Ok(()),
            _ => self.look_over(open),
        }
    }

    /// Opens the database, which redb repairs if it was not closed, and compares all of it.
    fn open(&self, call: &Call, life: &Life) -> Result<Open, Stop> {
        call.doing("open");
        let failed = |error| Stop::Failed(redb::Error::Io(std::io::Error::from(error)));
        let backend = Backend::open(call, &life.disk, self.broken).map_err(failed)?;
        let database = match Builder::new().set_cache_size(CACHE).create_with_backend(backend) {
            // A creation that was cut off leaves a file that redb refuses for good. Nothing was in it: it is made again.
            Err(error) if is_refused(&error) && self.has_nothing_durable() => {
                self.counts.lock().cut_off += 1;
                life.disk.remove(call, Path::new(PATH)).map_err(failed)?;
                return Err(error.into());
            }
            other => other?,
        };
        let (seen, found) = contents(&database)?;
        let mut model = self.model.lock();
        // Each opening may have lost what was not durable. What it has lost never comes back: the model is not told of crashes, since
        // it would allow that after a loss of power.
        let durable = model.durable();
        let expected = model.reopened(seen, durable).map_err(broken)?;
        model.begins_with(seen);
        drop(model);
        same(&expected, &found).map_err(broken)?;
        self.counts.lock().opened += 1;
        Ok(Open { database, savepoint: None })
    }

    /// The newest commit, and what the database holds after it.
    fn newest(&self) -> (u64, State) {
        let model = self.model.lock();
        let newest = model.newest();
        (newest, model.state(newest).map(|state| State::clone(&state)).unwrap_or_default())
    }

    fn has_nothing_durable(&self) -> bool {
        self.model.lock().durable() == 0
    }

    fn read(&self, open: &Open) -> Result<(), Stop> {
        let (seen, found) = contents(&open.database)?;
        let (newest, expected) = self.newest();
        if seen != newest {
            let (newest, seen) = (format!("commit {newest}"), format!("commit {seen}"));
            return Err(broken(Violation::safety("visibility", newest, seen)));
        }
        same(&expected, &found).map_err(broken)
    }

    fn look_over(&self, open: &mut Open) -> Result<(), Stop> {
        // A savepoint keeps pages, and the check wants the database to itself.
        open.savepoint = None;
        let is_whole = open.database.check_integrity()?;
        self.counts.lock().checked += 1;
        if !is_whole {
            return Err(broken(Violation::safety(
                "integrity",
                "a database that is whole",
                "one that was repaired",
            )));
        }
        self.read(open)
    }

    fn write(&self, call: &Call, open: &Open) -> Result<(), Stop> {
        call.doing("write");
        let mut state = self.newest().1;
        let write = open.database.begin_write()?;
        {
            let mut rows = write.open_table(ROWS)?;
            for _ in 0..=call.choose(CHANGES, 12) {
                let key = u64::from(call.choose(KEY, KEYS));
                if call.weighted(CHANGE, &[3, 1]) == 0 {
                    let length = 1 + call.choose(LENGTH, 1_500) as usize;
                    let byte = (length % 251) as u8;
                    rows.insert(key, &*vec![byte; length])?;
                    state.insert(key, (length, byte));
                } else {
                    rows.remove(key)?;
                    state.remove(&key);
                }
            }
        }
        self.commit(call, write, state)
    }

    /// Back to what the savepoint has.
    fn restore(&self, call: &Call, open: &Open) -> Result<(), Stop> {
        let Some((savepoint, state)) = &open.savepoint else { return Ok(()) };
        let mut write = open.database.begin_write()?;
        write.restore_savepoint(savepoint)?;
        self.counts.lock().restored += 1;
        self.commit(call, write, state.clone())
    }

    fn commit(&self, call: &Call, mut write: redb::WriteTransaction, state: State) -> Result<(), Stop> {
        let how = call.weighted(HOW, &[4, 4, 2, 2, 1]);
        if how == 4 {
            return Ok(write.abort()?);
        }
        let number = self.model.lock().reserve();
        write.open_table(LATEST)?.insert(0, number)?;
        let is_durable = how != 1;
        if is_durable {
            write.set_two_phase_commit(how == 2);
            write.set_quick_repair(how == 3);
        } else {
            let refused = |error| Stop::Failed(redb::Error::from(error));
            write.set_durability(Durability::None).map_err(refused)?;
        }
        let newest = self.newest().0;
        self.model.lock().attempt(number, newest, state, Some(0));
        call.doing("commit");
        write.commit()?;
        if call.is_gone() {
            return Ok(());
        }
        call.observe(1, number);
        let durable = if is_durable { Durable::This } else { Durable::Nothing };
        self.model.lock().acknowledged(number, durable).map_err(broken)?;
        let mut counts = self.counts.lock();
        if is_durable {
            counts.durable += 1;
        } else {
            counts.others += 1;
        }
        Ok(())
    }
}

/// The number of the newest commit, and all rows.
fn contents(database: &Database) -> Result<(u64, State), Stop> {
    let read = database.begin_read()?;
    let latest = match read.open_table(LATEST) {
        Err(redb::TableError::TableDoesNotExist(_)) => return Ok((0, State::new())),
        other => other?,
    };
    let number = latest.get(0)?.map_or(0, |number| number.value());
    let mut state = State::new();
    let rows = match read.open_table(ROWS) {
        Err(redb::TableError::TableDoesNotExist(_)) => return Ok((number, state)),
        other => other?,
    };
    for row in rows.iter()? {
        let (key, value) = row?;
        let value = value.value();
        let byte = value.first().copied().unwrap_or(0);
        let is_whole = value.iter().all(|&other| other == byte);
        state.insert(key.value(), (if is_whole { value.len() } else { usize::MAX }, byte));
    }
    Ok((number, state))
}

fn same(expected: &State, found: &State) -> Result<(), Box<Violation>> {
    if expected == found {
        return Ok(());
    }
    let keys = expected.keys().chain(found.keys());
    let key = keys.filter(|key| expected.get(key) != found.get(key)).min().copied().unwrap_or(0);
    let row = |state: &State| format!("{:?} at key {key}", state.get(&key));
    Err(Violation::safety("snapshot", row(expected), row(found)))
}
