//! The record of a process, for the campaign that outlives it.
//!
//! A killed process leaves everything that it wrote; a power loss does not. The record says what was written in which order and
//! what a sync had made durable, what the process had asked for by then and what a power loss may no longer take from it. So
//! [`replay`](super::replay) can lose the power at any moment of a life, and not only at its end.
//!
//! A child writes it into a pipe, which no file size limit reaches, and the campaign reads it while the child lives. What is in
//! the pipe when the child is killed is read like the rest.
//!
//! ```text
//! entry   head (24 bytes: tag u8, role u8, 6 bytes 0, number u64, value u64), then the bytes of a write
//! tag     1 a write of `value` bytes was begun, with its offset in 8 more bytes before the bytes; 2 a sync was begun;
//!         3 a truncation to `value` was begun; 4 an operation ended well, `value` bytes of it; 5 it failed, and nothing is
//!         known of its range; 6 a sync failed, and what it covered will not be synced again, but for what a coin with
//!         `value` as its key spares; 7 connection `number` asks for its commit `value`; 8 commits of connection `number` up to
//!         `value` survive every power loss from here on; 9 the process died; 10 a harm, `number`, hit it `value` times;
//!         11 noise of kind `number` was delivered `value` times; 12 the process has come to its point and kills itself there;
//!         13 an opening has found `value` commits of connection `number`: they survive, and those beyond them are gone
//! ```

use std::io::{self, Write};
use std::sync::{Mutex, PoisonError};

use tenterhook_runtime::Outcome;
use tenterhook_runtime::io::OperationKind;

use crate::real::layer::{Passing, Role};
use crate::real::noise::NoiseKind;

pub(super) const HEAD: usize = 24;

/// What an entry is about.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Tag {
    Write = 1,
    Sync = 2,
    Truncate = 3,
    Ended = 4,
    Failed = 5,
    Dropped = 6,
    Asked = 7,
    Kept = 8,
    Died = 9,
    Harm = 10,
    Noise = 11,
    Reached = 12,
    Found = 13,
}

impl Tag {
    const ALL: [Tag; 13] = [
        Tag::Write,
        Tag::Sync,
        Tag::Truncate,
        Tag::Ended,
        Tag::Failed,
        Tag::Dropped,
        Tag::Asked,
        Tag::Kept,
        Tag::Died,
        Tag::Harm,
        Tag::Noise,
        Tag::Reached,
        Tag::Found,
    ];
}

/// Appends to the record, whole entries at a time.
pub(super) struct Recorder {
    target: Mutex<Box<dyn Write + Send>>,
}

impl Recorder {
    pub(super) fn new(target: impl Write + Send + 'static) -> Recorder {
        Recorder { target: Mutex::new(Box::new(target)) }
    }

    /// An operation goes to the backend.
    pub(super) fn begins(&self, passing: &Passing, bytes: &[&[u8]]) {
        let descriptor = passing.descriptor;
        let append =
            |tag, value, bytes: &[&[u8]]| self.append(tag, passing.role, passing.number, value, bytes);
        match descriptor.kind {
            OperationKind::Read => {}
            OperationKind::Write => {
                let offset = descriptor.offset.to_le_bytes();
                append(Tag::Write, descriptor.len, &[&[offset.as_slice()], bytes].concat());
            }
            OperationKind::Sync => append(Tag::Sync, 0, &[]),
            OperationKind::Truncate => append(Tag::Truncate, descriptor.offset, &[]),
        }
    }

    /// It has ended.
    pub(super) fn ended(&self, passing: &Passing, outcome: Outcome) {
        if passing.descriptor.kind != OperationKind::Read {
            let (tag, value) = outcome.map_or((Tag::Failed, 0), |done| (Tag::Ended, done));
            self.append(tag, passing.role, passing.number, value, &[]);
        }
    }

    /// A sync is failed that never went down, and what it covered is lost to the disk, but for what `key` spares.
    pub(super) fn drops(&self, passing: &Passing, key: u64) {
        self.append(Tag::Dropped, passing.role, passing.number, key, &[]);
    }

    /// A recovery has found `own` commits of `connection`: it keeps them, and those that were asked for beyond them are gone.
    pub(super) fn finds(&self, connection: u64, own: u64) {
        self.append(Tag::Found, Role::Database, connection, own, &[]);
    }

    /// The process has come to its point.
    pub(super) fn reaches(&self) {
        self.append(Tag::Reached, Role::Database, 0, 0, &[]);
    }

    /// `connection` is about to ask for its `own`-th commit.
    pub(super) fn asks(&self, connection: u64, own: u64) {
        self.append(Tag::Asked, Role::Database, connection, own, &[]);
    }

    /// The first `own` commits of `connection` survive a power loss from here on.
    pub(super) fn keeps(&self, connection: u64, own: u64) {
        self.append(Tag::Kept, Role::Database, connection, own, &[]);
    }

    /// Harm `number` has befallen the process `times` times more.
    pub(super) fn harms(&self, number: u64, times: u64) {
        self.append(Tag::Harm, Role::Database, number, times, &[]);
    }

    /// Noise of a kind was delivered `times` times more.
    pub(super) fn hears(&self, kind: NoiseKind, times: u64) {
        self.append(Tag::Noise, Role::Database, kind as u64, times, &[]);
    }

    fn append(&self, tag: Tag, role: Role, number: u64, value: u64, bytes: &[&[u8]]) {
        let mut target = self.target.lock().unwrap_or_else(PoisonError::into_inner);
        // A record with a hole would convict an innocent system: better no process than such a record.
        append(&mut **target, tag, role, number, value, bytes).expect("the record of I/O can be written");
    }
}

/// Writes one entry.
pub(super) fn append(
    target: &mut (impl Write + ?Sized),
    tag: Tag,
    role: Role,
    number: u64,
    value: u64,
    bytes: &[&[u8]],
) -> io::Result<()> {
    let mut entry = vec![0; HEAD];
    entry[0] = tag as u8;
    entry[1] = role as u8;
    entry[8..16].copy_from_slice(&number.to_le_bytes());
    entry[16..24].copy_from_slice(&value.to_le_bytes());
    bytes.iter().for_each(|part| entry.extend_from_slice(part));
    target.write_all(&entry)?;
    target.flush()
}

/// One entry of the record.
#[derive(Debug)]
pub(super) struct Entry<'a> {
    pub(super) tag: Tag,
    pub(super) role: Role,
    pub(super) number: u64,
    pub(super) value: u64,
    pub(super) bytes: &'a [u8],
}

impl Entry<'_> {
    /// Whether a write within the first `headers` bytes of the log was begun.
    pub(super) fn is_of_log_header(&self, headers: u64) -> bool {
        let offset = self.bytes.first_chunk().map(|bytes| u64::from_le_bytes(*bytes));
        self.role == Role::Log && offset.is_some_and(|offset| offset < headers)
    }
}

/// The whole entries of a record; the last one may have been cut off by the death of its writer.
#[derive(Clone, Debug)]
pub(super) struct Entries<'a>(pub(super) &'a [u8]);

impl<'a> Iterator for Entries<'a> {
    type Item = Entry<'a>;

    fn next(&mut self) -> Option<Entry<'a>> {
        let (head, rest) = self.0.split_at_checked(HEAD)?;
        let word = |at: usize| head[at..at + 8].try_into().map_or(0, u64::from_le_bytes);
        let (number, value) = (word(8), word(16));
        let tag = *Tag::ALL.get(usize::from(head[0]).checked_sub(1)?)?;
        let len = if tag == Tag::Write { 8 + usize::try_from(value).ok()? } else { 0 };
        let (bytes, rest) = rest.split_at_checked(len)?;
        self.0 = rest;
        let role = if head[1] == Role::Log as u8 { Role::Log } else { Role::Database };
        Some(Entry { tag, role, number, value, bytes })
    }
}

/// The length of the whole entries of a record.
pub(super) fn whole(record: &[u8]) -> usize {
    let mut entries = Entries(record);
    while entries.next().is_some() {}
    record.len() - entries.0.len()
}

/// Where each entry of a record ends.
pub(super) fn ends(record: &[u8]) -> Vec<usize> {
    let mut entries = Entries(record);
    let mut ends = Vec::new();
    while entries.next().is_some() {
        ends.push(record.len() - entries.0.len());
    }
    ends
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_that_was_cut_off_is_good_up_to_its_last_whole_entry() {
        let mut record = Vec::new();
        append(&mut record, Tag::Sync, Role::Log, 7, 0, &[]).unwrap();
        append(&mut record, Tag::Write, Role::Log, 8, 3, &[&[0; 8], b"abc"]).unwrap();
        assert_eq!(ends(&record), [24, 24 + 24 + 8 + 3]);
        let entry = Entries(&record).nth(1).unwrap();
        assert_eq!(
            (entry.tag, entry.number, entry.value, &entry.bytes[8..]),
            (Tag::Write, 8, 3, &b"abc"[..])
        );
        assert!(entry.is_of_log_header(64) && !entry.is_of_log_header(0));
        assert_eq!((whole(&record), whole(&record[..record.len() - 1])), (record.len(), 24));
    }
}
