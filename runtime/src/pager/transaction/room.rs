//! What a write transaction has in memory, and how it makes room there.

use std::sync::Arc;

use super::write::WriteTransaction;
use crate::pager::format::page::Page;
use crate::pager::{PageNo, PagerError};
use crate::{IOResult, return_if_io};

impl WriteTransaction {
    /// Pages whose images it has in memory: at most [`PagerOptions::spill_pages`] and one. There may be more while a
    /// [savepoint](WriteTransaction::savepoint) keeps some, and after a vacuum until the next change.
    ///
    /// [`PagerOptions::spill_pages`]: crate::pager::PagerOptions::spill_pages
    #[must_use]
    pub fn pages_in_memory(&self) -> usize {
        self.changed.len() + self.spill.images()
    }

    /// Pages that it has in the log before its commit.
    #[must_use]
    pub fn pages_spilled(&self) -> usize {
        self.spill.frames()
    }

    /// The page as it is now, of whatever kind.
    pub(super) fn current(&mut self, page: PageNo) -> Result<IOResult<Arc<Page>>, PagerError> {
        if let Some(changed) = self.changed.get(&page) {
            return Ok(IOResult::Done(Arc::clone(changed)));
        }
        if let Some(spilled) = self.spill.of(page) {
            let room = self.reader.pager.options.spill_pages.saturating_sub(self.changed.len());
            return spilled.read_back(&self.reader.snapshot, page, room);
        }
        self.reader.load(page)
    }

    /// To be done with before `page` changes: it is in memory, or there is room for it.
    pub(super) fn make_room_for(&mut self, page: PageNo) -> Result<IOResult<()>, PagerError> {
        match self.changed.contains_key(&page) {
            true => Ok(IOResult::Done(())),
            false => self.make_room(),
        }
    }

    /// The same for a page that is not in memory. Nothing is being written then.
    pub(super) fn make_room(&mut self) -> Result<IOResult<()>, PagerError> {
        return_if_io!(self.spill.settle());
        let limit = self.reader.pager.options.spill_pages;
        if self.changed.len() + self.spill.images() < limit {
            return Ok(IOResult::Done(()));
        }
        self.spill.forget_images();
        if self.changed.len() < limit || self.undo.keeps_pages() {
            return Ok(IOResult::Done(()));
        }
        let place = return_if_io!(self.spill.place(&self.reader));
        let pages = std::mem::take(&mut self.changed);
        self.spill.begin_write(&self.reader, place, pages);
        self.spill.settle()
    }

    /// To be done with before the commit: nothing is being written, and if anything has changed, a page is in memory for
    /// the frame with the commit mark.
    pub(super) fn conclude(&mut self) -> Result<IOResult<()>, PagerError> {
        return_if_io!(self.spill.settle());
        if self.changed.is_empty()
            && let Some(page) = self.spill.first_page(self.state.page_count)
        {
            let image = return_if_io!(self.current(page));
            self.changed.insert(page, image);
        }
        Ok(IOResult::Done(()))
    }
}
