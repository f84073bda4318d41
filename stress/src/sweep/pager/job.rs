//! A write transaction, act by act.

use std::sync::Arc;

use tenterhook_runtime::pager::{BeginWrite, Commit, PageNo, Pager, PagerError, WriteTransaction};
use tenterhook_runtime::{IOResult, return_if_io};

use super::Machine;

/// One thing that a transaction does.
#[derive(Copy, Clone, Debug)]
pub(super) enum Act {
    /// Takes a page.
    Allocate,
    /// Gives a page back.
    Free(PageNo),
    /// Fills a page.
    Edit(PageNo, u8),
}

/// How it ends.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum End {
    Commit,
    Rollback,
}

enum Stage {
    Begin(BeginWrite),
    Work(WriteTransaction),
    Commit(Commit),
    Over,
}

struct Transaction {
    stage: Stage,
    acts: Vec<Act>,
    /// Acts that are done.
    done: usize,
    end: End,
    /// What it has taken.
    taken: Vec<PageNo>,
}

/// A transaction that does `acts`.
pub(super) fn transaction(pager: &Arc<Pager>, acts: Vec<Act>, end: End) -> Machine {
    let stage = Stage::Begin(pager.begin_write());
    let mut transaction = Transaction { stage, acts, done: 0, end, taken: Vec::new() };
    Box::new(move || transaction.step())
}

impl Transaction {
    fn step(&mut self) -> Result<IOResult<String>, PagerError> {
        loop {
            match &mut self.stage {
                Stage::Begin(begin) => {
                    let transaction = return_if_io!(begin.step());
                    self.stage = Stage::Work(transaction);
                }
                Stage::Work(transaction) => match self.acts.get(self.done) {
                    Some(&act) => {
                        let taken = return_if_io!(perform(transaction, act));
                        self.taken.extend(taken);
                        self.done += 1;
                    }
                    None => self.finish_work(),
                },
                Stage::Commit(commit) => {
                    return_if_io!(commit.step());
                    self.stage = Stage::Over;
                }
                Stage::Over => return Ok(IOResult::Done(format!("took {:?}", self.taken))),
            }
        }
    }

    fn finish_work(&mut self) {
        if let Stage::Work(transaction) = std::mem::replace(&mut self.stage, Stage::Over) {
            match self.end {
                End::Commit => self.stage = Stage::Commit(transaction.commit()),
                End::Rollback => transaction.rollback(),
            }
        }
    }
}

fn perform(transaction: &mut WriteTransaction, act: Act) -> Result<IOResult<Option<PageNo>>, PagerError> {
    Ok(match act {
        Act::Allocate => transaction.allocate()?.map(Some),
        Act::Free(page) => transaction.free(page)?.map(|()| None),
        Act::Edit(page, value) => transaction.page_mut(page)?.map(|bytes| {
            bytes.fill(value);
            bytes[..4].copy_from_slice(&page.to_le_bytes());
            None
        }),
    })
}
