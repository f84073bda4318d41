//! A sound adapter, and the ways in which it can be wrong.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use tenterhook_runtime::io::{IO, OpenOptions, Submission};
use tenterhook_runtime::{Completion, CompletionError};

use super::super::Adapter;
use crate::blocking::{BlockingDisk, BlockingError, BlockingFile, Call, FileLocks, LockKind};
use crate::disk::SimDisk;

/// One thing that the adapter does wrong.
#[derive(Copy, Clone, Debug, PartialEq, Eq, strum::VariantArray)]
pub(super) enum Flaw {
    WrongOffset,
    OneFile,
    LengthOfTheOpening,
    ReadsPastTheEnd,
    TruncatesNothing,
    ExtendsNothing,
    WaitsForNoSync,
    HoldsALock,
    GrantsAllLocks,
    KeepsLocks,
    RemovesNothing,
    ShortReadIsWhole,
    ShortWriteIsWhole,
    HidesReadErrors,
    HidesWriteErrors,
    HidesNoSpace,
    HidesSyncErrors,
    TellsSyncErrorsTwice,
    HidesTruncationErrors,
    OpensAgain,
    PartOfAReadIsEnough,
    PartOfAWriteIsEnough,
    SyncsNothing,
    SyncsOnce,
    KeepsNoName,
    RenamesNothing,
    KeepsNoNewName,
    CallsOnWhenDead,
    ReadsWhenDead,
    WritesWhenDead,
    Panics,
}

pub(super) struct Sound {
    io: Arc<dyn IO>,
    sim: SimDisk,
    disk: BlockingDisk,
    locks: FileLocks,
    flaw: Option<Flaw>,
    has_failed: AtomicBool,
    has_synced: AtomicBool,
    /// Held over a call, on purpose.
    held: Mutex<()>,
}

pub(super) struct File {
    file: BlockingFile,
    length: u64,
}

fn told<T>(result: Result<T, BlockingError>) -> Result<T, String> {
    result.map_err(|error| error.to_string())
}

/// An I/O error that is not one of the end of the life, nor a full disk.
fn is_io(error: &BlockingError) -> bool {
    matches!(error, BlockingError::Io(error) if *error != CompletionError::NoSpace)
}

/// Starts an operation on the file of most behaviours, and does not wait for it.
fn start(io: &dyn IO, submission: (Completion, Submission)) -> Result<(), String> {
    let file = io.open(Path::new("d/file"), OpenOptions::default()).map_err(|error| error.to_string())?;
    drop(file.start(submission));
    Ok(())
}

impl Sound {
    pub(super) fn new(io: &Arc<dyn IO>, sim: &SimDisk, flaw: Option<Flaw>) -> Sound {
        Sound {
            io: Arc::clone(io),
            sim: sim.clone(),
            disk: BlockingDisk::new(io, sim),
            locks: FileLocks::default(),
            flaw,
            has_failed: AtomicBool::new(false),
            has_synced: AtomicBool::new(false),
            held: Mutex::default(),
        }
    }

    fn has(&self, flaw: Flaw) -> bool {
        self.flaw == Some(flaw)
    }

    /// Whether it is the first time since `flag` was made.
    fn is_first(flag: &AtomicBool) -> bool {
        // ORDERING: Relaxed: the holder of the token alone calls.
        !flag.swap(true, Ordering::Relaxed)
    }
}

impl Adapter for Sound {
    type File = File;

    fn open(&self, _: &Call, name: &str) -> Result<File, String> {
        let name = if self.has(Flaw::OneFile) { "file" } else { name };
        let open = || self.disk.open(&Path::new("d").join(name), OpenOptions::creating());
        let opened = match open() {
            Err(_) if self.has(Flaw::OpensAgain) => {
                std::iter::repeat_with(open).find_map(Result::ok).ok_or("")?
            }
            opened => told(opened)?,
        };
        Ok(File { length: told(opened.len())?, file: opened })
    }

    fn read(&self, call: &Call, file: &File, offset: u64, target: &mut [u8]) -> Result<usize, String> {
        let _held = self.has(Flaw::HoldsALock).then(|| self.held.lock());
        let mut filled = 0;
        while filled < target.len() {
            match file.file.read(call, offset + filled as u64, &mut target[filled..]) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(BlockingError::Gone(_)) if self.has(Flaw::CallsOnWhenDead) => {}
                Err(BlockingError::Gone(_)) if self.has(Flaw::ReadsWhenDead) => break,
                Err(error) if is_io(&error) && self.has(Flaw::Panics) => panic!("the adapter gives up"),
                Err(error) if is_io(&error) && self.has(Flaw::HidesReadErrors) => break,
                Err(error) if is_io(&error) && filled > 0 && self.has(Flaw::PartOfAReadIsEnough) => break,
                Err(error) => return Err(error.to_string()),
            }
            if self.has(Flaw::ShortReadIsWhole) {
                break;
            }
        }
        let is_padded = self.has(Flaw::ReadsPastTheEnd) || self.has(Flaw::HidesReadErrors);
        Ok(if is_padded { target.len() } else { filled })
    }

    fn write(&self, call: &Call, file: &File, offset: u64, bytes: &[u8]) -> Result<(), String> {
        let _held = self.has(Flaw::HoldsALock).then(|| self.held.lock());
        let offset = if self.has(Flaw::WrongOffset) { offset + 1 } else { offset };
        let mut written = 0;
        while written < bytes.len() {
            match file.file.write(call, offset + written as u64, &bytes[written..]) {
                Ok(count) => written += count,
                Err(error) if is_io(&error) && self.has(Flaw::HidesWriteErrors) => return Ok(()),
                Err(error) if is_io(&error) && written > 0 && self.has(Flaw::PartOfAWriteIsEnough) => {
                    return Ok(());
                }
                Err(BlockingError::Io(CompletionError::NoSpace)) if self.has(Flaw::HidesNoSpace) => {
                    return Ok(());
                }
                Err(BlockingError::Gone(_)) if self.has(Flaw::WritesWhenDead) => {
                    // By a handle of the next life.
                    return start(&*self.sim.io(), Submission::truncate(5, |_| {}));
                }
                Err(error) => return Err(error.to_string()),
            }
            if self.has(Flaw::ShortWriteIsWhole) {
                break;
            }
        }
        Ok(())
    }

    fn sync(&self, call: &Call, file: &File) -> Result<(), String> {
        if self.has(Flaw::SyncsNothing) || (self.has(Flaw::SyncsOnce) && !Sound::is_first(&self.has_synced)) {
            return Ok(());
        }
        if self.has(Flaw::WaitsForNoSync) {
            return start(&*self.io, Submission::sync(|_| {}));
        }
        // ORDERING: Relaxed, as in `is_first`.
        if self.has(Flaw::TellsSyncErrorsTwice) && self.has_failed.swap(false, Ordering::Relaxed) {
            return Err("an earlier sync failed".into());
        }
        match file.file.sync(call) {
            Err(error) if is_io(&error) && self.has(Flaw::HidesSyncErrors) => Ok(()),
            Err(error) => {
                self.has_failed.store(true, Ordering::Relaxed); // ORDERING: Relaxed, as above.
                Err(error.to_string())
            }
            Ok(()) => Ok(()),
        }
    }

    fn truncate(&self, call: &Call, file: &File, len: u64) -> Result<(), String> {
        let is_longer = told(file.file.len())? < len;
        if self.has(Flaw::TruncatesNothing) || (self.has(Flaw::ExtendsNothing) && is_longer) {
            return Ok(());
        }
        match file.file.truncate(call, len) {
            Err(error) if is_io(&error) && self.has(Flaw::HidesTruncationErrors) => Ok(()),
            done => told(done),
        }
    }

    fn len(&self, _: &Call, file: &File) -> Result<u64, String> {
        if self.has(Flaw::LengthOfTheOpening) { Ok(file.length) } else { told(file.file.len()) }
    }

    fn keep_name(&self, call: &Call, name: &str) -> Result<(), String> {
        if self.has(Flaw::KeepsNoName) || (self.has(Flaw::KeepsNoNewName) && name == "new") {
            return Ok(());
        }
        told(self.disk.sync_directory(call, Path::new("d")))
    }

    fn remove(&self, call: &Call, name: &str) -> Option<Result<(), String>> {
        match self.has(Flaw::RemovesNothing) {
            true => Some(Ok(())),
            false => Some(told(self.disk.remove(call, &self.path(name)))),
        }
    }

    fn rename(&self, call: &Call, from: &str, to: &str) -> Option<Result<(), String>> {
        match self.has(Flaw::RenamesNothing) {
            true => Some(Ok(())),
            false => Some(told(self.disk.rename(call, &self.path(from), &self.path(to)))),
        }
    }

    fn lock(&self, call: &Call, _: &File, alone: bool) -> Option<bool> {
        let kind = if alone { LockKind::Exclusive } else { LockKind::Shared };
        Some(self.locks.lock(call.fiber(), 0, 0, kind) || self.has(Flaw::GrantsAllLocks))
    }

    fn unlock(&self, call: &Call, _: &File) {
        if !self.has(Flaw::KeepsLocks) {
            self.locks.unlock(call.fiber(), 0, 0);
        }
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        Path::new("d").join(name)
    }
}
