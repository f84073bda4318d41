//! A tape as a file: versioned, checksummed, and small because most choices are default.
//!
//! ```text
//! "tentape\n"   8 bytes
//! version       u16    3 if there is a fixture, else 2
//! length        u64    bytes of the body
//! checksum      u32    CRC-32C of the body
//! body          header, operations, sections, fixture
//!   header      varint length, JSON: system, oracle, setup, schedule; with a fixture what that is, in words
//!   operations  varint count, then each: varint life, varint actor, varint number of operations
//!   sections    varint count, then each: varints life, actor, operation, call and stage, varint number of choices, then each
//!               choice: varints choice point, occurrence and value, which is not 0
//!   fixture     in version 3: varint length before it was compressed, varint length, compressed bytes (`fixture.rs`)
//! ```
//!
//! Integers are little-endian; varints are LEB128. The checksum comes before what it covers, so that a truncated file is
//! told from a damaged one.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::record::Section;
use super::varint::{Reader, put, put_bytes};
use super::{Actor, Address, Fixture, GAVE_WAY, Schedule, Stage, Tape};

const MAGIC: &[u8; 8] = b"tentape\n";
/// The format's version. Another meaning of a choice is another version too.
const VERSION: u16 = 2;
/// The same format, with a fixture behind the sections.
const WITH_FIXTURE: u16 = 3;
/// More operations and lives than any run has: a damaged count must not fill the memory.
const MANY: u32 = 1 << 24;
const PREFIX: usize = 8 + 2 + 8 + 4;

/// A run that was kept, to be played again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TapeFile {
    /// The system that was tested: a tape means nothing to another.
    pub system: String,
    /// The oracle that fired, if one did.
    pub oracle: Option<String>,
    /// What the system needs to be set up again, in its own format.
    pub setup: String,
    /// The choices.
    pub tape: Tape,
}

/// Why a file is no tape that can be played.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TapeError {
    /// It cannot be read.
    #[error("cannot be read ({0}); name a tape or a seed")]
    Unreadable(String),
    /// It does not begin like one.
    #[error("is no tape: it must begin with 'tentape'")]
    NotATape,
    /// Made by another version.
    #[error("is a tape of version {found}: this tenterhook plays versions {VERSION} and {WITH_FIXTURE}")]
    Version {
        /// The file's.
        found: u16,
    },
    /// It is shorter than it says.
    #[error("is truncated: it has {found} bytes and must have {expected}")]
    Truncated {
        /// Bytes that are there.
        found: u64,
        /// Bytes that should be.
        expected: u64,
    },
    /// Its bytes are not those that were written.
    #[error("is damaged: its checksum does not match; copy it again")]
    Checksum,
    /// Whole, but it makes no sense.
    #[error("is malformed: {0}")]
    Malformed(&'static str),
    /// The system does not take up what the fixture says that its oracles knew.
    #[error("begins with a fixture that this system does not take up: {0}")]
    Fixture(String),
    /// For another system.
    #[error("is a tape of the system '{found}': it must be one of '{expected}'")]
    System {
        /// The file's.
        found: String,
        /// The one that was to play it.
        expected: String,
    },
}

#[derive(Serialize, Deserialize)]
struct Header {
    system: String,
    oracle: Option<String>,
    setup: String,
    schedule: Schedule,
    /// For people who look into the file.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    begins_with: Option<String>,
}

impl TapeFile {
    /// Reads a file made by [`TapeFile::write`].
    ///
    /// # Errors
    ///
    /// When it cannot be read or is no whole tape of this version.
    pub fn read(path: &Path) -> Result<TapeFile, TapeError> {
        let bytes = std::fs::read(path).map_err(|error| TapeError::Unreadable(error.to_string()))?;
        TapeFile::decode(&bytes)
    }

    /// Writes the file.
    ///
    /// # Errors
    ///
    /// Those of the file system.
    pub fn write(&self, path: &Path) -> std::io::Result<()> {
        std::fs::write(path, self.encode())
    }

    /// The same, if it is for `system`.
    ///
    /// # Errors
    ///
    /// [`TapeError::System`].
    pub fn of_system(self, system: &str) -> Result<TapeFile, TapeError> {
        if self.system != system {
            return Err(TapeError::System { found: self.system, expected: system.into() });
        }
        Ok(self)
    }

    /// The file's bytes.
    pub fn encode(&self) -> Vec<u8> {
        let header = Header {
            system: self.system.clone(),
            oracle: self.oracle.clone(),
            setup: self.setup.clone(),
            schedule: self.tape.schedule,
            begins_with: self.tape.fixture().map(|fixture| format!("a fixture: {}", fixture.describe())),
        };
        // Strings always have a JSON form.
        let header = serde_json::to_vec(&header).unwrap_or_default();
        let mut body = Vec::new();
        put_bytes(&mut body, &header);
        put_tape(&mut body, &self.tape);
        let version = if self.tape.fixture().is_some() { WITH_FIXTURE } else { VERSION };
        if let Some(fixture) = self.tape.fixture() {
            let (length, compressed) = fixture.compressed();
            put(&mut body, length);
            put_bytes(&mut body, &compressed);
        }
        let mut bytes = Vec::with_capacity(PREFIX + body.len());
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&version.to_le_bytes());
        bytes.extend_from_slice(&(body.len() as u64).to_le_bytes());
        bytes.extend_from_slice(&crc32c::crc32c(&body).to_le_bytes());
        bytes.extend_from_slice(&body);
        bytes
    }

    /// Makes sense of a file's bytes.
    ///
    /// # Errors
    ///
    /// When they are no whole tape of this version.
    pub fn decode(bytes: &[u8]) -> Result<TapeFile, TapeError> {
        if !bytes.starts_with(MAGIC) {
            return Err(TapeError::NotATape);
        }
        let truncated = |expected: u64| TapeError::Truncated { found: bytes.len() as u64, expected };
        let version = bytes.get(8..10).ok_or_else(|| truncated(PREFIX as u64))?;
        let version = u16::from_le_bytes([version[0], version[1]]);
        if !matches!(version, VERSION | WITH_FIXTURE) {
            return Err(TapeError::Version { found: version });
        }
        let prefix = bytes.get(10..PREFIX).ok_or_else(|| truncated(PREFIX as u64))?;
        let (length, checksum) = prefix.split_at(8);
        let length = length.try_into().map_or(0, u64::from_le_bytes);
        let checksum = checksum.try_into().map_or(0, u32::from_le_bytes);
        let body = &bytes[PREFIX..];
        if (body.len() as u64) < length {
            return Err(truncated(length.saturating_add(PREFIX as u64)));
        }
        if body.len() as u64 > length || crc32c::crc32c(body) != checksum {
            return Err(TapeError::Checksum);
        }
        Reader { rest: body }.file(version == WITH_FIXTURE)
    }
}

fn put_tape(bytes: &mut Vec<u8>, tape: &Tape) {
    put(bytes, tape.counts().count() as u64);
    for ((life, actor), count) in tape.counts() {
        [life, actor.code(), count].into_iter().for_each(|number| put(bytes, number.into()));
    }
    put(bytes, tape.sections().count() as u64);
    for (address, section) in tape.sections() {
        let Address { life, actor, operation, call, stage } = *address;
        let address = [life, actor.code(), operation, call, stage.code()];
        address.into_iter().for_each(|number| put(bytes, number.into()));
        put(bytes, section.choices().len() as u64);
        for choice in section.choices() {
            let choice = [choice.choice_point.into(), choice.occurrence, choice.value];
            choice.into_iter().for_each(|number| put(bytes, number.into()));
        }
    }
}

impl Reader<'_> {
    fn file(mut self, has_fixture: bool) -> Result<TapeFile, TapeError> {
        let header = self.bytes("the header is longer than the file")?;
        let Header { system, oracle, setup, schedule, begins_with: _ } = serde_json::from_slice(header)
            .map_err(|_| TapeError::Malformed("the header is not understood"))?;
        let mut tape = Tape { schedule, ..Tape::default() };
        for _ in 0..self.number()? {
            let [life, actor, count] = self.numbers()?;
            if count > MANY || life > MANY {
                return Err(TapeError::Malformed("it has more operations than a run can make"));
            }
            tape.set_operations(life, Actor::from_code(actor), count);
        }
        for _ in 0..self.number()? {
            let [life, actor, operation, call, stage] = self.numbers()?;
            if life > MANY {
                return Err(TapeError::Malformed("it has more lives than a run"));
            }
            let (actor, stage) = (Actor::from_code(actor), Stage::from_code(stage));
            let section = self.section()?;
            tape.put_section(Address { life, actor, operation, call, stage }, section);
        }
        if has_fixture {
            let length = self.number()?;
            let fixture = Fixture::expand(length, self.bytes("it ends within its fixture")?)?;
            tape.begin_with(fixture.into());
        }
        if !self.rest.is_empty() {
            return Err(TapeError::Malformed("there are bytes behind its last section"));
        }
        Ok(TapeFile { system, oracle, setup, tape })
    }

    fn section(&mut self) -> Result<Section, TapeError> {
        let mut section = Section::default();
        let count = self.number()?;
        if count == 0 {
            return Err(TapeError::Malformed("a section has no choices"));
        }
        let mut last = None;
        for _ in 0..count {
            let [choice_point, occurrence, value] = self.numbers()?;
            let choice_point = u8::try_from(choice_point).ok().filter(|&index| index <= GAVE_WAY);
            let choice_point = choice_point.ok_or(TapeError::Malformed("there is no such choice point"))?;
            if value == 0 || last >= Some((choice_point, occurrence)) {
                return Err(TapeError::Malformed("choices are out of order, or default"));
            }
            last = Some((choice_point, occurrence));
            section.set(choice_point, occurrence, value);
        }
        Ok(section)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tape::{FileImage, Place};

    fn place() -> Place {
        let address = Address::operation(2, Actor::fiber(70_000), 9).call(3).at(Stage::DELIVERED);
        Place { address, choice_point: 3, occurrence: 1_000_000 }
    }

    fn file() -> TapeFile {
        let mut tape = Tape::default();
        for (occurrence, value) in [(0, 7), (300, u32::MAX), (1_000_000, 1)] {
            tape.set(Place { occurrence, ..place() }, value);
        }
        tape.set_operations(2, Actor::fiber(70_000), 10);
        TapeFile { system: "engine".into(), oracle: Some("durability".into()), setup: "{}".into(), tape }
    }

    fn with_fixture() -> TapeFile {
        let mut file = file();
        let image = FileImage { path: "data".into(), durable: vec![7; 5_000], ..FileImage::default() };
        let fixture = Fixture { lives: 2, knowledge: vec![1, 2], files: vec![image], ..Fixture::default() };
        file.tape.begin_with(fixture.into());
        file
    }

    #[test]
    fn what_is_decoded_is_what_was_encoded() {
        let decoded = TapeFile::decode(&file().encode()).unwrap();
        assert_eq!(decoded, file());
        let bytes = with_fixture().encode();
        assert_eq!(TapeFile::decode(&bytes).unwrap(), with_fixture());
        let says = b"begins_with\":\"a fixture: 1 file with 5000 durable bytes";
        assert!(bytes.windows(says.len()).any(|window| window == says), "the file says so");
        assert_eq!(decoded.tape.get(Place { occurrence: 300, ..place() }), u32::MAX);
    }

    #[test]
    fn every_truncation_and_every_flipped_bit_is_an_error_of_one_line() {
        for bytes in [file().encode(), with_fixture().encode()] {
            for length in 0..bytes.len() {
                let error = TapeFile::decode(&bytes[..length]).unwrap_err();
                assert_eq!(error.to_string().lines().count(), 1, "{length}");
            }
            for bit in 0..bytes.len() * 8 {
                let mut damaged = bytes.clone();
                damaged[bit / 8] ^= 1 << (bit % 8);
                assert!(TapeFile::decode(&damaged).is_err(), "bit {bit}");
            }
        }
    }

    #[test]
    fn another_version_or_system_is_named() {
        let mut bytes = file().encode();
        bytes[8] = 9;
        assert_eq!(TapeFile::decode(&bytes).unwrap_err(), TapeError::Version { found: 9 });
        let error = file().of_system("counter").unwrap_err().to_string();
        assert!(error.contains("'engine'") && error.contains("'counter'"), "{error}");
    }

    #[test]
    fn a_body_that_lies_about_its_lengths_is_malformed_and_fills_no_memory() {
        let mut body = Vec::new();
        put(&mut body, 2);
        body.extend_from_slice(b"{}");
        assert!(matches!(Reader { rest: &body }.file(false), Err(TapeError::Malformed(_))));
        let mut section = Vec::new();
        for number in [u64::MAX, u64::from(GAVE_WAY) + 1, 0, 1] {
            put(&mut section, number);
        }
        assert!(matches!(Reader { rest: &section }.section(), Err(TapeError::Malformed(_))));
    }
}
