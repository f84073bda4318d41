//! Waiting for the write lock, to begin a write transaction.

use std::fmt;
use std::sync::Arc;

use super::acquire::AcquireWriteLock;
use super::snapshot_reader::SnapshotReader;
use crate::IOResult;
use crate::pager::pager::Pager;
use crate::pager::state::State;
use crate::pager::write_lock::Waiter;
use crate::pager::{PagerError, WriteTransaction};

/// Waits for the write lock, first come, first served. Dropping it leaves the queue, or passes the lock on.
///
/// A checkpoint that waits for readers has the write lock, too. So do not wait for the lock while you keep another
/// transaction of yours open that such a checkpoint waits for: an [`Upgrade`](crate::pager::Upgrade) knows of that, and is
/// refused.
#[must_use = "it does nothing until it is stepped"]
pub struct BeginWrite {
    pager: Arc<Pager>,
    ask: AcquireWriteLock,
}

impl Pager {
    /// Waits for the write lock, first come, first served, and begins a write transaction with a view of what is
    /// the newest commit then, its own or another's, also if that is still in flight to the disk.
    pub fn begin_write(self: &Arc<Self>) -> BeginWrite {
        BeginWrite::new(self, Waiter::New)
    }

    /// Begins a write transaction if the write lock is free and has no waiter.
    ///
    /// # Errors
    ///
    /// [`PagerError::Busy`] where [`Pager::begin_write`] would wait, [`PagerError::Poisoned`].
    pub fn try_begin_write(self: &Arc<Self>) -> Result<WriteTransaction, PagerError> {
        BeginWrite::begin_now(self)
    }
}

impl BeginWrite {
    pub(super) fn new(pager: &Arc<Pager>, waiter: Waiter) -> Self {
        Self { pager: Arc::clone(pager), ask: AcquireWriteLock::new(pager, waiter) }
    }

    pub(super) fn begin_now(pager: &Arc<Pager>) -> Result<WriteTransaction, PagerError> {
        let (claim, snapshot) = AcquireWriteLock::now(pager, State::take_write_snapshot)?;
        Ok(WriteTransaction::new(SnapshotReader::new(pager, snapshot), claim))
    }

    /// Steps until the write lock is there.
    ///
    /// # Errors
    ///
    /// [`PagerError::Poisoned`]; [`PagerError::Io`] when the wait was cancelled.
    ///
    /// # Panics
    ///
    /// When it has ended already.
    #[track_caller]
    pub fn step(&mut self) -> Result<IOResult<WriteTransaction>, PagerError> {
        let granted = self.ask.step(State::take_write_snapshot)?;
        Ok(granted.map(|(claim, snapshot)| {
            WriteTransaction::new(SnapshotReader::new(&self.pager, snapshot), claim)
        }))
    }
}

impl fmt::Debug for BeginWrite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BeginWrite").field("waiting", &self.ask.is_waiting()).finish()
    }
}
