//! A disk that is full for a while.

use std::path::PathBuf;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tenterhook_runtime::io::DIRECT_ALIGNMENT;

use super::Source;
use crate::violation::Violation;

/// Turns from one shortage to the next, the turn of the first, and the one that ends it.
const EVERY: u64 = 24;
const FROM: u64 = 4;
const UNTIL: u64 = 8;

/// No file of the process may grow beyond the block in which the longest of these ends now. It is lifted again with the next turns, and when
/// this is dropped. Writes that it hits are counted where they end.
pub(super) struct Full {
    files: Vec<PathBuf>,
    turns: u64,
    /// The process's own limit.
    before: Option<u64>,
}

impl Full {
    pub(super) fn new(files: &[PathBuf]) -> Full {
        Full { files: files.to_vec(), turns: 0, before: getrlimit(Resource::Fsize).current }
    }
}

impl Source for Full {
    fn make(&mut self) -> Result<u64, Box<Violation>> {
        self.turns += 1;
        match self.turns % EVERY {
            FROM => {
                let lengths = self.files.iter().filter_map(|path| Some(path.metadata().ok()?.len()));
                // A disk has whole blocks left. The kernel cuts a write off at the limit, and refuses a direct one of half a block.
                let len = lengths.max().map(|len| len.next_multiple_of(DIRECT_ALIGNMENT as u64));
                limit(len.into_iter().chain(self.before).min());
            }
            UNTIL => limit(self.before),
            _ => {}
        }
        Ok(0)
    }
}

impl Drop for Full {
    fn drop(&mut self) {
        limit(self.before);
    }
}

/// No file of the process grows beyond so many bytes as long as this lives.
pub(in crate::real) struct SizeLimit {
    before: Option<u64>,
}

impl SizeLimit {
    pub(in crate::real) fn new(len: u64) -> SizeLimit {
        let before = getrlimit(Resource::Fsize).current;
        limit([len].into_iter().chain(before).min());
        SizeLimit { before }
    }
}

impl Drop for SizeLimit {
    fn drop(&mut self) {
        limit(self.before);
    }
}

/// Sets the soft limit, which may be moved below the hard one at will; `None` is no limit.
fn limit(len: Option<u64>) {
    let maximum = getrlimit(Resource::Fsize).maximum;
    // It can't fail below the hard limit, and if it did no harm would be counted, which fails the run.
    let _ = setrlimit(Resource::Fsize, Rlimit { current: len, maximum });
}
