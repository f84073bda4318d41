//! What connections do: a bank whose sum is kept, and a tree of rows with an index, changed in the same transactions. Each commit leaves
//! its number, so that what a snapshot must contain is known to the last byte.

mod checks;
mod setup;
mod statements;
mod write;

use std::sync::Arc;

use libsqlite3_sys as ffi;
use parking_lot::Mutex;
use tenterhook_stress::blocking::{After, Call};
use tenterhook_stress::disk::{SimDisk, Struck};
use tenterhook_stress::sometimes;
use tenterhook_stress::tape::ChoicePoint;
use tenterhook_stress::violation::Violation;

use crate::db::{Db, SqlError};
use crate::kernel::Kernel;
use tenterhook_stress::oracle::Verdict;

use crate::model::Model;
use crate::plan::Plan;

pub(crate) use self::setup::boot;

/// What a connection may do next, in the order of their weights.
pub(crate) const OPERATIONS: [&str; 6] =
    ["write", "read", "checkpoint", "roll back", "reopen", "read slowly"];

const OPERATION: ChoicePoint = ChoicePoint::new(0, "operation");
const MODE: ChoicePoint = ChoicePoint::new(1, "mode");
const CLOSE: ChoicePoint = ChoicePoint::new(2, "closes after an error");
const WAITS: ChoicePoint = ChoicePoint::new(3, "waits");

const PATH: &str = "d/bank.db";

/// How often each thing happened.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) commits: u64,
    pub(crate) snapshots: u64,
    pub(crate) checkpoints: u64,
    pub(crate) whole_checkpoints: u64,
    pub(crate) busy: u64,
    pub(crate) io_errors: u64,
    pub(crate) integrity_checks: u64,
    pub(crate) boots: u64,
}

/// What the jobs of a run share. None of it is locked across a scheduling point.
pub(crate) struct Bank {
    pub(crate) plan: Plan,
    pub(crate) model: Mutex<Model>,
    pub(crate) counts: Mutex<Counts>,
    /// The connection of each fiber, while no job has it.
    pub(crate) connections: Vec<Mutex<Option<Db>>>,
    pub(crate) life: Mutex<Option<Life>>,
}

/// What there is for one life.
#[derive(Clone)]
pub(crate) struct Life {
    pub(crate) kernel: Arc<Kernel>,
    pub(crate) disk: SimDisk,
    /// Faults that had struck when it began.
    pub(crate) began: Struck,
    /// What the end of the life before must have left.
    pub(crate) floor: u64,
}

/// Why an operation did not come to its end.
pub(crate) enum Stop {
    /// SQLite said no, and may.
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
    /// The next operation of a connection.
    pub(crate) fn operate(&self, call: &Call) -> Verdict<After> {
        let life = self.life();
        life.kernel.enter();
        let slot = &self.connections[call.fiber() as usize];
        let mut db = slot.lock().take();
        let done = self.operate_on(call, &mut db);
        let closes = done.is_err() && call.choose(CLOSE, 4) == 3;
        let verdict = self.judge(call, &life, done);
        if let Some(open) = db.as_ref().filter(|db| db.is_in_transaction()) {
            let ended = open.run("ROLLBACK").map(drop).map_err(Stop::from);
            // Without a transaction there is nothing to roll back: SQLite has done so by itself.
            if open.is_in_transaction() {
                self.judge(call, &life, ended)?;
            }
        }
        *slot.lock() = db.filter(|_| !closes);
        Kernel::leave();
        verdict.map(|()| After::Ended)
    }

    pub(crate) fn life(&self) -> Life {
        self.life.lock().clone().expect("operations follow a boot")
    }

    fn operate_on(&self, call: &Call, db: &mut Option<Db>) -> Done<()> {
        let operation = call.weighted(OPERATION, &self.plan.weights);
        if operation == 4 {
            *db = None;
        }
        let db = match db {
            Some(db) => db,
            None => db.insert(self.connect()?),
        };
        match operation {
            0 => self.write(call, db, true),
            1 => self.read(call, db, 0),
            2 => self.checkpoint(call, db),
            3 => self.write(call, db, false),
            4 => Ok(()),
            _ => self.read(call, db, 1 + call.choose(WAITS, 200)),
        }
    }

    /// Opens a connection as the workloads want it.
    fn connect(&self) -> Done<Db> {
        let plan = &self.plan;
        let db = Db::open(PATH, plan.patience)?;
        db.run(&format!("PRAGMA cache_size={}", plan.cache_size))?;
        db.run("PRAGMA temp_store=MEMORY")?;
        db.run(&format!("PRAGMA synchronous={:?}", plan.synchronous))?;
        db.run(&format!("PRAGMA wal_autocheckpoint={}", plan.autocheckpoint))?;
        Ok(db)
    }

    /// A read transaction, which sees one commit and all of it. It waits `waits` times between its statements.
    fn read(&self, call: &Call, db: &Db, waits: u32) -> Done<()> {
        let newest = self.model.lock().newest();
        db.run("BEGIN")?;
        let seen = self.seen(db)?;
        let state = self.model.lock().look(seen, newest)?;
        call.observe(1, seen);
        for _ in 0..waits {
            call.doing("a reader waits");
            if call.pause().is_err() {
                break;
            }
        }
        let passed_by = self.model.lock().newest() != seen;
        self.compare(db, &state)?;
        sometimes!(passed_by, "a snapshot is read while later commits are made");
        self.counts.lock().snapshots += 1;
        db.run("COMMIT")?;
        Ok(())
    }

    fn checkpoint(&self, call: &Call, db: &Db) -> Done<()> {
        let mode = ["PASSIVE", "FULL", "RESTART", "TRUNCATE"][call.choose(MODE, 4) as usize];
        let rows = db.run(&format!("PRAGMA wal_checkpoint({mode})"))?;
        let numbers: Vec<i64> = rows.iter().flatten().filter_map(|value| value.int()).collect();
        let mut counts = self.counts.lock();
        counts.checkpoints += 1;
        if let [busy, log, moved] = numbers[..] {
            counts.whole_checkpoints += u64::from(busy == 0 && log == moved && log > 0);
            sometimes!(busy == 0 && log == moved && log > 0, "a checkpoint moves the whole log");
            sometimes!(moved < log, "a checkpoint is held back");
        }
        Ok(())
    }

    /// Whether what SQLite said may be: an error needs a cause.
    pub(crate) fn judge(&self, call: &Call, life: &Life, done: Done<()>) -> Verdict<()> {
        let error = match done {
            Ok(()) => return Ok(()),
            Err(Stop::Broken(violation)) if call.is_gone() => {
                // What a dying process reads may be anything.
                drop(violation);
                return Ok(());
            }
            Err(Stop::Broken(violation)) => return Err(violation),
            Err(Stop::Refused(_)) if call.is_gone() => return Ok(()),
            Err(Stop::Refused(error)) => error,
        };
        call.remark(|| error.to_string());
        call.observe(2, error.code as u64);
        match error.primary() {
            ffi::SQLITE_BUSY | ffi::SQLITE_LOCKED | ffi::SQLITE_PROTOCOL => {
                self.counts.lock().busy += 1;
                Ok(())
            }
            ffi::SQLITE_IOERR | ffi::SQLITE_FULL | ffi::SQLITE_CANTOPEN if life.is_troubled() => {
                self.counts.lock().io_errors += 1;
                Ok(())
            }
            ffi::SQLITE_CORRUPT | ffi::SQLITE_NOTADB => {
                Err(Violation::safety("corruption", "a database that is whole", error.message.clone())
                    .note(error.to_string()))
            }
            _ => {
                let expected = "an error that a lock or a fault explains";
                Err(Violation::safety("error", expected, error.message.clone()).note(error.to_string()))
            }
        }
    }
}

impl Life {
    /// Whether a fault has struck since it began.
    fn is_troubled(&self) -> bool {
        self.disk.fault_counts().struck() > self.began
    }
}
