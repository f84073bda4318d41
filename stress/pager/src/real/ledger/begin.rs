//! How a transaction of the ledger gets the write lock.

use std::sync::Arc;

use tenterhook_runtime::pager::{BeginWrite, Pager, PagerError, ReadTransaction, Upgrade, WriteTransaction};
use tenterhook_runtime::{IOResult, return_if_io};

use super::layout::{Layout, word_at};

/// Begins a write transaction: at once, or by reading the number of the newest commit and upgrading. A transaction that reads continues
/// with what it has read, so an upgrade that misses another commit uses a number twice. When an upgrade is
/// refused, it begins again without reading.
pub(super) struct Begin {
    pager: Arc<Pager>,
    stage: Stage,
}

enum Stage {
    Start,
    Read(ReadTransaction),
    Upgrade(Box<Upgrade>, u64),
    Write(BeginWrite),
    Over,
}

impl Begin {
    pub(super) fn writing(pager: &Arc<Pager>) -> Self {
        Self { pager: Arc::clone(pager), stage: Stage::Write(pager.begin_write()) }
    }

    pub(super) fn reading(pager: &Arc<Pager>) -> Self {
        Self { pager: Arc::clone(pager), stage: Stage::Start }
    }

    /// Steps until the right is there; with the number that was read, if it was.
    ///
    /// # Errors
    ///
    /// The pager's, but those of an upgrade that came too late.
    pub(super) fn step(&mut self) -> Result<IOResult<(WriteTransaction, Option<u64>)>, PagerError> {
        loop {
            match &mut self.stage {
                Stage::Start => self.stage = Stage::Read(self.pager.begin_read()?),
                Stage::Read(reader) => {
                    let read = word_at(&return_if_io!(reader.page(Layout::ROOT)), 0);
                    let Stage::Read(reader) = std::mem::replace(&mut self.stage, Stage::Over) else {
                        unreachable!("matched above")
                    };
                    self.stage = Stage::Upgrade(Box::new(reader.upgrade()), read);
                }
                Stage::Upgrade(upgrade, read) => {
                    let read = *read;
                    match upgrade.step() {
                        Err(PagerError::BusySnapshot { .. } | PagerError::AwaitedByCheckpoint) => {
                            self.stage = Stage::Write(self.pager.begin_write());
                        }
                        upgraded => return Ok(upgraded?.map(|transaction| (transaction, Some(read)))),
                    }
                }
                Stage::Write(begin) => return Ok(begin.step()?.map(|transaction| (transaction, None))),
                Stage::Over => unreachable!("it has been replaced"),
            }
        }
    }
}
