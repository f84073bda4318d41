//! One life of the database, and which errors may be in it.

use std::sync::Arc;

use tenterhook_stress::blocking::{BlockingDisk, Call};
use tenterhook_stress::disk::{SimDisk, Struck};
use tenterhook_stress::violation::Violation;

/// Small, so that pages are read and written again.
pub(crate) const CACHE: usize = 64 << 10;

#[derive(Clone)]
pub(crate) struct Life {
    pub(crate) disk: Arc<BlockingDisk>,
    pub(crate) faults: SimDisk,
    pub(crate) began: Struck,
}

/// Why an operation has not ended well.
pub(crate) enum Stop {
    Failed(redb::Error),
    Broken(Box<Violation>),
}

impl<E: Into<redb::Error>> From<E> for Stop {
    fn from(error: E) -> Stop {
        Stop::Failed(error.into())
    }
}

pub(crate) fn broken(violation: Box<Violation>) -> Stop {
    Stop::Broken(violation)
}

impl Life {
    /// Whether the error may be: a fault of this life explains it, or the file was refused of a creation that was cut off and is made again.
    pub(crate) fn explains(&self, call: &Call, error: &redb::Error, is_empty: bool) -> bool {
        call.remark(|| error.to_string());
        let is_refused = matches!(error, redb::Error::Io(io) if io.kind() == std::io::ErrorKind::InvalidData);
        let is_corrupt = matches!(error, redb::Error::Corrupted(_) | redb::Error::RepairAborted);
        (is_empty && is_refused) || (!is_corrupt && self.faults.fault_counts().struck() > self.began)
    }

    pub(crate) fn unexplained(error: &redb::Error) -> Box<Violation> {
        Violation::safety("error", "an error that a fault explains", error.to_string())
    }
}

/// Whether redb says that the file is no database.
pub(crate) fn is_refused(error: &redb::DatabaseError) -> bool {
    let redb::DatabaseError::Storage(redb::StorageError::Io(error)) = error else { return false };
    error.kind() == std::io::ErrorKind::InvalidData
}
