//! raft-engine under the deterministic stress tester: `cargo run --release -- sim --duration 10s`.

#[cfg(test)]
mod conformance;
mod disk;
mod log;
mod plan;
mod workload;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;

use tenterhook_runtime::io::IO;
use tenterhook_stress::blocking::{After, Blocking, BlockingSystem, Call, Gone, Job};
use tenterhook_stress::disk::{FaultKind, SimDisk};
use tenterhook_stress::oracle::Verdict;
use tenterhook_stress::subject::{Drawn, Fixed, Subject};
use tenterhook_stress::system::Crash;
use tenterhook_stress::tape::{ChoicePoint, Stream};
use tenterhook_stress::violation::Violation;

use crate::disk::Disk;
use crate::plan::{Ask, Habits, Plan};
use crate::workload::{Counts, Life, Store};

/// Faults that raft-engine is to survive, those of the ends of lives first.
const FAULTS: [FaultKind; 13] = [
    FaultKind::PowerLoss,
    FaultKind::ProcessKilled,
    FaultKind::CrashInRecovery,
    FaultKind::SectorTorn,
    FaultKind::SectorLost,
    FaultKind::OpenError,
    FaultKind::ShortRead,
    FaultKind::WriteError,
    FaultKind::ShortWrite,
    FaultKind::SyncFailed,
    FaultKind::TruncateError,
    FaultKind::Stuck,
    FaultKind::ReadError,
];

const SWARM: ChoicePoint = ChoicePoint::new(21, "which faults");

struct RaftEngine {
    store: Arc<Store>,
    connections: u32,
    /// The newest commit that the next life must find.
    floor: u64,
}

impl RaftEngine {
    /// A job that dies as raft-engine means to: it panics when a sync fails.
    fn job(&self, work: impl FnOnce(&Store, &Call) -> Verdict<After> + Send + 'static) -> Job {
        let store = Arc::clone(&self.store);
        Box::new(move |call| {
            let payload = match catch_unwind(AssertUnwindSafe(|| work(&store, call))) {
                Ok(after) => return after,
                Err(payload) => payload,
            };
            let message = payload.downcast_ref::<String>().cloned().unwrap_or_default();
            let dies = message.contains("`Result::unwrap()` on an `Err` value")
                || message.starts_with("pipe::sync()");
            let began = store.life.lock().as_ref().map(|life| life.began).unwrap_or_default();
            let has_failed =
                |life: &Life| life.faults.struck_since(&[FaultKind::SyncFailed], began).is_some();
            if payload.is::<Gone>() || !dies || !store.life.lock().as_ref().is_some_and(has_failed) {
                resume_unwind(payload);
            }
            call.remark(|| message);
            store.counts.lock().deaths += 1;
            Ok(After::Restart)
        })
    }
}

impl BlockingSystem for RaftEngine {
    fn connections(&self) -> u32 {
        self.connections
    }

    fn boot(&mut self, io: &Arc<dyn IO>, disk: &SimDisk) -> Job {
        let (began, floor) = (disk.fault_counts().struck(), self.floor);
        let mut life = self.store.life.lock();
        // A life whose first opening failed begins again from what is on the disk.
        let (began, floor) = life.as_ref().map_or((began, floor), |life| (life.began, life.floor));
        if let Some(life) = life.take() {
            life.disk.die();
        }
        match Disk::new(io, disk, &self.store.plan) {
            Ok(made) => *life = Some(Life { disk: Arc::new(made), faults: disk.clone(), began, floor }),
            Err(error) => {
                let violation = Violation::safety("folder", "a temporary folder", error.to_string());
                return Box::new(move |_| Err(violation));
            }
        }
        drop(life);
        self.job(Store::boot)
    }

    fn operation(&mut self, _: u32) -> Job {
        self.job(Store::operate)
    }

    fn quiesce(&mut self) -> Job {
        self.job(Store::look_over)
    }

    fn crash(&mut self, crash: Crash) -> Result<(), Box<Violation>> {
        let life = self.store.life.lock().take();
        life.as_ref().inspect(|life| life.disk.die());
        drop(self.store.engine.lock().take());
        self.floor = self.store.model.lock().ended(crash);
        Ok(())
    }

    fn counters(&self) -> Vec<(&'static str, u64)> {
        let Counts { commits, snapshots, synced, purges, boots, io_errors, deaths } =
            self.store.counts.lock().clone();
        vec![
            ("commits", commits),
            ("snapshots", snapshots),
            ("commits with a sync", synced),
            ("purges", purges),
            ("boots", boots),
            ("I/O errors", io_errors),
            ("deaths by a failed sync", deaths),
        ]
    }
}

#[derive(Copy, Clone, Debug)]
struct RaftEngineSubject;

impl Subject for RaftEngineSubject {
    const NAME: &'static str = env!("CARGO_PKG_NAME");
    const ABOUT: &'static str = "raft-engine under the deterministic stress tester";
    type Options = Habits;
    type Plan = Plan;
    type System = Blocking<RaftEngine>;

    fn draw(stream: &mut Stream, seed: u64, fixed: &Fixed<Habits>) -> Drawn<Plan> {
        // The last is the read error.
        let known = usize::from(fixed.own.ask != Some(Ask::ReadErrors));
        let faults = match stream.choose(SWARM, 3) {
            0 => &[][..],
            1 => &FAULTS[..5],
            _ => &FAULTS[..FAULTS.len() - known],
        };
        let plan = Plan::draw(stream, &fixed.own);
        let mut drawn = Drawn::common(stream, seed, fixed, faults, plan);
        drawn.world.steps = fixed.world.steps.unwrap_or(4_000);
        drawn
    }

    fn system(drawn: &Drawn<Plan>) -> Self::System {
        let store = Arc::new(Store::new(drawn.plan.clone()));
        Blocking::new(RaftEngine { store, connections: drawn.connections, floor: 0 })
    }

    fn describe(drawn: &Drawn<Plan>) -> Vec<(&'static str, String)> {
        let connections = ("connections", drawn.connections.to_string());
        [vec![connections], drawn.plan.describe(), drawn.world.describe()].concat()
    }
}

fn main() -> std::process::ExitCode {
    tenterhook_stress::cli::main::<RaftEngineSubject>().into()
}

#[cfg(test)]
mod tests {
    use tenterhook_stress::sim;
    use tenterhook_stress::subject;
    use tenterhook_stress::tape::Source;
    use tenterhook_stress::watch::Watch;
    use tenterhook_stress::world::{Keep, RunOutcome};

    use super::*;
    use crate::plan::Broken;

    fn run(seed: u64, own: Habits) -> RunOutcome {
        let fixed = Fixed { own, ..Fixed::default() };
        let drawn = subject::draw::<RaftEngineSubject>(&Source::Seed(seed), seed, &fixed);
        sim::run::<RaftEngineSubject>(&drawn, Keep::Hash, &Watch::default())
    }

    #[test]
    fn a_seed_is_always_the_same_run_and_breaks_no_promise() {
        let mut commits = 0;
        for seed in 0..20 {
            let outcome = run(seed, Habits::default());
            assert_eq!(outcome.violation, None, "seed {seed}");
            assert_eq!(outcome.trace_hash, run(seed, Habits::default()).trace_hash, "seed {seed}");
            commits += outcome.counters[0].1;
        }
        assert!(commits > 1_000, "{commits}");
    }

    #[test]
    fn each_way_to_break_the_adapter_or_the_workload_is_found() {
        for (broken, oracle) in [(Broken::Sync, "durability"), (Broken::Change, "group")] {
            let own = || Habits { broken: Some(broken), ..Habits::default() };
            let found = (0..50).find_map(|seed| run(seed, own()).violation);
            assert_eq!(found.unwrap_or_else(|| panic!("no oracle notices {broken:?}")).oracle, oracle);
        }
    }
}
