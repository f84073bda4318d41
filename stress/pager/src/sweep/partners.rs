//! What runs beside an operation that is suspended. None of it touches a page that an operation changes, so that what both leave
//! is the same in either order.

use std::sync::Arc;

use tenterhook_runtime::pager::{CheckpointMode, Pager, PagerError};

use super::Machine;
use super::job::{Act, End, transaction};
use super::machines::{check_integrity, checkpoint, read};

/// How many there are.
pub(super) const COUNT: u32 = 9;

/// Whether it waits for readers of older commits.
pub(super) fn waits_for_readers(which: u32) -> bool {
    matches!(which, 4 | 5 | 7)
}

pub(super) fn partner(pager: &Arc<Pager>, which: u32) -> Result<Machine, PagerError> {
    let edits = |pages: std::ops::RangeInclusive<u32>| pages.map(|page| Act::Edit(page, 55)).collect();
    Ok(match which {
        0 => transaction(pager, edits(20..=20), End::Commit),
        1 => transaction(pager, edits(14..=22), End::Commit),
        2 => transaction(pager, edits(14..=22), End::Rollback),
        3 => checkpoint(pager, CheckpointMode::Passive),
        4 => checkpoint(pager, CheckpointMode::Restart),
        5 => checkpoint(pager, CheckpointMode::Truncate),
        6 => check_integrity(pager),
        7 => checkpoint(pager, CheckpointMode::Full),
        _ => read(pager, (12..=24).collect())?,
    })
}
