use tenterhook_runtime::pager::PageNo;

use super::layout::{Layout, Shape, set_stamp};
use super::operation_context::OperationContext;
use super::{Failure, Progress};
use tenterhook_stress::tape::{ChoicePoint, Stream};

const FROM: ChoicePoint = ChoicePoint::new(8, "transfer: from");
const TO: ChoicePoint = ChoicePoint::new(9, "transfer: to");
const AMOUNT: ChoicePoint = ChoicePoint::new(10, "transfer: amount");

/// What each account has at the beginning.
pub(crate) const INITIAL_BALANCE: i64 = 1_000;

/// Moves an amount from one account to another, on the same page or on another one.
pub(crate) struct Transfer {
    stamp: u64,
    from: Account,
    to: Account,
    amount: i64,
    /// The debit is done.
    debited: bool,
}

#[derive(Copy, Clone)]
struct Account {
    page: PageNo,
    cell: usize,
}

impl Transfer {
    /// Draws who pays whom and how much.
    pub(crate) fn plan(stamp: u64, layout: &Layout, shape: &Shape, stream: &mut Stream) -> Transfer {
        let cells = shape.cells() as u32;
        let mut account = |choice_point| {
            let drawn = stream.choose(choice_point, layout.accounts.len() as u32 * cells);
            Account { page: layout.accounts[(drawn / cells) as usize], cell: (drawn % cells) as usize }
        };
        let (from, to) = (account(FROM), account(TO));
        Transfer { stamp, from, to, amount: i64::from(stream.choose(AMOUNT, 100)), debited: false }
    }

    pub(super) fn step(&mut self, op: &mut OperationContext<'_, '_>) -> Result<Progress, Failure> {
        let (account, amount) = if self.debited { (self.to, self.amount) } else { (self.from, -self.amount) };
        let (shape, stamp) = (op.shape(), self.stamp);
        let booked = op.edit(account.page, |bytes| {
            let (balance, _) = shape.cell(bytes, account.cell);
            shape.set_cell(bytes, account.cell, balance.wrapping_add_signed(amount), stamp);
            set_stamp(bytes, stamp);
        })?;
        match booked {
            Progress::Done if !self.debited => {
                self.debited = true;
                Ok(Progress::More)
            }
            booked => Ok(booked),
        }
    }
}
