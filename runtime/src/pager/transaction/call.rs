//! Calls on a write transaction, one of which may be waiting for I/O.

use crate::pager::{PageNo, WriteTransaction};

/// A call that may have to wait. Called again it goes on; any other call gives it up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Call {
    Page(PageNo),
    PageMut(PageNo),
    Allocate,
    Free(PageNo),
}

impl WriteTransaction {
    /// To be done first by each call that may wait. If it is not the one that was made last, that one was given up, and what
    /// it waited for must not decide anything: a read may be of a page as it was before a rollback, and an error is for the
    /// call that caused it.
    pub(super) fn enter(&mut self, call: Call) {
        if self.call != Some(call) {
            self.give_up_call();
            self.call = Some(call);
        }
    }

    /// To be done by each call that does not wait, and where a machine takes the transaction over.
    pub(super) fn give_up_call(&mut self) {
        self.call = None;
        self.reader.give_up();
        self.spill.give_up();
    }
}
