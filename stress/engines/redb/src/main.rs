//! redb under the deterministic stress tester: `cargo run --release -- sim --duration 10s`.
//!
//! One connection: redb waits for a second writer in a lock of its own, of which the tester knows nothing. What is tested is what
//! faults and the end of a life do to commits, savepoints and repair.

mod backend;
mod model;
mod workload;

use std::sync::Arc;

use tenterhook_runtime::io::IO;
use tenterhook_stress::blocking::{Blocking, BlockingDisk, BlockingSystem, Job};
use tenterhook_stress::disk::{FaultKind, SimDisk};
use tenterhook_stress::subject::{Drawn, Fixed, NoOptions, Subject};
use tenterhook_stress::system::Crash;
use tenterhook_stress::tape::{ChoicePoint, Stream};
use tenterhook_stress::violation::Violation;

use crate::workload::{Counts, Life, Store};

/// Faults that redb is to survive, those of the ends of lives first.
const FAULTS: [FaultKind; 12] = [
    FaultKind::PowerLoss,
    FaultKind::ProcessKilled,
    FaultKind::CrashInRecovery,
    FaultKind::SectorTorn,
    FaultKind::SectorLost,
    FaultKind::ReadError,
    FaultKind::ShortRead,
    FaultKind::WriteError,
    FaultKind::ShortWrite,
    FaultKind::SyncFailed,
    FaultKind::TruncateError,
    FaultKind::Stuck,
];

const SWARM: ChoicePoint = ChoicePoint::new(21, "which faults");

#[derive(Default)]
struct Redb {
    store: Arc<Store>,
}

impl BlockingSystem for Redb {
    fn connections(&self) -> u32 {
        1
    }

    fn boot(&mut self, io: &Arc<dyn IO>, disk: &SimDisk) -> Job {
        let began = disk.fault_counts().struck();
        let mut life = self.store.life.lock();
        life.get_or_insert_with(|| Life {
            disk: Arc::new(BlockingDisk::new(io, disk)),
            faults: disk.clone(),
            began,
        });
        let store = Arc::clone(&self.store);
        Box::new(move |call| store.operate(call, true))
    }

    fn operation(&mut self, _: u32) -> Job {
        let store = Arc::clone(&self.store);
        Box::new(move |call| store.operate(call, false))
    }

    fn quiesce(&mut self) -> Job {
        let store = Arc::clone(&self.store);
        Box::new(move |call| store.operate(call, true))
    }

    fn crash(&mut self, _: Crash) -> Result<(), Box<Violation>> {
        drop(self.store.open.lock().take());
        *self.store.life.lock() = None;
        Ok(())
    }

    fn counters(&self) -> Vec<(&'static str, u64)> {
        let Counts { durable, others, opened, restored, checked, io_errors, cut_off } =
            self.store.counts.lock().clone();
        vec![
            ("durable commits", durable),
            ("other commits", others),
            ("openings", opened),
            ("savepoints restored", restored),
            ("integrity checks", checked),
            ("I/O errors", io_errors),
            ("creations cut off", cut_off),
        ]
    }
}

#[derive(Copy, Clone, Debug)]
struct RedbSubject;

impl Subject for RedbSubject {
    const NAME: &'static str = env!("CARGO_PKG_NAME");
    const ABOUT: &'static str = "redb under the deterministic stress tester";
    type Options = NoOptions;
    type Plan = ();
    type System = Blocking<Redb>;

    fn draw(stream: &mut Stream, seed: u64, fixed: &Fixed<NoOptions>) -> Drawn<()> {
        let faults = [&FAULTS[..5], &FAULTS[..]][stream.choose(SWARM, 2) as usize];
        let mut drawn = Drawn::common(stream, seed, fixed, faults, ());
        drawn.connections = 1;
        drawn.world.steps = fixed.world.steps.unwrap_or(3_000);
        drawn
    }

    fn system(_: &Drawn<()>) -> Self::System {
        Blocking::new(Redb::default())
    }
}

fn main() -> std::process::ExitCode {
    tenterhook_stress::cli::main::<RedbSubject>().into()
}
