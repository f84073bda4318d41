//! Files that the page cache does not have.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::Advice;
use rustix::io::{Errno, ReadWriteFlags};

use super::Source;
use crate::violation::Violation;

/// One turn in so many: a cache that is empty all the time is as ordinary as a full one.
const EVERY: u64 = 8;

/// How often a trial asks: the kernel may be busy with a page.
const TRIES: u32 = 16;

/// A file system without a device behind its cache.
const TMPFS: u64 = 0x0102_1994;

/// Asks the kernel to drop what it has of the files.
pub(super) struct Cold {
    files: Vec<PathBuf>,
    turns: u64,
}

impl Cold {
    pub(super) fn new(files: &[PathBuf]) -> Cold {
        Cold { files: files.to_vec(), turns: 0 }
    }
}

impl Source for Cold {
    /// Counts the files whose first page is not in the cache afterwards: what is not synced stays.
    fn make(&mut self) -> Result<u64, Box<Violation>> {
        self.turns += 1;
        if !self.turns.is_multiple_of(EVERY) {
            return Ok(0);
        }
        let files = self.files.iter().filter_map(|path| File::open(path).ok());
        Ok(files
            .filter(|file| rustix::fs::fadvise(file, 0, None, Advice::DontNeed).is_ok() && is_cold(file))
            .count() as u64)
    }
}

/// Whether reading the first page would wait for the device.
fn is_cold(file: &File) -> bool {
    read_without_waiting(file) == Err(Errno::AGAIN)
}

fn read_without_waiting(file: &File) -> Result<usize, Errno> {
    let mut byte = [0];
    let slices = &mut [io::IoSliceMut::new(&mut byte)];
    rustix::io::preadv2(file, slices, 0, ReadWriteFlags::NOWAIT)
}

/// Tries it with a file of its own: not every kernel can be asked, and not every file system has a device behind its cache.
pub(super) fn obstacle(directory: &Path) -> Option<String> {
    let place = directory.display();
    let kind = match rustix::fs::statfs(directory) {
        Ok(status) => status.f_type,
        Err(error) => return Some(format!("{place} cannot be looked at: {error}")),
    };
    if u64::try_from(kind) == Ok(TMPFS) {
        return Some(format!("{place} is on a tmpfs, which has nothing but a cache"));
    }
    let path = directory.join("cold-trial");
    let tried = trial(&path);
    // It was ours, if it was there at all.
    let _ = std::fs::remove_file(&path);
    match tried {
        Ok(seen) => objection(seen).map(|objection| format!("{place}: {objection}")),
        Err(error) => Some(format!("{} cannot be tried: {error}", path.display())),
    }
}

/// What a read without waiting says of a synced file that the cache was asked to drop.
fn trial(path: &Path) -> io::Result<Result<usize, Errno>> {
    std::fs::write(path, [1; 1 << 16])?;
    let file = File::open(path)?;
    file.sync_all()?;
    let mut seen = Ok(0);
    for _ in 0..TRIES {
        rustix::fs::fadvise(&file, 0, None, Advice::DontNeed)?;
        seen = read_without_waiting(&file);
        if seen.is_err() {
            break;
        }
    }
    Ok(seen)
}

fn objection(seen: Result<usize, Errno>) -> Option<String> {
    match seen {
        Err(Errno::AGAIN) => None,
        Err(error) => Some(format!("it cannot be asked whether the page cache has a file: {error}")),
        Ok(_) => Some("the page cache keeps what it is asked to drop".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_read_that_would_wait_shows_that_a_file_can_be_made_cold() {
        assert_eq!(objection(Err(Errno::AGAIN)), None);
        assert!(objection(Ok(1)).unwrap().contains("keeps"));
        for refusal in [Errno::OPNOTSUPP, Errno::NOSYS, Errno::INVAL] {
            assert!(objection(Err(refusal)).unwrap().contains("cannot be asked"), "{refusal}");
        }
    }

    #[test]
    fn a_folder_that_cannot_be_used_is_an_obstacle() {
        let folder = tempfile::tempdir().unwrap();
        assert!(obstacle(&folder.path().join("missing")).unwrap().contains("cannot be looked at"));
        assert!(obstacle(Path::new("/proc")).unwrap().contains("cannot be tried"));
    }

    #[test]
    fn a_trial_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let _ = obstacle(folder.path());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
