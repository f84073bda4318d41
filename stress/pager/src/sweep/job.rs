//! A write transaction, act by act.

use std::sync::Arc;

use tenterhook_runtime::pager::{
    BeginWrite, Commit, PageNo, Pager, PagerError, Savepoint, Upgrade, Vacuum, WriteTransaction,
};
use tenterhook_runtime::{IOResult, return_if_io};

use super::{Machine, Operate};

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
    aside: Aside,
}

/// What it does when a call was given up, before it makes that again: none of it is to show.
enum Aside {
    Nothing,
    Look,
    Mark,
    Edit(Savepoint),
}

/// A page that no act is about.
const ASIDE: PageNo = 20;

/// A transaction that does `acts`.
pub(super) fn transaction(pager: &Arc<Pager>, acts: Vec<Act>, end: End) -> Machine {
    machine(Stage::Begin(pager.begin_write()), acts, end)
}

/// The same, by one who has begun by reading.
pub(super) fn upgraded(pager: &Arc<Pager>, acts: Vec<Act>, end: End) -> Result<Machine, PagerError> {
    Ok(machine(Stage::Upgrade(pager.begin_read()?.upgrade()), acts, end))
}

fn machine(stage: Stage, acts: Vec<Act>, end: End) -> Machine {
    let (taken, marks, aside) = (Vec::new(), Vec::new(), Aside::Nothing);
    Box::new(Transaction { stage, acts, done: 0, end, taken, marks, cut: 0, aside })
}

impl Operate for Transaction {
    fn step(&mut self) -> Result<IOResult<String>, PagerError> {
        self.advance()
    }

    fn give_up(&mut self) -> bool {
        self.stage = match std::mem::replace(&mut self.stage, Stage::Over) {
            Stage::Vacuum(vacuum) => vacuum.into_transaction().map_or(Stage::Over, Stage::Work),
            other => other,
        };
        let is_at_work = matches!(self.stage, Stage::Work(_));
        if is_at_work {
            self.aside = Aside::Look;
        }
        is_at_work
    }
}

impl Transaction {
    fn advance(&mut self) -> Result<IOResult<String>, PagerError> {
        loop {
            if let Stage::Work(transaction) = &mut self.stage {
                return_if_io!(self.aside.step(transaction));
            }
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

impl Aside {
    fn step(&mut self, transaction: &mut WriteTransaction) -> Result<IOResult<()>, PagerError> {
        loop {
            match self {
                Aside::Nothing => return Ok(IOResult::Done(())),
                Aside::Look => {
                    return_if_io!(transaction.page(ASIDE));
                    *self = Aside::Mark;
                }
                Aside::Mark => *self = Aside::Edit(transaction.savepoint()),
                Aside::Edit(_) => {
                    return_if_io!(perform(transaction, Act::Edit(ASIDE, 66)));
                    if let Aside::Edit(mark) = std::mem::replace(self, Aside::Nothing) {
                        transaction.rollback_to(&mark)?;
                        transaction.release(mark)?;
                    }
                }
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
