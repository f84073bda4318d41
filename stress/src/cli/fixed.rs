//! The flags that fix an option instead of leaving it to the seed.

use clap::Args;

use crate::disk::FaultKind;
use crate::options::{Level, Overrides, Profile};
use crate::schedule::SchedulerKind;
use crate::workload::OperationKind;

/// Options that the seed draws where no flag fixes them.
#[derive(Debug, Default, Args)]
pub(super) struct Fixed {
    /// Connections to the pager, from 1 to 1000000.
    #[arg(long, value_name = "N")]
    connections: Option<u32>,
    /// Steps of a run: a fiber stepped or an operation delivered [default: 20000].
    #[arg(long, value_name = "N")]
    steps: Option<u64>,
    /// Page size in bytes, a power of two from 512 to 65536.
    #[arg(long, value_name = "BYTES")]
    page_size: Option<u32>,
    /// Pages that the cache keeps.
    #[arg(long, value_name = "N")]
    cache_pages: Option<usize>,
    /// Changed pages that a transaction has in memory before it spills.
    #[arg(long, value_name = "N")]
    spill_pages: Option<usize>,
    /// Log frames from which on a checkpoint is due, 0 for never.
    #[arg(long, value_name = "N")]
    checkpoint_frames: Option<u32>,
    /// What an acknowledged commit is worth.
    #[arg(long, value_name = "LEVEL")]
    durability: Option<Level>,
    /// What runs concentrate on.
    #[arg(long, value_name = "PROFILE")]
    profile: Option<Profile>,
    /// Who chooses what is stepped next.
    #[arg(long, value_name = "SCHEDULER")]
    scheduler: Option<SchedulerKind>,
    /// The only kinds of fault that strike, with commas, or none.
    #[arg(long, value_name = "KINDS", value_parser = faults)]
    faults: Option<Kinds<FaultKind>>,
    /// The only kinds of operation, with commas.
    #[arg(long, value_name = "KINDS", value_parser = operations)]
    operations: Option<Kinds<OperationKind>>,
}

impl Fixed {
    /// What the flags fix.
    pub(super) fn overrides(self) -> Result<Overrides, String> {
        let overrides = Overrides {
            connections: self.connections,
            steps: self.steps,
            page_size: self.page_size,
            cache_pages: self.cache_pages,
            spill_pages: self.spill_pages,
            checkpoint_frames: self.checkpoint_frames,
            durability: self.durability,
            profile: self.profile,
            scheduler: self.scheduler,
            faults: self.faults.map(|kinds| kinds.0),
            operations: self.operations.map(|kinds| kinds.0),
        };
        overrides.validate().map_err(|error| error.to_string())?;
        Ok(overrides)
    }
}

/// A list given with commas.
#[derive(Clone, Debug)]
struct Kinds<K>(Vec<K>);

fn faults(text: &str) -> Result<Kinds<FaultKind>, String> {
    kinds(text, &FaultKind::ALL, FaultKind::name)
}

fn operations(text: &str) -> Result<Kinds<OperationKind>, String> {
    kinds(text, &OperationKind::ALL, OperationKind::name)
}

fn kinds<K: Copy>(text: &str, all: &[K], name: fn(K) -> &'static str) -> Result<Kinds<K>, String> {
    if text == "none" {
        return Ok(Kinds(Vec::new()));
    }
    let find = |wanted: &str| {
        let names = || all.iter().map(|&kind| name(kind)).collect::<Vec<_>>().join(",");
        let found = all.iter().copied().find(|&kind| name(kind) == wanted);
        found.ok_or_else(|| format!("there is no '{wanted}': it must be some of {}", names()))
    };
    text.split(',').map(find).collect::<Result<_, _>>().map(Kinds)
}
