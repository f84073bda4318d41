//! Calls on a write transaction, one of which may be waiting for I/O.

use crate::pager::PageNo;

/// A call that may have to wait. Called again it continues; any other call gives it up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Call {
    Page(PageNo),
    PageMut(PageNo),
    Allocate,
    Free(PageNo),
}
