//! What a backend is asked to do.

use std::io::ErrorKind;

use super::Buffer;
use crate::CompletionError;

/// What direct I/O wants offsets, lengths and addresses to be multiples of. Devices with smaller blocks exist; buffers
/// and pages that are multiples of this work on all.
pub const DIRECT_ALIGNMENT: usize = 4096;

/// The kinds of operation that a file knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OperationKind {
    /// Fill a buffer from an offset. Ends with the bytes read: fewer than asked for at the end of the file.
    Read,
    /// Write one or more buffers at an offset. Ends with the bytes written.
    Write,
    /// Make everything that ended before this was submitted durable.
    Sync,
    /// Set the file's length.
    Truncate,
}

/// The facts of an operation that never change: what schedulers, logs and fault injectors may look at while others
/// race for the operation itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Descriptor {
    /// What to do.
    pub kind: OperationKind,
    /// From which byte of the file; the new length for a truncate, 0 for a sync.
    pub offset: u64,
    /// How many bytes; 0 where there are none.
    pub len: u64,
}

/// The last byte of a file has a place below this: the system's offsets are signed, and it reads the rest of the unsigned
/// ones as requests of another kind.
const END_OF_FILES: u64 = i64::MAX.cast_unsigned();

impl Descriptor {
    /// Refuses what lies beyond the end of every file. The one place where offsets are checked, for all backends: after
    /// it no sum of the operation's offset and its progress overflows.
    pub(super) fn check(&self) -> Result<(), CompletionError> {
        match self.offset.checked_add(self.len) {
            Some(end) if end <= END_OF_FILES => Ok(()),
            _ => Err(CompletionError::Io { kind: ErrorKind::InvalidInput, os_code: 0 }),
        }
    }
}

/// An operation in its backend's hands, with its bytes.
#[derive(Debug)]
pub enum Operation<'a> {
    /// Fill `buffer` from byte `offset` on.
    Read {
        /// From which byte of the file.
        offset: u64,
        /// Where to.
        buffer: &'a mut [u8],
    },
    /// Write `buffers`, one after the other, from byte `offset` on.
    Write {
        /// To which byte of the file.
        offset: u64,
        /// What; none and empty ones are allowed, and move nothing.
        buffers: &'a [Buffer],
    },
    /// Make everything that ended before this was submitted durable.
    Sync,
    /// Set the file's length, filling with zeros where it grows.
    Truncate {
        /// The new length in bytes.
        len: u64,
    },
}

/// What an operation owns while it exists.
#[derive(Debug, Default)]
pub(super) enum Payload {
    #[default]
    None,
    One(Buffer),
    Many(Vec<Buffer>),
}

impl Payload {
    /// The operation as its backend sees it.
    pub(super) fn view(&mut self, descriptor: Descriptor) -> Operation<'_> {
        let offset = descriptor.offset;
        match descriptor.kind {
            OperationKind::Read => Operation::Read { offset, buffer: self.first_mut() },
            OperationKind::Write => Operation::Write { offset, buffers: self.all() },
            OperationKind::Sync => Operation::Sync,
            OperationKind::Truncate => Operation::Truncate { len: offset },
        }
    }

    fn first_mut(&mut self) -> &mut [u8] {
        match self {
            Self::None => &mut [],
            Self::One(buffer) => buffer,
            Self::Many(buffers) => buffers.first_mut().map_or(&mut [], |buffer| &mut **buffer),
        }
    }

    fn all(&self) -> &[Buffer] {
        match self {
            Self::None => &[],
            Self::One(buffer) => std::slice::from_ref(buffer),
            Self::Many(buffers) => buffers,
        }
    }

    /// Whether direct I/O can move all of its bytes, as far as their places in memory go.
    pub(super) fn is_aligned(&self) -> bool {
        self.all().iter().filter(|buffer| !buffer.is_empty()).all(|buffer| {
            buffer.as_ptr().addr().is_multiple_of(DIRECT_ALIGNMENT)
                && buffer.len().is_multiple_of(DIRECT_ALIGNMENT)
        })
    }

    pub(super) fn into_one(self) -> Buffer {
        match self {
            Self::One(buffer) => buffer,
            Self::None | Self::Many(_) => Buffer::default(),
        }
    }

    pub(super) fn into_many(self) -> Vec<Buffer> {
        match self {
            Self::Many(buffers) => buffers,
            Self::None => Vec::new(),
            Self::One(buffer) => vec![buffer],
        }
    }
}
