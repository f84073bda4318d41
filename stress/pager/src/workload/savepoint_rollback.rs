use tenterhook_runtime::pager::{PageNo, Savepoint};

use super::aside::compare;
use super::layout::{Layout, Shape};
use super::operation_context::{Changes, OperationContext};
use super::{Churn, Failure, MultiPageWrite, Progress, Transfer};
use crate::oracle::ABSENT;
use tenterhook_stress::sometimes;
use tenterhook_stress::tape::{ChoicePoint, Stream};

const WRONG: ChoicePoint = ChoicePoint::new(18, "savepoint rollback: wrong turn");
const LENGTH: ChoicePoint = ChoicePoint::new(19, "savepoint rollback: length");
const INNER: ChoicePoint = ChoicePoint::new(20, "savepoint rollback: inner savepoint");

/// Tells content of the wrong turn from that of the way.
const WRONG_STAMP: u64 = 1 << 63;

/// Takes a wrong turn in the middle of a transaction, and goes back to the savepoint before it. What the wrong turn
/// touched must then be as it was; that the freelist is, the next allocations show, and the integrity check.
pub(crate) struct SavepointRollback {
    first: Churn,
    wrong: Wrong,
    last: Churn,
    /// Calls of the pager until the wrong turn is noticed.
    length: u32,
    inner: Inner,
    stage: Stage,
}

enum Wrong {
    MultiPageWrite(MultiPageWrite),
    Churn(Churn),
    Transfer(Transfer),
}

/// What becomes of a savepoint within the wrong turn.
#[derive(Copy, Clone, PartialEq, Eq)]
enum Inner {
    None,
    Released,
    RolledBackBeyond,
}

enum Stage {
    First,
    Mark,
    Stray {
        back: Savepoint,
        before: Changes,
        pages: u32,
        inner: Option<Savepoint>,
        steps: u32,
    },
    Compare {
        touched: Vec<PageNo>,
    },
    Last,
    /// Also the place holder while a stage is replaced.
    Over,
}

impl SavepointRollback {
    /// Draws the way and the wrong turn.
    pub(crate) fn plan(stamp: u64, layout: &Layout, shape: &Shape, stream: &mut Stream) -> SavepointRollback {
        let wrong = match stream.choose(WRONG, 3) {
            0 => Wrong::Churn(Churn::plan(stamp | WRONG_STAMP, layout, shape, stream)),
            1 => Wrong::MultiPageWrite(MultiPageWrite::plan(stamp | WRONG_STAMP, layout, stream)),
            _ => Wrong::Transfer(Transfer::plan(stamp | WRONG_STAMP, layout, shape, stream)),
        };
        SavepointRollback {
            first: Churn::plan(stamp, layout, shape, stream),
            wrong,
            last: Churn::plan(stamp, layout, shape, stream),
            length: 1 + stream.choose(LENGTH, 6),
            inner: [Inner::None, Inner::Released, Inner::RolledBackBeyond][stream.choose(INNER, 3) as usize],
            stage: Stage::First,
        }
    }

    pub(super) fn step(&mut self, op: &mut OperationContext<'_, '_>) -> Result<Progress, Failure> {
        match &mut self.stage {
            Stage::First => match self.first.step(op)? {
                Progress::Done => self.stage = Stage::Mark,
                other => return Ok(other),
            },
            Stage::Mark => {
                let (before, pages) = (op.changes.clone(), op.transaction.page_count());
                let back = op.transaction.savepoint();
                self.stage = Stage::Stray { back, before, pages, inner: None, steps: 0 };
            }
            Stage::Stray { inner, steps, .. } if *steps < self.length => {
                if *steps == self.length / 2 && inner.is_none() && self.inner != Inner::None {
                    *inner = Some(op.transaction.savepoint());
                }
                let progress = match &mut self.wrong {
                    Wrong::MultiPageWrite(job) => job.step(op)?,
                    Wrong::Churn(job) => job.step(op)?,
                    Wrong::Transfer(job) => job.step(op)?,
                };
                match progress {
                    Progress::Wait(io) => return Ok(Progress::Wait(io)),
                    Progress::More => *steps += 1,
                    Progress::Done => *steps = self.length,
                }
            }
            Stage::Stray { .. } => self.go_back(op)?,
            Stage::Compare { touched } => match touched.last() {
                Some(&page) => {
                    if let Some(suspended) = compare(op, page)? {
                        return Ok(suspended);
                    }
                    touched.pop();
                }
                None => self.stage = Stage::Last,
            },
            Stage::Last => return self.last.step(op),
            Stage::Over => return Ok(Progress::Done),
        }
        Ok(Progress::More)
    }

    /// Where it is, in words.
    pub(super) fn describe(&self) -> &'static str {
        match &self.stage {
            Stage::First | Stage::Mark => "before its savepoint",
            Stage::Stray { inner: Some(_), .. } => "beyond its savepoint and another",
            Stage::Stray { .. } => "beyond its savepoint",
            Stage::Compare { .. } => "comparing what was taken back",
            Stage::Last | Stage::Over => "back at its savepoint and on",
        }
    }

    fn go_back(&mut self, op: &mut OperationContext<'_, '_>) -> Result<(), Failure> {
        let Stage::Stray { back, before, pages, inner, .. } = std::mem::replace(&mut self.stage, Stage::Over)
        else {
            return Ok(());
        };
        if let (Some(inner), Inner::Released) = (inner, self.inner) {
            op.transaction.release(inner)?;
        }
        op.transaction.rollback_to(&back)?;
        op.rolled_back(pages)?;
        let strayed = std::mem::replace(op.changes, before);
        let touched: Vec<_> = strayed.pages().collect();
        sometimes!(!touched.is_empty(), "a rollback to a savepoint undoes a change");
        sometimes!(
            touched.iter().any(|&page| op.changes.digest(page) == Some(ABSENT)),
            "a page is free again after a rollback"
        );
        self.stage = Stage::Compare { touched };
        Ok(())
    }
}
