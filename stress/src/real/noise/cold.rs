//! Files that the page cache does not have.

use std::fs::File;
use std::path::{Path, PathBuf};

use rustix::fs::Advice;
use rustix::io::{Errno, ReadWriteFlags};

use super::Source;
use crate::violation::Violation;

/// One turn in so many: a cache that is empty all the time is as dull as a full one.
const EVERY: u64 = 8;

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
    let mut byte = [0];
    let slices = &mut [std::io::IoSliceMut::new(&mut byte)];
    rustix::io::preadv2(file, slices, 0, ReadWriteFlags::NOWAIT) == Err(Errno::AGAIN)
}

pub(super) fn obstacle(directory: &Path) -> Option<String> {
    let kind = rustix::fs::statfs(directory).ok()?.f_type;
    let is_tmpfs = u64::try_from(kind) == Ok(TMPFS);
    is_tmpfs.then(|| format!("{} is on a tmpfs, which has nothing but a cache", directory.display()))
}
