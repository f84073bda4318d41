//! Options of a disk.

use std::path::PathBuf;

use super::FaultPlan;
use crate::tape::Chance;

/// Habits of a disk, drawn once for each run.
#[derive(Copy, Clone, Debug)]
pub struct DiskOptions {
    /// Delays are drawn below this many ticks, most of them far below.
    pub max_delay: u32,
    /// The same for syncs, which wait for the device, while there are faults.
    pub max_sync_delay: u32,
    /// The same for reads: some last longer than a commit and a checkpoint together.
    pub max_read_delay: u32,
    /// How likely an operation ends before `submit` returns, so that its starter never yields.
    pub immediate: Chance,
    /// How likely each fault is. A sync beside which another one of the same file begins drops what it covers 120 times as
    /// often, in half of all cases at most.
    pub faults: FaultPlan,
}

impl Default for DiskOptions {
    /// Short delays, no faults.
    fn default() -> Self {
        let (immediate, faults) = (Chance::NEVER, FaultPlan::NONE);
        DiskOptions { max_delay: 64, max_sync_delay: 64, max_read_delay: 64, immediate, faults }
    }
}

/// Which reads may return a flipped bit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Flippable {
    /// None.
    Nothing,
    /// Those of one file.
    Only(PathBuf),
    /// All.
    Everything,
}
