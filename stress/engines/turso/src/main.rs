//! turso_core under the deterministic stress tester: `cargo run --release -- sim --duration 10s`.

#[cfg(test)]
mod conformance;
mod db;
mod file;
mod io;
mod model;
mod plan;
mod system;
mod verdict;
mod workload;

use tenterhook_stress::disk::FaultKind;
use tenterhook_stress::subject::{Drawn, Fixed, Subject};
use tenterhook_stress::tape::{ChoicePoint, Stream};

use crate::plan::{Habits, Plan};
use crate::system::Turso;

/// Faults that turso_core is to survive, those of the ends of lives first. Not among them: a sync that fails and drops what it covered,
/// and flipped bits, against which its database file has no checksums by default.
const FAULTS: [FaultKind; 13] = [
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
    FaultKind::SyncFailed,
    FaultKind::TruncateError,
    FaultKind::Stuck,
];

const SWARM: ChoicePoint = ChoicePoint::new(27, "which faults");
const LIFE: ChoicePoint = ChoicePoint::new(28, "length of lives in turso_core's steps");

#[derive(Copy, Clone, Debug)]
struct TursoSubject;

impl Subject for TursoSubject {
    const NAME: &'static str = env!("CARGO_PKG_NAME");
    const ABOUT: &'static str = "turso_core under the deterministic stress tester";
    type Options = Habits;
    type Plan = Plan;
    type System = Turso;

    fn draw(stream: &mut Stream, seed: u64, fixed: &Fixed<Habits>) -> Drawn<Plan> {
        let faults = match stream.choose(SWARM, 3) {
            0 => &[][..],
            1 => &FAULTS[..5],
            _ => &FAULTS[..],
        };
        let plan = Plan::draw(stream, &fixed.own);
        let mut drawn = Drawn::common(stream, seed, fixed, faults, plan);
        let life = 200 << stream.choose(LIFE, 4);
        if drawn.world.nemesis.mean_life > 0 {
            drawn.world.nemesis.mean_life = life;
        }
        drawn
    }

    fn system(drawn: &Drawn<Plan>) -> Turso {
        Turso::new(&drawn.plan, drawn.connections)
    }

    fn describe(drawn: &Drawn<Plan>) -> Vec<(&'static str, String)> {
        let connections = ("connections", drawn.connections.to_string());
        [vec![connections], drawn.plan.describe(), drawn.world.describe()].concat()
    }
}

fn main() -> std::process::ExitCode {
    tenterhook_stress::cli::main::<TursoSubject>().into()
}

#[cfg(test)]
mod tests {
    use tenterhook_stress::options::Kinds;
    use tenterhook_stress::sim;
    use tenterhook_stress::subject;
    use tenterhook_stress::tape::Source;
    use tenterhook_stress::watch::Watch;
    use tenterhook_stress::world::{Keep, RunOutcome};

    use super::*;
    use crate::plan::{Broken, Journal};

    fn run(seed: u64, broken: Option<Broken>, faults: Option<&[FaultKind]>) -> RunOutcome {
        run_with(seed, faults, Habits { broken, ..Habits::default() })
    }

    fn run_with(seed: u64, faults: Option<&[FaultKind]>, habits: Habits) -> RunOutcome {
        let own = Habits { journal: Some(Journal::Wal), ..habits };
        let mut fixed = Fixed { own, ..Fixed::default() };
        fixed.world.faults = faults.map(|kinds| Kinds(kinds.to_vec()));
        let drawn = subject::draw::<TursoSubject>(&Source::Seed(seed), seed, &fixed);
        sim::run::<TursoSubject>(&drawn, Keep::Hash, &Watch::default())
    }

    /// turso_core has faults of its own, which need failed I/O. Without it these seeds break no promise.
    const ENDS: &[FaultKind] = &[FaultKind::PowerLoss, FaultKind::ProcessKilled, FaultKind::SectorLost];

    #[test]
    fn a_seed_is_always_the_same_run_and_breaks_no_promise() {
        let mut commits = 0;
        for seed in 0..20 {
            let outcome = run(seed, None, Some(ENDS));
            assert_eq!(outcome.violation, None, "seed {seed}");
            assert_eq!(outcome.trace_hash, run(seed, None, Some(ENDS)).trace_hash, "seed {seed}");
            commits += outcome.counters[0].1;
        }
        assert!(commits > 300, "{commits}");
    }

    #[test]
    fn each_way_to_break_the_adapter_or_the_workload_is_found() {
        for (broken, oracles) in [
            (Broken::Sync, &["durability", "balances", "rows", "corruption", "schema"][..]),
            (Broken::Transfer, &["balances"][..]),
        ] {
            let found =
                (0..200).find_map(|seed| Some((seed, run(seed, Some(broken), Some(ENDS)).violation?)));
            let (seed, violation) = found.unwrap_or_else(|| panic!("no oracle notices {broken:?}"));
            assert!(oracles.contains(&violation.oracle.as_str()), "seed {seed}: {violation}");
            assert_eq!(run(seed, None, Some(ENDS)).violation, None, "seed {seed} fails with a sound adapter");
        }
    }

    #[test]
    fn lists_that_forget_are_found_and_sound_ones_are_strictly_serializable() {
        let lists = |seed, broken| {
            run_with(seed, Some(ENDS), Habits { lists: Some(true), broken, ..Habits::default() })
        };
        for seed in 0..20 {
            let outcome = lists(seed, None);
            assert_eq!(outcome.violation, None, "seed {seed}");
            assert_eq!(outcome.trace_hash, lists(seed, None).trace_hash, "seed {seed}");
        }
        let found = (0..20).find_map(|seed| lists(seed, Some(Broken::Lists)).violation);
        assert_eq!(found.expect("an append that forgets is found").oracle, "isolation");
    }
}
