//! A transaction at work, and what it has made of its pages: how jobs read, change, allocate and free.

use std::cell::RefCell;

use tenterhook_runtime::IOResult;
use tenterhook_runtime::pager::{PageNo, WriteTransaction};

use super::layout::{Shape, stamp};
use super::{Failure, Fixture, Progress, await_io};
use crate::oracle::{ABSENT, Observation, Oracles};

/// What a transaction has made of the pages that it changed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Changes {
    pub(super) base: u64,
    pub(super) pages: Vec<(PageNo, u64)>,
    /// The stamps of the changed pages, if there is a record.
    stamps: Vec<(PageNo, u64)>,
}

/// A transaction at work, with what it needs to report what it sees and does.
pub(crate) struct OperationContext<'a, 'b> {
    pub(crate) transaction: &'a mut WriteTransaction,
    pub(crate) changes: &'a mut Changes,
    pub(crate) fixture: &'a mut Fixture<'b>,
}

impl Changes {
    /// The snapshot that it started from.
    pub(crate) fn base(&self) -> u64 {
        self.base
    }

    /// The changed pages, in the order of their first change.
    pub(crate) fn pages(&self) -> impl Iterator<Item = PageNo> {
        self.pages.iter().map(|&(page, _)| page)
    }

    /// What has become of `page`, if it was changed.
    pub(crate) fn digest(&self, page: PageNo) -> Option<u64> {
        self.pages.iter().find(|&&(changed, _)| changed == page).map(|&(_, digest)| digest)
    }

    /// Whether nothing has been changed.
    pub(crate) fn is_empty(&self) -> bool {
        self.pages.is_empty()
    }

    /// One of the changed pages that are there.
    pub(crate) fn any_page(&self, place: usize) -> Option<PageNo> {
        let there = || self.pages.iter().filter(|(_, digest)| *digest != ABSENT);
        let count = there().count();
        (count > 0).then(|| there().nth(place % count)).flatten().map(|&(page, _)| page)
    }

    pub(crate) fn set(&mut self, page: PageNo, digest: u64) {
        put(&mut self.pages, page, digest);
    }

    /// The changed pages that are there, with the stamps that they carry now.
    pub(crate) fn stamps(&self) -> impl Iterator<Item = (PageNo, u64)> {
        self.stamps
            .iter()
            .copied()
            .filter(|&(page, _)| self.digest(page).is_some_and(|digest| digest != ABSENT))
    }
}

impl OperationContext<'_, '_> {
    /// How pages are laid out.
    pub(crate) fn shape(&self) -> Shape {
        *self.fixture.shape
    }

    /// Has the oracles compare how many pages a rollback to a savepoint has restored.
    pub(crate) fn rolled_back(&mut self, expected: u32) -> Result<(), Failure> {
        let (sequence, seen) = (self.changes.base, self.transaction.page_count());
        self.fixture.observe(&Observation::TakenBack { sequence, expected, seen })
    }

    /// Reads `page` as the transaction sees it and has the oracles compare it.
    pub(crate) fn read<R>(
        &mut self,
        page: PageNo,
        read: impl FnOnce(&[u8]) -> R,
    ) -> Result<Result<R, Progress>, Failure> {
        let bytes = match self.transaction.page(page)? {
            IOResult::Done(bytes) => bytes,
            IOResult::IO(io) => return Ok(Err(Progress::Wait(io))),
        };
        let digest = self.fixture.shape.digest(&bytes);
        self.fixture.tally.borrow_mut().looked(digest);
        self.record_read(page, stamp(&bytes));
        compare(self.fixture.oracles, self.changes, page, digest)?;
        Ok(Ok(read(&bytes)))
    }

    /// Changes `page`, which existed before, after the oracles have compared what it was.
    pub(crate) fn edit(&mut self, page: PageNo, edit: impl FnOnce(&mut [u8])) -> Result<Progress, Failure> {
        let bytes = await_io!(self.transaction.page_mut(page));
        let shape = self.fixture.shape;
        let digest = shape.digest(bytes);
        self.fixture.tally.borrow_mut().looked(digest);
        let before = stamp(bytes);
        compare(self.fixture.oracles, self.changes, page, digest)?;
        edit(bytes);
        let (digest, after) = (shape.digest(bytes), stamp(bytes));
        self.record_read(page, before);
        self.changed(page, digest, after)
    }

    /// A new page, empty so far; or the wait for it.
    pub(crate) fn allocate(&mut self) -> Result<Result<PageNo, Progress>, Failure> {
        let page = match self.transaction.allocate()? {
            IOResult::Done(page) => page,
            IOResult::IO(io) => return Ok(Err(Progress::Wait(io))),
        };
        let digest = self.fixture.shape.digest_of_empty();
        self.fixture.observe(&Observation::PageChanged { page, digest })?;
        Ok(Ok(page))
    }

    /// Writes `page`, which the transaction has just allocated.
    pub(crate) fn fill(&mut self, page: PageNo, fill: impl FnOnce(&mut [u8])) -> Result<Progress, Failure> {
        let bytes = await_io!(self.transaction.page_mut(page));
        fill(bytes);
        let (digest, after) = (self.fixture.shape.digest(bytes), stamp(bytes));
        self.changed(page, digest, after)
    }

    /// From here on the transaction may write this to the log, before its commit and without one.
    fn changed(&mut self, page: PageNo, digest: u64, stamp: u64) -> Result<Progress, Failure> {
        self.changes.set(page, digest);
        if self.fixture.recorder.is_on() {
            put(&mut self.changes.stamps, page, stamp);
        }
        self.fixture.observe(&Observation::PageChanged { page, digest })?;
        Ok(Progress::Done)
    }

    /// A page that the transaction has changed itself says nothing of others.
    fn record_read(&self, page: PageNo, stamp: u64) {
        if self.fixture.recorder.is_on() && self.changes.digest(page).is_none() {
            self.fixture.recorder.read(page, stamp);
        }
    }

    /// Frees `page`.
    pub(crate) fn free(&mut self, page: PageNo) -> Result<Progress, Failure> {
        await_io!(self.transaction.free(page));
        self.changes.set(page, ABSENT);
        Ok(Progress::Done)
    }
}

fn put(pages: &mut Vec<(PageNo, u64)>, page: PageNo, value: u64) {
    match pages.iter_mut().find(|(known, _)| *known == page) {
        Some((_, known)) => *known = value,
        None => pages.push((page, value)),
    }
}

/// Has the oracles compare a page with what the transaction has made of it, or with its snapshot.
fn compare(oracles: &RefCell<Oracles>, changes: &Changes, page: PageNo, digest: u64) -> Result<(), Failure> {
    let sequence = changes.base;
    Ok(oracles.borrow_mut().observe(&match changes.digest(page) {
        Some(known) => Observation::OwnPage { sequence, page, expected: known, seen: digest },
        None => Observation::PageRead { sequence, page, digest },
    })?)
}
