//! What transactions did to pages, for checkers of other people: a page is a register, and its value is the stamp of the transaction
//! that wrote it last.

use std::cell::RefCell;
use std::rc::Rc;

use tenterhook_runtime::pager::PageNo;
use tenterhook_stress::history::{Access, Outcome, Record, Registers};

/// The registers of a run, or nothing if nobody asked for them.
pub(crate) type Recording = Option<Rc<RefCell<Registers>>>;

/// The record of one client for a step.
#[derive(Copy, Clone)]
pub(crate) struct Recorder<'a> {
    pub(crate) kept: &'a Recording,
    pub(crate) client: u32,
}

/// Begins to record.
pub(crate) fn begin(kept: &mut Recording) -> Record {
    Rc::clone(kept.get_or_insert_default()) as Record
}

impl Recorder<'_> {
    /// Whether there is a record.
    pub(crate) fn is_on(self) -> bool {
        self.kept.is_some()
    }

    /// A transaction begins.
    pub(crate) fn begin(self, access: Access) {
        self.with(|registers| registers.begin(self.client, access));
    }

    /// One that has only read now writes.
    pub(crate) fn upgrade(self) {
        self.with(|registers| registers.upgrade(self.client));
    }

    /// It has read a page that it has not changed.
    pub(crate) fn read(self, page: PageNo, stamp: u64) {
        self.with(|registers| registers.read(self.client, page.into(), stamp));
    }

    /// It asks to commit what it has made of pages.
    pub(crate) fn wrote(self, pages: impl Iterator<Item = (PageNo, u64)>) {
        self.with(|registers| {
            pages.for_each(|(page, stamp)| registers.wrote(self.client, page.into(), stamp))
        });
    }

    /// It has ended.
    pub(crate) fn end(self, outcome: Outcome) {
        self.with(|registers| registers.end(self.client, outcome));
    }

    fn with(self, tell: impl FnOnce(&mut Registers)) {
        if let Some(registers) = self.kept {
            tell(&mut registers.borrow_mut());
        }
    }
}
