use std::sync::Arc;

use tenterhook_runtime::pager::{Commit, PageNo, Pager, PagerError, WriteTransaction};
use tenterhook_runtime::{IOResult, return_if_io};

use super::begin::Begin;
use super::layout::{Layout, set_word, stamp, word_at};
use super::stray::Stray;

/// What a commit has come to.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Committed {
    /// Its number.
    pub number: u64,
    /// How many its connection has made with it.
    pub own: u64,
}

/// One commit of one connection. Every fourth connection begins by reading, and upgrades.
pub struct Post {
    layout: Layout,
    connection: u64,
    stage: Stage,
    /// Once it is known.
    committed: Committed,
    /// What it does in the middle, and takes back.
    stray: Option<Stray>,
}

enum Stage {
    Begin(Begin),
    Work(Box<WriteTransaction>, Work),
    Commit(Box<Commit>),
    Over,
}

/// What the transaction does next.
#[derive(Copy, Clone, Debug)]
enum Work {
    /// After the one that was read, if it was.
    Number(Option<u64>),
    Count,
    MultiPageWrite {
        which: usize,
    },
    Look {
        slot: u64,
    },
    Free {
        slot: u64,
        leaf: PageNo,
    },
    Allocate {
        slot: u64,
    },
    Fill {
        slot: u64,
        leaf: PageNo,
    },
    Link {
        slot: u64,
        leaf: PageNo,
    },
    Done,
}

impl Post {
    /// The next commit of `connection`.
    pub fn new(pager: &Arc<Pager>, layout: Layout, connection: u64) -> Post {
        let begin = if connection % 4 == 1 { Begin::reading(pager) } else { Begin::writing(pager) };
        let committed = Committed { number: 0, own: 0 };
        Post { layout, connection, stage: Stage::Begin(begin), committed, stray: None }
    }

    /// The same, straying over so many pages in between.
    #[must_use]
    pub fn straying(self, pages: u64) -> Post {
        Post { stray: (pages > 0).then(|| Stray::over(pages)), ..self }
    }

    /// Steps until the commit is durable. `asked` is told once before the commit is asked for, each time the step reaches
    /// there: from then on it may survive a crash.
    ///
    /// # Errors
    ///
    /// The pager's.
    pub fn step(&mut self, mut asked: impl FnMut(Committed)) -> Result<IOResult<Committed>, PagerError> {
        loop {
            match &mut self.stage {
                Stage::Begin(begin) => {
                    let (transaction, read) = return_if_io!(begin.step());
                    self.stage = Stage::Work(Box::new(transaction), Work::Number(read));
                }
                Stage::Work(transaction, Work::Done) => {
                    debug_assert!(transaction.page_count() > 0);
                    asked(self.committed);
                    let Stage::Work(transaction, _) = std::mem::replace(&mut self.stage, Stage::Over) else {
                        unreachable!("matched above")
                    };
                    self.stage = Stage::Commit(Box::new(transaction.commit()));
                }
                Stage::Work(transaction, Work::MultiPageWrite { which: 1 }) if self.stray.is_some() => {
                    if let Some(stray) = &mut self.stray {
                        return_if_io!(stray.step(transaction, self.layout, self.committed.number));
                    }
                    self.stray = None;
                }
                Stage::Work(transaction, work) => {
                    let (layout, connection) = (self.layout, self.connection);
                    *work =
                        return_if_io!(perform(transaction, *work, layout, connection, &mut self.committed));
                }
                Stage::Commit(commit) => {
                    return_if_io!(commit.step());
                    self.stage = Stage::Over;
                }
                Stage::Over => return Ok(IOResult::Done(self.committed)),
            }
        }
    }

    /// What it waits for, for a person who wants to know why it does not end.
    pub fn describe(&self) -> &'static str {
        match self.stage {
            Stage::Begin(_) => "the write lock",
            Stage::Work(..) => "a page, with the write lock",
            Stage::Commit(_) => "the commit to be durable",
            Stage::Over => "nothing",
        }
    }
}

/// One piece of work; what comes after it.
fn perform(
    transaction: &mut WriteTransaction,
    work: Work,
    layout: Layout,
    connection: u64,
    committed: &mut Committed,
) -> Result<IOResult<Work>, PagerError> {
    let number = committed.number;
    Ok(match work {
        Work::Number(read) => transaction.page_mut(Layout::ROOT)?.map(|bytes| {
            committed.number = read.unwrap_or_else(|| word_at(bytes, 0)) + 1;
            stamp(bytes, committed.number);
            Work::Count
        }),
        Work::Count => {
            let (page, at) = layout.cell(connection);
            transaction.page_mut(page)?.map(|bytes| {
                committed.own = word_at(bytes, at) + 1;
                set_word(bytes, at, committed.own);
                Work::MultiPageWrite { which: 0 }
            })
        }
        Work::MultiPageWrite { which } => {
            let page = layout.stripe(layout.stamped(number)[which]);
            let next = match (which, layout.churned(number)) {
                (0, _) => Work::MultiPageWrite { which: 1 },
                (_, Some(slot)) => Work::Look { slot },
                (_, None) => Work::Done,
            };
            transaction.page_mut(page)?.map(|bytes| {
                stamp(bytes, number);
                next
            })
        }
        Work::Look { slot } => transaction.page(Layout::DIRECTORY)?.map(|page| {
            match word_at(&page, slot as usize * 8) as PageNo {
                0 => Work::Allocate { slot },
                leaf => Work::Free { slot, leaf },
            }
        }),
        Work::Free { slot, leaf } => transaction.free(leaf)?.map(|()| Work::Allocate { slot }),
        Work::Allocate { slot } => transaction.allocate()?.map(|leaf| Work::Fill { slot, leaf }),
        Work::Fill { slot, leaf } => transaction.page_mut(leaf)?.map(|bytes| {
            stamp(bytes, number);
            Work::Link { slot, leaf }
        }),
        Work::Link { slot, leaf } => transaction.page_mut(Layout::DIRECTORY)?.map(|bytes| {
            set_word(bytes, slot as usize * 8, u64::from(leaf));
            Work::Done
        }),
        Work::Done => IOResult::Done(Work::Done),
    })
}

/// Makes the fixed pages in a file that has none; a file that has them is left alone.
pub struct Make {
    layout: Layout,
    stage: Stage,
}

impl Make {
    /// For an empty file, or one that was made before.
    pub fn new(pager: &Arc<Pager>, layout: Layout) -> Make {
        Make { layout, stage: Stage::Begin(Begin::writing(pager)) }
    }

    /// Steps until the pages are durable.
    ///
    /// # Errors
    ///
    /// The pager's.
    pub fn step(&mut self) -> Result<IOResult<()>, PagerError> {
        loop {
            match &mut self.stage {
                Stage::Begin(begin) => {
                    let (transaction, _) = return_if_io!(begin.step());
                    self.stage = Stage::Work(Box::new(transaction), Work::Done);
                }
                Stage::Work(transaction, _) => {
                    while u64::from(transaction.page_count()) < self.layout.fixed_pages() {
                        return_if_io!(transaction.allocate());
                    }
                    let Stage::Work(transaction, _) = std::mem::replace(&mut self.stage, Stage::Over) else {
                        unreachable!("matched above")
                    };
                    self.stage = Stage::Commit(Box::new(transaction.commit()));
                }
                Stage::Commit(commit) => {
                    return_if_io!(commit.step());
                    self.stage = Stage::Over;
                }
                Stage::Over => return Ok(IOResult::Done(())),
            }
        }
    }
}
