//! A tape as a file: versioned, checksummed, and small because most choices are default.
//!
//! ```text
//! "tentape\n"   8 bytes
//! version       u16
//! length        u64    bytes of the body
//! checksum      u32    CRC-32C of the body
//! body          header, streams
//!   header      varint length, JSON: system, oracle, setup
//!   streams       varint count, then each: varint actor, varint choice points, then each choice point:
//!               varint number of choices, varint number of those that are not 0, then each: varint gap, varint value
//! ```
//!
//! Integers are little-endian; varints are LEB128. The checksum comes before what it covers, so that a truncated file is
//! told from a damaged one.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{Actor, CHOICE_POINTS, StreamRecord, Tape};

const MAGIC: &[u8; 8] = b"tentape\n";
/// The format's version. Another meaning of a choice is another version too.
const VERSION: u16 = 1;
const PREFIX: usize = 8 + 2 + 8 + 4;
/// More choices at one choice point than any run makes: a damaged count must not fill the memory.
const MAX_CHOICES: u64 = 1 << 27;

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
    #[error("is a tape of version {found}: this tenterhook plays version {VERSION}")]
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
        let header =
            Header { system: self.system.clone(), oracle: self.oracle.clone(), setup: self.setup.clone() };
        // Strings always have a JSON form.
        let header = serde_json::to_vec(&header).unwrap_or_default();
        let mut body = Vec::new();
        put(&mut body, header.len() as u64);
        body.extend_from_slice(&header);
        put(&mut body, self.tape.streams().count() as u64);
        for (actor, stream) in self.tape.streams() {
            put(&mut body, u64::from(actor.code()));
            put(&mut body, stream.choice_points().len() as u64);
            stream.choice_points().iter().for_each(|values| put_choice_point(&mut body, values));
        }
        let mut bytes = Vec::with_capacity(PREFIX + body.len());
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&VERSION.to_le_bytes());
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
        if version != VERSION {
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
        Reader { rest: body }.file()
    }
}

fn put(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

fn put_choice_point(bytes: &mut Vec<u8>, values: &[u32]) {
    let eventful = || values.iter().enumerate().filter(|&(_, &value)| value != 0);
    put(bytes, values.len() as u64);
    put(bytes, eventful().count() as u64);
    let mut next = 0;
    for (index, &value) in eventful() {
        put(bytes, (index - next) as u64);
        put(bytes, u64::from(value));
        next = index + 1;
    }
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl Reader<'_> {
    fn file(mut self) -> Result<TapeFile, TapeError> {
        let length = self.number()?;
        let header = usize::try_from(length).ok().and_then(|length| self.rest.split_at_checked(length));
        let (header, rest) = header.ok_or(TapeError::Malformed("the header is longer than the file"))?;
        self.rest = rest;
        let Header { system, oracle, setup } = serde_json::from_slice(header)
            .map_err(|_| TapeError::Malformed("the header is not understood"))?;
        let mut tape = Tape::default();
        for _ in 0..self.number()? {
            let actor = u32::try_from(self.number()?).map_err(|_| TapeError::Malformed("no such actor"))?;
            let stream = self.stream()?;
            tape.put(Actor::from_code(actor), stream);
        }
        if !self.rest.is_empty() {
            return Err(TapeError::Malformed("there are bytes behind its last stream"));
        }
        Ok(TapeFile { system, oracle, setup, tape })
    }

    fn stream(&mut self) -> Result<StreamRecord, TapeError> {
        let choice_points = self.number()?;
        if choice_points > CHOICE_POINTS as u64 {
            return Err(TapeError::Malformed("a stream has more choice_points than there are"));
        }
        let mut stream = StreamRecord::default();
        for choice_point in 0..choice_points as usize {
            let (length, eventful) = (self.number()?, self.number()?);
            if length > MAX_CHOICES || eventful > length {
                return Err(TapeError::Malformed("a choice_point has more choices than a run can make"));
            }
            let values = stream.site_mut(choice_point);
            for _ in 0..eventful {
                let gap = self.number()?;
                if gap >= length - values.len() as u64 {
                    return Err(TapeError::Malformed("a choice lies behind its choice_point's last"));
                }
                values.resize(values.len() + gap as usize, 0);
                values.push(
                    u32::try_from(self.number()?)
                        .map_err(|_| TapeError::Malformed("a choice is too large"))?,
                );
            }
            values.resize(length as usize, 0);
        }
        Ok(stream)
    }

    fn number(&mut self) -> Result<u64, TapeError> {
        let mut number = 0_u64;
        for shift in (0..64).step_by(7) {
            let (&byte, rest) =
                self.rest.split_first().ok_or(TapeError::Malformed("it ends within a number"))?;
            self.rest = rest;
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(TapeError::Malformed("a number is too long"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tape::{ChoicePoint, Slot};

    fn file() -> TapeFile {
        let mut tape = Tape::default();
        let mut stream = StreamRecord::default();
        for value in [0, 0, 7, 0, u32::MAX, 0, 0] {
            stream.push(ChoicePoint::new(3, "test"), value);
        }
        tape.put(Actor::DISK, stream);
        tape.put(Actor::fiber(70_000), StreamRecord::default());
        TapeFile { system: "engine".into(), oracle: Some("durability".into()), setup: "{}".into(), tape }
    }

    #[test]
    fn what_is_decoded_is_what_was_encoded() {
        let decoded = TapeFile::decode(&file().encode()).unwrap();
        assert_eq!(decoded, file());
        assert_eq!(
            decoded.tape.values(Slot { actor: Actor::DISK, choice_point: 3 }),
            [0, 0, 7, 0, u32::MAX, 0, 0]
        );
    }

    #[test]
    fn every_truncation_and_every_flipped_bit_is_an_error_of_one_line() {
        let bytes = file().encode();
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
        assert!(matches!(Reader { rest: &body }.file(), Err(TapeError::Malformed(_))));
        let mut stream = Vec::new();
        for number in [1, u64::MAX, 0] {
            put(&mut stream, number);
        }
        assert!(matches!(Reader { rest: &stream }.stream(), Err(TapeError::Malformed(_))));
    }
}
