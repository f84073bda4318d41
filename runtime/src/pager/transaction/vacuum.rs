//! Shortening the file by the free pages at its end.

use std::fmt;
use std::sync::Arc;

use super::snapshot_reader::require_in_range;
use crate::pager::format::header::{FileState, HEADER_PAGE};
use crate::pager::format::page::{Page, PageKind};
use crate::pager::latch::Wait;
use crate::pager::pager::Pager;
use crate::pager::transfer::{self, Ended};
use crate::pager::{PageNo, PagerError, WriteTransaction};
use crate::{IOResult, return_if_io};

/// The page that a file keeps, free or not: a commit that shortens it needs a page to be its frame.
const KEPT: PageNo = HEADER_PAGE + 1;

/// Takes the free pages at the end of the file off the freelist and lets the page count fall, as a part of a write
/// transaction. Done with the transaction, and how many pages the file has less.
///
/// No page that is in use moves. The transaction does not change before the end: an error, or
/// [`Vacuum::into_transaction`] at any time, leaves it as it was; dropping the machine drops it. Once the transaction is
/// committed, the next checkpoint that gets to it cuts the database file.
///
/// Reads the free pages, those at the end twice; needs memory for the links that change.
#[must_use = "it does nothing until it is stepped"]
pub struct Vacuum {
    /// Until it has ended well.
    transaction: Option<WriteTransaction>,
    stage: Stage,
}

/// A vacuum, from top to bottom.
enum Stage {
    Begin,
    /// Everything after `page` is free.
    LookAtTail {
        page: PageNo,
    },
    FollowFreelist(Cut),
}

/// A file that ends with `last`, and the freelist that it needs, up to where it has been followed.
struct Cut {
    last: Arc<Page>,
    /// The next page of the old list; 0 after its end.
    next: PageNo,
    /// Pages of the old list from there on.
    left: u32,
    /// The new list.
    head: PageNo,
    length: u32,
    /// The end of the new list so far, and what it leads to in the old one.
    tip: Option<(PageNo, PageNo)>,
    /// Pages of the new list that lead to another page than in the old one.
    links: Vec<(PageNo, PageNo)>,
}

impl WriteTransaction {
    /// Shortens the file by the free pages at its end.
    pub fn vacuum(mut self) -> Vacuum {
        self.give_up_call();
        Vacuum { transaction: Some(self), stage: Stage::Begin }
    }
}

impl Vacuum {
    /// Steps until the freelist has been followed.
    ///
    /// # Errors
    ///
    /// [`PagerError::CorruptFreelist`], and those of [`WriteTransaction::page_mut`]. It may be stepped again: it then continues with the
    /// page that it could not read.
    ///
    /// # Panics
    ///
    /// When it has ended already.
    #[track_caller]
    pub fn step(&mut self) -> Result<IOResult<(WriteTransaction, u32)>, PagerError> {
        let transaction = self.transaction.as_mut().expect("a vacuum that has not ended");
        let (before, cut) = loop {
            match &mut self.stage {
                Stage::Begin => {
                    let page = transaction.page_count();
                    if page <= KEPT {
                        break (page, None);
                    }
                    self.stage = Stage::LookAtTail { page };
                }
                Stage::LookAtTail { page } => {
                    let last = return_if_io!(transaction.current(*page));
                    if last.seal.kind == PageKind::Free && *page > KEPT {
                        *page -= 1;
                        continue;
                    }
                    if *page == transaction.page_count() {
                        break (*page, None);
                    }
                    self.stage = Stage::FollowFreelist(Cut::begin(last, &transaction.state));
                }
                Stage::FollowFreelist(cut) if cut.next == 0 => {
                    return_if_io!(transaction.make_room());
                    let Stage::FollowFreelist(cut) = std::mem::replace(&mut self.stage, Stage::Begin) else {
                        unreachable!("matched above");
                    };
                    break (transaction.page_count(), Some(cut));
                }
                Stage::FollowFreelist(cut) => {
                    let FileState { page_count, .. } = transaction.state;
                    if require_in_range(cut.next, page_count).is_err() || cut.left == 0 {
                        return Err(PagerError::CorruptFreelist { page: cut.next, page_count });
                    }
                    let free = return_if_io!(transaction.current(cut.next));
                    let next = transaction.successor(&free, cut.left)?;
                    cut.take(free.number, next);
                }
            }
        };
        let mut transaction = self.transaction.take().expect("looked at above");
        if let Some(cut) = cut {
            cut.apply(&mut transaction);
        }
        let less = before - transaction.page_count();
        Ok(IOResult::Done((transaction, less)))
    }

    /// Gives up, and gives the transaction back as it was; `None` when the vacuum has ended.
    #[must_use = "dropping it rolls the transaction back"]
    pub fn into_transaction(mut self) -> Option<WriteTransaction> {
        self.transaction.iter_mut().for_each(WriteTransaction::give_up_call);
        self.transaction
    }
}

impl Cut {
    fn begin(last: Arc<Page>, state: &FileState) -> Self {
        let (next, left) = (state.free_head, state.free_pages);
        Self { last, next, left, head: 0, length: 0, tip: None, links: Vec::new() }
    }

    /// The old list continues with `page`, and then `next`.
    fn take(&mut self, page: PageNo, next: PageNo) {
        self.next = next;
        self.left -= 1;
        if page <= self.last.number {
            self.link_to(page);
            self.length += 1;
            self.tip = Some((page, next));
        }
    }

    /// `page` is what follows in the new list.
    fn link_to(&mut self, page: PageNo) {
        match self.tip {
            None => self.head = page,
            Some((tip, leads_to)) if leads_to != page => self.links.push((tip, page)),
            Some(_) => {}
        }
    }

    fn apply(mut self, transaction: &mut WriteTransaction) {
        self.link_to(0);
        let Self { last, head, length, links, .. } = self;
        let gone: Vec<PageNo> = transaction.changed.range(last.number + 1..).map(|(page, _)| *page).collect();
        for page in gone {
            let image = transaction.changed.remove(&page);
            transaction.undo.note(page, image.as_ref());
        }
        for (page, next) in links {
            transaction.put_free(page, next);
        }
        let state = &mut transaction.state;
        (state.page_count, state.free_head, state.free_pages) = (last.number, head, length);
        // The commit mark needs a frame, whatever is in it.
        if transaction.changed.is_empty() && transaction.state != transaction.reader.snapshot.state {
            transaction.undo.note(last.number, None);
            transaction.changed.insert(last.number, Arc::new(Page::clone(&last)));
        }
    }
}

impl Pager {
    /// Cuts the database file to the pages of `state`, if it has more. The checkpoint that has brought the file to
    /// `state`, durably, calls this, and no other is under way until it has ended: see the README.
    pub(in crate::pager) fn cut_tail(&self, state: &FileState) -> Result<Option<Wait<Ended>>, PagerError> {
        let len = u64::from(state.page_count) * self.sealer.page_size() as u64;
        if self.database.len()? <= len {
            return Ok(None);
        }
        let latch = self.begin_database_io();
        let wait = Wait::new(Arc::clone(&latch));
        transfer::truncate(&*self.database.file, len, move |ended| latch.set(ended));
        Ok(Some(wait))
    }
}

impl fmt::Debug for Vacuum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Vacuum").field("transaction", &self.transaction).finish_non_exhaustive()
    }
}
