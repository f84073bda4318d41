//! redb under the deterministic stress tester: `cargo run --release -- sim --duration 10s`.
//!
//! One connection, or with `--workload keys` several. What is tested is what faults and the end of a life do to commits, savepoints and
//! repair, and what connections see of each other.

mod backend;
#[cfg(test)]
mod conformance;
mod keys;
mod life;
mod model;
mod plan;
mod workload;

use std::sync::Arc;

use tenterhook_runtime::io::IO;
use tenterhook_stress::blocking::{After, Blocking, BlockingDisk, BlockingSystem, Call, Job};
use tenterhook_stress::disk::{FaultKind, SimDisk};
use tenterhook_stress::oracle::Verdict;
use tenterhook_stress::subject::{Drawn, Fixed, Subject};
use tenterhook_stress::system::Crash;
use tenterhook_stress::tape::{ChoicePoint, Stream};
use tenterhook_stress::violation::Violation;

use crate::keys::Keys;
use crate::life::Life;
use crate::plan::{Habits, Workload};
use crate::workload::Store;

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

/// What connections do.
enum Work {
    Commits(Arc<Store>),
    Keys(Arc<Keys>),
}

struct Redb {
    work: Work,
    connections: u32,
    life: Option<Life>,
}

impl Redb {
    fn job(
        &self,
        commits: fn(&Store, &Call, &Life) -> Verdict<After>,
        keys: fn(&Keys, &Call, &Life) -> Verdict<After>,
    ) -> Job {
        let life = self.life.clone().expect("booted");
        match &self.work {
            Work::Commits(store) => {
                let store = Arc::clone(store);
                Box::new(move |call| commits(&store, call, &life))
            }
            Work::Keys(store) => {
                let store = Arc::clone(store);
                Box::new(move |call| keys(&store, call, &life))
            }
        }
    }
}

impl BlockingSystem for Redb {
    fn connections(&self) -> u32 {
        self.connections
    }

    fn boot(&mut self, io: &Arc<dyn IO>, disk: &SimDisk) -> Job {
        let began = disk.fault_counts().struck();
        self.life.get_or_insert_with(|| Life {
            disk: Arc::new(BlockingDisk::new(io, disk)),
            faults: disk.clone(),
            began,
        });
        self.job(|store, call, life| store.operate(call, life, true), Keys::boot)
    }

    fn operation(&mut self, _: u32) -> Job {
        self.job(|store, call, life| store.operate(call, life, false), Keys::operate)
    }

    fn quiesce(&mut self) -> Job {
        self.job(|store, call, life| store.operate(call, life, true), Keys::rest)
    }

    fn crash(&mut self, crash: Crash) -> Result<(), Box<Violation>> {
        match &self.work {
            Work::Commits(store) => drop(store.open.lock().take()),
            Work::Keys(store) => store.ended(crash),
        }
        self.life = None;
        Ok(())
    }

    fn counters(&self) -> Vec<(&'static str, u64)> {
        match &self.work {
            Work::Commits(store) => store.counts.lock().told(),
            Work::Keys(store) => store.counts.lock().told(),
        }
    }
}

#[derive(Copy, Clone, Debug)]
struct RedbSubject;

impl Subject for RedbSubject {
    const NAME: &'static str = env!("CARGO_PKG_NAME");
    const ABOUT: &'static str = "redb under the deterministic stress tester";
    type Options = Habits;
    type Plan = Habits;
    type System = Blocking<Redb>;

    fn draw(stream: &mut Stream, seed: u64, fixed: &Fixed<Habits>) -> Drawn<Habits> {
        let faults = [&FAULTS[..5], &FAULTS[..]][stream.choose(SWARM, 2) as usize];
        let mut drawn = Drawn::common(stream, seed, fixed, faults, fixed.own.clone());
        if fixed.own.workload() == Workload::Commits {
            drawn.connections = 1;
        }
        drawn.world.steps = fixed.world.steps.unwrap_or(3_000);
        drawn
    }

    fn system(drawn: &Drawn<Habits>) -> Self::System {
        let (broken, connections) = (drawn.plan.broken, drawn.connections);
        let work = match drawn.plan.workload() {
            Workload::Commits => Work::Commits(Arc::new(Store::new(broken))),
            Workload::Keys => Work::Keys(Arc::new(Keys::new(broken))),
        };
        let blocking = Blocking::new(Redb { work, connections, life: None });
        match drawn.plan.workload() {
            Workload::Commits => blocking,
            // A second writer waits in a lock of redb's.
            Workload::Keys => blocking.foreign_locks(),
        }
    }
}

fn main() -> std::process::ExitCode {
    tenterhook_stress::cli::main::<RedbSubject>().into()
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
        let drawn = subject::draw::<RedbSubject>(&Source::Seed(seed), seed, &fixed);
        sim::run::<RedbSubject>(&drawn, Keep::Hash, &Watch::default())
    }

    fn counter(outcome: &RunOutcome, name: &str) -> u64 {
        outcome.counters.iter().find(|counter| counter.0 == name).expect("a counter").1
    }

    #[test]
    fn writers_wait_in_the_locks_of_redb_and_a_seed_is_always_the_same_run() {
        let own = || Habits { workload: Some(Workload::Keys), broken: None };
        let (mut commits, mut sleeps) = (0, 0);
        for seed in 0..10 {
            let outcome = run(seed, own());
            assert_eq!(outcome.violation, None, "seed {seed}");
            assert_eq!(outcome.trace_hash, run(seed, own()).trace_hash, "seed {seed}");
            assert_eq!(counter(&outcome, "runs not proven deterministic"), 0, "seed {seed}");
            commits += counter(&outcome, "commits");
            sleeps += counter(&outcome, "sleeps in the engine's locks");
        }
        assert!(commits > 200 && sleeps > 100, "{commits} commits, {sleeps} sleeps");
    }

    #[test]
    fn each_way_to_break_the_adapter_or_the_workload_is_found() {
        let found = |workload, broken| {
            let own = || Habits { workload: Some(workload), broken: Some(broken) };
            let violation = (0..50).find_map(|seed| run(seed, own()).violation);
            violation.unwrap_or_else(|| panic!("no oracle notices {broken:?} of {workload:?}")).oracle
        };
        for broken in [Broken::Scan, Broken::Put] {
            assert_eq!(found(Workload::Keys, broken), "key set", "{broken:?}");
        }
        for workload in [Workload::Keys, Workload::Commits] {
            let oracle = found(workload, Broken::Sync);
            assert!(["key set", "visibility", "durability", "error"].contains(&oracle.as_str()), "{oracle}");
        }
    }
}
