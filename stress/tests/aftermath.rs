//! What a sweep finds only after the operation is over: a journal of bytes that breaks one promise each time.

use std::path::Path;
use std::sync::{Arc, Mutex};

use tenterhook_runtime::io::{Buffer, File, IO, OpenOptions, Submission};
use tenterhook_runtime::{Completion, IOCompletions, IOResult};
use tenterhook_stress::sweep::{Bounds, Ending, Failure, Stage, Subject, SubjectReport, sweep};

/// What is wrong with a journal.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Habit {
    /// Nothing.
    Sound,
    /// It acknowledges what is written and not synced.
    NeverSyncs,
    /// It takes a sync that fails for one that does not.
    BelievesAnySync,
    /// A byte whose write has failed has its place all the same.
    CountsWhatFailed,
    /// Whoever comes after an append that was dropped is refused.
    StaysBusy,
    /// It empties the file to write it anew.
    RecoversInPlace,
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
            // Nobody knows what is there: the next one goes over it.
            self.end -= 1;
            return outcome;
        }
        self.bytes.push(byte);
        Ok(())
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
                    self.written(written).inspect_err(|_| self.busy = false)?;
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
        let written = outcome(&self.journal.write(8));
        self.journal.written(written)?;
        let synced = outcome(&self.journal.sync());
        self.journal.synced(8, synced)
    }
}

impl Subject for Journals {
    fn name(&self) -> String {
        format!("{:?}", self.0)
    }

    fn prepare(&self, io: &Arc<dyn IO>) -> Result<Box<dyn Stage>, String> {
        let mut journal = Journal { file: open(io)?, habit: self.0, bytes: vec![], end: 0, busy: false };
        for byte in [1, 2] {
            let written = outcome(&journal.write(byte));
            journal.written(written)?;
            let synced = outcome(&journal.sync());
            journal.synced(byte, synced)?;
        }
        Ok(Box::new(JournalStage { journal, append: Append::Begin }))
    }

    fn recover(&self, io: &Arc<dyn IO>) -> Result<Option<String>, String> {
        let file = open(io)?;
        let len = file.len().map_err(|error| error.to_string())?;
        let read = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&read);
        let buffer = Buffer::zeroed(len as usize);
        outcome(
            &file
                .start(Submission::read(0, buffer, move |_, buffer| *seen.lock().unwrap() = buffer.to_vec())),
        )?;
        let bytes = read.lock().unwrap().clone();
        if self.0 == Habit::RecoversInPlace {
            outcome(&file.start(Submission::truncate(0, |_| {})))?;
            outcome(&file.start(Submission::write(0, Buffer::copy_of(&bytes), |_, _| {})))?;
            outcome(&file.start(Submission::sync(|_| {})))?;
        }
        Ok(Some(format!("{bytes:?}")))
    }

    fn ways_on(&self) -> u32 {
        1
    }
}

fn swept(habit: Habit) -> Result<SubjectReport, Box<Failure>> {
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
    assert!(notes.contains("the power failed"), "{notes}");
}

#[test]
fn what_a_failed_write_leaves_in_memory_is_found_when_somebody_builds_on_it() {
    let (case, oracle, notes) = found(Habit::CountsWhatFailed);
    assert_eq!((&*case, &*oracle), ("fault:0:write-error", "durability"));
    assert!(notes.contains("somebody went on"), "{notes}");
}

#[test]
fn a_system_that_refuses_everybody_after_an_append_was_dropped_is_found() {
    let (case, oracle, notes) = found(Habit::StaysBusy);
    assert_eq!((&*case, &*oracle), ("dropped:0", "leaks"));
    assert!(notes.contains("somebody went on"), "{notes}");
}

#[test]
fn a_recovery_that_does_not_survive_a_loss_of_power_is_found() {
    let (case, oracle, notes) = found(Habit::RecoversInPlace);
    assert_eq!((&*case, &*oracle), ("crash:0:nothing", "durability"));
    assert!(notes.contains("a recovery before was cut off"), "{notes}");
}
