//! A write transaction, act by act.

use std::sync::Arc;

use tenterhook_runtime::pager::{
    BeginWrite, Commit, PageNo, Pager, PagerError, Savepoint, Upgrade, Vacuum, WriteTransaction,
};
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
    /// Makes a savepoint.
    Mark,
    /// Takes back what came after the newest savepoint.
    GoBack,
    /// Shortens the file.
    Vacuum,
}

/// How it ends.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum End {
    Commit,
    Rollback,
}

enum Stage {
    Begin(BeginWrite),
    Upgrade(Upgrade),
    Work(WriteTransaction),
    Vacuum(Vacuum),
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
    marks: Vec<Savepoint>,
    /// Pages that its vacuums have cut off.
    cut: u32,
}

/// A transaction that does `acts`.
pub(super) fn transaction(pager: &Arc<Pager>, acts: Vec<Act>, end: End) -> Machine {
    machine(Stage::Begin(pager.begin_write()), acts, end)
}

/// The same, by one who has begun by reading.
pub(super) fn upgraded(pager: &Arc<Pager>, acts: Vec<Act>, end: End) -> Result<Machine, PagerError> {
    Ok(machine(Stage::Upgrade(pager.begin_read()?.upgrade()), acts, end))
}

fn machine(stage: Stage, acts: Vec<Act>, end: End) -> Machine {
    let mut transaction =
        Transaction { stage, acts, done: 0, end, taken: Vec::new(), marks: Vec::new(), cut: 0 };
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
                Stage::Upgrade(upgrade) => {
                    let transaction = return_if_io!(upgrade.step());
                    self.stage = Stage::Work(transaction);
                }
                Stage::Work(transaction) => match self.acts.get(self.done) {
                    Some(Act::Mark) => {
                        self.marks.push(transaction.savepoint());
                        self.done += 1;
                    }
                    Some(Act::GoBack) => {
                        let mark = self.marks.last().expect("an act before this made one");
                        transaction.rollback_to(mark)?;
                        self.done += 1;
                    }
                    Some(Act::Vacuum) => self.begin_vacuum(),
                    Some(&act) => {
                        let taken = return_if_io!(perform(transaction, act));
                        self.taken.extend(taken);
                        self.done += 1;
                    }
                    None => self.finish_work(),
                },
                Stage::Vacuum(vacuum) => {
                    let (transaction, less) = return_if_io!(vacuum.step());
                    self.cut += less;
                    self.done += 1;
                    self.stage = Stage::Work(transaction);
                }
                Stage::Commit(commit) => {
                    return_if_io!(commit.step());
                    self.stage = Stage::Over;
                }
                Stage::Over => {
                    return Ok(IOResult::Done(format!("took {:?}, cut {}", self.taken, self.cut)));
                }
            }
        }
    }

    fn begin_vacuum(&mut self) {
        if let Stage::Work(transaction) = std::mem::replace(&mut self.stage, Stage::Over) {
            self.stage = Stage::Vacuum(transaction.vacuum());
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
        Act::Mark | Act::GoBack | Act::Vacuum => unreachable!("these change the machine itself"),
    })
}
