//! Names: what a directory's sync makes last.
//!
//! A directory is a file of its own, in which each change of a name is a byte. Whether a change lasts through a power loss is then what
//! is left of its byte, and all that the disk does to files it does to names: delays, failed syncs, losses in any order.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tenterhook_runtime::io::{File, IoError};

use super::file::SimFile;
use super::{SimDisk, State};
use crate::tape::Stage;

/// The directories, and what has happened to names since the power went last.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// Names last only when their directory is synced. Otherwise a file's sync makes its name last, and a removal lasts at once.
    strict: bool,
    /// The file that stands for each directory.
    directories: BTreeMap<PathBuf, u32>,
    changes: Vec<Change>,
}

/// A name has come to be that of a file, or is one no longer.
#[derive(Debug)]
struct Change {
    path: PathBuf,
    file: u32,
    is_there: bool,
    directory: u32,
    /// Its byte in the directory's file.
    record: u64,
}

impl SimDisk {
    /// From here on names last through a power loss only when their directory is synced, see [`SimDisk::directory`].
    pub fn set_strict_names(&self) {
        self.shared.lock().directories.strict = true;
    }

    /// A directory's handle in the present life, to be synced. No other operation means anything there.
    pub fn directory(&self, path: &Path) -> Arc<dyn File> {
        self.directory_in(self.life(), path)
    }

    /// The same in the life `life`: once another has begun, the handle's operations are refused.
    pub(crate) fn directory_in(&self, life: u64, path: &Path) -> Arc<dyn File> {
        let file = self.shared.lock().directory(path);
        super::handle::handle(&self.shared, life, file)
    }

    /// The number of the present life.
    pub(crate) fn life(&self) -> u64 {
        self.shared.lock().life
    }

    /// Gives the file `from` the name `to`, which another file may have had.
    ///
    /// # Errors
    ///
    /// When there is no such file, or the names are in two directories.
    pub fn rename(&self, from: &Path, to: &Path) -> Result<(), IoError> {
        let mut state = self.shared.lock();
        let refusal = |kind| IoError { operation: "rename", path: Some(from.to_owned()), kind, os_code: 0 };
        if from.parent() != to.parent() {
            return Err(refusal(std::io::ErrorKind::CrossesDevices));
        }
        let file = state.names.remove(from).ok_or_else(|| refusal(std::io::ErrorKind::NotFound))?;
        state.begin_call();
        let replaced = state.names.insert(to.to_owned(), file);
        // One record: a rename happens whole or not at all.
        let record = state.record_change(to);
        if let Some(replaced) = replaced {
            state.note_name(to, replaced, false, record);
        }
        state.note_name(from, file, false, record);
        state.note_name(to, file, true, record);
        Ok(())
    }

    /// The names in a directory, in order.
    pub fn list(&self, directory: &Path) -> Vec<PathBuf> {
        let state = self.shared.lock();
        state.names.keys().filter(|path| path.parent() == Some(directory)).cloned().collect()
    }
}

impl Names {
    /// The files that stand for directories.
    pub(super) fn directories(&self) -> impl Iterator<Item = (&PathBuf, &u32)> {
        self.directories.iter()
    }

    /// Whether some change of a name lasts only once a directory is synced.
    pub(super) fn wait_for_sync(&self) -> bool {
        !self.changes.is_empty()
    }

    /// The file that stands for a directory.
    pub(super) fn know(&mut self, path: PathBuf, file: u32) {
        self.directories.insert(path, file);
    }
}

impl State {
    /// A name was given to a new file, or taken from one.
    pub(super) fn name_changed(&mut self, path: &Path, file: u32, is_there: bool) {
        if self.directories.strict {
            let record = self.record_change(path);
            self.note_name(path, file, is_there, record);
            // The directory decides from here on, not the file's own syncs.
            self.files[file as usize].linked = true;
        }
    }

    pub(super) fn directory(&mut self, path: &Path) -> u32 {
        if let Some(&file) = self.directories.directories.get(path) {
            return file;
        }
        let file = self.files.len() as u32;
        self.files.push(SimFile::lasting());
        self.directories.directories.insert(path.to_owned(), file);
        file
    }

    /// Puts a change of a name into its directory's file, as the byte that is returned.
    fn record_change(&mut self, path: &Path) -> (u32, u64) {
        let directory = self.directory(path.parent().unwrap_or(Path::new("")));
        // Never the place of an earlier record, also after a failed sync has dropped that one.
        let record = self.directories.changes.len() as u64;
        let cause = self.call().at(Stage::change(0));
        self.files[directory as usize].by(cause).write(record, &[&[1]], 1);
        (directory, record)
    }

    fn note_name(&mut self, path: &Path, file: u32, is_there: bool, (directory, record): (u32, u64)) {
        self.directories.changes.push(Change { path: path.to_owned(), file, is_there, directory, record });
    }

    /// The power is back: each name is that of the file that it was last and durably given to.
    pub(super) fn settle_names(&mut self) {
        let changes = std::mem::take(&mut self.directories.changes);
        let mut settled: BTreeMap<PathBuf, Option<u32>> = BTreeMap::new();
        for Change { path, file, is_there, directory, record } in changes {
            let mut byte = [0];
            self.files[directory as usize].current.read(record, &mut byte);
            // Before its first change a name was there if the change took it away.
            let now = settled.entry(path).or_insert((!is_there).then_some(file));
            if byte == [1] {
                *now = is_there.then_some(file);
            }
        }
        for (path, file) in settled {
            match file {
                Some(file) => drop(self.names.insert(path, file)),
                None => drop(self.names.remove(&path)),
            }
        }
        for &directory in self.directories.directories.values() {
            self.files[directory as usize] = SimFile::lasting();
        }
    }

    /// The name of a file or directory, for people.
    pub(super) fn name_of(&self, file: u32) -> Option<&PathBuf> {
        let names = self.names.iter().chain(&self.directories.directories);
        names.into_iter().find(|&(_, &named)| named == file).map(|(path, _)| path)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use tenterhook_runtime::io::{Buffer, IO, OpenOptions, Submission};

    use super::*;
    use crate::disk::DiskOptions;
    use crate::tape::{Actor, Source};

    struct Case {
        disk: SimDisk,
        io: Arc<dyn IO>,
    }

    impl Case {
        fn new(seed: u64) -> Case {
            let disk = SimDisk::new(DiskOptions::default(), Source::Seed(seed).stream(Actor::DISK, false));
            disk.set_strict_names();
            Case { io: disk.io(), disk }
        }

        fn make(&self, name: &str, content: &[u8]) {
            let file = self.io.open(name.as_ref(), OpenOptions::creating()).unwrap();
            for operation in
                [Submission::write(0, Buffer::copy_of(content), |_, _| {}), Submission::sync(|_| {})]
            {
                self.io.block_on(&file.start(operation)).unwrap().unwrap();
            }
        }

        fn sync(&self) {
            let directory = self.disk.directory(Path::new("d"));
            self.io.block_on(&directory.start(Submission::sync(|_| {}))).unwrap().unwrap();
        }

        /// The names that are left, each with its file's first letter.
        fn after_power_loss(self) -> String {
            drop(self.disk.lose_power());
            let names = self.disk.list(Path::new("d"));
            let shown = names.iter().map(|name| {
                let content = self.disk.content(name).unwrap();
                format!(
                    "{}{}",
                    name.file_name().unwrap().display(),
                    content.first().map_or('-', |&b| char::from(b))
                )
            });
            shown.collect::<Vec<_>>().join(" ")
        }
    }

    /// What many seeds leave.
    fn outcomes(act: impl Fn(&Case)) -> Vec<String> {
        let outcome = |seed| {
            let case = Case::new(seed);
            act(&case);
            case.after_power_loss()
        };
        (0..200).map(outcome).collect::<BTreeSet<_>>().into_iter().collect()
    }

    #[test]
    fn a_name_lasts_when_its_directory_was_synced_and_else_perhaps() {
        assert_eq!(outcomes(|case| case.make("d/a", b"x")), ["", "ax"], "the file's own sync is not enough");
        let synced = |case: &Case| {
            case.make("d/a", b"x");
            case.sync();
        };
        assert_eq!(outcomes(synced), ["ax"]);
    }

    #[test]
    fn a_removed_name_may_come_back_with_its_file_until_the_directory_is_synced() {
        let removed = |case: &Case| {
            case.make("d/a", b"x");
            case.sync();
            case.io.remove("d/a".as_ref()).unwrap();
        };
        assert_eq!(outcomes(removed), ["", "ax"]);
        let synced = |case: &Case| {
            removed(case);
            case.sync();
        };
        assert_eq!(outcomes(synced), [""]);
        let made_again = |case: &Case| {
            removed(case);
            case.make("d/a", b"y");
        };
        assert_eq!(outcomes(made_again), ["", "ax", "ay"]);
    }

    #[test]
    fn a_rename_happens_whole_or_not_at_all() {
        let renamed = |case: &Case| {
            case.make("d/a", b"x");
            case.make("d/b", b"y");
            case.sync();
            case.disk.rename("d/b".as_ref(), "d/a".as_ref()).unwrap();
        };
        assert_eq!(outcomes(renamed), ["ax by", "ay"]);
        let case = Case::new(1);
        let error = case.disk.rename("d/none".as_ref(), "d/a".as_ref()).unwrap_err();
        assert_eq!(error.kind, std::io::ErrorKind::NotFound);
    }

    #[test]
    fn a_killed_process_leaves_names_as_they_are_and_a_later_loss_takes_what_was_not_synced() {
        let mut left = BTreeSet::new();
        for seed in 0..100 {
            let mut case = Case::new(seed);
            case.make("d/a", b"x");
            drop(case.disk.kill_process());
            case.io = case.disk.io();
            assert_eq!(case.disk.list(Path::new("d")).len(), 1);
            left.insert(case.after_power_loss());
        }
        assert_eq!(left.len(), 2, "{left:?}");
    }
}
