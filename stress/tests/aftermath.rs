//! What a sweep finds only after the operation is over: a journal of bytes that breaks one promise each time.

use std::path::Path;
use std::sync::{Arc, Mutex};

use tenterhook_runtime::io::{Buffer, File, IO, OpenOptions, Submission};
use tenterhook_runtime::{Completion, IOCompletions, IOResult};
use tenterhook_stress::sweep::{Bounds, Ending, Failure, Operation, OperationReport, Stage, sweep};

/// What is wrong with a journal.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Habit {
    /// Nothing.
    Sound,
    /// It acknowledges what is written and not synced.
    NeverSyncs,
    /// It takes a sync that fails for one that does not.
    BelievesAnySync,
    /// A byte whose write has failed has its place anyway.
    CountsWhatFailed,
    /// The append after one that was dropped is refused.
    StaysBusy,
    /// The append after a write that failed is refused, although nothing unknown is on the disk.
    RefusesAfterAnyError,
    /// It empties the file and writes it again.
    RecoversInPlace,
    /// It shows what it finds in the file, durable or not.
    BelievesItsEyes,
    /// After a restart it begins at the front.
    ForgetsItsEnd,
}

struct Journal {
    file: Arc<dyn File>,
    habit: Habit,
    /// What is acknowledged.
    bytes: Vec<u8>,
    /// Where the next one goes.
    end: u64,
    busy: bool,
}

enum Append {
    Begin,
    Write(Completion),
    Sync(Completion),
    Over,
}

struct JournalStage {
    journal: Journal,
    append: Append,
}

struct Journals(Habit);

/// What the swept append appends.
const APPENDED: u8 = 7;

fn open(io: &Arc<dyn IO>) -> Result<Arc<dyn File>, String> {
    io.open(Path::new("journal"), OpenOptions::creating()).map_err(|error| error.to_string())
}

/// What has ended came to this.
fn outcome(completion: &Completion) -> Result<(), String> {
    completion.result().expect("it has ended").map(drop).map_err(|error| error.to_string())
}

impl Journal {
    fn write(&self, byte: u8) -> Completion {
        self.file.start(Submission::write(self.end, Buffer::copy_of(&[byte]), |_, _| {}))
    }

    fn sync(&self) -> Completion {
        self.file.start(Submission::sync(|_| {}))
    }

    fn written(&mut self, outcome: Result<(), String>) -> Result<(), String> {
        self.end += u64::from(outcome.is_ok() || self.habit == Habit::CountsWhatFailed);
        outcome
    }

    fn synced(&mut self, byte: u8, outcome: Result<(), String>) -> Result<(), String> {
        if self.habit != Habit::BelievesAnySync && outcome.is_err() {
            // The content is unknown: the next append overwrites it.
            self.end -= 1;
            return outcome;
        }
        self.bytes.push(byte);
        Ok(())
    }

    /// Where all I/O ends at once.
    fn append(&mut self, byte: u8) -> Result<(), String> {
        let written = outcome(&self.write(byte));
        self.written(written)?;
        let synced = outcome(&self.sync());
        self.synced(byte, synced)
    }

    fn step(&mut self, append: &mut Append) -> Result<IOResult<()>, String> {
        loop {
            match append {
                Append::Begin => {
                    self.busy = true;
                    *append = Append::Write(self.write(APPENDED));
                }
                Append::Write(write) | Append::Sync(write) if !write.finished() => {
                    return Ok(IOResult::IO(IOCompletions::Single(write.clone())));
                }
                Append::Write(write) => {
                    let written = outcome(write);
                    self.busy = self.habit == Habit::RefusesAfterAnyError && written.is_err();
                    self.written(written)?;
                    if self.habit == Habit::NeverSyncs {
                        self.bytes.push(APPENDED);
                        *append = Append::Over;
                    } else {
                        *append = Append::Sync(self.sync());
                    }
                }
                Append::Sync(sync) => {
                    let synced = outcome(sync);
                    self.busy = false;
                    *append = Append::Over;
                    self.synced(APPENDED, synced)?;
                }
                Append::Over => {
                    self.busy = false;
                    return Ok(IOResult::Done(()));
                }
            }
        }
    }
}

impl Stage for JournalStage {
    fn step(&mut self) -> IOResult<Ending> {
        match self.journal.step(&mut self.append) {
            Ok(IOResult::IO(io)) => IOResult::IO(io),
            Ok(IOResult::Done(())) => IOResult::Done(Ok("appended".into())),
            Err(error) => IOResult::Done(Err(error)),
        }
    }

    fn drop_operation(&mut self) {
        if matches!(self.append, Append::Sync(_)) {
            self.journal.end -= 1;
        }
        self.append = Append::Over;
        self.journal.busy &= self.journal.habit == Habit::StaysBusy;
    }

    fn state(&mut self) -> Result<String, String> {
        Ok(format!("{:?}", self.journal.bytes))
    }

    fn go_on(&mut self, _: u32) -> Result<(), String> {
        if self.journal.busy {
            return Err("busy".into());
        }
        self.journal.append(8)
    }
}

impl Journals {
    /// What is in the file. It may be in the system's cache only, so it is written once more and synced.
    fn restart(&self, io: &Arc<dyn IO>) -> Result<(Arc<dyn File>, Vec<u8>), String> {
        let file = open(io)?;
        let len = file.len().map_err(|error| error.to_string())?;
        let read = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&read);
        let reading = Submission::read(0, Buffer::zeroed(len as usize), move |_, buffer| {
            *seen.lock().expect("no panic under the lock") = buffer.to_vec();
        });
        outcome(&file.start(reading))?;
        let bytes = std::mem::take(&mut *read.lock().expect("no panic under the lock"));
        if self.0 == Habit::RecoversInPlace {
            outcome(&file.start(Submission::truncate(0, |_| {})))?;
        }
        if self.0 != Habit::BelievesItsEyes {
            outcome(&file.start(Submission::write(0, Buffer::copy_of(&bytes), |_, _| {})))?;
            outcome(&file.start(Submission::sync(|_| {})))?;
        }
        Ok((file, bytes))
    }
}

impl Operation for Journals {
    fn name(&self) -> String {
        format!("{:?}", self.0)
    }

    fn prepare(&self, io: &Arc<dyn IO>) -> Result<Box<dyn Stage>, String> {
        let mut journal = Journal { file: open(io)?, habit: self.0, bytes: vec![], end: 0, busy: false };
        for byte in [1, 2] {
            journal.append(byte)?;
        }
        Ok(Box::new(JournalStage { journal, append: Append::Begin }))
    }

    fn recover(&self, io: &Arc<dyn IO>) -> Result<Option<String>, String> {
        self.restart(io).map(|(_, bytes)| Some(format!("{bytes:?}")))
    }

    fn ways_on(&self) -> u32 {
        1
    }

    fn resume(&self, io: &Arc<dyn IO>, _: u32) -> Result<String, String> {
        let (file, bytes) = self.restart(io)?;
        let end = if self.0 == Habit::ForgetsItsEnd { 0 } else { bytes.len() as u64 };
        let mut journal = Journal { file, habit: self.0, end, bytes, busy: false };
        journal.append(8)?;
        Ok(format!("{:?}", journal.bytes))
    }
}

fn swept(habit: Habit) -> Result<OperationReport, Box<Failure>> {
    sweep(&Journals(habit), Bounds::default())
}

/// Where the sweep finds this habit, with which oracle, and what had come after.
fn found(habit: Habit) -> (String, String, String) {
    let Failure { case, violation, .. } = *swept(habit).expect_err("it is wrong");
    (case.to_string(), violation.oracle, violation.notes.concat())
}

#[test]
fn a_journal_that_keeps_its_promises_raises_nothing() {
    let report = swept(Habit::Sound).unwrap_or_else(|failure| panic!("{failure:?}"));
    // Three aftermaths for each case that is no crash, and more.
    assert!(report.runs > 3 * (report.cases() - report.counts.last().expect("crashes").cases), "{report:?}");
}

#[test]
fn what_is_acknowledged_and_not_durable_is_found_when_the_power_goes() {
    let (case, oracle, notes) = found(Habit::NeverSyncs);
    assert_eq!((&*case, &*oracle), ("undisturbed", "durability"));
    assert!(notes.contains("the power failed"), "{notes}");
}

#[test]
fn a_failed_sync_that_is_believed_is_found_when_the_power_goes() {
    let (case, oracle, notes) = found(Habit::BelievesAnySync);
    assert_eq!((&*case, &*oracle), ("fault:1:sync-failed", "durability"));
    assert!(notes.contains("a power loss"), "{notes}");
}

#[test]
fn what_a_failed_write_leaves_in_memory_is_found_by_a_later_change() {
    let (case, oracle, notes) = found(Habit::CountsWhatFailed);
    assert_eq!((&*case, &*oracle), ("fault:0:write-error", "durability"));
    assert!(notes.contains("another change (way 0)"), "{notes}");
}

#[test]
fn a_system_that_refuses_for_no_reason_is_found() {
    for (habit, expected) in
        [(Habit::StaysBusy, "dropped:0"), (Habit::RefusesAfterAnyError, "fault:0:write-error")]
    {
        let (case, oracle, notes) = found(habit);
        assert_eq!((&*case, &*oracle), (expected, "leaks"));
        assert!(notes.contains("another change (way 0)"), "{notes}");
    }
}

#[test]
fn a_restart_that_does_not_survive_a_loss_of_power_is_found() {
    let (case, oracle, notes) = found(Habit::RecoversInPlace);
    assert_eq!((&*case, &*oracle), ("fault:0:write-error", "durability"));
    assert!(notes.contains("a restart before was cut off after 2 I/Os"), "{notes}");
}

#[test]
fn a_restart_that_shows_what_is_not_durable_is_found() {
    let (case, oracle, notes) = found(Habit::BelievesItsEyes);
    assert_eq!((&*case, &*oracle), ("fault:0:write-error:1", "durability"));
    assert!(notes.contains("it was there at a first restart"), "{notes}");
}

#[test]
fn a_restart_after_which_no_change_works_is_found() {
    let (case, oracle, notes) = found(Habit::ForgetsItsEnd);
    assert_eq!((&*case, &*oracle), ("undisturbed", "durability"));
    assert!(notes.contains("after a restart another change"), "{notes}");
}
