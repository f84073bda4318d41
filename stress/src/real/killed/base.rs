//! The files with which a record begins, and power losses that are made real.
//!
//! A power loss that was tried beside the files may replace them: the next child then recovers, over the kernel, what a disk
//! had kept, and builds on it. The campaign may be killed at any moment of that, so what is to be there is written down first,
//! under another name; the next process that finds it does the rest.
//!
//! ```text
//! fallen    the files as the power left them, to be put in place of the real ones
//! base      the same once they are there, for a person who wants to see with what the last record began
//! ```

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::acks::Acks;
use super::files::SystemFiles;
use super::record;
use super::replay::{Files, Replay};
use super::seat::Seat;
use crate::real::layer::Role;

/// What a record begins with, and the record so far.
#[derive(Debug)]
pub(super) struct Base {
    directory: PathBuf,
    paths: SystemFiles,
    files: Files,
    seats: Vec<Seat>,
    /// Of all lives since.
    pub(super) record: Vec<u8>,
    /// Where the record of the last life begins.
    pub(super) last_life: usize,
    /// Where it ends.
    pub(super) last_death: usize,
}

/// What stands in `fallen` and `base`.
#[derive(Serialize, Deserialize)]
struct Document {
    database: Option<Vec<u8>>,
    log: Option<Vec<u8>>,
    seats: Vec<Seat>,
}

impl Document {
    fn content(&self, role: Role) -> Option<&Vec<u8>> {
        match role {
            Role::Database => self.database.as_ref(),
            Role::Log => self.log.as_ref(),
        }
    }
}

impl Base {
    /// What an earlier sitting left counts as durable; a power loss that it was making real is made so first.
    pub(super) fn resume(directory: &Path, paths: SystemFiles, acks: &Acks) -> io::Result<Base> {
        match fs::read(directory.join("fallen")) {
            Ok(bytes) => put_in_place(directory, &paths, &serde_json::from_slice(&bytes)?, acks)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        let (files, seats) = (real_files(&paths)?, acks.read()?);
        Ok(Base {
            directory: directory.to_owned(),
            paths,
            files,
            seats,
            record: Vec::new(),
            last_life: 0,
            last_death: 0,
        })
    }

    /// One with a complete record, the begin and the end of the last life included.
    pub(super) fn from_evidence(
        directory: &Path,
        paths: SystemFiles,
        (files, seats): (Files, Vec<Seat>),
        record: Vec<u8>,
        (last_life, last_death): (usize, usize),
    ) -> Base {
        Base { directory: directory.to_owned(), paths, files, seats, record, last_life, last_death }
    }

    /// What the record begins with.
    pub(super) fn begin(&self) -> (&Files, &[Seat]) {
        (&self.files, &self.seats)
    }

    /// A child has died and left these files and this record of its own.
    pub(super) fn add_life(&mut self, life: &[u8], files: &Files) -> io::Result<()> {
        self.last_life = self.record.len();
        self.record.extend_from_slice(&life[..record::whole(life)]);
        self.last_death = self.record.len();
        // Of no life: what the kernel had done when the process was gone.
        let correction = self.replay(self.record.len())?.correction(files);
        self.record.extend_from_slice(&correction);
        record::append(&mut self.record, record::Tag::Died, Role::Database, 0, 0, &[])
    }

    /// Where the system's files are.
    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    /// The system's files.
    pub(super) fn paths(&self) -> &SystemFiles {
        &self.paths
    }

    /// The first `len` bytes of the record.
    pub(super) fn replay(&self, len: usize) -> io::Result<Replay> {
        let replay = Replay::from(&self.files, &self.seats, &self.paths).follow(&self.record[..len]);
        replay.ok_or_else(|| {
            let problem = "the record of the children's I/O is invalid";
            io::Error::new(io::ErrorKind::InvalidData, problem)
        })
    }

    /// These files take the place of the real ones, and a new record begins with them.
    pub(super) fn fall(&mut self, files: Files, seats: Vec<Seat>, acks: &Acks) -> io::Result<()> {
        let content = |wanted| files.iter().find(|(role, _)| *role == wanted).map(|(_, bytes)| bytes.clone());
        let document =
            Document { database: content(Role::Database), log: content(Role::Log), seats: seats.clone() };
        let beside = self.directory.join("fallen.new");
        fs::write(&beside, serde_json::to_vec(&document)?)?;
        fs::rename(beside, self.directory.join("fallen"))?;
        put_in_place(&self.directory, &self.paths, &document, acks)?;
        (self.files, self.seats) = (files, seats);
        self.record.clear();
        (self.last_life, self.last_death) = (0, 0);
        Ok(())
    }
}

/// Can be done again from its begin for as long as it has not come to its end.
fn put_in_place(directory: &Path, paths: &SystemFiles, document: &Document, acks: &Acks) -> io::Result<()> {
    for (role, path) in paths.all() {
        match document.content(role) {
            Some(bytes) => fs::write(path, bytes)?,
            None => fs::remove_file(path).or_else(|error| match error.kind() {
                io::ErrorKind::NotFound => Ok(()),
                _ => Err(error),
            })?,
        }
    }
    acks.reset(&document.seats)?;
    fs::rename(directory.join("fallen"), directory.join("base"))
}

/// The files of a system, as far as they are there.
pub(super) fn real_files(paths: &SystemFiles) -> io::Result<Files> {
    let mut files = Files::new();
    for (role, path) in paths.all() {
        match fs::read(path) {
            Ok(bytes) => files.push((role, bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::super::files::pair;
    use super::*;

    const SEATS: [Seat; 1] = [Seat { asked: 5, kept: 3 }];

    fn files(byte: u8) -> Files {
        vec![(Role::Database, vec![byte; 700]), (Role::Log, vec![byte; 40])]
    }

    #[test]
    fn what_fell_takes_the_place_of_the_files_and_of_the_table() {
        let folder = tempfile::tempdir().unwrap();
        let acks = Acks::open(&folder.path().join("acks"), 1).unwrap();
        let mut base = Base::resume(folder.path(), pair(folder.path()), &acks).unwrap();
        base.fall(files(1), SEATS.to_vec(), &acks).unwrap();
        assert_eq!(real_files(&pair(folder.path())).unwrap(), files(1));
        assert_eq!(acks.read().unwrap(), SEATS);
        base.fall(files(2)[..1].to_vec(), SEATS.to_vec(), &acks).unwrap();
        assert_eq!(
            real_files(&pair(folder.path())).unwrap(),
            files(2)[..1],
            "a log that fell with its name is gone"
        );
    }

    #[test]
    fn a_campaign_that_dies_while_the_power_falls_is_finished_by_the_next() {
        let folder = tempfile::tempdir().unwrap();
        let acks = Acks::open(&folder.path().join("acks"), 1).unwrap();
        let document = Document { database: Some(vec![9; 600]), log: None, seats: SEATS.to_vec() };
        fs::write(folder.path().join("fallen"), serde_json::to_vec(&document).unwrap()).unwrap();
        // It had come so far.
        fs::write(folder.path().join("x"), [9; 100]).unwrap();
        Base::resume(folder.path(), pair(folder.path()), &acks).unwrap();
        assert_eq!(real_files(&pair(folder.path())).unwrap(), [(Role::Database, vec![9; 600])]);
        assert_eq!(acks.read().unwrap(), SEATS);
        assert!(!folder.path().join("fallen").exists());
    }
}
