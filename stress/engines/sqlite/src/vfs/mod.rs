//! A VFS: SQLite's way to the simulated disk.
//!
//! Each connection is a process of its own as far as files, locks and shared memory go. The locks are those of SQLite's own VFS for
//! Unix, byte for byte. Each method that another process could notice is a scheduling point: before a lock is asked for, after it is
//! given up, at each barrier, and while a read, a write or a sync is under way.

#[cfg(test)]
mod conformance;
mod file;
mod locks;
mod memory;
mod methods;

use std::ffi::{CStr, c_char, c_int};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use libsqlite3_sys as ffi;
use tenterhook_stress::blocking::{BlockingError, Call};

use self::file::OpenFile;
use self::methods::RawFile;
use crate::kernel::Kernel;
use crate::plan::Broken;

/// The name by which SQLite knows it.
const NAME: &CStr = c"tenterhook";

/// Longer than any path here.
const LONGEST_PATH: c_int = 512;

/// Days from noon of 24 November 4714 BC to 1970, in milliseconds: SQLite counts from there.
const JULIAN_1970: i64 = 210_866_760_000_000;

/// Makes this the VFS of the process, once, and replaces SQLite's mutexes.
///
/// # Panics
///
/// When SQLite refuses, or was built so that runs of one process share a page cache.
pub(crate) fn install() {
    static INSTALLED: OnceLock<()> = OnceLock::new();
    INSTALLED.get_or_init(|| {
        // SAFETY: nothing of SQLite runs in this process yet: each user of it comes by here first. The structure is copied.
        let configured = unsafe { ffi::sqlite3_config(ffi::SQLITE_CONFIG_MUTEX, &raw const *mutexes()) };
        assert_eq!(configured, ffi::SQLITE_OK, "SQLite takes no other mutexes");
        // SAFETY: as above.
        let counts = unsafe { ffi::sqlite3_config(ffi::SQLITE_CONFIG_MEMSTATUS, 0 as c_int) };
        assert_eq!(counts, ffi::SQLITE_OK, "SQLite counts its memory under a mutex");
        // SQLite keeps a link of its own in it, and has it for as long as the process lives.
        let vfs = Box::into_raw(Box::new(vfs()));
        // SAFETY: the structure is never freed, SQLite alone has it from here on, and its methods are sound for any file that they
        // opened.
        let registered = unsafe { ffi::sqlite3_vfs_register(vfs, 1) };
        assert_eq!(registered, ffi::SQLITE_OK, "SQLite refuses the VFS");
        // SAFETY: a constant text.
        let shares = unsafe { ffi::sqlite3_compileoption_used(c"ENABLE_MEMORY_MANAGEMENT".as_ptr()) };
        assert_eq!(
            shares, 0,
            "SQLite must be built without ENABLE_MEMORY_MANAGEMENT: runs would share a page cache"
        );
    });
}

fn mutexes() -> &'static ffi::sqlite3_mutex_methods {
    static METHODS: OnceLock<ffi::sqlite3_mutex_methods> = OnceLock::new();
    METHODS.get_or_init(crate::mutex::methods)
}

fn vfs() -> ffi::sqlite3_vfs {
    ffi::sqlite3_vfs {
        iVersion: 2,
        szOsFile: size_of::<RawFile>() as c_int,
        mxPathname: LONGEST_PATH,
        pNext: std::ptr::null_mut(),
        zName: NAME.as_ptr(),
        pAppData: std::ptr::null_mut(),
        xOpen: Some(open),
        xDelete: Some(delete),
        xAccess: Some(access),
        xFullPathname: Some(full_pathname),
        xDlOpen: None,
        xDlError: None,
        xDlSym: None,
        xDlClose: None,
        xRandomness: Some(randomness),
        xSleep: Some(sleep),
        xCurrentTime: Some(current_time),
        xGetLastError: Some(last_error),
        xCurrentTimeInt64: Some(current_time_int64),
        xSetSystemCall: None,
        xGetSystemCall: None,
        xNextSystemCall: None,
    }
}

/// # Safety
///
/// `name` is a path from SQLite: text that ends with a zero.
unsafe fn path(name: *const c_char) -> PathBuf {
    // SAFETY: the caller's promise.
    let name = unsafe { CStr::from_ptr(name) };
    PathBuf::from(name.to_string_lossy().into_owned())
}

/// The directory that a name is in.
fn directory(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new(""))
}

/// What SQLite is told when an operation of the disk fails.
fn code(error: &BlockingError, otherwise: c_int) -> c_int {
    match error {
        BlockingError::Io(tenterhook_runtime::CompletionError::NoSpace) => ffi::SQLITE_FULL,
        _ => otherwise,
    }
}

unsafe extern "C" fn open(
    _: *mut ffi::sqlite3_vfs,
    name: *const c_char,
    raw: *mut ffi::sqlite3_file,
    flags: c_int,
    out_flags: *mut c_int,
) -> c_int {
    let raw: *mut RawFile = raw.cast();
    // SAFETY: SQLite gives us room for `szOsFile` bytes, aligned for pointers.
    unsafe { raw.write(RawFile::closed()) };
    let (Some(call), Some(kernel)) = (Call::here(), Kernel::here()) else { return ffi::SQLITE_CANTOPEN };
    if name.is_null() {
        // A temporary file: the workloads keep such things in memory.
        return ffi::SQLITE_CANTOPEN;
    }
    // SAFETY: SQLite's name of the file, not null.
    let path = unsafe { self::path(name) };
    call.doing(&format!("xOpen {}", path.display()));
    if call.pause().is_err() {
        return ffi::SQLITE_CANTOPEN;
    }
    let Ok(file) = OpenFile::open(&kernel, &call, path, flags) else { return ffi::SQLITE_CANTOPEN };
    // SAFETY: as above.
    unsafe { raw.write(RawFile::opened(file)) };
    if !out_flags.is_null() {
        // SAFETY: not null, so SQLite wants to know.
        unsafe { *out_flags = flags };
    }
    ffi::SQLITE_OK
}

unsafe extern "C" fn delete(_: *mut ffi::sqlite3_vfs, name: *const c_char, sync_directory: c_int) -> c_int {
    let (Some(call), Some(kernel)) = (Call::here(), Kernel::here()) else { return ffi::SQLITE_IOERR_DELETE };
    // SAFETY: SQLite's name of the file.
    let path = unsafe { self::path(name) };
    call.doing(&format!("xDelete {}", path.display()));
    match kernel.disk.remove(&call, &path) {
        Err(BlockingError::Open(error)) if error.kind == std::io::ErrorKind::NotFound => {
            return ffi::SQLITE_IOERR_DELETE_NOENT;
        }
        Err(_) => return ffi::SQLITE_IOERR_DELETE,
        Ok(()) => {}
    }
    let syncs = sync_directory & 1 == 1 && !kernel.is_broken(Broken::Directory);
    if syncs && kernel.disk.sync_directory(&call, directory(&path)).is_err() {
        return ffi::SQLITE_IOERR_DIR_FSYNC;
    }
    ffi::SQLITE_OK
}

unsafe extern "C" fn access(
    _: *mut ffi::sqlite3_vfs,
    name: *const c_char,
    flags: c_int,
    result: *mut c_int,
) -> c_int {
    let (Some(call), Some(kernel)) = (Call::here(), Kernel::here()) else { return ffi::SQLITE_IOERR_ACCESS };
    // SAFETY: SQLite's name of the file.
    let path = unsafe { self::path(name) };
    call.doing(&format!("xAccess {}", path.display()));
    if call.pause().is_err() {
        return ffi::SQLITE_IOERR_ACCESS;
    }
    // As SQLite's own VFS for Unix has it: an empty file does not exist.
    let is_there = kernel.disk.exists(&path)
        && match kernel.disk.open(&path, Default::default()).and_then(|file| file.len()) {
            Ok(len) => len > 0 || flags != ffi::SQLITE_ACCESS_EXISTS,
            Err(_) => return ffi::SQLITE_IOERR_ACCESS,
        };
    // SAFETY: SQLite's place for the answer.
    unsafe { *result = c_int::from(is_there) };
    ffi::SQLITE_OK
}

unsafe extern "C" fn full_pathname(
    _: *mut ffi::sqlite3_vfs,
    name: *const c_char,
    room: c_int,
    target: *mut c_char,
) -> c_int {
    // SAFETY: SQLite's name of the file.
    let bytes = unsafe { CStr::from_ptr(name) }.to_bytes_with_nul();
    if bytes.len() > room as usize {
        return ffi::SQLITE_CANTOPEN;
    }
    // SAFETY: SQLite gives room for `room` bytes, which are no fewer than these, apart from the name.
    unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), target.cast(), bytes.len()) };
    ffi::SQLITE_OK
}

unsafe extern "C" fn randomness(_: *mut ffi::sqlite3_vfs, len: c_int, target: *mut c_char) -> c_int {
    // SAFETY: SQLite gives room for `len` bytes.
    unsafe { std::ptr::write_bytes(target, 0, len as usize) };
    // SAFETY: as above, and the bytes have a value now.
    let target = unsafe { std::slice::from_raw_parts_mut(target.cast::<u8>(), len as usize) };
    match Call::here() {
        Some(call) => call.entropy(target),
        None => target.fill(0),
    }
    len
}

unsafe extern "C" fn sleep(_: *mut ffi::sqlite3_vfs, microseconds: c_int) -> c_int {
    if let Some(call) = Call::here() {
        call.doing("xSleep");
        let _ = call.yield_now();
    }
    microseconds
}

fn now() -> i64 {
    let now = Call::here().map_or(Duration::ZERO, |call| call.now());
    JULIAN_1970 + now.as_millis() as i64
}

unsafe extern "C" fn current_time(_: *mut ffi::sqlite3_vfs, target: *mut f64) -> c_int {
    // SAFETY: SQLite's place for the answer.
    unsafe { *target = now() as f64 / 86_400_000.0 };
    ffi::SQLITE_OK
}

unsafe extern "C" fn current_time_int64(_: *mut ffi::sqlite3_vfs, target: *mut ffi::sqlite3_int64) -> c_int {
    // SAFETY: SQLite's place for the answer.
    unsafe { *target = now() };
    ffi::SQLITE_OK
}

unsafe extern "C" fn last_error(_: *mut ffi::sqlite3_vfs, _: c_int, _: *mut c_char) -> c_int {
    0
}
