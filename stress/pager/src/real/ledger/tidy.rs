use std::sync::Arc;

use tenterhook_runtime::pager::{BeginWrite, Commit, PageNo, Pager, PagerError, Vacuum, WriteTransaction};
use tenterhook_runtime::{IOResult, return_if_io};

/// Two transactions that change nothing that is counted: one makes pages and frees them, the other has the file shortened
/// by them and whatever else is free at its end.
pub struct Tidy {
    pager: Arc<Pager>,
    stage: Stage,
}

enum Stage {
    BeginToMake(BeginWrite, u64),
    Make(Box<WriteTransaction>, Vec<PageNo>, u64),
    Free(Box<WriteTransaction>, Vec<PageNo>),
    CommitMade(Box<Commit>),
    BeginToShorten(BeginWrite),
    Shorten(Box<Vacuum>),
    CommitShortened(Box<Commit>),
    Over,
}

impl Tidy {
    /// Makes and frees `pages` pages first.
    pub fn new(pager: &Arc<Pager>, pages: u64) -> Tidy {
        Tidy { pager: Arc::clone(pager), stage: Stage::BeginToMake(pager.begin_write(), pages) }
    }

    /// Steps until both are acknowledged.
    ///
    /// # Errors
    ///
    /// The pager's.
    pub fn step(&mut self) -> Result<IOResult<()>, PagerError> {
        loop {
            self.stage = match &mut self.stage {
                Stage::BeginToMake(begin, pages) => {
                    let transaction = return_if_io!(begin.step());
                    Stage::Make(Box::new(transaction), Vec::new(), *pages)
                }
                Stage::Make(_, made, 0) => {
                    let made = std::mem::take(made);
                    let transaction = std::mem::replace(&mut self.stage, Stage::Over).into_transaction();
                    Stage::Free(transaction, made)
                }
                Stage::Make(transaction, made, left) => {
                    made.push(return_if_io!(transaction.allocate()));
                    *left -= 1;
                    continue;
                }
                Stage::Free(transaction, made) => {
                    while let Some(page) = made.last() {
                        return_if_io!(transaction.free(*page));
                        made.pop();
                    }
                    let transaction = std::mem::replace(&mut self.stage, Stage::Over).into_transaction();
                    Stage::CommitMade(Box::new(transaction.commit()))
                }
                Stage::CommitMade(commit) => {
                    return_if_io!(commit.step());
                    Stage::BeginToShorten(self.pager.begin_write())
                }
                Stage::BeginToShorten(begin) => {
                    Stage::Shorten(Box::new(return_if_io!(begin.step()).vacuum()))
                }
                Stage::Shorten(vacuum) => {
                    let (transaction, _) = return_if_io!(vacuum.step());
                    Stage::CommitShortened(Box::new(transaction.commit()))
                }
                Stage::CommitShortened(commit) => {
                    return_if_io!(commit.step());
                    Stage::Over
                }
                Stage::Over => return Ok(IOResult::Done(())),
            };
        }
    }
}

impl Stage {
    fn into_transaction(self) -> Box<WriteTransaction> {
        match self {
            Stage::Make(transaction, ..) | Stage::Free(transaction, _) => transaction,
            _ => unreachable!("only these have one"),
        }
    }
}
