use tenterhook_runtime::pager::{PagerError, Savepoint, WriteTransaction};
use tenterhook_runtime::{IOResult, return_if_io};

use super::layout::{Layout, stamp};

/// Something that a transaction does in the middle of its work and takes back again: pages of the stripe, some of which it has
/// changed before, under a savepoint, and the second half of them under another.
pub(super) struct Stray {
    pages: u64,
    changed: u64,
    outer: Option<Savepoint>,
    inner: Option<Savepoint>,
}

impl Stray {
    pub(super) fn over(pages: u64) -> Self {
        Self { pages, changed: 0, outer: None, inner: None }
    }

    /// Steps until the transaction is as it was.
    pub(super) fn step(
        &mut self,
        transaction: &mut WriteTransaction,
        layout: Layout,
        number: u64,
    ) -> Result<IOResult<()>, PagerError> {
        self.outer.get_or_insert_with(|| transaction.savepoint());
        while self.changed < self.pages {
            if self.changed == self.pages / 2 {
                self.inner.get_or_insert_with(|| transaction.savepoint());
            }
            let index = (layout.stamped(number)[0] + self.changed * 5) % layout.stripes();
            let value = u64::MAX - self.changed;
            return_if_io!(transaction.page_mut(layout.stripe(index))).fill(0);
            if let IOResult::Done(bytes) = transaction.page_mut(layout.stripe(index))? {
                stamp(bytes, value);
            }
            self.changed += 1;
        }
        if let Some(inner) = self.inner.take_if(|_| number.is_multiple_of(2)) {
            transaction.rollback_to(&inner)?;
        }
        if let Some(outer) = self.outer.take() {
            transaction.rollback_to(&outer)?;
            transaction.release(outer)?;
        }
        Ok(IOResult::Done(()))
    }
}
