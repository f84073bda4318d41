//! From reading to writing, if there was no commit in between.

use std::fmt;

use crate::IOResult;
use crate::pager::write_lock::Waiter;
use crate::pager::{BeginWrite, PagerError, ReadTransaction, WriteTransaction};

/// Waits for the write lock on behalf of a read transaction, and fails once there was another commit: what the
/// transaction has read would not be what it writes upon.
///
/// Dropping it leaves the queue, or passes the lock on, and ends the read transaction. [`Upgrade::into_reader`] gives
/// that back instead.
#[must_use = "it does nothing until it is stepped"]
pub struct Upgrade {
    /// Until it has ended. Leaves the queue before the reader's snapshot goes.
    begin: Option<BeginWrite>,
    reader: ReadTransaction,
}

impl ReadTransaction {
    /// Waits for the write lock, first come, first served, and continues as a write transaction with the same view.
    /// A long wait is likely to end in a refusal; it needs no steps.
    pub fn upgrade(self) -> Upgrade {
        let waiter = Waiter::Reader(self.snapshot());
        Upgrade { begin: Some(BeginWrite::new(self.pager(), waiter)), reader: self }
    }

    /// A write transaction with the same view, if the write lock is free and has no waiter. This transaction stays as
    /// it is: drop it when it is of no use any more, its snapshot counts.
    ///
    /// # Errors
    ///
    /// [`PagerError::Busy`] where [`ReadTransaction::upgrade`] would wait, [`PagerError::BusySnapshot`],
    /// [`PagerError::Poisoned`].
    pub fn try_upgrade(&self) -> Result<WriteTransaction, PagerError> {
        require_newest(self, self.pager().commit_sequence())?;
        let writer = BeginWrite::begin_now(self.pager())?;
        require_newest(self, writer.commit_sequence())?;
        Ok(writer)
    }
}

impl Upgrade {
    /// Steps until the write lock is there. What was read is then still the newest.
    ///
    /// # Errors
    ///
    /// [`PagerError::BusySnapshot`] as soon as a step finds another commit;
    /// [`PagerError::AwaitedByCheckpoint`] when the write lock is with a checkpoint that waits for readers, of which this is
    /// one; and those of [`BeginWrite::step`].
    ///
    /// # Panics
    ///
    /// When it has ended already.
    #[track_caller]
    pub fn step(&mut self) -> Result<IOResult<WriteTransaction>, PagerError> {
        let mut begin = self.begin.take().expect("an upgrade that has not ended");
        // A stale reader need not wait for its turn to hear of it.
        require_newest(&self.reader, self.reader.pager().commit_sequence())?;
        match begin.step()? {
            IOResult::IO(io) => {
                self.begin = Some(begin);
                Ok(IOResult::IO(io))
            }
            IOResult::Done(writer) => {
                // Judged by the writer's own view: it has the write lock, so there is no other commit between this and its own.
                require_newest(&self.reader, writer.commit_sequence())?;
                Ok(IOResult::Done(writer))
            }
        }
    }

    /// Gives up waiting, and gives the read transaction back. Also after an error, and after the end.
    #[must_use = "dropping it ends the read transaction"]
    pub fn into_reader(self) -> ReadTransaction {
        self.reader
    }
}

/// Whether there was no commit since the reader began.
fn require_newest(reader: &ReadTransaction, newest: u64) -> Result<(), PagerError> {
    let snapshot = reader.commit_sequence();
    if newest == snapshot { Ok(()) } else { Err(PagerError::BusySnapshot { snapshot, newest }) }
}

impl fmt::Debug for Upgrade {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upgrade").field("reader", &self.reader).field("begin", &self.begin).finish()
    }
}
