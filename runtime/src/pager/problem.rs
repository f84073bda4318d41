//! What can be wrong with a page or a log, and where.

use std::fmt;

use super::PageNo;

/// Where a page was read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PagePlace {
    /// The database file.
    Database,
    /// This frame of the log file, from 0.
    LogFrame(u64),
}

/// What is wrong with a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PageProblem {
    /// The checksum does not match the bytes, the page number and the database's identity.
    Checksum {
        /// The checksum that the page carries.
        stored: u32,
        /// The one that its bytes have.
        computed: u32,
    },
    /// Whole, but it is another page.
    Misplaced {
        /// The number that it carries.
        found: PageNo,
    },
    /// A kind that no page can have there.
    Kind {
        /// The kind that the page carries.
        found: u8,
    },
    /// Written by a later commit than the reader's snapshot: it must not have got there yet.
    FromTheFuture {
        /// The commit that wrote it.
        sequence: u64,
        /// The newest commit that the reader may see.
        snapshot: u64,
    },
    /// The file ends inside or before the page.
    Missing {
        /// Bytes of it that are there.
        bytes: u64,
    },
    /// A field that can't be true.
    Field {
        /// Its name in the format's description.
        name: &'static str,
        /// Its value.
        value: u64,
    },
}

/// What is wrong with a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogProblem {
    /// The header is damaged, though the log has commits that the database file does not.
    Header,
    /// A later frame shows that this commit was durable, but the whole frames end before it.
    LostCommit {
        /// The newest commit that was durable.
        durable: u64,
        /// The newest that is still whole.
        whole: u64,
    },
    /// The database file holds a newer commit than the log's whole frames reach.
    BehindDatabase {
        /// The newest commit in the log.
        log: u64,
        /// The commit that the database file holds.
        database: u64,
    },
    /// The log begins after a commit that the database file does not hold yet.
    AheadOfDatabase {
        /// The commit that the log begins after.
        base: u64,
        /// The commit that the database file holds.
        database: u64,
    },
    /// The page size differs from that of the database file.
    PageSize {
        /// The log's page size in bytes.
        found: u32,
        /// That of the database file.
        expected: u32,
    },
    /// A whole frame with a field that can't be true.
    Field {
        /// Its name in the format's description.
        name: &'static str,
        /// Its value.
        value: u64,
    },
    /// The frame was whole when the log was scanned, and a second read of it brought something else. Nothing was changed:
    /// another opening may go well.
    ReadsDiffer,
}

impl fmt::Display for PagePlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Database => f.write_str("the database file"),
            Self::LogFrame(frame) => write!(f, "log frame {frame}"),
        }
    }
}

impl fmt::Display for PageProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Checksum { stored, computed } => {
                write!(f, "checksum {stored:08x} where {computed:08x} was computed")
            }
            Self::Misplaced { found } => write!(f, "it is page {found}, whole but in the wrong place"),
            Self::Kind { found } => write!(f, "it is of kind {found}, which can't be there"),
            Self::FromTheFuture { sequence, snapshot } => {
                write!(f, "commit {sequence} wrote it, but the snapshot ends at commit {snapshot}")
            }
            Self::Missing { bytes } => write!(f, "only {bytes} bytes of it are there"),
            Self::Field { name, value } => write!(f, "its {name} is {value}"),
        }
    }
}

impl fmt::Display for LogProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Header => {
                f.write_str("its header is damaged and it has commits that the database file lacks")
            }
            Self::LostCommit { durable, whole } => {
                write!(f, "commit {durable} was durable, but only commits up to {whole} are whole")
            }
            Self::BehindDatabase { log, database } => {
                write!(f, "it reaches commit {log}, but the database file holds part of commit {database}")
            }
            Self::AheadOfDatabase { base, database } => {
                write!(f, "it begins after commit {base}, but the database file ends at commit {database}")
            }
            Self::PageSize { found, expected } => write!(f, "its pages have {found} bytes, not {expected}"),
            Self::Field { name, value } => write!(f, "a whole frame has {name} {value}"),
            Self::ReadsDiffer => f.write_str("two reads of it differ, so that the device can't be trusted"),
        }
    }
}
