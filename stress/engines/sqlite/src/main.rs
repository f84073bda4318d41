//! SQLite under the deterministic stress tester: `cargo run --release -- sim --duration 10s`.

mod db;
mod kernel;
mod model;
mod mutex;
mod plan;
mod system;
mod vfs;
mod workload;

use tenterhook_stress::blocking::Blocking;
use tenterhook_stress::disk::FaultKind;
use tenterhook_stress::subject::{Drawn, Fixed, Subject};
use tenterhook_stress::tape::{Chance, ChoicePoint, Stream};

use crate::plan::{Habits, Plan};
use crate::system::SqliteSystem;

/// Faults that SQLite is to survive. Not among them: a sync that fails and drops what it covered, which SQLite does not claim to
/// survive, and flipped bits, against which its database file has no checksums.
const FAULTS: [FaultKind; 14] = [
    FaultKind::PowerLoss,
    FaultKind::ProcessKilled,
    FaultKind::CrashInRecovery,
    FaultKind::SectorTorn,
    FaultKind::SectorLost,
    FaultKind::OpenError,
    FaultKind::ReadError,
    FaultKind::ShortRead,
    FaultKind::WriteError,
    FaultKind::ShortWrite,
    FaultKind::NoSpace,
    FaultKind::SyncFailed,
    FaultKind::TruncateError,
    FaultKind::Stuck,
];

/// Steps of a run for which no number is given: an operation takes some dozens.
const STEPS: u64 = 6_000;

/// A stall takes fewer ticks than this: some last for many transactions of others.
const LONGEST_STALL: u32 = 4_000;

const SWARM: ChoicePoint = ChoicePoint::new(27, "which faults");
const LIFE: ChoicePoint = ChoicePoint::new(28, "length of lives in SQLite's steps");
const REST: ChoicePoint = ChoicePoint::new(29, "rests");

#[derive(Copy, Clone, Debug)]
struct Sqlite;

impl Subject for Sqlite {
    const NAME: &'static str = env!("CARGO_PKG_NAME");
    const ABOUT: &'static str = "SQLite under the deterministic stress tester";
    type Options = Habits;
    type Plan = Plan;
    type System = Blocking<SqliteSystem>;

    fn draw(stream: &mut Stream, seed: u64, fixed: &Fixed<Habits>) -> Drawn<Plan> {
        // A third of the seeds has no fault, a third only ends of lives, a third everything.
        let faults = match stream.choose(SWARM, 3) {
            0 => &[][..],
            1 => &FAULTS[..5],
            _ => &FAULTS[..],
        };
        let plan = Plan::draw(stream, &fixed.own);
        let mut drawn = Drawn::common(stream, seed, fixed, faults, plan);
        let world = &mut drawn.world;
        world.steps = fixed.world.steps.unwrap_or(STEPS);
        let life = 300 << stream.choose(LIFE, 5);
        if world.nemesis.mean_life > 0 {
            world.nemesis.mean_life = life;
        }
        world.nemesis.mean_quiesce = [3_000, 1_000, 0][stream.choose(REST, 3) as usize];
        drawn
    }

    fn system(drawn: &Drawn<Plan>) -> Self::System {
        let stalls = Chance::per_mille(drawn.plan.stalls);
        Blocking::new(SqliteSystem::new(&drawn.plan, drawn.connections)).stalls(stalls, LONGEST_STALL)
    }

    fn describe(drawn: &Drawn<Plan>) -> Vec<(&'static str, String)> {
        let connections = ("connections", drawn.connections.to_string());
        [vec![connections], drawn.plan.describe(), drawn.world.describe()].concat()
    }
}

fn main() -> std::process::ExitCode {
    tenterhook_stress::cli::main::<Sqlite>().into()
}

#[cfg(test)]
mod tests {
    use tenterhook_stress::sim;
    use tenterhook_stress::subject;
    use tenterhook_stress::tape::Source;
    use tenterhook_stress::watch::Watch;
    use tenterhook_stress::world::{Keep, RunOutcome};

    use super::*;
    use crate::plan::{Broken, Journal};

    fn run(seed: u64, habits: &Habits) -> RunOutcome {
        let fixed = Fixed { own: habits.clone(), ..Fixed::default() };
        let drawn = subject::draw::<Sqlite>(&Source::Seed(seed), seed, &fixed);
        sim::run::<Sqlite>(&drawn, Keep::Hash, &Watch::default())
    }

    #[test]
    fn a_seed_is_always_the_same_run_and_breaks_no_promise() {
        let mut commits = 0;
        for seed in 0..40 {
            let outcome = run(seed, &Habits::default());
            assert_eq!(outcome.violation, None, "seed {seed}");
            assert_eq!(outcome.trace_hash, run(seed, &Habits::default()).trace_hash, "seed {seed}");
            commits += outcome.counters[0].1;
        }
        assert!(commits > 1_000, "{commits}");
    }

    #[test]
    fn each_way_to_break_the_adapter_is_found() {
        let ways = [
            (Broken::Sync, Journal::Wal),
            (Broken::Sync, Journal::Delete),
            (Broken::Directory, Journal::Delete),
            (Broken::Lock, Journal::Delete),
            (Broken::MemoryLock, Journal::Wal),
        ];
        for (broken, journal) in ways {
            let habits = Habits { broken: Some(broken), journal: Some(journal), synchronous: None };
            let found = (0..600).find_map(|seed| Some((seed, run(seed, &habits).violation?)));
            let (seed, violation) =
                found.unwrap_or_else(|| panic!("no oracle notices {broken:?} with {journal:?}"));
            println!("{broken:?} with {journal:?}: seed {seed}, {}", violation.oracle);
            assert_ne!(violation.oracle, "blocking", "seed {seed}: {violation}");
            let unbroken = run(seed, &Habits { broken: None, ..habits });
            assert_eq!(unbroken.violation, None, "seed {seed} fails with a sound adapter");
        }
    }
}
