//! The locks of a database file, as SQLite's VFS for Unix takes them on bytes of the file.

use std::ffi::c_int;

use libsqlite3_sys as ffi;
use tenterhook_stress::blocking::{Call, LockKind};

use super::file::OpenFile;
use crate::plan::Broken;

/// Bytes of the file, each a lock.
const PENDING: u32 = 0;
const RESERVED: u32 = 1;
const SHARED: u32 = 2;

impl OpenFile {
    pub(super) fn lock(&mut self, call: &Call, level: c_int) -> c_int {
        if self.level >= level {
            return ffi::SQLITE_OK;
        }
        self.doing(call, "xLock", || format!(" {}", name(level)));
        if call.pause().is_err() {
            return ffi::SQLITE_IOERR_LOCK;
        }
        let is_locked = match level {
            ffi::SQLITE_LOCK_SHARED => {
                // The next writer has the pending byte, and lets no further reader in.
                let may_enter = self.take(PENDING, LockKind::Shared);
                let has_entered = may_enter && self.take(SHARED, LockKind::Shared);
                if may_enter {
                    self.give_up(PENDING);
                }
                has_entered
            }
            ffi::SQLITE_LOCK_RESERVED => self.take(RESERVED, LockKind::Exclusive),
            _ => {
                if self.level < ffi::SQLITE_LOCK_PENDING && self.take(PENDING, LockKind::Exclusive) {
                    self.level = ffi::SQLITE_LOCK_PENDING;
                }
                self.level == ffi::SQLITE_LOCK_PENDING
                    && (level == ffi::SQLITE_LOCK_PENDING || self.take(SHARED, LockKind::Exclusive))
            }
        };
        if !is_locked {
            return ffi::SQLITE_BUSY;
        }
        self.level = level;
        ffi::SQLITE_OK
    }

    pub(super) fn unlock(&mut self, call: Option<&Call>, level: c_int) -> c_int {
        if self.level <= level {
            return ffi::SQLITE_OK;
        }
        if level == ffi::SQLITE_LOCK_SHARED {
            self.take(SHARED, LockKind::Shared);
        } else {
            self.give_up(SHARED);
        }
        self.give_up(PENDING);
        self.give_up(RESERVED);
        self.level = level;
        if let Some(call) = call {
            self.doing(call, "xUnlock", || format!(" {}", name(level)));
            let _ = call.pause();
        }
        ffi::SQLITE_OK
    }

    pub(super) fn is_reserved(&self, call: &Call) -> Result<bool, ()> {
        self.doing(call, "xCheckReservedLock", String::new);
        call.pause().map_err(drop)?;
        Ok(self.kernel.locks.holder(self.number, RESERVED).is_some())
    }

    fn take(&self, number: u32, kind: LockKind) -> bool {
        self.kernel.locks.lock(self.owner, self.number, number, kind) || self.kernel.is_broken(Broken::Lock)
    }

    fn give_up(&self, number: u32) {
        self.kernel.locks.unlock(self.owner, self.number, number);
    }
}

fn name(level: c_int) -> &'static str {
    match level {
        ffi::SQLITE_LOCK_NONE => "none",
        ffi::SQLITE_LOCK_SHARED => "shared",
        ffi::SQLITE_LOCK_RESERVED => "reserved",
        ffi::SQLITE_LOCK_PENDING => "pending",
        _ => "exclusive",
    }
}
