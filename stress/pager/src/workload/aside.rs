use tenterhook_runtime::pager::{PageNo, PagerError, Savepoint};

use super::layout::{Layout, set_stamp};
use super::operation_context::{Changes, OperationContext};
use super::{Failure, Progress};
use crate::oracle::{ABSENT, Observation};
use tenterhook_stress::sometimes;
use tenterhook_stress::tape::{ChoicePoint, Stream};

const LENGTH: ChoicePoint = ChoicePoint::new(23, "aside: length");
const ACTION: ChoicePoint = ChoicePoint::new(24, "aside: action");
const WHERE: ChoicePoint = ChoicePoint::new(25, "aside: where");
const TWICE: ChoicePoint = ChoicePoint::new(26, "aside: twice back");
const WHEN: ChoicePoint = ChoicePoint::new(30, "aside: when");

/// Tells content that is taken back again from what stays.
const STRAY: u64 = 1 << 62;

/// Something else that a transaction does in the middle of its job: changes, all of which are taken back again, with savepoints
/// within savepoints. Any call of it may be given up for the next one. What the transaction sees on the way, and has at the
/// end, is what it would have had without the calls that were given up.
pub(crate) struct Aside {
    stamp: u64,
    actions: Vec<Action>,
    /// The action whose turn it is.
    turn: usize,
    /// Open savepoints, the outermost first. That one is there from the first step on, and stays.
    marks: Vec<Mark>,
    twice: bool,
    when: When,
    /// Whether a page was spilled with a savepoint open.
    spilled: bool,
    /// Pages that were changed on the way: to be compared at the end.
    touched: Vec<PageNo>,
}

/// When it begins.
#[derive(Copy, Clone, PartialEq, Eq)]
enum When {
    AtOnce,
    AfterTheFirstChange,
    AfterTheJob,
}

#[derive(Copy, Clone)]
enum Action {
    /// Changes a page of accounts.
    Edit(usize),
    /// Changes a page that the transaction has changed before.
    EditChanged(usize),
    /// Reads a page of accounts, or one that has been changed.
    Read(usize),
    Allocate,
    Mark,
    BackTo(usize),
    Release(usize),
}

/// A savepoint, and what the transaction was like there.
struct Mark {
    savepoint: Savepoint,
    changes: Changes,
    pages: u32,
}

impl Aside {
    /// Draws what is done. `stamp` is the transaction's.
    pub(crate) fn plan(stamp: u64, layout: &Layout, stream: &mut Stream) -> Aside {
        let count = 1 + stream.choose(LENGTH, 12);
        let actions = (0..count).map(|_| {
            let action = stream.choose(ACTION, 9);
            let place = stream.choose(WHERE, 64) as usize;
            match action {
                0 | 1 => Action::Read(place),
                2 => Action::Edit(place % layout.accounts.len()),
                3 | 4 => Action::EditChanged(place),
                5 => Action::Allocate,
                6 => Action::Mark,
                7 => Action::BackTo(place),
                _ => Action::Release(place),
            }
        });
        Aside {
            stamp: stamp | STRAY,
            actions: actions.collect(),
            turn: 0,
            marks: Vec::new(),
            twice: stream.choose(TWICE, 2) == 1,
            when: [When::AtOnce, When::AfterTheFirstChange, When::AfterTheJob]
                [stream.choose(WHEN, 3) as usize],
            spilled: false,
            touched: Vec::new(),
        }
    }

    /// Whether it begins now, or has begun.
    pub(super) fn is_due(&self, changes: &Changes, is_job_done: bool) -> bool {
        let is_due = match self.when {
            When::AtOnce => true,
            When::AfterTheFirstChange => !changes.is_empty(),
            When::AfterTheJob => false,
        };
        is_due || is_job_done || !self.marks.is_empty()
    }

    /// The same, to be begun at once.
    pub(crate) fn at_once(self) -> Aside {
        Aside { when: When::AtOnce, ..self }
    }

    /// The caller gives up the call that waits, and continues with the next.
    pub(super) fn give_up(&mut self) {
        self.turn = (self.turn + 1).min(self.actions.len());
    }

    /// What it does at the moment, with how many savepoints open; nothing before it has begun.
    pub(super) fn describe(&self) -> Option<String> {
        let open = match self.marks.len() {
            0 => return None,
            1 => "1 savepoint".to_owned(),
            count => format!("{count} savepoints"),
        };
        let doing = match self.actions.get(self.turn) {
            Some(action) => action.describe(),
            None if self.turn == self.actions.len() => "going back to the outermost savepoint",
            None => "comparing what was taken back",
        };
        Some(format!("aside, {doing}; {open}"))
    }

    pub(super) fn step(&mut self, op: &mut OperationContext<'_, '_>) -> Result<Progress, Failure> {
        if self.marks.is_empty() {
            sometimes!(op.changes.is_empty(), "a savepoint is made before the first change");
            self.marks.push(Mark::make(op));
        }
        let spilled = op.transaction.pages_spilled();
        if let Some(&action) = self.actions.get(self.turn) {
            return match self.act(action, op)? {
                Progress::Wait(io) => Ok(Progress::Wait(io)),
                Progress::More | Progress::Done => {
                    self.spilled |= op.transaction.pages_spilled() > spilled;
                    self.turn += 1;
                    Ok(Progress::More)
                }
            };
        }
        if self.turn == self.actions.len() {
            sometimes!(self.spilled, "a transaction spills with a savepoint open");
            self.go_back(0, op)?;
            if self.twice {
                self.go_back(0, op)?;
            }
            self.turn += 1;
        }
        while let Some(&page) = self.touched.last() {
            if let Some(suspended) = compare(op, page)? {
                return Ok(suspended);
            }
            self.touched.pop();
        }
        Ok(Progress::Done)
    }

    fn act(&mut self, action: Action, op: &mut OperationContext<'_, '_>) -> Result<Progress, Failure> {
        match action {
            Action::Edit(place) => {
                let page = op.fixture.layout.accounts[place];
                self.edit(page, op)
            }
            Action::EditChanged(place) => match op.changes.any_page(place) {
                Some(page) => self.edit(page, op),
                None => Ok(Progress::Done),
            },
            Action::Read(place) => {
                let accounts = &op.fixture.layout.accounts;
                let page = op.changes.any_page(place / 2).filter(|_| place % 2 == 0);
                let page = page.unwrap_or(accounts[place % accounts.len()]);
                Ok(op.read(page, |_| ())?.err().unwrap_or(Progress::Done))
            }
            Action::Allocate => {
                let page = match op.allocate()? {
                    Ok(page) => page,
                    Err(suspended) => return Ok(suspended),
                };
                let digest = op.shape().digest_of_empty();
                self.touched.push(page);
                op.changes.set(page, digest);
                Ok(Progress::Done)
            }
            Action::Mark => {
                sometimes!(self.marks.len() == 3, "three nested savepoints are open");
                self.marks.push(Mark::make(op));
                Ok(Progress::Done)
            }
            Action::BackTo(place) => {
                self.go_back(place % self.marks.len(), op)?;
                Ok(Progress::Done)
            }
            Action::Release(place) => {
                let inner = self.marks.len() - 1;
                if inner > 0 {
                    let at = 1 + place % inner;
                    sometimes!(at < inner, "a savepoint is released with another open within it");
                    let mut gone = self.marks.drain(at..);
                    let released = gone.next().map(|mark| mark.savepoint);
                    drop(gone);
                    released.map_or(Ok(()), |savepoint| op.transaction.release(savepoint))?;
                }
                Ok(Progress::Done)
            }
        }
    }

    fn edit(&mut self, page: PageNo, op: &mut OperationContext<'_, '_>) -> Result<Progress, Failure> {
        let stamp = self.stamp ^ (self.turn as u64) << 40;
        let edited = op.edit(page, |bytes| set_stamp(bytes, stamp))?;
        if matches!(edited, Progress::Done) {
            self.touched.push(page);
        }
        Ok(edited)
    }

    fn go_back(&mut self, place: usize, op: &mut OperationContext<'_, '_>) -> Result<(), Failure> {
        let mark = &self.marks[place];
        op.transaction.rollback_to(&mark.savepoint)?;
        *op.changes = mark.changes.clone();
        let pages = mark.pages;
        self.marks.truncate(place + 1);
        op.rolled_back(pages)
    }
}

impl Action {
    fn describe(self) -> &'static str {
        match self {
            Action::Edit(_) => "changing a page",
            Action::EditChanged(_) => "changing a page again",
            Action::Read(_) => "reading a page",
            Action::Allocate => "allocating a page",
            Action::Mark => "making a savepoint",
            Action::BackTo(_) => "going back to a savepoint",
            Action::Release(_) => "releasing a savepoint",
        }
    }
}

impl Mark {
    fn make(op: &mut OperationContext<'_, '_>) -> Mark {
        let (changes, pages) = (op.changes.clone(), op.transaction.page_count());
        Mark { savepoint: op.transaction.savepoint(), changes, pages }
    }
}

/// Whether `page` is what the transaction had made of it, or what its snapshot has.
pub(super) fn compare(op: &mut OperationContext<'_, '_>, page: PageNo) -> Result<Option<Progress>, Failure> {
    let seen = match op.transaction.page(page) {
        Ok(tenterhook_runtime::IOResult::Done(bytes)) => op.fixture.shape.digest(&bytes),
        Ok(tenterhook_runtime::IOResult::IO(io)) => return Ok(Some(Progress::Wait(io))),
        Err(PagerError::PageNotAllocated { .. } | PagerError::PageOutOfRange { .. }) => ABSENT,
        Err(error) => return Err(error.into()),
    };
    op.fixture.tally.borrow_mut().looked(seen);
    let sequence = op.changes.base();
    op.fixture.observe(&match op.changes.digest(page) {
        Some(known) => Observation::OwnPage { sequence, page, expected: known, seen },
        None => Observation::PageRead { sequence, page, digest: seen },
    })?;
    Ok(None)
}
