use super::NemesisOptions;
use crate::disk::DiskOptions;
use crate::schedule::SchedulerKind;

/// How a world is set up; all of it fixed before the run.
#[derive(Copy, Clone, Debug)]
pub struct WorldOptions {
    /// Steps after which the run is brought to its end.
    pub steps: u64,
    /// Who chooses.
    pub scheduler: SchedulerKind,
    /// How many of 16 decisions between a fiber and a delivery go to the delivery (uniform random only).
    pub delivery_weight: u32,
    /// The d of PCT.
    pub depth: u32,
    /// The disk's habits.
    pub disk: DiskOptions,
    /// When lives end and when they rest.
    pub nemesis: NemesisOptions,
    /// Steps within which everything must finish once faults have stopped.
    pub patience: u64,
    /// Threads of connections, which are stopped at any synchronisation operation; 0 for none. See [`race`](crate::race).
    pub threads: u32,
}

impl Default for WorldOptions {
    /// A short run without faults whose only crash is the one at its end.
    fn default() -> Self {
        WorldOptions {
            steps: 2_000,
            scheduler: SchedulerKind::Random,
            delivery_weight: 8,
            depth: 3,
            disk: DiskOptions::default(),
            nemesis: NemesisOptions::default(),
            patience: 20_000,
            threads: 0,
        }
    }
}
