//! Write transactions: pages changed in memory until the commit.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use super::acquire::WriteLockClaim;
use super::call::Call;
use super::savepoint::{Level, Savepoint, Undo};
use super::snapshot_reader::{SnapshotReader, require_data, require_in_range};
use super::spill::Spill;
use crate::io::Buffer;
use crate::pager::format::header::FileState;
use crate::pager::format::page::{Page, PageKind, PageRef, Seal, TRAILER, next_free};
use crate::pager::{PageNo, PagerError};
use crate::{IOResult, return_if_io};

/// The one transaction that may change pages. Its changes are invisible before the commit; dropping it rolls back.
///
/// It may start from a commit that is still in flight to the disk. Should that fail, this transaction fails with
/// [`PagerError::EarlierCommitFailed`], at its next read of a page or at its commit. What it has read is sure once its
/// commit is acknowledged, not before.
///
/// A call that returns `IO` may be given up: drop its result and go on with another call, the same call again, a rollback to a
/// savepoint, a vacuum or the commit. What the abandoned call waited for has no effect on those, however it ends, except for
/// a write of a transaction that spills.
///
/// The pages it changed are its own: they are neither in the cache nor counted there. Up to
/// [`PagerOptions::spill_pages`](crate::pager::PagerOptions::spill_pages) of them are in memory. Beyond that it *spills*: it writes
/// them to the log ahead of its commit, and reads them from there. From then on it keeps the write lock until its commit is
/// acknowledged or has failed. Should such a write fail, the transaction can't be committed any more, and its commit
/// says so with the write's error, as do calls before it.
pub struct WriteTransaction {
    // Fields drop in this order: the snapshot goes before the write lock does, so that the next writer finds it gone.
    pub(super) reader: SnapshotReader,
    /// What it has in the log goes before the write lock too.
    pub(super) spill: Spill,
    pub(super) claim: WriteLockClaim,
    pub(super) changed: BTreeMap<PageNo, Arc<Page>>,
    pub(super) state: FileState,
    pub(super) undo: Undo,
    /// The call that was made last, with what it waits for in the fields above.
    pub(super) call: Option<Call>,
}

impl WriteTransaction {
    pub(super) fn new(reader: SnapshotReader, claim: WriteLockClaim) -> Self {
        let state = reader.snapshot.state;
        Self {
            reader,
            spill: Spill::default(),
            claim,
            changed: BTreeMap::new(),
            state,
            undo: Undo::default(),
            call: None,
        }
    }

    /// A page as this transaction has left it so far. Later changes do not reach the reference.
    ///
    /// # Errors
    ///
    /// As [`ReadTransaction::page`](crate::pager::ReadTransaction::page).
    pub fn page(&mut self, page: PageNo) -> Result<IOResult<PageRef>, PagerError> {
        self.enter(Call::Page(page));
        require_in_range(page, self.state.page_count)?;
        let current = return_if_io!(self.current(page));
        require_data(current).map(|page| IOResult::Done(PageRef::new(page)))
    }

    /// The bytes of a page, to be changed: the whole page without the pager's 16 bytes at its end.
    ///
    /// # Errors
    ///
    /// As [`ReadTransaction::page`](crate::pager::ReadTransaction::page), and those of a commit: when it spills.
    pub fn page_mut(&mut self, page: PageNo) -> Result<IOResult<&mut [u8]>, PagerError> {
        self.enter(Call::PageMut(page));
        require_in_range(page, self.state.page_count)?;
        return_if_io!(self.make_room_for(page));
        if let Some(own) = self.changed.get(&page) {
            if own.seal.kind != PageKind::Data {
                return Err(PagerError::PageNotAllocated { page });
            }
            self.undo.note(page, Some(own));
        } else {
            let original = require_data(return_if_io!(self.current(page)))?;
            self.undo.note(page, None);
            self.changed.insert(page, Arc::new(Page::clone(&original)));
        }
        let own = self.changed.get_mut(&page).ok_or(PagerError::PageNotAllocated { page })?;
        let bytes = &mut *Arc::make_mut(own).bytes;
        let usable = bytes.len() - TRAILER;
        Ok(IOResult::Done(&mut bytes[..usable]))
    }

    /// A page of zeros for the caller: from the freelist, else the file grows by one.
    ///
    /// # Errors
    ///
    /// [`PagerError::NoSpace`], [`PagerError::CorruptFreelist`], and those of [`WriteTransaction::page_mut`].
    pub fn allocate(&mut self) -> Result<IOResult<PageNo>, PagerError> {
        self.enter(Call::Allocate);
        if self.state.free_head == 0 {
            return self.extend();
        }
        let page = self.state.free_head;
        return_if_io!(self.make_room_for(page));
        let free = return_if_io!(self.current(page));
        let next = self.successor(&free, self.state.free_pages)?;
        self.state.free_head = next;
        self.state.free_pages -= 1;
        self.put(page, PageKind::Data, |_| {});
        Ok(IOResult::Done(page))
    }

    /// Gives a page back. Readers of older snapshots keep theirs.
    ///
    /// # Errors
    ///
    /// [`PagerError::PageFreedTwice`], [`PagerError::PageOutOfRange`], and those of [`WriteTransaction::page_mut`].
    pub fn free(&mut self, page: PageNo) -> Result<IOResult<()>, PagerError> {
        self.enter(Call::Free(page));
        require_in_range(page, self.state.page_count)?;
        return_if_io!(self.make_room_for(page));
        let current = return_if_io!(self.current(page));
        if current.seal.kind == PageKind::Free {
            return Err(PagerError::PageFreedTwice { page });
        }
        require_data(current)?;
        let next = self.state.free_head;
        self.state.free_head = page;
        self.state.free_pages += 1;
        self.put_free(page, next);
        Ok(IOResult::Done(()))
    }

    /// Takes all changes back. Dropping the transaction does the same.
    pub fn rollback(self) {}

    /// Number of the commit that it started from.
    #[must_use]
    pub fn commit_sequence(&self) -> u64 {
        self.reader.snapshot.state.sequence
    }

    /// Pages as this transaction has left the file so far, the header page included.
    #[must_use]
    pub fn page_count(&self) -> u32 {
        self.state.page_count
    }

    /// Whether there is anything to commit.
    #[must_use]
    pub fn has_changes(&self) -> bool {
        !self.changed.is_empty() || self.spill.first_page(self.state.page_count).is_some()
    }

    /// Marks this point, to come back to it with [`WriteTransaction::rollback_to`]. From here on the first change of a
    /// page keeps a copy of it. Once a page has changed that was not in memory, nothing is spilled before the savepoint is
    /// gone, or has been rolled back to.
    pub fn savepoint(&mut self) -> Savepoint {
        self.give_up_call();
        self.undo.begin(self.state)
    }

    /// Takes back what was changed, allocated, freed and vacuumed since the savepoint, which stays. Savepoints made
    /// since are gone. Costs as much as what was changed since, however large the transaction is.
    ///
    /// # Errors
    ///
    /// [`PagerError::NoSuchSavepoint`] for a savepoint of another transaction, or one that is gone.
    pub fn rollback_to(&mut self, savepoint: &Savepoint) -> Result<(), PagerError> {
        self.give_up_call();
        let place = self.undo.find(savepoint)?;
        let levels = &mut self.undo.levels[place..];
        // From the innermost on, so that each page ends with its oldest image.
        for (page, before) in levels.iter_mut().rev().flat_map(Level::take) {
            match before {
                Some(image) => self.changed.insert(page, image),
                None => self.changed.remove(&page),
            };
        }
        self.state = levels[0].state;
        self.undo.levels.truncate(place + 1);
        Ok(())
    }

    /// Ends the savepoint, and those made since, and keeps the changes.
    ///
    /// # Errors
    ///
    /// As [`WriteTransaction::rollback_to`].
    pub fn release(&mut self, savepoint: Savepoint) -> Result<(), PagerError> {
        self.give_up_call();
        let place = self.undo.find(&savepoint)?;
        self.undo.merge(place);
        Ok(())
    }

    /// To be done first by each call that may wait. If it is not the one that was made last, that one was given up, and what
    /// it waited for must not decide anything: a read may be of a page as it was before a rollback, and an error is for the
    /// call that caused it.
    fn enter(&mut self, call: Call) {
        if self.call != Some(call) {
            self.give_up_call();
            self.call = Some(call);
        }
    }

    /// To be done by each call that does not wait, and where a machine takes the transaction over.
    pub(super) fn give_up_call(&mut self) {
        self.call = None;
        self.reader.give_up();
        self.spill.give_up();
    }

    fn extend(&mut self) -> Result<IOResult<PageNo>, PagerError> {
        let max_pages = self.reader.pager.options.max_pages;
        if self.state.page_count >= max_pages {
            return Err(PagerError::NoSpace { max_pages });
        }
        let page = self.state.page_count + 1;
        return_if_io!(self.make_room_for(page));
        self.state.page_count = page;
        self.put(page, PageKind::Data, |_| {});
        Ok(IOResult::Done(page))
    }

    /// What follows `free` on the freelist, `left` pages before its end. It must itself be a free page, and have a
    /// successor exactly when it is not the last.
    pub(super) fn successor(&self, free: &Page, left: u32) -> Result<PageNo, PagerError> {
        let FileState { page_count, .. } = self.state;
        let corrupt = |page| Err(PagerError::CorruptFreelist { page, page_count });
        if free.seal.kind != PageKind::Free {
            return corrupt(free.number);
        }
        let next = next_free(&free.bytes);
        let is_last = left == 1;
        if is_last != (next == 0) || (next != 0 && require_in_range(next, page_count).is_err()) {
            return corrupt(next);
        }
        Ok(next)
    }

    /// Makes `page` a free page before `next` on the freelist.
    pub(super) fn put_free(&mut self, page: PageNo, next: PageNo) {
        self.put(page, PageKind::Free, |bytes| bytes[..4].copy_from_slice(&next.to_le_bytes()));
    }

    fn put(&mut self, number: PageNo, kind: PageKind, fill: impl FnOnce(&mut [u8])) {
        let mut bytes = Buffer::zeroed(self.reader.pager.sealer.page_size());
        fill(&mut bytes);
        let seal = Seal { kind, sequence: self.reader.snapshot.state.sequence };
        self.undo.note(number, self.changed.get(&number));
        self.changed.insert(number, Arc::new(Page { number, seal, bytes }));
    }
}

impl fmt::Debug for WriteTransaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WriteTransaction")
            .field("snapshot", &self.reader.snapshot)
            .field("changed", &self.changed.len())
            .field("spilled", &self.pages_spilled())
            .finish_non_exhaustive()
    }
}
