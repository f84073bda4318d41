//! Files of the operating system: opened once, read and written by position.

use std::io::{self, IoSlice};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Weak;

use rustix::fs::{Mode, OFlags};
use rustix::io::{Errno, ReadWriteFlags, retry_on_intr};

use super::{
    Buffer, Canceller, DIRECT_ALIGNMENT, InFlight, IoError, OpenOptions, Operation, Submission, Unstarted,
};
use crate::{Completer, CompletionError, Outcome};

/// The most buffers in one call; the system's own bound.
const MOST_SLICES: usize = 1024;

/// An open file. Operations in flight hold it, so that its descriptor is not given to another file under them.
#[derive(Debug)]
pub(super) struct PosixFile {
    descriptor: OwnedFd,
    direct: bool,
}

impl PosixFile {
    /// With [`OpenOptions::create`] the file's name is durable when this returns. A file that exists may be one whose
    /// creator failed or died before it had synced the folder, so the folder is synced in either case.
    pub(super) fn open(path: &Path, options: OpenOptions) -> Result<Self, IoError> {
        ignore_file_size_signal();
        let refuse = |error: Errno| IoError::on(path, "open", &error.into());
        let mut flags = OFlags::RDWR | OFlags::CLOEXEC;
        flags.set(OFlags::DIRECT, options.direct);
        let open = |flags, mode| retry_on_intr(|| rustix::fs::open(path, flags, mode));
        let descriptor = match open(flags, Mode::empty()) {
            Err(Errno::NOENT) if options.create => {
                open(flags | OFlags::CREATE, Mode::from_raw_mode(0o644)).map_err(refuse)?
            }
            opened => opened.map_err(refuse)?,
        };
        let stat = rustix::fs::fstat(&descriptor).map_err(refuse)?;
        if rustix::fs::FileType::from_raw_mode(stat.st_mode).is_dir() {
            return Err(refuse(Errno::ISDIR));
        }
        if options.exclusive {
            super::lock::take(descriptor.as_fd(), path)?;
        }
        if options.create {
            sync_folder_of(path)?;
        }
        Ok(Self { descriptor, direct: options.direct })
    }

    /// The removal is durable when this returns well, and when it answers `NotFound`: an earlier call may have removed the
    /// name and failed to sync the folder, so the folder is synced in either case.
    pub(super) fn remove(path: &Path) -> Result<(), IoError> {
        let refuse = |error: Errno| IoError::on(path, "remove", &error.into());
        match retry_on_intr(|| rustix::fs::unlink(path)) {
            Err(Errno::NOENT) => match sync_folder_of(path) {
                // A folder that is missing, too, has nothing to sync.
                Err(error) if error.kind != io::ErrorKind::NotFound => Err(error),
                _ => Err(refuse(Errno::NOENT)),
            },
            unlinked => unlinked.map_err(refuse).and_then(|()| sync_folder_of(path)),
        }
    }

    /// Takes `submission` up, unless the file can't do it: direct I/O wants alignment, and the system's own refusal names
    /// nothing.
    pub(super) fn start(
        &self,
        submission: Submission,
        canceller: Option<(Weak<dyn Canceller>, u64)>,
    ) -> Result<InFlight, Unstarted> {
        if self.direct && !submission.is_aligned() {
            return Err(submission.refuse(refusal(Errno::INVAL)));
        }
        submission.start(canceller)
    }

    pub(super) fn len(&self) -> Result<u64, CompletionError> {
        let stat = rustix::fs::fstat(&self.descriptor).map_err(refusal)?;
        // A length is not negative.
        Ok(stat.st_size.cast_unsigned())
    }

    pub(super) fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }

    pub(super) fn is_direct(&self) -> bool {
        self.direct
    }

    /// Runs the whole operation in this thread.
    pub(super) fn run(&self, in_flight: &mut InFlight) -> Outcome {
        let (operation, completer) = in_flight.split();
        match operation {
            Operation::Read { offset, buffer } => self.read(offset, buffer, completer),
            Operation::Write { offset, buffers } => self.write(offset, buffers, completer),
            Operation::Sync => retry(|| rustix::fs::fdatasync(&self.descriptor)).map(|()| 0),
            Operation::Truncate { len } => retry(|| rustix::fs::ftruncate(&self.descriptor, len)).map(|()| 0),
        }
    }

    /// Reads what is in the page cache; `None` if that would wait for the device, or can't be told.
    pub(super) fn read_cached(&self, offset: u64, buffer: &mut [u8]) -> Option<Outcome> {
        if self.direct {
            return None;
        }
        let wanted = buffer.len();
        let slices = &mut [io::IoSliceMut::new(buffer)];
        match rustix::io::preadv2(&self.descriptor, slices, offset, ReadWriteFlags::NOWAIT) {
            Ok(read) if read == wanted => Some(Ok(read as u64)),
            // In part in the cache, or the file's end: the whole way tells them apart.
            _ => None,
        }
    }

    fn read(&self, offset: u64, buffer: &mut [u8], completer: &Completer) -> Outcome {
        let mut done = 0;
        while done < buffer.len() {
            let rest = &mut buffer[done..];
            let read = retry(|| rustix::io::pread(&self.descriptor, &mut *rest, offset + done as u64))?;
            done += read;
            if read == 0 || (self.direct && !read.is_multiple_of(DIRECT_ALIGNMENT)) {
                // The file's end; direct I/O can't go on from an odd place, and has no need to.
                break;
            }
            if done < buffer.len() && completer.cancel_requested() {
                return Err(CompletionError::Cancelled);
            }
        }
        Ok(done as u64)
    }

    fn write(&self, offset: u64, buffers: &[Buffer], completer: &Completer) -> Outcome {
        let total: usize = buffers.iter().map(|buffer| buffer.len()).sum();
        let mut done = 0;
        while done < total {
            let slices = slices_from(buffers, done);
            let wrote = retry(|| rustix::io::pwritev(&self.descriptor, &slices, offset + done as u64))?;
            if wrote == 0 {
                return Err(short_write(total, done));
            }
            done += wrote;
            if done < total && completer.cancel_requested() {
                return Err(CompletionError::Cancelled);
            }
        }
        Ok(done as u64)
    }
}

/// The parts of `buffers` after their first `done` bytes, as many as one call takes.
pub(super) fn slices_from(buffers: &[Buffer], mut done: usize) -> Vec<IoSlice<'_>> {
    let mut slices = Vec::with_capacity(buffers.len().min(MOST_SLICES));
    for buffer in buffers {
        let skipped = done.min(buffer.len());
        done -= skipped;
        if skipped < buffer.len() && slices.len() < MOST_SLICES {
            slices.push(IoSlice::new(&buffer[skipped..]));
        }
    }
    slices
}

pub(super) fn short_write(expected: usize, actual: usize) -> CompletionError {
    let clamp = |bytes: usize| u32::try_from(bytes).unwrap_or(u32::MAX);
    CompletionError::ShortWrite { expected: clamp(expected), actual: clamp(actual) }
}

/// Repeats a call that a signal interrupted.
fn retry<T>(call: impl FnMut() -> Result<T, Errno>) -> Result<T, CompletionError> {
    retry_on_intr(call).map_err(refusal)
}

fn refusal(error: Errno) -> CompletionError {
    CompletionError::from_io(&error.into())
}

/// Makes a name that came or went durable: the file's own sync doesn't.
fn sync_folder_of(path: &Path) -> Result<(), IoError> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        _ => PathBuf::from("."),
    };
    let refuse = |error: Errno| IoError::on(&folder, "sync", &error.into());
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let descriptor = retry_on_intr(|| rustix::fs::open(&folder, flags, Mode::empty())).map_err(refuse)?;
    retry_on_intr(|| rustix::fs::fsync(&descriptor)).map_err(refuse)
}

/// Has a write beyond the process's file size limit fail, as a full disk does. The default action of the signal that
/// comes with it ends the process, whatever thread wrote. A handler of the program's own stays, unless the program installs
/// it while its first file is being opened. Child processes inherit the setting.
fn ignore_file_size_signal() {
    // SAFETY: an all-zero `sigaction` is a valid value of it.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    // SAFETY: the pointer is to a live `sigaction`; nothing is changed.
    let asked = unsafe { libc::sigaction(libc::SIGXFSZ, std::ptr::null(), &raw mut action) };
    if asked == 0 && action.sa_sigaction == libc::SIG_DFL {
        action.sa_sigaction = libc::SIG_IGN;
        // SAFETY: as above; no handler is installed, so no code runs in a signal's context.
        unsafe { libc::sigaction(libc::SIGXFSZ, &raw const action, std::ptr::null_mut()) };
    }
}
