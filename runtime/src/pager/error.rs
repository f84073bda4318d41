//! How a pager operation can fail.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use super::PageNo;
use super::problem::{LogProblem, PagePlace, PageProblem};
use crate::CompletionError;
use crate::io::IoError;

/// How a pager operation can fail. Cheap to clone: every waiter of a shared read gets its own.
///
/// Each is printed as one line that says what is wrong, where, and what would be right.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PagerError {
    /// The file does not begin like a pager file.
    NotADatabase {
        /// The file.
        path: Arc<Path>,
        /// Its length in bytes.
        len: u64,
    },
    /// The file or its log has a format that this version does not know.
    UnsupportedVersion {
        /// The file.
        path: Arc<Path>,
        /// The version it has.
        found: u32,
        /// The version that is understood.
        supported: u32,
    },
    /// Another pager has the file or its log open, or one that was dropped has left I/O on it which has not ended.
    Locked {
        /// The file.
        path: Arc<Path>,
        /// The process that has it, where the backend knows; it may be this one.
        holder: Option<u32>,
    },
    /// The file was made with another page size than the options ask for.
    PageSizeMismatch {
        /// The file.
        path: Arc<Path>,
        /// The file's page size in bytes.
        found: u32,
        /// The page size that the options ask for, in bytes.
        asked: u32,
    },
    /// The database file's header page is damaged and no log can restore it.
    CorruptHeader {
        /// The file.
        path: Arc<Path>,
        /// What is wrong with it.
        problem: PageProblem,
    },
    /// The database file is shorter than its header says, and no log has the missing pages.
    Truncated {
        /// The file.
        path: Arc<Path>,
        /// The first page that is missing.
        page: PageNo,
        /// Pages that the header counts.
        page_count: u32,
    },
    /// A page does not carry the checksum, number or kind that it must have.
    Corrupt {
        /// The page.
        page: PageNo,
        /// Where it was read from.
        place: PagePlace,
        /// What is wrong with it.
        problem: PageProblem,
    },
    /// The freelist leads to a page that can't be on it.
    CorruptFreelist {
        /// The page that the list leads to.
        page: PageNo,
        /// Pages in the file.
        page_count: u32,
    },
    /// The log can't be what this pager wrote: commits that were durable are gone from it.
    CorruptLog {
        /// The log file.
        path: Arc<Path>,
        /// The first frame that is damaged, from 0; the number of frames before it that are whole.
        frame: u64,
        /// What is wrong.
        problem: LogProblem,
    },
    /// The log belongs to another database file.
    ForeignLog {
        /// The log file.
        path: Arc<Path>,
        /// Identity of the database that it belongs to.
        found: u64,
        /// Identity of this one.
        expected: u64,
    },
    /// There is a log with content, but the database file is empty.
    LogWithoutDatabase {
        /// The log file.
        path: Arc<Path>,
        /// Its length in bytes.
        len: u64,
    },
    /// No such page in this snapshot.
    PageOutOfRange {
        /// The page asked for.
        page: PageNo,
        /// Pages in the snapshot; 2 is the first that a caller may use.
        page_count: u32,
    },
    /// The page is on the freelist in this snapshot: it is not allocated.
    PageNotAllocated {
        /// The page asked for.
        page: PageNo,
    },
    /// The page is on the freelist already.
    PageFreedTwice {
        /// The page.
        page: PageNo,
    },
    /// The savepoint is of another transaction, or it has been released or rolled back beyond.
    NoSuchSavepoint,
    /// The write lock is taken, and the caller asked not to wait.
    Busy,
    /// A read transaction was to become a write transaction, and the write lock is with a checkpoint that waits for readers
    /// to end.
    AwaitedByCheckpoint,
    /// There was a commit since the begin of the read transaction that was to become a write transaction.
    BusySnapshot {
        /// The commit that the read transaction sees.
        snapshot: u64,
        /// The newest commit.
        newest: u64,
    },
    /// A sync failed earlier. What was acknowledged stays and can be read; writes are refused until the file is
    /// opened again, because a second sync that succeeds says nothing about what the first one lost.
    Poisoned {
        /// How the sync ended.
        cause: CompletionError,
    },
    /// A commit that this transaction was built on failed before it was durable. A new transaction starts from what
    /// is there.
    EarlierCommitFailed {
        /// The number that the failed commit was to get.
        sequence: u64,
    },
    /// The wait for a commit's end was cancelled. The commit itself continues, and its outcome is not reported: look for
    /// what it was to write.
    OutcomeUnknown {
        /// The number that it gets if it succeeds.
        sequence: u64,
    },
    /// The file has as many pages as it may have.
    NoSpace {
        /// The limit in pages.
        max_pages: u32,
    },
    /// An operation on a file failed.
    Io {
        /// What was tried.
        operation: &'static str,
        /// On which file.
        path: Arc<Path>,
        /// How it ended.
        error: CompletionError,
    },
    /// The backend could not open a file or go on.
    Backend(IoError),
    /// The options are out of bounds.
    InvalidOptions {
        /// Which option.
        what: &'static str,
        /// Its value.
        value: u64,
        /// What would be right.
        right: &'static str,
    },
}

impl fmt::Display for PagerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotADatabase { path, len } => {
                write!(
                    f,
                    "{} ({len} bytes) is no pager file: give one, or a path where none exists yet",
                    path.display()
                )
            }
            Self::UnsupportedVersion { path, found, supported } => write!(
                f,
                "{} has format version {found}; this program understands version {supported}",
                path.display()
            ),
            Self::Locked { path, holder: Some(process) } => {
                write!(f, "{} is open in process {process}: one pager at a time may have it", path.display())
            }
            Self::Locked { path, holder: None } => {
                write!(f, "{} is open in another pager: one at a time may have it", path.display())
            }
            Self::PageSizeMismatch { path, found, asked } => write!(
                f,
                "{} has pages of {found} bytes, not {asked}: open it with page_size {found}",
                path.display()
            ),
            Self::CorruptHeader { path, problem } => {
                write!(
                    f,
                    "the header page of {} is damaged: {problem}; restore the file from a copy",
                    path.display()
                )
            }
            Self::Truncated { path, page, page_count } => write!(
                f,
                "{} ends before page {page}, though it must have {page_count} pages: restore it from a copy",
                path.display()
            ),
            Self::Corrupt { page, place, problem } => {
                write!(f, "page {page} in {place} is damaged: {problem}")
            }
            Self::CorruptFreelist { page, page_count } => write!(
                f,
                "the freelist leads to page {page}, which can't be on it: it may name pages 2 to {page_count} that are free"
            ),
            Self::CorruptLog { path, frame, problem } => write!(
                f,
                "{} is damaged from frame {frame} on: {problem}; keep both files and restore them from a copy",
                path.display()
            ),
            Self::ForeignLog { path, found, expected } => write!(
                f,
                "{} belongs to database {found:016x}, not to {expected:016x}: move it away if its commits are not needed",
                path.display()
            ),
            Self::LogWithoutDatabase { path, len } => write!(
                f,
                "{} holds {len} bytes of log but its database file is empty: put that back, or move the log away",
                path.display()
            ),
            Self::PageOutOfRange { page, page_count } => {
                write!(f, "there is no page {page}: this snapshot's pages are 2 to {page_count}")
            }
            Self::PageNotAllocated { page } => {
                write!(f, "page {page} is on the freelist: allocate it before it is used")
            }
            Self::PageFreedTwice { page } => {
                write!(f, "page {page} is on the freelist already: free a page once")
            }
            Self::NoSuchSavepoint => f.write_str(
                "the transaction has no such savepoint: use one of its own that is neither released nor rolled back beyond",
            ),
            Self::Busy => {
                f.write_str("a transaction or a checkpoint has the write lock: wait for it with begin_write")
            }
            Self::AwaitedByCheckpoint => f.write_str(
                "the write lock is with a checkpoint that waits for this read transaction: end it, begin another one and read again",
            ),
            Self::BusySnapshot { snapshot, newest } => write!(
                f,
                "the snapshot of commit {snapshot} is stale, commit {newest} came meanwhile: begin another transaction and read again"
            ),
            Self::Poisoned { cause } => {
                write!(f, "writes are refused since a sync failed ({cause}): open the file again to recover")
            }
            Self::EarlierCommitFailed { sequence } => write!(
                f,
                "commit {sequence}, which this transaction was built on, failed: begin the transaction again"
            ),
            Self::OutcomeUnknown { sequence } => write!(
                f,
                "the wait for commit {sequence} was cancelled while it was in flight: look whether it is there"
            ),
            Self::NoSpace { max_pages } => {
                write!(f, "the file has all of its {max_pages} pages: raise max_pages")
            }
            Self::Io { operation, path, error } => {
                write!(f, "cannot {operation} {}: {error}", path.display())
            }
            Self::Backend(error) => error.fmt(f),
            Self::InvalidOptions { what, value, right } => write!(f, "{what} is {value}: it must be {right}"),
        }
    }
}

impl std::error::Error for PagerError {}

impl From<IoError> for PagerError {
    fn from(error: IoError) -> Self {
        Self::Backend(error)
    }
}
