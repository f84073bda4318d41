//! What was asked for and what was acknowledged, in a file that outlives its writer.
//!
//! ```text
//! "tentacks"   8 bytes
//! connections  u64
//! then for each connection:
//!   asked      u64   the highest number of a commit that it has asked for since the last opening
//!   told       u64   commits that it was told of
//! ```
//!
//! Integers are little-endian. Each is written by one thread, in one call, into the page cache, which a killed process leaves
//! behind.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use super::seat::Seat;

const MAGIC: &[u8; 8] = b"tentacks";
const HEAD: u64 = 16;

/// The table.
#[derive(Debug)]
pub(super) struct Acks {
    file: File,
    connections: u64,
    /// The highest number that each connection has asked for since it was reset, as in the file.
    most: Box<[AtomicU64]>,
}

impl Acks {
    /// The table at `path`, made if there is none.
    pub(super) fn open(path: &Path, connections: u64) -> io::Result<Acks> {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        if file.metadata()?.len() == 0 {
            let mut bytes = MAGIC.to_vec();
            bytes.extend_from_slice(&connections.to_le_bytes());
            bytes.resize((HEAD + connections * 16) as usize, 0);
            file.write_all_at(&bytes, 0)?;
        }
        let mut head = [0; HEAD as usize];
        file.read_exact_at(&mut head, 0)?;
        if head[..8] != *MAGIC || head[8..] != connections.to_le_bytes() {
            let problem = format!("{} is no table of {connections} connections", path.display());
            return Err(io::Error::new(io::ErrorKind::InvalidData, problem));
        }
        let acks = Acks { file, connections, most: (0..connections).map(|_| AtomicU64::new(0)).collect() };
        for (most, seat) in acks.most.iter().zip(acks.read()?) {
            // ORDERING: Relaxed, as in `asked`.
            most.store(seat.asked, Ordering::Relaxed);
        }
        Ok(acks)
    }

    /// `connection` is about to ask for its `own`-th commit. It may have asked for a later one before: those have failed, and what was
    /// written of them may still be found.
    pub(super) fn asked(&self, connection: u64, own: u64) -> io::Result<()> {
        // ORDERING: Relaxed: each number is one connection's.
        let before = self.most[connection as usize].fetch_max(own, Ordering::Relaxed);
        self.write(connection, 0, own.max(before))
    }

    /// `connection` was told that its `own`-th commit is durable.
    pub(super) fn told(&self, connection: u64, own: u64) -> io::Result<()> {
        self.write(connection, 8, own)
    }

    fn write(&self, connection: u64, place: u64, own: u64) -> io::Result<()> {
        self.file.write_all_at(&own.to_le_bytes(), HEAD + connection * 16 + place)
    }

    /// A recovery has found so much, or a power loss has left it. What was asked for beyond that is gone for good.
    pub(super) fn reset(&self, seats: &[Seat]) -> io::Result<()> {
        (0..).zip(seats).try_for_each(|(connection, seat)| {
            // ORDERING: Relaxed, as in `asked`.
            self.most[connection as usize].store(seat.asked, Ordering::Relaxed);
            self.write(connection, 0, seat.asked)?;
            self.told(connection, seat.kept)
        })
    }

    /// What was asked for and told, by connection: a killed process leaves the page cache, so what was told is kept.
    pub(super) fn read(&self) -> io::Result<Vec<Seat>> {
        let mut bytes = vec![0; self.connections as usize * 16];
        self.file.read_exact_at(&mut bytes, HEAD)?;
        let word = |bytes: &[u8]| bytes.try_into().map_or(0, u64::from_le_bytes);
        Ok(bytes
            .chunks_exact(16)
            .map(|pair| Seat { asked: word(&pair[..8]), kept: word(&pair[8..]) })
            .collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_found_at_the_next_opening() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("acks");
        let acks = Acks::open(&path, 3).unwrap();
        acks.asked(1, 8).unwrap();
        acks.told(1, 7).unwrap();
        drop(acks);
        let acks = Acks::open(&path, 3).unwrap();
        let [none, some] = [(0, 0), (8, 7)].map(|(asked, kept)| Seat { asked, kept });
        assert_eq!(acks.read().unwrap(), [none, some, none]);
        // Commit 8 has failed.
        acks.asked(1, 7).unwrap();
        assert_eq!(acks.read().unwrap(), [none, some, none]);
        acks.reset(&[none, none, some]).unwrap();
        assert_eq!(acks.read().unwrap(), [none, none, some]);
        assert!(Acks::open(&path, 4).is_err());
    }
}
