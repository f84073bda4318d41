use serde::{Deserialize, Serialize};
use tenterhook_runtime::pager::PageNo;

use super::history::TransactionId;

/// When a commit was asked for.
pub(super) type Order = u64;

/// A commit whose outcome is open.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Flight {
    pub(super) id: TransactionId,
    pub(super) base: u64,
    pub(super) order: Order,
    /// The commit in flight that it was built on; `None` when that is part of the chain.
    pub(super) parent: Option<Order>,
    /// What was built on it.
    pub(super) children: Vec<Order>,
    pub(super) changes: Vec<(PageNo, u64)>,
    /// In this life it did not happen: it failed, it was dropped before it was handed over, or a later writer started
    /// from where it had, or before.
    pub(super) after_crash: bool,
}

impl Flight {
    pub(super) fn change(&self, page: PageNo) -> Option<u64> {
        self.changes.iter().rev().find(|&&(changed, _)| changed == page).map(|&(_, digest)| digest)
    }
}
