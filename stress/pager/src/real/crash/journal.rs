//! A record of the I/O that a process did, to lose its power afterwards.
//!
//! A killed process leaves everything that it wrote; a power loss does not. The record says what was written in which order
//! and what a sync had made durable, so that [`replay`] can put the files on a simulated disk as they stood at the moment of
//! death, with everything that no sync had covered at stake.
//!
//! ```text
//! entry   head (24 bytes: tag u8, role u8, 6 bytes 0, number u64, value u64), then the bytes of a write
//! tag     1 a write of `value` bytes was begun, with its offset in 8 more bytes before the bytes; 2 a sync was begun;
//!         3 a truncation to `value` was begun; 4 an operation ended well, `value` bytes of it
//! ```

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use tenterhook_runtime::Outcome;
use tenterhook_runtime::io::{Buffer, IO, OpenOptions, OperationKind, Submission};

use tenterhook_stress::disk::SimDisk;
use tenterhook_stress::real::layer::{Passing, Role};

const WRITE: u8 = 1;
const SYNC: u8 = 2;
const TRUNCATE: u8 = 3;
const ENDED: u8 = 4;
const HEAD: usize = 24;

/// Appends to the record, whole entries at a time.
#[derive(Debug)]
pub(super) struct Recorder {
    file: Mutex<File>,
}

impl Recorder {
    /// An empty record at `path`.
    pub(super) fn create(path: &Path) -> io::Result<Recorder> {
        Ok(Recorder { file: Mutex::new(File::create(path)?) })
    }

    /// An operation goes to the backend.
    pub(super) fn begins(&self, passing: &Passing, bytes: &[&[u8]]) {
        let descriptor = passing.descriptor;
        match descriptor.kind {
            OperationKind::Read => {}
            OperationKind::Write => {
                let offset = descriptor.offset.to_le_bytes();
                self.append(WRITE, passing, descriptor.len, &[&[offset.as_slice()], bytes].concat());
            }
            OperationKind::Sync => self.append(SYNC, passing, 0, &[]),
            OperationKind::Truncate => self.append(TRUNCATE, passing, descriptor.offset, &[]),
        }
    }

    /// It has ended.
    pub(super) fn ended(&self, passing: &Passing, outcome: Outcome) {
        if let (Ok(done), false) = (outcome, passing.descriptor.kind == OperationKind::Read) {
            self.append(ENDED, passing, done, &[]);
        }
    }

    fn append(&self, tag: u8, passing: &Passing, value: u64, bytes: &[&[u8]]) {
        let mut entry = vec![0; HEAD];
        entry[0] = tag;
        entry[1] = passing.role as u8;
        entry[8..16].copy_from_slice(&passing.number.to_le_bytes());
        entry[16..24].copy_from_slice(&value.to_le_bytes());
        bytes.iter().for_each(|part| entry.extend_from_slice(part));
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        // A record with a hole would convict an innocent pager: better no process than such a record.
        file.write_all(&entry).expect("the record of I/O can be written");
    }
}

/// What was begun and has not ended.
enum Begun {
    Write {
        role: Role,
        offset: u64,
        bytes: Vec<u8>,
    },
    /// With where in the order it was begun.
    Sync,
    Truncate {
        role: Role,
        len: u64,
    },
}

/// Puts the files as they were before the process, and then what the record says, on a simulated disk whose power has just
/// gone. What was under way is among what is at stake.
pub(super) fn replay(record: &[u8], before: &[(Role, Vec<u8>)], path: &Path) -> Option<SimDisk> {
    let disk = SimDisk::obliging();
    let io = disk.io();
    for (role, bytes) in before {
        write(&io, path, *role, 0, bytes);
        sync(&io, path, *role);
    }
    let ended = ended(record);
    let mut begun = BTreeMap::new();
    for entry in Entries(record) {
        match entry.tag {
            WRITE => {
                let (offset, bytes) = entry.bytes.split_at_checked(8)?;
                let offset = u64::from_le_bytes(offset.try_into().ok()?);
                begun.insert(entry.number, Begun::Write { role: entry.role, offset, bytes: bytes.to_vec() });
            }
            // One that was to end well has covered exactly what had ended when it began.
            SYNC if ended.contains_key(&entry.number) => sync(&io, path, entry.role),
            SYNC => drop(begun.insert(entry.number, Begun::Sync)),
            TRUNCATE => {
                begun.insert(entry.number, Begun::Truncate { role: entry.role, len: entry.value });
            }
            ENDED => match begun.remove(&entry.number) {
                Some(Begun::Write { role, offset, bytes }) => {
                    let done = usize::try_from(entry.value).unwrap_or(usize::MAX).min(bytes.len());
                    write(&io, path, role, offset, &bytes[..done]);
                }
                Some(Begun::Truncate { role, len }) => truncate(&io, path, role, len),
                Some(Begun::Sync) | None => {}
            },
            _ => return None,
        }
    }
    for under_way in begun.into_values() {
        match under_way {
            Begun::Write { role, offset, bytes } => write(&io, path, role, offset, &bytes),
            Begun::Truncate { role, len } => truncate(&io, path, role, len),
            Begun::Sync => {}
        }
    }
    drop(disk.cut_power());
    Some(disk)
}

/// The operations that ended well.
fn ended(record: &[u8]) -> BTreeMap<u64, u64> {
    let ended = Entries(record).filter(|entry| entry.tag == ENDED);
    ended.map(|entry| (entry.number, entry.value)).collect()
}

fn write(io: &Arc<dyn IO>, path: &Path, role: Role, offset: u64, bytes: &[u8]) {
    if !bytes.is_empty() {
        submit(io, path, role, Submission::write(offset, Buffer::copy_of(bytes), |_, _| {}).1);
    }
}

fn sync(io: &Arc<dyn IO>, path: &Path, role: Role) {
    submit(io, path, role, Submission::sync(|_| {}).1);
}

fn truncate(io: &Arc<dyn IO>, path: &Path, role: Role, len: u64) {
    submit(io, path, role, Submission::truncate(len, |_| {}).1);
}

/// On the obliging disk: it ends in here, and well.
fn submit(io: &Arc<dyn IO>, path: &Path, role: Role, submission: Submission) {
    let path = match role {
        Role::Database => path.to_owned(),
        Role::Log => {
            let mut log = path.as_os_str().to_owned();
            log.push("-wal");
            log.into()
        }
    };
    if let Ok(file) = io.open(&path, OpenOptions::creating()) {
        file.submit(submission);
    }
}

/// One entry of the record.
struct Entry<'a> {
    tag: u8,
    role: Role,
    number: u64,
    value: u64,
    bytes: &'a [u8],
}

/// The whole entries of a record; the last one may have been cut off by the death of its writer.
struct Entries<'a>(&'a [u8]);

impl<'a> Iterator for Entries<'a> {
    type Item = Entry<'a>;

    fn next(&mut self) -> Option<Entry<'a>> {
        let (head, rest) = self.0.split_at_checked(HEAD)?;
        let word = |at: usize| head[at..at + 8].try_into().map_or(0, u64::from_le_bytes);
        let (tag, number, value) = (head[0], word(8), word(16));
        let len = if tag == WRITE { 8 + usize::try_from(value).ok()? } else { 0 };
        let (bytes, rest) = rest.split_at_checked(len)?;
        self.0 = rest;
        let role = if head[1] == Role::Log as u8 { Role::Log } else { Role::Database };
        Some(Entry { tag, role, number, value, bytes })
    }
}

#[cfg(test)]
mod tests {
    use tenterhook_runtime::io::Descriptor;

    use super::*;
    use tenterhook_stress::disk::Fate;

    fn passing(number: u64, kind: OperationKind, offset: u64, len: u64) -> Passing {
        Passing { number, role: Role::Log, descriptor: Descriptor { kind, offset, len } }
    }

    /// Two sectors, then a sync, then a third; the fourth is under way. The record is cut `cut` bytes before its end.
    fn record(cut: usize) -> Vec<u8> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("record");
        let recorder = Recorder::create(&path).unwrap();
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
        recorder.ended(&sync, Ok(0));
        write(3, false);
        let bytes = std::fs::read(path).unwrap();
        bytes[..bytes.len() - cut].to_vec()
    }

    fn left(fate: Fate) -> String {
        let disk = replay(&record(0), &[(Role::Log, vec![b'-'; 2048])], Path::new("x")).unwrap();
        disk.fall(&[fate]);
        let content = disk.content(Path::new("x-wal")).unwrap();
        content.chunks(512).map(|sector| char::from(sector[0])).collect()
    }

    #[test]
    fn what_a_sync_covered_stays_and_the_rest_is_at_stake() {
        // The third was written after the sync began: the sync does not cover it, whenever it ended.
        assert_eq!(left(Fate::Nothing), "ab--");
        assert_eq!(left(Fate::Everything), "abcd");
        assert_eq!(left(Fate::Only(1)), "ab-d");
    }

    #[test]
    fn a_record_that_was_cut_off_is_good_up_to_its_last_whole_entry() {
        let whole = Entries(&record(0)).count();
        assert_eq!(Entries(&record(1)).count(), whole - 1);
        assert_eq!(Entries(&record(545)).count(), whole - 2);
    }
}
