//! Reading pages of one snapshot: what both kinds of transaction do.

use std::sync::Arc;

use crate::IOResult;
use crate::pager::format::header::HEADER_PAGE;
use crate::pager::format::page::{Page, PageKind};
use crate::pager::latch::Wait;
use crate::pager::pager::{Fetched, Pager};
use crate::pager::readers::{Departed, Snapshot};
use crate::pager::state::State;
use crate::pager::{PageNo, PagePlace, PageProblem, PagerError};

/// A registered snapshot and the one read that it waits for. Dropping it unregisters.
pub(in crate::pager) struct SnapshotReader {
    pub(in crate::pager) pager: Arc<Pager>,
    pub(in crate::pager) snapshot: Snapshot,
    is_registered: bool,
    pending: Option<Pending>,
}

struct Pending {
    page: PageNo,
    wait: Wait<Result<Arc<Page>, PagerError>>,
}

impl SnapshotReader {
    /// Takes over a snapshot that the caller has just registered.
    pub(in crate::pager) fn new(pager: &Arc<Pager>, snapshot: Snapshot) -> Self {
        Self { pager: Arc::clone(pager), snapshot, is_registered: true, pending: None }
    }

    /// The page, of whatever kind. A failed read is reported once, and the next call reads again.
    pub(super) fn load(&mut self, page: PageNo) -> Result<IOResult<Arc<Page>>, PagerError> {
        // Another page than last time: the caller does not wait for that one any more.
        let mut pending = match self.pending.take().filter(|pending| pending.page == page) {
            Some(pending) => pending,
            None => match self.pager.fetch(page, &self.snapshot)? {
                Fetched::Page(page) => return self.admit(page),
                Fetched::Loading(load) => Pending { page, wait: Wait::new(load) },
            },
        };
        match pending.wait.poll() {
            Ok(IOResult::Done(loaded)) => {
                // What it sees may have been lost while it waited.
                self.pager.state.lock().require_sound(&self.snapshot)?;
                self.admit(loaded?)
            }
            Ok(IOResult::IO(io)) => {
                self.pending = Some(pending);
                Ok(IOResult::IO(io))
            }
            Err(error) => Err(self.pager.database.error("wait for a page of", error)),
        }
    }

    /// The page, which a caller may use: allocated.
    pub(super) fn load_data(&mut self, page: PageNo) -> Result<IOResult<Arc<Page>>, PagerError> {
        match self.load(page)? {
            IOResult::Done(page) => require_data(page).map(IOResult::Done),
            IOResult::IO(io) => Ok(IOResult::IO(io)),
        }
    }

    /// Forgets the read that a call waited for which its caller has given up. The read itself is the pager's and continues.
    pub(super) fn give_up(&mut self) {
        self.pending = None;
    }

    /// A page newer than the snapshot must not be there: a checkpoint would have gone past a reader.
    #[inline]
    fn admit(&self, page: Arc<Page>) -> Result<IOResult<Arc<Page>>, PagerError> {
        let (sequence, snapshot) = (page.seal.sequence, self.snapshot.state.sequence);
        if sequence > snapshot {
            let problem = PageProblem::FromTheFuture { sequence, snapshot };
            return Err(PagerError::Corrupt { page: page.number, place: PagePlace::Database, problem });
        }
        Ok(IOResult::Done(page))
    }

    /// Gives up the log's frames early; nothing may be loaded afterwards.
    pub(super) fn leave_log(&mut self) {
        let departed = self.pager.state.lock().readers.leave_log(&mut self.snapshot);
        departed.tell();
    }

    /// Unregisters in the caller's critical section; nothing may be loaded afterwards.
    pub(super) fn unregister(&mut self, state: &mut State) -> Departed {
        self.is_registered = false;
        state.readers.unregister(&self.snapshot)
    }
}

impl Drop for SnapshotReader {
    fn drop(&mut self) {
        if self.is_registered {
            let departed = self.pager.state.lock().readers.unregister(&self.snapshot);
            departed.tell();
        }
    }
}

/// A caller's page, or why it is none.
#[inline]
pub(super) fn require_data(page: Arc<Page>) -> Result<Arc<Page>, PagerError> {
    match page.seal.kind {
        PageKind::Data => Ok(page),
        PageKind::Free => Err(PagerError::PageNotAllocated { page: page.number }),
        PageKind::Header => {
            let problem = PageProblem::Kind { found: PageKind::Header as u8 };
            Err(PagerError::Corrupt { page: page.number, place: PagePlace::Database, problem })
        }
    }
}

/// Whether callers may ask for `page` in a file of `page_count` pages.
#[inline]
pub(super) fn require_in_range(page: PageNo, page_count: u32) -> Result<(), PagerError> {
    if page <= HEADER_PAGE || page > page_count {
        return Err(PagerError::PageOutOfRange { page, page_count });
    }
    Ok(())
}
