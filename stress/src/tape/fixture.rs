//! What a run begins with that does not begin with an empty disk: the disk of a later life, and what the system's oracles knew then.
//!
//! A failure in a late life seldom needs the whole history before it. A fixture stands for that history. It is compressed on a
//! tape, since most of a disk repeats itself.
//!
//! ```text
//! fixture    varints: lives before it, moment of the clock, 1 if the disk has lied; knowledge; varint number of files, then each file
//!   file     varint number, path, varint flags, durable content, varint number of changes, then each change; content that is read, if
//!            the flags say that it is another
//!   change   varint 0, varint offset, content of a write; or varint 1, varint length after a truncation
//! ```
//!
//! Knowledge, paths and contents are varint lengths and bytes.

use super::varint::{Reader, put, put_bytes};
use super::{Address, TapeError};
use crate::words::many;

/// A fixture is not larger than this: a damaged length must not fill the memory.
const LARGEST: usize = 1 << 30;
/// What miniz calls the best ratio at a usual price.
const LEVEL: u8 = 6;

const IS_DIRECTORY: u64 = 1;
const IS_LINKED: u64 = 2;
const READS_OTHERWISE: u64 = 4;

/// What a run begins with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fixture {
    /// Lives of the system before it.
    pub lives: u32,
    /// The newest time that the system was told, in microseconds since the begin of the first life.
    pub clock: u64,
    /// Whether the disk has said that it did what it had not.
    pub lied: bool,
    /// What [`System::knowledge`](crate::system::System::knowledge) has said.
    pub knowledge: Vec<u8>,
    /// The disk.
    pub files: Vec<FileImage>,
}

/// A file or a directory of a fixture.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FileImage {
    /// Its number on the disk: choices of a power loss belong to it.
    pub number: u32,
    /// Its name.
    pub path: String,
    /// Whether it stands for a directory.
    pub is_directory: bool,
    /// Whether its name survives a power loss.
    pub is_linked: bool,
    /// What is certainly on the disk.
    pub durable: Vec<u8>,
    /// Changes that no sync has made durable, in order.
    pub unsynced: Vec<Unsettled>,
    /// What reads return, if that is not the durable content after those changes: a failed sync may have dropped some.
    pub read: Option<Vec<u8>>,
}

/// A change that no sync has made durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unsettled {
    /// Bytes at an offset.
    Write {
        /// Where.
        offset: u64,
        /// What.
        bytes: Vec<u8>,
    },
    /// The file was cut or extended.
    Truncate {
        /// To so many bytes.
        len: u64,
    },
}

/// What a life began with, from which a run could begin.
#[derive(Clone, Debug)]
pub struct Beginning {
    /// The life.
    pub life: u32,
    /// What it began with.
    pub fixture: std::sync::Arc<Fixture>,
    /// What unsynced changes of the fixture belonged to, and belong to when a run begins with it.
    pub moved: Vec<(Address, Address)>,
}

impl Fixture {
    /// In a line, for people.
    pub fn describe(&self) -> String {
        let Fixture { lives, files, .. } = self;
        let bytes: usize = files.iter().map(|file| file.durable.len()).sum();
        let files = files.iter().filter(|file| !file.is_directory).count();
        let (files, lives) = (many(files as u64, "file"), many(*lives, "life"));
        format!("{files} with {bytes} durable bytes, and what the oracles knew, after {lives}")
    }

    /// The bytes of it, and how many they are before they are compressed.
    pub(super) fn compressed(&self) -> (u64, Vec<u8>) {
        let mut bytes = Vec::new();
        [self.lives.into(), self.clock, self.lied.into()]
            .into_iter()
            .for_each(|number| put(&mut bytes, number));
        put_bytes(&mut bytes, &self.knowledge);
        put(&mut bytes, self.files.len() as u64);
        self.files.iter().for_each(|file| file.put(&mut bytes));
        (bytes.len() as u64, miniz_oxide::deflate::compress_to_vec(&bytes, LEVEL))
    }

    /// Reads what [`Fixture::compressed`] has made.
    pub(super) fn expand(length: u64, compressed: &[u8]) -> Result<Fixture, TapeError> {
        let limit = usize::try_from(length).ok().filter(|&length| length <= LARGEST);
        let limit = limit.ok_or(TapeError::Malformed("its fixture is larger than 1 GiB"))?;
        let bytes = miniz_oxide::inflate::decompress_to_vec_with_limit(compressed, limit);
        let bytes = bytes.ok().filter(|bytes| bytes.len() == limit);
        let bytes =
            bytes.ok_or(TapeError::Malformed("its fixture is damaged: it does not expand to its length"))?;
        let mut reader = Reader { rest: &bytes };
        let fixture = Fixture::read(&mut reader)?;
        match reader.rest {
            [] => Ok(fixture),
            _ => Err(TapeError::Malformed("there are bytes behind its fixture")),
        }
    }

    fn read(reader: &mut Reader<'_>) -> Result<Fixture, TapeError> {
        let [lives] = reader.numbers()?;
        let (clock, lied) = (reader.number()?, reader.number()? == 1);
        let knowledge = reader.bytes("its fixture ends within what the oracles knew")?.to_vec();
        let mut files: Vec<FileImage> = Vec::new();
        for _ in 0..reader.number()? {
            let file = FileImage::read(reader)?;
            if files.last().is_some_and(|last| last.number >= file.number) {
                return Err(TapeError::Malformed("files of its fixture are out of order"));
            }
            files.push(file);
        }
        Ok(Fixture { lives, clock, lied, knowledge, files })
    }
}

impl FileImage {
    fn put(&self, bytes: &mut Vec<u8>) {
        let flag = |is_set: bool, flag: u64| if is_set { flag } else { 0 };
        put(bytes, self.number.into());
        put_bytes(bytes, self.path.as_bytes());
        put(
            bytes,
            flag(self.is_directory, IS_DIRECTORY)
                | flag(self.is_linked, IS_LINKED)
                | flag(self.read.is_some(), READS_OTHERWISE),
        );
        put_bytes(bytes, &self.durable);
        put(bytes, self.unsynced.len() as u64);
        for change in &self.unsynced {
            match change {
                Unsettled::Write { offset, bytes: content } => {
                    put(bytes, 0);
                    put(bytes, *offset);
                    put_bytes(bytes, content);
                }
                Unsettled::Truncate { len } => {
                    put(bytes, 1);
                    put(bytes, *len);
                }
            }
        }
        if let Some(read) = &self.read {
            put_bytes(bytes, read);
        }
    }

    fn read(reader: &mut Reader<'_>) -> Result<FileImage, TapeError> {
        const ENDS: &str = "its fixture ends within a file";
        let [number] = reader.numbers()?;
        if number > 1 << 20 {
            return Err(TapeError::Malformed("its fixture has more files than a disk"));
        }
        let path = String::from_utf8(reader.bytes(ENDS)?.to_vec());
        let path = path.map_err(|_| TapeError::Malformed("a name in its fixture is no text"))?;
        let flags = reader.number()?;
        let durable = reader.bytes(ENDS)?.to_vec();
        let mut unsynced = Vec::new();
        for _ in 0..reader.number()? {
            unsynced.push(Unsettled::read(reader, ENDS)?);
        }
        let read = match flags & READS_OTHERWISE {
            0 => None,
            _ => Some(reader.bytes(ENDS)?.to_vec()),
        };
        let (is_directory, is_linked) = (flags & IS_DIRECTORY != 0, flags & IS_LINKED != 0);
        Ok(FileImage { number, path, is_directory, is_linked, durable, unsynced, read })
    }
}

impl Unsettled {
    fn read(reader: &mut Reader<'_>, ends: &'static str) -> Result<Unsettled, TapeError> {
        let (kind, at) = (reader.number()?, reader.number()?);
        if at > LARGEST as u64 {
            return Err(TapeError::Malformed("a change in its fixture is beyond 1 GiB"));
        }
        match kind {
            0 => Ok(Unsettled::Write { offset: at, bytes: reader.bytes(ends)?.to_vec() }),
            1 => Ok(Unsettled::Truncate { len: at }),
            _ => Err(TapeError::Malformed("there is no such change in a fixture")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fixture() -> Fixture {
        let changes =
            vec![Unsettled::Write { offset: 3, bytes: b"new".to_vec() }, Unsettled::Truncate { len: 5 }];
        let file = FileImage {
            number: 2,
            path: "data".into(),
            is_linked: true,
            durable: vec![7; 100_000],
            unsynced: changes,
            ..FileImage::default()
        };
        let directory = FileImage { number: 4, is_directory: true, ..FileImage::default() };
        let dropped =
            FileImage { number: 5, path: "log".into(), read: Some(vec![1]), ..FileImage::default() };
        let files = vec![file, directory, dropped];
        Fixture { lives: 3, clock: 1 << 40, lied: true, knowledge: b"head 9".to_vec(), files }
    }

    #[test]
    fn what_is_expanded_is_what_was_compressed_and_repetition_costs_little() {
        let (length, compressed) = fixture().compressed();
        assert_eq!(Fixture::expand(length, &compressed).unwrap(), fixture());
        assert!(length > 100_000 && compressed.len() < 1_000, "{length} {}", compressed.len());
    }

    /// The checksum of the file has not noticed, for instance because someone has put it together by hand.
    #[test]
    fn a_fixture_that_does_not_expand_is_one_clear_line_and_fills_no_memory() {
        let (length, compressed) = fixture().compressed();
        let says = |length, bytes: &[u8]| Fixture::expand(length, bytes).unwrap_err().to_string();
        assert!(says(length, &compressed[..compressed.len() / 2]).contains("its fixture is damaged"));
        assert!(says(length + 1, &compressed).contains("its fixture is damaged"));
        assert!(says(length - 1, &compressed).contains("its fixture is damaged"));
        assert!(says(u64::MAX, &compressed).contains("larger than 1 GiB"));
        let mut bytes = Vec::new();
        [0, 0, 0, 0, u64::MAX].into_iter().for_each(|number| put(&mut bytes, number));
        let cut = miniz_oxide::deflate::compress_to_vec(&bytes, LEVEL);
        assert!(
            says(bytes.len() as u64, &cut).contains("is malformed"),
            "{}",
            says(bytes.len() as u64, &cut)
        );
    }

    #[test]
    fn a_fixture_says_in_a_line_what_it_has() {
        assert_eq!(
            fixture().describe(),
            "2 files with 100000 durable bytes, and what the oracles knew, after 3 lives"
        );
    }
}
