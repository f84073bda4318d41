//! One job a folder.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Seek as _, Write as _};
use std::path::Path;

use rustix::fs::{FlockOperation, flock};

use super::JobError;

/// The lock on a folder. The kernel holds it for the process and releases it when that dies, however it dies.
#[derive(Debug)]
pub(super) struct Lock(#[expect(dead_code, reason = "the lock lasts as long as the file is open")] File);

impl Lock {
    /// Takes the lock on `folder`, which exists.
    pub(super) fn take(folder: &Path) -> Result<Lock, JobError> {
        let path = folder.join("lock");
        let file = OpenOptions::new().create(true).truncate(false).read(true).write(true).open(&path);
        let mut file = file.map_err(|error| {
            JobError::input(folder, format!("cannot be locked ({error}); name a folder that can be written"))
        })?;
        if flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
            let mut holder = String::new();
            let holder = match file.read_to_string(&mut holder) {
                Ok(1..) => format!(" (process {})", holder.trim()),
                _ => String::new(),
            };
            let problem =
                format!("is in use by another job{holder}; wait for its end or name another folder");
            return Err(JobError::input(folder, problem));
        }
        // For the next one's error message only.
        #[expect(clippy::disallowed_methods, reason = "no run sees it")]
        let holder = std::process::id().to_string();
        let _ = file.set_len(0).and_then(|()| file.rewind()).and_then(|()| file.write_all(holder.as_bytes()));
        Ok(Lock(file))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_keeps_others_out_until_it_goes_and_the_file_that_it_leaves_is_no_obstacle() {
        let folder = tempfile::tempdir().unwrap();
        let first = Lock::take(folder.path()).unwrap();
        let refused = Lock::take(folder.path()).unwrap_err().to_string();
        assert!(refused.contains("in use by another job (process "), "{refused}");
        drop(first);
        assert!(folder.path().join("lock").exists());
        Lock::take(folder.path()).unwrap();
    }
}
