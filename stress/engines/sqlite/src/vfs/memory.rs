//! The shared memory of a database in WAL mode, and its locks.

use std::ffi::{c_int, c_void};

use libsqlite3_sys as ffi;
use tenterhook_stress::blocking::{Call, LockKind};

use super::file::OpenFile;
use crate::kernel::REGION;
use crate::plan::Broken;

/// The locks of the shared memory follow those of the file.
const FIRST: u32 = 16;
const LOCKS: u32 = 8;

/// What the locks are for, by their numbers, for people.
const NAMES: [&str; LOCKS as usize] =
    ["write", "checkpoint", "recover", "read0", "read1", "read2", "read3", "read4"];

impl OpenFile {
    pub(super) fn map(
        &mut self,
        call: &Call,
        index: usize,
        size: usize,
        extend: bool,
    ) -> Result<*mut c_void, c_int> {
        self.doing(call, "xShmMap", || format!(" {index}"));
        if size != REGION || call.pause().is_err() {
            return Err(ffi::SQLITE_IOERR_SHMMAP);
        }
        let memory = self.memory.get_or_insert_with(|| self.kernel.attach(&self.path));
        Ok(memory.region(index, extend).unwrap_or(std::ptr::null_mut()))
    }

    pub(super) fn lock_memory(&self, call: &Call, first: u32, count: u32, flags: c_int) -> c_int {
        let numbers = FIRST + first..FIRST + first + count;
        let kind = match flags & ffi::SQLITE_SHM_SHARED != 0 {
            true => LockKind::Shared,
            false => LockKind::Exclusive,
        };
        let release = flags & ffi::SQLITE_SHM_UNLOCK != 0;
        let details = || {
            let names = &NAMES[first as usize..(first + count).min(LOCKS) as usize];
            format!(" {} {}", if release { "release" } else { "take" }, names.join("+"))
                + if kind == LockKind::Shared { " shared" } else { "" }
        };
        self.doing(call, "xShmLock", details);
        let locks = &self.kernel.locks;
        if release {
            numbers.for_each(|number| locks.unlock(self.owner, self.number, number));
            let _ = call.pause();
            return ffi::SQLITE_OK;
        }
        if call.pause().is_err() {
            return ffi::SQLITE_IOERR_SHMLOCK;
        }
        for number in numbers.clone() {
            let is_granted = locks.lock(self.owner, self.number, number, kind);
            if !is_granted && !self.kernel.is_broken(Broken::MemoryLock) {
                // All or none.
                (numbers.start..number).for_each(|taken| locks.unlock(self.owner, self.number, taken));
                call.remark(|| "busy".into());
                return ffi::SQLITE_BUSY;
            }
        }
        ffi::SQLITE_OK
    }

    pub(super) fn barrier(&self, call: &Call) {
        self.doing(call, "xShmBarrier", String::new);
        let _ = call.pause();
    }

    pub(super) fn unmap(&mut self, call: Option<&Call>, _delete: bool) {
        let Some(memory) = self.memory.take() else { return };
        for number in FIRST..FIRST + LOCKS {
            self.kernel.locks.unlock(self.owner, self.number, number);
        }
        self.kernel.detach(&self.path, memory);
        if let Some(call) = call {
            self.doing(call, "xShmUnmap", String::new);
            let _ = call.pause();
        }
    }
}
