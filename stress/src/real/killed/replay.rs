//! The files of processes that have died, on a simulated disk that can lose its power.
//!
//! [`Replay`] does what a record says, from the files with which it begins: what no sync had covered is at stake, what was
//! under way with it. What a failed sync has dropped is read like the rest and no later sync makes it durable.

use std::collections::BTreeMap;
use std::sync::Arc;

use tenterhook_runtime::io::{Buffer, IO, OpenOptions, Submission};

use super::files::SystemFiles;
use super::record::{Entries, Entry, Tag, append};
use super::seat::Seat;
use crate::disk::SimDisk;
use crate::real::layer::Role;
use crate::rng;

/// The content of a system's files, as far as they are there.
pub(super) type Files = Vec<(Role, Vec<u8>)>;

/// How much of a file one correction covers.
const SECTOR: usize = 512;

/// What was begun and has not ended.
enum Begun {
    Write { role: Role, offset: u64, bytes: Vec<u8> },
    Sync,
    Truncate { role: Role, len: u64 },
}

/// What a record has come to.
pub(super) struct Replay {
    disk: SimDisk,
    io: Arc<dyn IO>,
    paths: SystemFiles,
    begun: BTreeMap<u64, Begun>,
    /// What each connection has asked for by then, and what survives.
    pub(super) seats: Vec<Seat>,
}

impl Replay {
    /// Begins with `files`, all of them durable.
    pub(super) fn from(files: &Files, seats: &[Seat], paths: &SystemFiles) -> Replay {
        let disk = SimDisk::obliging();
        let io = disk.io();
        let replay = Replay { disk, io, paths: paths.clone(), begun: BTreeMap::new(), seats: seats.to_vec() };
        for (role, bytes) in files {
            replay.write(*role, 0, bytes);
            replay.sync(*role);
        }
        replay
    }

    /// Does what `record` says; `None` if it makes no sense.
    pub(super) fn follow(mut self, record: &[u8]) -> Option<Replay> {
        // Numbers begin again with each process.
        let mut life = 0;
        let mut ended_by_life: Vec<BTreeMap<u64, u64>> = vec![BTreeMap::new()];
        for entry in Entries(record) {
            match entry.tag {
                Tag::Died => ended_by_life.push(BTreeMap::new()),
                Tag::Ended => drop(ended_by_life.last_mut()?.insert(entry.number, entry.value)),
                _ => {}
            }
        }
        for entry in Entries(record) {
            if entry.tag == Tag::Died {
                life += 1;
                self.begun.clear();
            } else {
                self.take(&entry, &ended_by_life[life])?;
            }
        }
        Some(self)
    }

    fn take(&mut self, entry: &Entry<'_>, ended: &BTreeMap<u64, u64>) -> Option<()> {
        let Entry { role, number, value, .. } = *entry;
        // A file that the system does not have.
        self.paths.path(role)?;
        match entry.tag {
            Tag::Write => {
                let (offset, bytes) = entry.bytes.split_at_checked(8)?;
                let offset = u64::from_le_bytes(offset.try_into().ok()?);
                self.begun.insert(number, Begun::Write { role, offset, bytes: bytes.to_vec() });
            }
            // One that was to end well has covered exactly what had ended when it began.
            Tag::Sync if ended.contains_key(&number) => self.sync(role),
            Tag::Sync => drop(self.begun.insert(number, Begun::Sync)),
            Tag::Truncate => drop(self.begun.insert(number, Begun::Truncate { role, len: value })),
            Tag::Ended => match self.begun.remove(&number) {
                Some(Begun::Write { role, offset, bytes }) => {
                    let done = usize::try_from(value).unwrap_or(usize::MAX).min(bytes.len());
                    self.write(role, offset, &bytes[..done]);
                }
                Some(Begun::Truncate { role, len }) => self.truncate(role, len),
                Some(Begun::Sync) | None => {}
            },
            Tag::Failed => drop(self.begun.remove(&number)),
            Tag::Dropped => {
                let spared = |change: u64| rng::below(rng::at(value, change), 3) == 0;
                self.disk.drop_unsynced(self.paths.path(role)?, spared);
            }
            Tag::Asked => {
                // Lower than the one before: that has failed, and what was written of it may be found.
                let seat = self.seats.get_mut(usize::try_from(number).ok()?)?;
                seat.asked = seat.asked.max(value);
            }
            Tag::Found => {
                *self.seats.get_mut(usize::try_from(number).ok()?)? = Seat { asked: value, kept: value };
            }
            Tag::Kept => {
                let seat = self.seats.get_mut(usize::try_from(number).ok()?)?;
                seat.kept = seat.kept.max(value);
            }
            Tag::Died | Tag::Harm | Tag::Noise | Tag::Reached => {}
        }
        Some(())
    }

    /// The power goes at this moment: what was under way is at stake with the rest.
    pub(super) fn cut_power(mut self) -> (SimDisk, Vec<Seat>) {
        for under_way in std::mem::take(&mut self.begun).into_values() {
            match under_way {
                Begun::Write { role, offset, bytes } => self.write(role, offset, &bytes),
                Begun::Truncate { role, len } => self.truncate(role, len),
                Begun::Sync => {}
            }
        }
        drop(self.disk.cut_power());
        (self.disk, self.seats)
    }

    /// What makes of these files the ones that the process has really left: of what was under way the kernel had done some. Entries
    /// that say so, to be appended to the record after the death.
    pub(super) fn correction(&self, files: &Files) -> Vec<u8> {
        let mut entries = Vec::new();
        let mut numbers = (0..u64::MAX).rev();
        let mut change = |tag, role, value, bytes: &[&[u8]]| {
            let number = numbers.next().unwrap_or_default();
            // Writing to a vector cannot fail.
            let _ = append(&mut entries, tag, role, number, value, bytes);
            let _ = append(&mut entries, Tag::Ended, role, number, value, &[]);
        };
        for (role, real) in files {
            let known = self.paths.path(*role).and_then(|path| self.disk.content(path)).unwrap_or_default();
            if known.len() > real.len() {
                change(Tag::Truncate, *role, real.len() as u64, &[]);
            }
            for (index, sector) in real.chunks(SECTOR).enumerate() {
                let at = index * SECTOR;
                if known.get(at..at + sector.len()) != Some(sector) {
                    change(Tag::Write, *role, sector.len() as u64, &[&(at as u64).to_le_bytes(), sector]);
                }
            }
        }
        entries
    }

    fn write(&self, role: Role, offset: u64, bytes: &[u8]) {
        if !bytes.is_empty() {
            self.submit(role, Submission::write(offset, Buffer::copy_of(bytes), |_, _| {}).1);
        }
    }

    fn sync(&self, role: Role) {
        self.submit(role, Submission::sync(|_| {}).1);
    }

    fn truncate(&self, role: Role, len: u64) {
        self.submit(role, Submission::truncate(len, |_| {}).1);
    }

    /// On the obliging disk: it ends in here, and well.
    fn submit(&self, role: Role, submission: Submission) {
        let file = self.paths.path(role).map(|path| self.io.open(path, OpenOptions::creating()));
        if let Some(Ok(file)) = file {
            file.submit(submission);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use tenterhook_runtime::io::{Descriptor, OperationKind};

    use super::super::files::pair;
    use super::super::record::{HEAD, Recorder, ends};
    use super::*;
    use crate::disk::Fate;
    use crate::real::layer::Passing;

    fn passing(number: u64, kind: OperationKind, offset: u64, len: u64) -> Passing {
        Passing { number, role: Role::Log, descriptor: Descriptor { kind, offset, len } }
    }

    /// A target that the test can look at.
    #[derive(Clone, Default)]
    struct Shared(Arc<std::sync::Mutex<Vec<u8>>>);

    impl std::io::Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    /// Two sectors, then a sync, then a third; the fourth is under way.
    fn record(end_of_sync: impl FnOnce(&Recorder, &Passing)) -> Vec<u8> {
        let bytes = Shared::default();
        let recorder = Recorder::new(bytes.clone());
        let write = |sector: u64, ends: bool| {
            let passing = passing(sector, OperationKind::Write, sector * 512, 512);
            recorder.begins(&passing, &[&[b'a' + sector as u8; 512]]);
            if ends {
                recorder.ended(&passing, Ok(512));
            }
        };
        write(0, true);
        write(1, true);
        let sync = passing(9, OperationKind::Sync, 0, 0);
        recorder.begins(&sync, &[]);
        write(2, true);
        end_of_sync(&recorder, &sync);
        write(3, false);
        let bytes = bytes.0.lock().unwrap();
        bytes.clone()
    }

    fn ends_well() -> Vec<u8> {
        record(|recorder, sync| recorder.ended(sync, Ok(0)))
    }

    fn replay(record: &[u8]) -> Replay {
        let files = vec![(Role::Log, vec![b'-'; 2048])];
        Replay::from(&files, &[Seat::default(); 2], &pair(Path::new(""))).follow(record).unwrap()
    }

    fn content(disk: &SimDisk) -> String {
        let content = disk.content(Path::new("x-wal")).unwrap();
        content.chunks(512).map(|sector| char::from(sector[0])).collect()
    }

    fn left(record: &[u8], fate: Fate) -> String {
        let (disk, _) = replay(record).cut_power();
        disk.fall(&[fate]);
        content(&disk)
    }

    #[test]
    fn what_a_sync_covered_stays_and_the_rest_is_at_stake() {
        // The third was written after the sync began: the sync does not cover it, whenever it ended.
        assert_eq!(left(&ends_well(), Fate::Nothing), "ab--");
        assert_eq!(left(&ends_well(), Fate::Everything), "abcd");
        assert_eq!(left(&ends_well(), Fate::Only(1)), "ab-d");
    }

    #[test]
    fn power_that_goes_before_a_sync_has_ended_may_take_what_it_was_to_cover() {
        let record = ends_well();
        let ends = ends(&record);
        // The last three entries: the sync's end and the begin of the fourth write.
        let before = &record[..ends[ends.len() - 3]];
        assert_eq!(left(before, Fate::Nothing), "----");
        assert_eq!(left(before, Fate::Everything), "abc-");
    }

    #[test]
    fn what_a_failed_sync_drops_no_later_sync_makes_durable() {
        // Some key spares neither of the two.
        let spares = |key: u64, change| rng::below(rng::at(key, change), 3) == 0;
        let key = (0..).find(|&key| !spares(key, 0) && !spares(key, 1)).unwrap();
        let record = record(|recorder, sync| {
            recorder.drops(sync, key);
            let second = passing(10, OperationKind::Sync, 0, 0);
            recorder.begins(&second, &[]);
            recorder.ended(&second, Ok(0));
        });
        let (disk, _) = replay(&record).cut_power();
        assert_eq!(content(&disk), "abcd", "it is still read");
        // Dropped with the third, which had ended when the sync failed.
        let survivors = left(&record, Fate::Nothing);
        assert!(survivors.starts_with("--"), "{survivors}");
    }

    #[test]
    fn what_the_kernel_did_of_what_was_under_way_is_put_right_and_at_stake() {
        let record = ends_well();
        // The kernel has done half of the fourth.
        let real = [[b'a'; 512], [b'b'; 512], [b'c'; 512], [b'x'; 512]].concat();
        let mut whole = record.clone();
        whole.extend(replay(&record).correction(&vec![(Role::Log, real)]));
        append(&mut whole, Tag::Died, Role::Log, 0, 0, &[]).unwrap();
        assert_eq!(left(&whole, Fate::Everything), "abcx");
        assert_eq!(left(&whole, Fate::Nothing), "ab--");
    }

    /// Broke: of the commits 67 and 68 of a connection, which had failed, 67 was asked for again; a loss of power left what had been
    /// written of the first two, and the file was called wrong.
    #[test]
    fn what_has_failed_stays_asked_for_until_an_opening_has_not_found_it() {
        let mut record = Vec::new();
        for (tag, own) in [(Tag::Asked, 67), (Tag::Asked, 68), (Tag::Asked, 67), (Tag::Found, 66)] {
            append(&mut record, tag, Role::Database, 1, own, &[]).unwrap();
        }
        let at = |entries: usize| replay(&record[..entries * HEAD]).seats[1];
        assert_eq!(at(3), Seat { asked: 68, kept: 0 });
        assert_eq!(at(4), Seat { asked: 66, kept: 66 });
    }

    #[test]
    fn a_connection_has_what_it_asked_for_and_was_promised_by_then() {
        let mut record = Vec::new();
        append(&mut record, Tag::Asked, Role::Database, 1, 7, &[]).unwrap();
        append(&mut record, Tag::Kept, Role::Database, 1, 7, &[]).unwrap();
        let at = |end: usize| replay(&record[..end]).seats[1];
        assert_eq!([at(0), at(24), at(48)].map(|seat| (seat.asked, seat.kept)), [(0, 0), (7, 0), (7, 7)]);
    }
}
