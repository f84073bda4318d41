//! A file past the page cache.

use std::io;
use std::path::Path;
use std::sync::{Arc, mpsc};

use rustix::fs::{Mode, OFlags};
use tenterhook_runtime::CompletionError;
use tenterhook_runtime::io::{Buffer, DIRECT_ALIGNMENT, File, IO, OpenOptions, Submission};

use super::{Place, Source};
use crate::violation::Violation;

const PAGES: u64 = 64;

/// Writes a page and reads one that it has written before.
pub(super) struct Direct {
    io: Arc<dyn IO>,
    file: Arc<dyn File>,
    turns: u64,
}

impl Direct {
    pub(super) fn start(place: &Place) -> io::Result<Direct> {
        let options = OpenOptions { direct: true, ..OpenOptions::creating() };
        let file = place.io.open(&place.directory.join("direct"), options).map_err(io::Error::other)?;
        Ok(Direct { io: Arc::clone(&place.io), file, turns: 0 })
    }

    /// Whether it was written: the disk may be full for a while, which is noise as well.
    fn write(&self, turn: u64) -> Result<bool, Box<Violation>> {
        let page = Buffer::copy_of(&[byte_of(turn); DIRECT_ALIGNMENT]);
        let (completion, submission) = Submission::write(place_of(turn), page, |_, _| {});
        self.file.submit(submission);
        let outcome = self.io.block_on(&completion);
        match outcome {
            Ok(Ok(_)) => Ok(true),
            Ok(Err(CompletionError::NoSpace)) => Ok(false),
            other => Err(wrong("a page that is written past the cache", format!("{other:?}"))),
        }
    }

    fn read(&self, turn: u64) -> Result<(), Box<Violation>> {
        let (sender, receiver) = mpsc::channel();
        let (completion, submission) =
            Submission::read(place_of(turn), Buffer::zeroed(DIRECT_ALIGNMENT), move |outcome, buffer| {
                // The waiter is still there.
                let _ = sender.send((outcome, buffer));
            });
        self.file.submit(submission);
        let ended = self.io.block_on(&completion);
        match (ended, receiver.recv()) {
            (Ok(Ok(_)), Ok((Ok(read), buffer)))
                if read == DIRECT_ALIGNMENT as u64 && buffer.iter().all(|&byte| byte == byte_of(turn)) =>
            {
                Ok(())
            }
            (ended, read) => {
                let first = read.map(|(outcome, buffer)| (outcome, buffer.first().copied()));
                let seen = format!("{ended:?}, first byte {first:?}");
                Err(wrong(&format!("a page full of {}", byte_of(turn)), seen))
            }
        }
    }
}

impl Source for Direct {
    fn make(&mut self) -> Result<u64, Box<Violation>> {
        self.turns += 1;
        if !self.write(self.turns)? {
            return Ok(0);
        }
        self.read(self.turns)?;
        Ok(1)
    }
}

fn place_of(turn: u64) -> u64 {
    turn % PAGES * DIRECT_ALIGNMENT as u64
}

fn byte_of(turn: u64) -> u8 {
    (turn % 251) as u8
}

fn wrong(expected: &str, seen: String) -> Box<Violation> {
    Violation::safety("direct", expected, seen)
}

/// Tries it with a file of its own: a file system may open a file so and refuse to read or write it.
pub(super) fn obstacle(directory: &Path) -> Option<String> {
    let path = directory.join("direct-trial");
    let tried = trial(&path);
    // It was ours, if it was there at all.
    let _ = std::fs::remove_file(&path);
    let error = tried.err()?;
    Some(format!("{} cannot be read and written past the page cache: {error}", path.display()))
}

fn trial(path: &Path) -> io::Result<()> {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::DIRECT;
    let file = rustix::fs::open(path, flags, Mode::from_raw_mode(0o644))?;
    let page = Buffer::copy_of(&[1; DIRECT_ALIGNMENT]);
    let mut read = Buffer::zeroed(DIRECT_ALIGNMENT);
    let written = rustix::io::pwrite(&file, &page, 0)?;
    let done = rustix::io::pread(&file, &mut *read, 0)?;
    match (written, done) {
        (DIRECT_ALIGNMENT, DIRECT_ALIGNMENT) => Ok(()),
        _ => Err(io::Error::other(format!("{written} bytes were written and {done} read"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_cannot_be_used_is_an_obstacle_and_a_trial_leaves_nothing() {
        assert!(obstacle(Path::new("/proc")).unwrap().contains("past the page cache"));
        let folder = tempfile::tempdir().unwrap();
        let _ = obstacle(folder.path());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
