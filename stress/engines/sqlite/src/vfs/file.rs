//! An open file: reads, writes, syncs.

use std::ffi::c_int;
use std::path::PathBuf;
use std::sync::Arc;

use libsqlite3_sys as ffi;
use tenterhook_runtime::io::OpenOptions;
use tenterhook_stress::blocking::{BlockingError, BlockingFile, Call};

use super::{code, directory};
use crate::kernel::{Kernel, SharedMemory};
use crate::plan::Broken;

/// A file that one connection has open.
pub(super) struct OpenFile {
    pub(super) kernel: Arc<Kernel>,
    pub(super) path: PathBuf,
    /// The number by which the locks know it.
    pub(super) number: u64,
    /// The process that has it open.
    pub(super) owner: u32,
    /// The lock that SQLite holds on it, one of `SQLITE_LOCK_*`.
    pub(super) level: c_int,
    pub(super) memory: Option<Arc<SharedMemory>>,
    file: BlockingFile,
    /// The file was made here: its name has to last with its first sync.
    syncs_directory: bool,
    delete_on_close: bool,
}

/// Files whose names SQLite's own VFS makes last with their first sync.
const WITH_DIRECTORY: c_int =
    ffi::SQLITE_OPEN_MAIN_JOURNAL | ffi::SQLITE_OPEN_WAL | ffi::SQLITE_OPEN_SUPER_JOURNAL;

impl OpenFile {
    pub(super) fn open(
        kernel: &Arc<Kernel>,
        call: &Call,
        path: PathBuf,
        flags: c_int,
    ) -> Result<OpenFile, BlockingError> {
        let create = flags & ffi::SQLITE_OPEN_CREATE != 0;
        let options = if create { OpenOptions::creating() } else { OpenOptions::default() };
        let file = kernel.disk.open(&path, options)?;
        Ok(OpenFile {
            kernel: Arc::clone(kernel),
            number: kernel.number_of(&path),
            owner: call.fiber(),
            level: ffi::SQLITE_LOCK_NONE,
            memory: None,
            file,
            syncs_directory: create && flags & WITH_DIRECTORY != 0,
            delete_on_close: flags & ffi::SQLITE_OPEN_DELETEONCLOSE != 0,
            path,
        })
    }

    /// What the connection is about to do, for people.
    pub(super) fn doing(&self, call: &Call, method: &str, details: impl FnOnce() -> String) {
        if call.is_told() {
            let name = self.path.file_name().unwrap_or_default().display();
            call.doing(&format!("{method} {name}{}", details()));
        } else {
            call.doing(method);
        }
    }

    pub(super) fn read(&self, call: &Call, offset: u64, target: &mut [u8]) -> c_int {
        self.doing(call, "xRead", || format!(" {} at {offset}", target.len()));
        let mut filled = 0;
        // A read may end early and well. Only one that brings nothing is at the end of the file.
        while filled < target.len() {
            match self.file.read(call, offset + filled as u64, &mut target[filled..]) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) => return code(&error, ffi::SQLITE_IOERR_READ),
            }
        }
        if filled == target.len() {
            return ffi::SQLITE_OK;
        }
        target[filled..].fill(0);
        ffi::SQLITE_IOERR_SHORT_READ
    }

    pub(super) fn write(&self, call: &Call, offset: u64, source: &[u8]) -> c_int {
        self.doing(call, "xWrite", || format!(" {} at {offset}", source.len()));
        let mut written = 0;
        while written < source.len() {
            match self.file.write(call, offset + written as u64, &source[written..]) {
                Ok(0) => return ffi::SQLITE_FULL,
                Ok(count) => written += count,
                Err(error) => return code(&error, ffi::SQLITE_IOERR_WRITE),
            }
        }
        ffi::SQLITE_OK
    }

    pub(super) fn truncate(&self, call: &Call, len: u64) -> c_int {
        self.doing(call, "xTruncate", || format!(" to {len}"));
        match self.file.truncate(call, len) {
            Ok(()) => ffi::SQLITE_OK,
            Err(error) => code(&error, ffi::SQLITE_IOERR_TRUNCATE),
        }
    }

    pub(super) fn sync(&mut self, call: &Call) -> c_int {
        self.doing(call, "xSync", String::new);
        if !self.kernel.is_broken(Broken::Sync) && self.file.sync(call).is_err() {
            return ffi::SQLITE_IOERR_FSYNC;
        }
        if self.syncs_directory && !self.kernel.is_broken(Broken::Directory) {
            self.doing(call, "xSync of the directory of", String::new);
            if self.kernel.disk.sync_directory(call, directory(&self.path)).is_err() {
                return ffi::SQLITE_IOERR_DIR_FSYNC;
            }
            self.syncs_directory = false;
        }
        ffi::SQLITE_OK
    }

    pub(super) fn len(&self, call: &Call) -> Result<u64, BlockingError> {
        self.doing(call, "xFileSize", String::new);
        call.pause()?;
        self.file.len()
    }

    /// The handle goes, and with it what it holds. Without a call, or after the life, only in memory.
    pub(super) fn close(mut self, call: Option<&Call>) {
        self.unmap(call, false);
        self.unlock(call, ffi::SQLITE_LOCK_NONE);
        if let Some(call) = call.filter(|_| self.delete_on_close) {
            let _ = self.kernel.disk.remove(call, &self.path);
        }
    }
}
