//! The fault plan, laid out for drawing.

use super::faults::{FaultKind, FaultPlan, Weights};
use crate::tape::Chance;

/// The faults of each kind of operation. A choice on the tape is an index into these, counted from 1.
pub(super) const READ_FAULTS: [FaultKind; 4] =
    [FaultKind::ReadError, FaultKind::ShortRead, FaultKind::BitFlip, FaultKind::Stuck];
pub(super) const WRITE_FAULTS: [FaultKind; 6] = [
    FaultKind::WriteError,
    FaultKind::ShortWrite,
    FaultKind::NoSpace,
    FaultKind::Stuck,
    FaultKind::LostWrite,
    FaultKind::MisdirectedWrite,
];
pub(super) const SYNC_FAULTS: [FaultKind; 4] =
    [FaultKind::SyncFailed, FaultKind::SyncDropped, FaultKind::Stuck, FaultKind::LyingSync];
pub(super) const TRUNCATE_FAULTS: [FaultKind; 2] = [FaultKind::TruncateError, FaultKind::Stuck];

/// How much more likely a sync drops what it covers when another one of the same file begins while it runs. Of two syncs
/// through one open file Linux reports a lost write to one only (until 4.13: of any two). The other one succeeds.
const BESIDE_TIMES: u32 = 120;

/// How much more likely a read returns a flipped bit while a file is opened: an opening has a handful of reads, each of which
/// decides what is there.
const OPENING_TIMES: u32 = 20;

/// The fault plan, laid out for drawing.
#[derive(Copy, Clone, Debug)]
pub(super) struct Odds {
    pub(super) open: Chance,
    pub(super) refuse: Chance,
    pub(super) cancel: Chance,
    pub(super) read: Weights<4>,
    /// The same while a file is opened.
    pub(super) read_at_opening: Weights<4>,
    pub(super) write: Weights<6>,
    pub(super) sync: Weights<4>,
    /// That a sync drops what it covers because another one begins.
    pub(super) beside: Chance,
    pub(super) immediate: Chance,
    pub(super) truncate: Weights<2>,
}

impl Odds {
    pub(super) fn new(plan: &FaultPlan, immediate: Chance) -> Odds {
        let mut at_opening = *plan;
        let flips = plan.chance(FaultKind::BitFlip).parts() * OPENING_TIMES;
        at_opening.set(FaultKind::BitFlip, Chance::per_million(flips.min(100_000)));
        Odds {
            immediate,
            open: plan.chance(FaultKind::OpenError),
            refuse: plan.chance(FaultKind::SubmitRefused),
            cancel: plan.chance(FaultKind::Cancelled),
            read: plan.weights(READ_FAULTS),
            read_at_opening: at_opening.weights(READ_FAULTS),
            write: plan.weights(WRITE_FAULTS),
            sync: plan.weights(SYNC_FAULTS),
            beside: Chance::per_million(
                (plan.chance(FaultKind::SyncDropped).parts() * BESIDE_TIMES).min(500_000),
            ),
            truncate: plan.weights(TRUNCATE_FAULTS),
        }
    }
}
