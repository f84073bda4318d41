//! The disk at the begin of a life, taken out and put back.

use std::path::PathBuf;
use std::sync::Arc;

use super::file::{Change, SimFile};
use super::image::Image;
use super::{FaultKind, SimDisk, State};
use crate::tape::{Actor, Address, Beginning, FileImage, Fixture, Stage, Unsettled};

/// What unsynced changes of a fixture belong to: an operation of the disk that no life has.
const FIXTURE: u32 = 1;

impl SimDisk {
    /// What a run begins with that begins with the life `life` of this one, where the system has `knowledge`. None if names wait for
    /// the sync of their directory, or are no text.
    pub(crate) fn beginning(
        &self,
        life: u32,
        knowledge: Vec<u8>,
        base: Option<&Fixture>,
    ) -> Option<Beginning> {
        let state = self.shared.lock();
        if state.directories.wait_for_sync() {
            return None;
        }
        let mut named: Vec<(&PathBuf, u32, bool)> =
            state.names.iter().map(|(path, &number)| (path, number, false)).collect();
        named.extend(state.directories.directories().map(|(path, &number)| (path, number, true)));
        named.sort_by_key(|&(_, number, _)| number);
        let mut moved = Vec::new();
        let mut files = Vec::with_capacity(named.len());
        for (path, number, is_directory) in named {
            let file = &state.files[number as usize];
            moved.extend(file.causes().enumerate().map(|(nth, cause)| (cause, cause_of(number, nth))));
            files.push(FileImage { number, path: path.to_str()?.to_owned(), is_directory, ..image_of(file) });
        }
        let lives = life + base.map_or(0, |base| base.lives);
        let (clock, lied) = (state.machine.told, !state.is_honest());
        Some(Beginning { life, fixture: Arc::new(Fixture { lives, clock, lied, knowledge, files }), moved })
    }

    /// Begins with `fixture` in place of an empty disk.
    pub(crate) fn begin_with(&self, fixture: &Fixture) {
        let mut state = self.shared.lock();
        let state = &mut *state;
        state.lied = fixture.lied;
        state.machine.begin(fixture);
        for image in &fixture.files {
            let number = image.number;
            // A gap is a file without a name, as one that was removed.
            while state.files.len() <= number as usize {
                state.files.push(SimFile::default());
            }
            state.files[number as usize] = file_of(image);
            let path = PathBuf::from(&image.path);
            match image.is_directory {
                true => state.directories.know(path, number),
                false => drop(state.names.insert(path, number)),
            }
        }
    }
}

impl State {
    /// Whether the disk has never said that it did what it had not.
    pub(super) fn is_honest(&self) -> bool {
        let lies = FaultKind::ALL.iter().filter(|kind| kind.is_lie());
        !self.lied && lies.into_iter().all(|&kind| self.counts.delivered(kind) == 0)
    }
}

/// What the `nth` unsynced change of a file of a fixture belongs to.
fn cause_of(number: u32, nth: usize) -> Address {
    Address::operation(0, Actor::DISK, FIXTURE).call(1 + number).at(Stage::change(nth as u32))
}

fn image_of(file: &SimFile) -> FileImage {
    let mut redone = file.durable.clone();
    let mut unsynced = Vec::new();
    for (change, bytes) in file.unsynced() {
        unsynced.push(match change {
            Change::Write { offset, .. } => {
                redone.write(offset, bytes);
                Unsettled::Write { offset, bytes: bytes.to_vec() }
            }
            Change::Truncate { len } => {
                redone.truncate(len);
                Unsettled::Truncate { len }
            }
        });
    }
    let read = content(&file.current);
    let read = (read != content(&redone)).then_some(read);
    FileImage {
        is_linked: file.linked,
        durable: content(&file.durable),
        unsynced,
        read,
        ..FileImage::default()
    }
}

fn file_of(image: &FileImage) -> SimFile {
    let mut file = SimFile::default();
    file.linked = image.is_linked;
    let mut durable = Image::default();
    durable.write(0, &image.durable);
    file.restart_from(durable);
    for (nth, change) in image.unsynced.iter().enumerate() {
        let file = file.by(cause_of(image.number, nth));
        match change {
            Unsettled::Write { offset, bytes } => file.write(*offset, &[bytes], usize::MAX),
            Unsettled::Truncate { len } => file.truncate(*len),
        }
    }
    if let Some(read) = &image.read {
        file.current = Image::default();
        file.current.write(0, read);
    }
    file
}

fn content(image: &Image) -> Vec<u8> {
    let mut bytes = vec![0; image.len() as usize];
    image.read(0, &mut bytes);
    bytes
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use tenterhook_runtime::io::{Buffer, OpenOptions, Submission};

    use super::*;
    use crate::disk::DiskOptions;
    use crate::tape::{Source, Tape};

    fn disk(source: &Source) -> SimDisk {
        let disk = SimDisk::new(DiskOptions::default(), source.stream(Actor::DISK, true));
        disk.keep_addresses(true);
        disk
    }

    /// A disk whose process was killed with writes that no sync has made durable.
    fn killed() -> SimDisk {
        let disk = disk(&Source::Seed(1));
        let io = disk.io();
        for name in ["removed", "data", "log"] {
            let file = io.open(name.as_ref(), OpenOptions::creating()).unwrap();
            let operations = [
                Submission::write(0, Buffer::copy_of(&[1; 2_000]), |_, _| {}),
                Submission::sync(|_| {}),
                Submission::write(700, Buffer::copy_of(&[2; 900]), |_, _| {}),
                Submission::truncate(1_500, |_| {}),
            ];
            for (nth, operation) in operations.into_iter().enumerate() {
                disk.serve(Address::operation(4, Actor::fiber(0), nth as u32), 0);
                io.block_on(&file.start(operation)).unwrap().unwrap();
            }
        }
        io.remove("removed".as_ref()).unwrap();
        // Its name may be lost: no sync has made it last.
        io.open("fresh".as_ref(), OpenOptions::creating()).unwrap();
        drop(disk.kill_process());
        disk
    }

    /// What is left after a power loss whose choices are those of `tape`.
    fn left(disk: &SimDisk) -> Vec<Option<Vec<u8>>> {
        drop(disk.lose_power());
        ["removed", "data", "log", "fresh"].map(|name| disk.content(Path::new(name))).to_vec()
    }

    #[test]
    fn a_disk_that_begins_with_a_fixture_reads_the_same_and_loses_the_same() {
        let mut outcomes = std::collections::BTreeSet::new();
        for seed in 0..40 {
            let before = killed();
            let beginning = before.beginning(5, Vec::new(), None).expect("names are durable");
            let read = before.content(Path::new("data"));
            // What the power loss draws is recorded, and played on the disk that begins with the fixture.
            before.with_stream(|stream| *stream = Source::Seed(seed).stream(Actor::DISK, true));
            before.serve(Address::operation(5, Actor::fiber(0), 0), 0);
            let expected = left(&before);
            let mut tape = Tape::default();
            tape.insert(before.with_stream(|stream| stream.take_record()).expect("recorded"));
            let after = disk(&Source::from(tape.since(&beginning)));
            after.begin_with(&beginning.fixture);
            assert_eq!(after.content(Path::new("data")), read);
            let again = after.beginning(5, Vec::new(), None).expect("names are durable");
            assert_eq!(again.fixture, beginning.fixture);
            after.serve(Address::operation(0, Actor::fiber(0), 0), 0);
            assert_eq!(left(&after), expected, "seed {seed}");
            outcomes.insert(expected);
        }
        assert!(outcomes.len() > 5, "{}", outcomes.len());
    }

    #[test]
    fn content_that_a_failed_sync_has_dropped_and_that_is_still_read_is_in_the_fixture() {
        let disk = disk(&Source::Seed(1));
        let io = disk.io();
        let file = io.open("data".as_ref(), OpenOptions::creating()).unwrap();
        let write = Submission::write(0, Buffer::copy_of(b"new"), |_, _| {});
        io.block_on(&file.start(write)).unwrap().unwrap();
        disk.shared.lock().files[0].drop_unsynced(1, true, |_| false);
        let beginning = disk.beginning(1, vec![3], None).expect("there are no names to sync");
        let again = super::tests::disk(&Source::Seed(1));
        again.begin_with(&beginning.fixture);
        assert_eq!(again.content(Path::new("data")).unwrap(), b"new");
        let copy = again.beginning(1, vec![3], None).expect("it is the same");
        assert_eq!(copy.fixture, beginning.fixture);
    }
}
