//! The methods of a file as SQLite calls them.

use std::ffi::{c_int, c_void};

use libsqlite3_sys as ffi;
use tenterhook_stress::blocking::Call;

use super::file::OpenFile;

/// What SQLite has room for: its own head, and ours.
#[repr(C)]
pub(super) struct RawFile {
    head: ffi::sqlite3_file,
    file: *mut OpenFile,
}

impl RawFile {
    /// A file that could not be opened: SQLite does not call its methods.
    pub(super) fn closed() -> RawFile {
        let head = ffi::sqlite3_file { pMethods: std::ptr::null() };
        RawFile { head, file: std::ptr::null_mut() }
    }

    pub(super) fn opened(file: OpenFile) -> RawFile {
        let head = ffi::sqlite3_file { pMethods: &METHODS };
        RawFile { head, file: Box::into_raw(Box::new(file)) }
    }
}

static METHODS: ffi::sqlite3_io_methods = ffi::sqlite3_io_methods {
    iVersion: 3,
    xClose: Some(close),
    xRead: Some(read),
    xWrite: Some(write),
    xTruncate: Some(truncate),
    xSync: Some(sync),
    xFileSize: Some(file_size),
    xLock: Some(lock),
    xUnlock: Some(unlock),
    xCheckReservedLock: Some(check_reserved_lock),
    xFileControl: Some(file_control),
    xSectorSize: Some(sector_size),
    xDeviceCharacteristics: Some(device_characteristics),
    xShmMap: Some(shm_map),
    xShmLock: Some(shm_lock),
    xShmBarrier: Some(shm_barrier),
    xShmUnmap: Some(shm_unmap),
    xFetch: Some(fetch),
    xUnfetch: Some(unfetch),
};

/// The file behind SQLite's handle.
///
/// # Safety
///
/// `raw` was opened by `RawFile::opened` and is not closed yet, and no other reference to its file is alive: SQLite calls the methods
/// of one file from one thread at a time, and none of them calls another one through SQLite.
unsafe fn file<'a>(raw: *mut ffi::sqlite3_file) -> &'a mut OpenFile {
    // SAFETY: the caller's promise.
    unsafe { &mut *(*raw.cast::<RawFile>()).file }
}

unsafe extern "C" fn close(raw: *mut ffi::sqlite3_file) -> c_int {
    // SAFETY: an opened file, which SQLite closes once: ownership comes back.
    let file = unsafe { Box::from_raw((*raw.cast::<RawFile>()).file) };
    file.close(Call::here().as_ref());
    ffi::SQLITE_OK
}

unsafe extern "C" fn read(
    raw: *mut ffi::sqlite3_file,
    target: *mut c_void,
    len: c_int,
    offset: i64,
) -> c_int {
    let Some(call) = Call::here() else { return ffi::SQLITE_IOERR_READ };
    // SAFETY: SQLite gives room for `len` bytes, which no other thread touches before this returns.
    unsafe { std::ptr::write_bytes(target.cast::<u8>(), 0, len as usize) };
    // SAFETY: as above, and the bytes have a value now.
    let target = unsafe { std::slice::from_raw_parts_mut(target.cast(), len as usize) };
    // SAFETY: SQLite calls this for an opened file.
    unsafe { file(raw) }.read(&call, offset as u64, target)
}

unsafe extern "C" fn write(
    raw: *mut ffi::sqlite3_file,
    source: *const c_void,
    len: c_int,
    offset: i64,
) -> c_int {
    let Some(call) = Call::here() else { return ffi::SQLITE_IOERR_WRITE };
    // SAFETY: SQLite gives `len` bytes, which no other thread writes before this returns: none of the shared memory.
    let source = unsafe { std::slice::from_raw_parts(source.cast(), len as usize) };
    // SAFETY: SQLite calls this for an opened file.
    unsafe { file(raw) }.write(&call, offset as u64, source)
}

unsafe extern "C" fn truncate(raw: *mut ffi::sqlite3_file, len: i64) -> c_int {
    let Some(call) = Call::here() else { return ffi::SQLITE_IOERR_TRUNCATE };
    // SAFETY: SQLite calls this for an opened file.
    unsafe { file(raw) }.truncate(&call, len as u64)
}

unsafe extern "C" fn sync(raw: *mut ffi::sqlite3_file, _: c_int) -> c_int {
    let Some(call) = Call::here() else { return ffi::SQLITE_IOERR_FSYNC };
    // SAFETY: SQLite calls this for an opened file.
    unsafe { file(raw) }.sync(&call)
}

unsafe extern "C" fn file_size(raw: *mut ffi::sqlite3_file, target: *mut i64) -> c_int {
    let Some(call) = Call::here() else { return ffi::SQLITE_IOERR_FSTAT };
    // SAFETY: SQLite calls this for an opened file.
    let Ok(len) = (unsafe { file(raw) }).len(&call) else { return ffi::SQLITE_IOERR_FSTAT };
    // SAFETY: SQLite's place for the answer.
    unsafe { *target = len as i64 };
    ffi::SQLITE_OK
}

unsafe extern "C" fn lock(raw: *mut ffi::sqlite3_file, level: c_int) -> c_int {
    let Some(call) = Call::here() else { return ffi::SQLITE_IOERR_LOCK };
    // SAFETY: SQLite calls this for an opened file.
    unsafe { file(raw) }.lock(&call, level)
}

unsafe extern "C" fn unlock(raw: *mut ffi::sqlite3_file, level: c_int) -> c_int {
    // SAFETY: SQLite calls this for an opened file.
    unsafe { file(raw) }.unlock(Call::here().as_ref(), level)
}

unsafe extern "C" fn check_reserved_lock(raw: *mut ffi::sqlite3_file, target: *mut c_int) -> c_int {
    let Some(call) = Call::here() else { return ffi::SQLITE_IOERR_CHECKRESERVEDLOCK };
    // SAFETY: SQLite calls this for an opened file.
    let Ok(is_reserved) = (unsafe { file(raw) }).is_reserved(&call) else {
        return ffi::SQLITE_IOERR_CHECKRESERVEDLOCK;
    };
    // SAFETY: SQLite's place for the answer.
    unsafe { *target = c_int::from(is_reserved) };
    ffi::SQLITE_OK
}

unsafe extern "C" fn file_control(_: *mut ffi::sqlite3_file, _: c_int, _: *mut c_void) -> c_int {
    ffi::SQLITE_NOTFOUND
}

unsafe extern "C" fn sector_size(_: *mut ffi::sqlite3_file) -> c_int {
    512
}

unsafe extern "C" fn device_characteristics(raw: *mut ffi::sqlite3_file) -> c_int {
    // SAFETY: SQLite calls this for an opened file.
    unsafe { file(raw) }.kernel.characteristics
}

unsafe extern "C" fn shm_map(
    raw: *mut ffi::sqlite3_file,
    index: c_int,
    size: c_int,
    extend: c_int,
    target: *mut *mut c_void,
) -> c_int {
    let Some(call) = Call::here() else { return ffi::SQLITE_IOERR_SHMMAP };
    // SAFETY: SQLite calls this for an opened file.
    let region = unsafe { file(raw) }.map(&call, index as usize, size as usize, extend != 0);
    // SAFETY: SQLite's place for the answer.
    unsafe { *target = *region.as_ref().unwrap_or(&std::ptr::null_mut()) };
    region.err().unwrap_or(ffi::SQLITE_OK)
}

unsafe extern "C" fn shm_lock(
    raw: *mut ffi::sqlite3_file,
    first: c_int,
    count: c_int,
    flags: c_int,
) -> c_int {
    let Some(call) = Call::here() else { return ffi::SQLITE_IOERR_SHMLOCK };
    // SAFETY: SQLite calls this for an opened file.
    unsafe { file(raw) }.lock_memory(&call, first as u32, count as u32, flags)
}

unsafe extern "C" fn shm_barrier(raw: *mut ffi::sqlite3_file) {
    // SAFETY: SQLite calls this for an opened file.
    let file = unsafe { file(raw) };
    if let Some(call) = Call::here() {
        file.barrier(&call);
    }
}

unsafe extern "C" fn shm_unmap(raw: *mut ffi::sqlite3_file, delete: c_int) -> c_int {
    // SAFETY: SQLite calls this for an opened file.
    unsafe { file(raw) }.unmap(Call::here().as_ref(), delete != 0);
    ffi::SQLITE_OK
}

/// Nothing is mapped: SQLite reads instead.
unsafe extern "C" fn fetch(_: *mut ffi::sqlite3_file, _: i64, _: c_int, target: *mut *mut c_void) -> c_int {
    // SAFETY: SQLite's place for the answer.
    unsafe { *target = std::ptr::null_mut() };
    ffi::SQLITE_OK
}

unsafe extern "C" fn unfetch(raw: *mut ffi::sqlite3_file, _: i64, _: *mut c_void) -> c_int {
    // SAFETY: SQLite calls this for an opened file.
    let file = unsafe { file(raw) };
    if let Some(call) = Call::here() {
        file.doing(&call, "xUnfetch", String::new);
        let _ = call.pause();
    }
    ffi::SQLITE_OK
}
