//! Snapshots for readers.

use std::fmt;
use std::sync::Arc;

use super::snapshot_reader::{SnapshotReader, require_in_range};
use crate::IOResult;
use crate::pager::format::page::PageRef;
use crate::pager::pager::Pager;
use crate::pager::readers::Snapshot;
use crate::pager::{PageNo, PagerError};

/// A view of the file as one commit left it. Dropping it ends the transaction.
///
/// While it exists a checkpoint copies nothing newer than what it sees, and the log is not reset if it reads
/// that: keep it short. A checkpoint that is not passive waits for it, and may have the write lock meanwhile; so a thread that
/// keeps it open should not wait for such a checkpoint, nor for [`begin_write`](crate::pager::Pager::begin_write). Its drop
/// may wake a waiter.
pub struct ReadTransaction {
    reader: SnapshotReader,
}

impl Pager {
    /// A view of the newest commit, which stays as it is whatever is committed or checkpointed meanwhile.
    ///
    /// # Errors
    ///
    /// None at present; a limit of readers would be one.
    pub fn begin_read(self: &Arc<Self>) -> Result<ReadTransaction, PagerError> {
        Ok(ReadTransaction::new(self))
    }
}

impl ReadTransaction {
    fn new(pager: &Arc<Pager>) -> Self {
        let snapshot = pager.state.lock().take_snapshot();
        Self { reader: SnapshotReader::new(pager, snapshot) }
    }

    /// A page as this snapshot sees it. Call again with the same page after the `IO` it returned has ended; asking for
    /// another page instead is fine, the read continues into the cache.
    ///
    /// # Errors
    ///
    /// [`PagerError::PageOutOfRange`], [`PagerError::PageNotAllocated`], [`PagerError::Corrupt`], and
    /// [`PagerError::Io`], after which the next call reads again. With less than full durability
    /// [`PagerError::Poisoned`], when a sync failed before the snapshot's commit was durable.
    pub fn page(&mut self, page: PageNo) -> Result<IOResult<PageRef>, PagerError> {
        require_in_range(page, self.page_count())?;
        Ok(self.reader.load_data(page)?.map(PageRef::new))
    }

    pub(super) fn snapshot(&self) -> Snapshot {
        self.reader.snapshot
    }

    pub(super) fn pager(&self) -> &Arc<Pager> {
        &self.reader.pager
    }

    /// Number of the newest commit that it sees; 0 while there was none.
    #[must_use]
    pub fn commit_sequence(&self) -> u64 {
        self.reader.snapshot.state.sequence
    }

    /// Pages, the header page included: the caller's are 2 to this.
    #[must_use]
    pub fn page_count(&self) -> u32 {
        self.reader.snapshot.state.page_count
    }
}

impl fmt::Debug for ReadTransaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadTransaction").field("snapshot", &self.reader.snapshot).finish_non_exhaustive()
    }
}
