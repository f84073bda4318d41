//! The adapter, before it is trusted with an engine: `tenterhook_stress::conformance::blocking` calls it as SQLite does.

use std::ffi::{CString, c_int};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use libsqlite3_sys as ffi;
use parking_lot::Mutex;
use tenterhook_stress::blocking::Call;
use tenterhook_stress::conformance::Report;
use tenterhook_stress::conformance::blocking::{self, Adapter};

use super::file::OpenFile;
use crate::kernel::Kernel;
use crate::plan::Broken;

/// A journal: its name lasts with its first sync.
const FLAGS: c_int = ffi::SQLITE_OPEN_READWRITE | ffi::SQLITE_OPEN_CREATE | ffi::SQLITE_OPEN_MAIN_JOURNAL;

struct Sqlite(Arc<Kernel>);

fn told(code: c_int) -> Result<(), String> {
    if code == ffi::SQLITE_OK { Ok(()) } else { Err(format!("code {code}")) }
}

impl Adapter for Sqlite {
    /// One connection's.
    type File = Mutex<OpenFile>;

    fn open(&self, call: &Call, name: &str) -> Result<Mutex<OpenFile>, String> {
        let opened = OpenFile::open(&self.0, call, self.path(name), FLAGS);
        opened.map(Mutex::new).map_err(|error| error.to_string())
    }

    fn read(
        &self,
        call: &Call,
        file: &Mutex<OpenFile>,
        offset: u64,
        target: &mut [u8],
    ) -> Result<usize, String> {
        told(file.lock().read(call, offset, target))?;
        Ok(target.len())
    }

    fn write(&self, call: &Call, file: &Mutex<OpenFile>, offset: u64, bytes: &[u8]) -> Result<(), String> {
        told(file.lock().write(call, offset, bytes))
    }

    fn sync(&self, call: &Call, file: &Mutex<OpenFile>) -> Result<(), String> {
        told(file.lock().sync(call))
    }

    fn truncate(&self, call: &Call, file: &Mutex<OpenFile>, len: u64) -> Result<(), String> {
        told(file.lock().truncate(call, len))
    }

    fn len(&self, call: &Call, file: &Mutex<OpenFile>) -> Result<u64, String> {
        file.lock().len(call).map_err(|error| error.to_string())
    }

    /// A short read has a code of its own, and the rest is zeroed.
    fn reads_past_the_end(&self) -> bool {
        false
    }

    fn remove(&self, _: &Call, name: &str) -> Option<Result<(), String>> {
        let name = CString::new(self.path(name).to_str()?).ok()?;
        self.0.enter();
        // SAFETY: the name is text that ends with a zero; the VFS itself is not looked at.
        let code = unsafe { super::delete(std::ptr::null_mut(), name.as_ptr(), 1) };
        Kernel::leave();
        Some(told(code))
    }

    fn lock(&self, call: &Call, file: &Mutex<OpenFile>, alone: bool) -> Option<bool> {
        let levels = [ffi::SQLITE_LOCK_SHARED, ffi::SQLITE_LOCK_RESERVED, ffi::SQLITE_LOCK_EXCLUSIVE];
        let levels = if alone { &levels[..] } else { &levels[..1] };
        let mut file = file.lock();
        Some(levels.iter().all(|&level| file.lock(call, level) == ffi::SQLITE_OK))
    }

    fn unlock(&self, call: &Call, file: &Mutex<OpenFile>) {
        file.lock().unlock(Some(call), ffi::SQLITE_LOCK_NONE);
    }

    fn path(&self, name: &str) -> PathBuf {
        Path::new("d").join(name)
    }
}

fn report(broken: Option<Broken>) -> Report {
    blocking::check(|disk, io| Sqlite(Arc::new(Kernel::new(io, disk, 0, broken))))
}

#[test]
fn the_adapter_has_every_behaviour_but_renaming_which_sqlite_does_not_ask_for() {
    let report = report(None);
    assert!(report.is_clean(), "{report}");
    assert_eq!(report.absent().collect::<Vec<_>>(), ["a new name lasts"]);
}

#[test]
fn an_adapter_that_is_broken_is_told_so() {
    for (broken, behaviours) in [
        // The directory is synced still, and its errors arrive.
        (Broken::Sync, &["a sync covers what was written before it", "the length lasts"][..]),
        (Broken::Directory, &["a name lasts"]),
        (Broken::Lock, &["a lock that is held alone keeps others out"]),
    ] {
        let report = report(Some(broken));
        let wrong: Vec<_> = report.wrong().map(|(name, _)| name).collect();
        for behaviour in behaviours {
            assert!(wrong.contains(behaviour), "{broken:?}: {report}");
        }
    }
}
