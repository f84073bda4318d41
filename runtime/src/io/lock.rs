//! Files that are open in one place at a time.
//!
//! A lock belongs to the open file and not to the process, so two openers in one process are kept apart, too. It lasts until
//! the file is closed: by the last handle, by the end of the last operation in flight, or by the end of the process.

use std::fs;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::sync::{Arc, Weak};
use std::time::Duration;

use rustix::fs::{FlockOperation, Stat};
use rustix::io::Errno;

use super::IoError;
use crate::sync::Mutex;

/// How often a lock is asked for whose holder is about to let go of it, and how long to wait in between.
const TRIES_OF_THE_DEAD: u32 = 1000;
const TRIES_OF_OURS: u32 = 100;
const PAUSE: Duration = Duration::from_millis(1);

/// Locks a file of the system for this open file, with `flock`.
pub(super) fn take(file: BorrowedFd<'_>, path: &Path) -> Result<(), IoError> {
    let mut tries = 0;
    loop {
        match rustix::fs::flock(file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(()),
            Err(Errno::INTR) => {}
            Err(Errno::WOULDBLOCK) if tries < tries_of(holder(file)) => {
                tries += 1;
                std::thread::sleep(PAUSE);
            }
            Err(Errno::WOULDBLOCK) => return Err(IoError::locked(path, Errno::WOULDBLOCK.raw_os_error())),
            Err(error) => return Err(IoError::on(path, "lock", &error.into())),
        }
    }
}

/// How often it is worth asking. io_uring lets go of a dead process's files a moment after the process is gone, and the system
/// names no holder then; and a thread of our own that has told of the end of an operation, the last on a file that is closed,
/// lets go of it after that. Neither is reported.
fn tries_of(holder: Option<u32>) -> u32 {
    match holder {
        Some(ours) if ours == std::process::id() => TRIES_OF_OURS,
        Some(other) if !has_ended(other) => 0,
        Some(_) | None => TRIES_OF_THE_DEAD,
    }
}

/// The process that has locked the file of this name, where the system says so.
pub(super) fn holder_of(path: &Path) -> Option<u32> {
    holder(fs::File::open(path).ok()?.as_fd())
}

fn holder(file: BorrowedFd<'_>) -> Option<u32> {
    let stat = rustix::fs::fstat(file).ok()?;
    holder_in(&fs::read_to_string("/proc/locks").ok()?, &stat)
}

/// A line is `1: FLOCK  ADVISORY  WRITE 4711 fe:01:131090 0 EOF`: the process, then the device's numbers and the file's. A
/// process that is not to be seen from here has the number 0 or less.
fn holder_in(locks: &str, stat: &Stat) -> Option<u32> {
    let (major, minor) = (rustix::fs::major(stat.st_dev), rustix::fs::minor(stat.st_dev));
    let place = format!("{major:02x}:{minor:02x}:{}", stat.st_ino);
    let is_it = |fields: &Vec<&str>| fields.get(1) == Some(&"FLOCK") && fields.get(5) == Some(&&*place);
    let fields = locks.lines().map(|line| line.split_whitespace().collect()).find(is_it)?;
    fields[4].parse().ok().filter(|process| *process > 0)
}

/// Whether nothing of the process runs any more, though its parent may not have asked for it.
fn has_ended(process: u32) -> bool {
    match fs::read_to_string(format!("/proc/{process}/stat")) {
        // The state follows the name, which is in brackets and may have some itself.
        Ok(stat) => stat.rsplit(") ").next().is_some_and(|state| state.starts_with(['Z', 'X'])),
        Err(_) => true,
    }
}

/// Who has a file to itself that is no file of the system: at most one claim at a time.
#[derive(Debug, Default)]
pub(super) struct Claims(Mutex<Weak<()>>);

/// Held by an open file and by its operations; dropping the last of them gives the file up.
pub(super) type Claim = Arc<()>;

impl Claims {
    pub(super) fn take(&self, path: &Path) -> Result<Claim, IoError> {
        let mut holder = self.0.lock();
        if holder.strong_count() > 0 {
            return Err(IoError::locked(path, 0));
        }
        let claim = Arc::new(());
        *holder = Arc::downgrade(&claim);
        Ok(claim)
    }
}

#[cfg(all(test, not(any(tenterhook_loom, tenterhook_shuttle))))]
mod tests {
    use super::*;

    #[test]
    fn holder_is_found_by_device_and_file_among_other_locks() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let stat = rustix::fs::stat(file.path()).unwrap();
        let (major, minor) = (rustix::fs::major(stat.st_dev), rustix::fs::minor(stat.st_dev));
        let place = |file| format!("{major:02x}:{minor:02x}:{file} 0 EOF");
        let (ours, other) = (place(stat.st_ino), place(stat.st_ino + 1));
        let locks = |process| {
            format!(
                "1: POSIX  ADVISORY  WRITE 9 {ours}\n2: FLOCK  ADVISORY  WRITE 8 {other}\n\
                 3: FLOCK  ADVISORY  WRITE {process} {ours}\n"
            )
        };
        assert_eq!(holder_in(&locks("4711"), &stat), Some(4711));
        assert_eq!(holder_in(&locks("-1"), &stat), None, "a process of another namespace");
        assert_eq!(holder_in("", &stat), None);
    }

    #[test]
    fn process_that_runs_has_not_ended_and_an_unknown_one_has() {
        assert!(!has_ended(std::process::id()));
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let process = child.id();
        // Asked for without being taken away: it stays a zombie.
        let ended = rustix::process::WaitIdOptions::EXITED | rustix::process::WaitIdOptions::NOWAIT;
        let pid = rustix::process::Pid::from_raw(process.cast_signed()).unwrap();
        rustix::process::waitid(rustix::process::WaitId::Pid(pid), ended).unwrap();
        assert!(has_ended(process));
        child.wait().unwrap();
    }

    #[test]
    fn claim_is_given_again_when_the_last_of_its_holders_is_gone() {
        let claims = Claims::default();
        let claim = claims.take(Path::new("file")).unwrap();
        let operation = Claim::clone(&claim);
        drop(claim);
        assert_eq!(
            claims.take(Path::new("file")).unwrap_err().to_string(),
            "cannot lock file: resource busy"
        );
        drop(operation);
        assert!(claims.take(Path::new("file")).is_ok());
    }
}
