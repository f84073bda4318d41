//! The pager's other operations as machines.

use std::sync::Arc;

use tenterhook_runtime::pager::{
    Audit, CheckpointMode, CheckpointOutcome, IntegrityProblem, PageNo, Pager, PagerError,
};
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

/// Copies the log into the database file, and says at its end how far it has come.
pub(super) fn checkpoint(pager: &Arc<Pager>, mode: CheckpointMode) -> Machine {
    let (mut checkpoint, pager) = (pager.checkpoint(mode), Arc::clone(pager));
    Box::new(move || {
        let report = return_if_io!(checkpoint.step());
        let audit = pager.audit();
        assert!(says_what_is_so(mode, report.outcome, &audit), "{mode:?}: {report:?} beside {audit:?}");
        Ok(IOResult::Done(format!("{report:?}")))
    })
}

/// Whether the log is as `mode` promises and `outcome` says, at the checkpoint's end.
fn says_what_is_so(mode: CheckpointMode, outcome: CheckpointOutcome, audit: &Audit) -> bool {
    let is_copied = audit.log_checkpointed == audit.log_frames;
    match (mode, outcome) {
        (CheckpointMode::Passive, CheckpointOutcome::AlreadyRunning) => true,
        (CheckpointMode::Passive, CheckpointOutcome::Partial) => !is_copied,
        (CheckpointMode::Passive, CheckpointOutcome::Complete) => is_copied,
        // It had the write lock, so whatever was handed to the log by then is published and copied.
        (CheckpointMode::Full, CheckpointOutcome::Complete) => is_copied && audit.commits_pending == 0,
        (CheckpointMode::Restart | CheckpointMode::Truncate, CheckpointOutcome::Restarted) => {
            audit.log_frames == 0 && audit.commits_pending == 0
        }
        _ => false,
    }
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
