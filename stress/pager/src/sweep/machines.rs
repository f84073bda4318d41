//! The pager's other operations as machines.

use std::sync::Arc;

use tenterhook_runtime::pager::{CheckpointMode, IntegrityProblem, PageNo, Pager, PagerError};
use tenterhook_runtime::{IOResult, return_if_io};
use xxhash_rust::xxh3::xxh3_64;

use super::Machine;

/// Reads `pages` in one snapshot, the first pinned until the end.
pub(super) fn read(pager: &Arc<Pager>, pages: Vec<PageNo>) -> Result<Machine, PagerError> {
    let mut transaction = pager.begin_read()?;
    let (mut pinned, mut digests) = (None, Vec::new());
    Ok(Box::new(move || {
        while let Some(&page) = pages.get(digests.len()) {
            let page = return_if_io!(transaction.page(page));
            digests.push(xxh3_64(&page));
            pinned.get_or_insert(page);
        }
        let pinned = pinned.as_ref().map_or(0, |page| xxh3_64(page));
        let all: Vec<u8> = digests.iter().flat_map(|digest| digest.to_le_bytes()).collect();
        Ok(IOResult::Done(format!("{:#x}, the first {pinned:#x}", xxh3_64(&all))))
    }))
}

/// Copies the log into the database file.
pub(super) fn checkpoint(pager: &Arc<Pager>, mode: CheckpointMode) -> Machine {
    let mut checkpoint = pager.checkpoint(mode);
    Box::new(move || Ok(checkpoint.step()?.map(|report| format!("{report:?}"))))
}

/// Reads everything and follows the freelist. A damaged page is how it notices a fault.
pub(super) fn check_integrity(pager: &Arc<Pager>) -> Machine {
    let mut check = pager.check_integrity();
    Box::new(move || {
        let report = return_if_io!(check.step());
        match report.problems.first() {
            Some(IntegrityProblem::Damaged(error)) => Err(error.clone()),
            _ => Ok(IOResult::Done(format!("{report:?}"))),
        }
    })
}
