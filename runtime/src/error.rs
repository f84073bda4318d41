//! How an operation can end other than well.

use std::fmt;
use std::io;

/// Why a completion failed. Small and `Copy`, because every waiter and every parent group gets its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CompletionError {
    /// The operation was cancelled, and had no effect that its caller may rely on.
    Cancelled,
    /// The [`Completer`](crate::Completer) was dropped without an outcome: its backend gave up on the operation.
    Abandoned,
    /// The completion's callback panicked; the panic went on in the thread that completed it.
    CallbackPanicked,
    /// The operating system, or a backend in its name, refused.
    Io {
        /// The portable kind of error.
        kind: io::ErrorKind,
        /// The system's own number, 0 when there was none.
        os_code: i32,
    },
    /// Fewer bytes than the caller cannot do without; usually the end of the file.
    ShortRead {
        /// Bytes asked for.
        expected: u32,
        /// Bytes read.
        actual: u32,
    },
    /// Fewer bytes were written than asked for, and the rest was not retried.
    ShortWrite {
        /// Bytes handed over.
        expected: u32,
        /// Bytes written.
        actual: u32,
    },
    /// What was read does not carry the checksum or the structure that it must have.
    Corrupt {
        /// Number of the page, or of the log frame where the operation was one on the log.
        page: u32,
    },
    /// The device or the file's size limit is full.
    NoSpace,
    /// The machine behind this completion returned an error, which its [`Task`](crate::executor::Task) has.
    MachineFailed,
    /// The machine behind this completion panicked.
    MachinePanicked,
}

impl CompletionError {
    /// The error of a failed system call, `ENOSPC` and its kin told apart.
    #[must_use]
    pub fn from_io(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
                Self::NoSpace
            }
            kind => Self::Io { kind, os_code: error.raw_os_error().unwrap_or(0) },
        }
    }
}

impl fmt::Display for CompletionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Cancelled => f.write_str("the operation was cancelled"),
            Self::Abandoned => f.write_str("the operation was abandoned before it had an outcome"),
            Self::CallbackPanicked => f.write_str("the operation's callback panicked"),
            Self::Io { kind, os_code: 0 } => write!(f, "I/O error: {kind}"),
            Self::Io { kind, os_code } => write!(f, "I/O error: {kind} (os error {os_code})"),
            Self::ShortRead { expected, actual } => {
                write!(f, "read {actual} bytes where {expected} were needed")
            }
            Self::ShortWrite { expected, actual } => write!(f, "wrote {actual} of {expected} bytes"),
            Self::Corrupt { page } => write!(f, "page {page} is corrupt"),
            Self::NoSpace => f.write_str("no space left"),
            Self::MachineFailed => f.write_str("the machine failed"),
            Self::MachinePanicked => f.write_str("the machine panicked"),
        }
    }
}

impl std::error::Error for CompletionError {}

/// How an operation ended: the number of bytes it moved (0 where there are none to count), or why it failed.
pub type Outcome = Result<u64, CompletionError>;
