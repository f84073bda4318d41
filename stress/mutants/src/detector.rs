//! Who looks for bugs, and how they are called.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A mutant is not debugged, and a patch changes one line: the loss of speed by this is nothing beside
/// what it saves in building.
const QUICK_BUILDS: [(&str, &str); 5] = [
    ("CARGO_INCREMENTAL", "1"),
    ("CARGO_PROFILE_DEV_DEBUG", "false"),
    ("CARGO_PROFILE_MODELS_DEBUG", "false"),
    ("CARGO_PROFILE_STRESS_DEBUG", "false"),
    ("CARGO_PROFILE_STRESS_LTO", "off"),
];

/// What a simulator gets beyond its time to end by itself and say how far it came.
const FAREWELL: Duration = Duration::from_secs(60);

/// One way of looking.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Detector {
    /// `cargo test` of the crate that the mutant is in.
    Unit,
    /// Every execution of the loom models, within their bounds.
    Loom,
    /// Random schedules of the shuttle models.
    Shuttle,
    /// Every fault, yield, drop and crash in each operation of the pager, one at a time.
    Sweep,
    /// Real processes that are killed.
    Crash,
    /// Real threads over real backends.
    Threads,
    /// Storms of completions, waiters, groups, tasks and backends on real threads.
    Storm,
    /// The same under ThreadSanitizer.
    ThreadsTsan,
    /// The same under AddressSanitizer.
    ThreadsAsan,
    /// The simulator as users run it: a scheduler for each seed.
    Sim,
    /// The simulator with one scheduler.
    SimRandom,
    SimRoundRobin,
    SimPct,
    SimPos,
    SimDelayBounded,
    /// The simulator with four threads that are stopped at any synchronisation operation.
    Race,
    /// The same with the storm of completions, groups and tasks.
    RaceStorm,
    /// The simulator with what Whopper has: round robin, all I/O in order after each step, bit flips, reopened only when
    /// drained.
    Baseline,
}

/// How much a detector may spend on one mutant.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Budget {
    /// A run that takes longer has hung; a simulator begins no further seed.
    pub(crate) time: Duration,
    /// Runs with seeds of their own; 1 for those that have none.
    pub(crate) repetitions: u64,
    /// Seeds of a run.
    pub(crate) seeds: u64,
}

impl Detector {
    pub(crate) const ALL: [Self; 18] = [
        Self::Unit,
        Self::Loom,
        Self::Shuttle,
        Self::Sweep,
        Self::Crash,
        Self::Threads,
        Self::Storm,
        Self::ThreadsTsan,
        Self::ThreadsAsan,
        Self::Sim,
        Self::SimRandom,
        Self::SimRoundRobin,
        Self::SimPct,
        Self::SimPos,
        Self::SimDelayBounded,
        Self::Race,
        Self::RaceStorm,
        Self::Baseline,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Unit => "unit",
            Self::Loom => "loom",
            Self::Shuttle => "shuttle",
            Self::Sweep => "sweep",
            Self::Crash => "crash",
            Self::Threads => "threads",
            Self::Storm => "storm",
            Self::ThreadsTsan => "threads-tsan",
            Self::ThreadsAsan => "threads-asan",
            Self::Sim => "sim",
            Self::SimRandom => "sim-random",
            Self::SimRoundRobin => "sim-round-robin",
            Self::SimPct => "sim-pct",
            Self::SimPos => "sim-pos",
            Self::SimDelayBounded => "sim-delay-bounded",
            Self::Race => "race",
            Self::RaceStorm => "race-storm",
            Self::Baseline => "baseline",
        }
    }

    /// What an execution is. The tests are those of all programs up to and with the one that fails, in cargo's order; the
    /// executions and schedules those of all models up to and with the one that fails, in the list's.
    pub(crate) fn unit(self) -> &'static str {
        match self {
            Self::Unit => "tests",
            Self::Loom => "executions",
            Self::Shuttle => "schedules",
            Self::Sweep => "cases",
            Self::Crash => "deaths",
            _ if self.is_real_threads() => "runs",
            _ => "seeds",
        }
    }

    /// Whether it draws seeds.
    pub(crate) fn is_sim(self) -> bool {
        let others = matches!(self, Self::Unit | Self::Loom | Self::Shuttle | Self::Sweep | Self::Crash);
        !others && !self.is_real_threads()
    }

    /// Whether it is the command `threads`, in whatever build.
    pub(crate) fn is_real_threads(self) -> bool {
        matches!(self, Self::Threads | Self::Storm | Self::ThreadsTsan | Self::ThreadsAsan)
    }

    /// Whether it is about real threads, which need processors to meet on. The others count executions, whatever they have.
    pub(crate) fn wants_all_processors(self) -> bool {
        matches!(self, Self::Unit | Self::Crash) || self.is_real_threads()
    }

    /// Whether it can notice something in this area at all: the simulator has its own I/O and no executor, and the models
    /// know no files. Schedulers are compared on the pager, which is what they interleave.
    pub(crate) fn reaches(self, area: &str) -> bool {
        match self {
            Self::Unit => true,
            Self::Loom | Self::Shuttle => matches!(area, "completion" | "group" | "executor" | "pager"),
            Self::Crash => matches!(area, "io" | "pager"),
            Self::Threads => area != "tester",
            Self::Storm | Self::ThreadsTsan | Self::ThreadsAsan => !matches!(area, "tester" | "pager"),
            Self::RaceStorm => matches!(area, "completion" | "group" | "executor"),
            Self::Sweep | Self::Sim => matches!(area, "completion" | "group" | "pager" | "tester"),
            _ => matches!(area, "pager"),
        }
    }

    /// The budget of `make mutants`. Real threads do the same twice only by chance, so on the clean code one run of them
    /// would say little.
    pub(crate) fn budget(self, area: Option<&str>) -> Budget {
        let budget =
            |seconds, repetitions, seeds| Budget { time: Duration::from_secs(seconds), repetitions, seeds };
        let runs = if area.is_none() { 3 } else { 1 };
        match self {
            Self::Unit => budget(240, runs, 1),
            Self::Loom => budget(360, 1, 1),
            Self::Shuttle => budget(180, 1, 1),
            Self::Sweep => budget(60, 1, 1),
            Self::Crash => budget(120, runs, 50),
            Self::Threads => budget(60, runs, 1),
            Self::Storm => budget(120, runs, 1),
            Self::ThreadsTsan | Self::ThreadsAsan => budget(240, runs, 1),
            // What interleaves is the pager: there the schedulers are compared, with six runs, whose smallest and largest
            // enclose the true median with 97 %. The time is ten times what the seeds take here: on a slower machine, too,
            // it is seeds that are compared.
            _ if matches!(area, None | Some("pager")) => budget(240, 6, 300),
            _ => budget(240, 2, 300),
        }
    }

    /// When a run has hung. Simulators know their time and end by themselves.
    pub(crate) fn patience(self, budget: Budget) -> Duration {
        if self.is_sim() { budget.time + FAREWELL } else { budget.time }
    }

    /// cargo's arguments that compile what it needs.
    pub(crate) fn build_arguments(self, area: Option<&str>) -> Vec<String> {
        match self.build() {
            Build::Tests => self.cargo(area, "test --no-run --tests --lib"),
            Build::Loom | Build::Shuttle => words("build --profile models -p tenterhook-loom-tests"),
            Build::Race => words("build --profile models -p tenterhook --bin tenterhook"),
            Build::Storm => {
                words("build --profile models -p tenterhook-stress --features cli --example storm")
            }
            Build::Sim => words("build --profile stress -p tenterhook --bin tenterhook"),
            Build::Tsan | Build::Asan => {
                words(&format!("build --profile stress -p tenterhook --bin tenterhook --target {TARGET}"))
            }
        }
    }

    fn cargo(self, area: Option<&str>, line: &str) -> Vec<String> {
        let packages = self.folders(area).iter().flat_map(|folder| packages(folder));
        let packages = packages.map(|name| format!("--package={name}"));
        words(line).into_iter().chain(packages).collect()
    }

    /// The build that it needs, by its name.
    pub(crate) fn build(self) -> Build {
        match self {
            Self::Unit => Build::Tests,
            Self::Loom => Build::Loom,
            Self::Shuttle => Build::Shuttle,
            Self::Race => Build::Race,
            Self::RaceStorm => Build::Storm,
            Self::ThreadsTsan => Build::Tsan,
            Self::ThreadsAsan => Build::Asan,
            _ => Build::Sim,
        }
    }

    /// The folders that it looks at when it looks for a bug in `area`, or in all of the code.
    pub(crate) fn folders(self, area: Option<&str>) -> &'static [&'static str] {
        match (self, area) {
            (Self::Unit, Some("tester")) => &["stress"],
            (Self::Unit, Some(_)) => &["runtime"],
            (Self::Loom | Self::Shuttle, _) => &["runtime", "loom-tests"],
            _ => &["runtime", "stress"],
        }
    }

    /// The arguments of its program. The seeds of repetitions are disjoint.
    pub(crate) fn arguments(self, area: Option<&str>, budget: Budget, repetition: u64) -> Vec<String> {
        match self {
            Self::Unit => self.cargo(area, "test --offline --tests --lib"),
            // No other model has a pager in it.
            Self::Loom if area == Some("pager") => {
                words("--fail-fast commit_ page_ right_ snapshot_ reader_ writer_")
            }
            Self::Loom => words("--fail-fast"),
            Self::Shuttle if area == Some("pager") => words("right_"),
            Self::Shuttle => Vec::new(),
            Self::Sweep => words("sweep --json"),
            Self::Crash => {
                let (seed, kills) = (repetition + 1, budget.seeds);
                words(&format!("crash --json --quiet --seed {seed} --kills {kills}"))
            }
            Self::Threads => words(&format!(
                "threads --json --quiet --seed {} --duration 5s --connections 64 --noise --stall 10s",
                repetition + 1
            )),
            Self::Storm => {
                words(&format!("threads --json --storm --seed {} --duration 30s --stall 10s", repetition + 1))
            }
            Self::ThreadsTsan | Self::ThreadsAsan => {
                words(&format!("threads --json --storm --seed {} --duration 90s --stall 60s", repetition + 1))
            }
            _ => {
                let first = 1_000_000 * (repetition + 1);
                let mut all = words(&format!(
                    "sim --json --quiet --artifacts none --max-failures 1 --seed {first} --seeds {} --duration {}s",
                    budget.seeds,
                    budget.time.as_secs()
                ));
                all.extend(words(match self {
                    Self::SimRandom => "--scheduler random",
                    Self::SimRoundRobin => "--scheduler round-robin",
                    Self::SimPct => "--scheduler pct",
                    Self::SimPos => "--scheduler pos",
                    Self::SimDelayBounded => "--scheduler delay-bounded",
                    Self::Race => "--threads 4 --steps 5000",
                    Self::RaceStorm => "--threads 4",
                    Self::Baseline => "--profile baseline",
                    _ => "",
                }));
                all
            }
        }
    }
}

/// What has to be compiled for a detector.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Build {
    Tests,
    Loom,
    Shuttle,
    Sim,
    Race,
    Storm,
    Tsan,
    Asan,
}

/// A sanitizer needs the target to be named, so that build scripts and macros are built without it.
const TARGET: &str = "x86_64-unknown-linux-gnu";

impl Build {
    /// What cargo is told by its environment.
    pub(crate) fn environment(self) -> impl Iterator<Item = (&'static str, &'static str)> {
        let unstable = matches!(self, Self::Tsan | Self::Asan).then_some(("RUSTC_BOOTSTRAP", "1"));
        let flags = match self {
            Self::Loom => "--cfg tenterhook_loom",
            Self::Shuttle | Self::Race | Self::Storm => "--cfg tenterhook_shuttle",
            Self::Tests | Self::Sim => "",
            // As in the Makefile.
            Self::Tsan => {
                "-Zsanitizer=thread -Cunsafe-allow-abi-mismatch=sanitizer --cfg tenterhook_unpooled"
            }
            Self::Asan => {
                "-Zsanitizer=address -Cunsafe-allow-abi-mismatch=sanitizer --cfg tenterhook_unpooled"
            }
        };
        QUICK_BUILDS.into_iter().chain([("RUSTFLAGS", flags)]).chain(unstable)
    }

    /// The name of its target folder.
    pub(crate) fn folder(self) -> &'static str {
        match self {
            Self::Tests => "tests",
            Self::Loom => "loom",
            Self::Shuttle => "shuttle",
            Self::Sim => "sim",
            Self::Race => "race",
            Self::Storm => "race-storm",
            Self::Tsan => "tsan",
            Self::Asan => "asan",
        }
    }

    /// The program below the target folder; `None` when cargo itself runs it.
    pub(crate) fn program(self) -> Option<&'static str> {
        match self {
            Self::Tests => None,
            Self::Loom | Self::Shuttle => Some("models/tenterhook-loom-tests"),
            Self::Sim => Some("stress/tenterhook"),
            Self::Race => Some("models/tenterhook"),
            Self::Storm => Some("models/examples/storm"),
            Self::Tsan | Self::Asan => Some("x86_64-unknown-linux-gnu/stress/tenterhook"),
        }
    }
}

fn words(line: &str) -> Vec<String> {
    line.split_whitespace().map(str::to_owned).collect()
}

impl FromStr for Detector {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let known = Self::ALL.into_iter().find(|detector| detector.name() == name);
        known.ok_or_else(|| {
            let names = Self::ALL.map(Self::name).join(", ");
            format!("there is no detector {name:?}; there are {names}")
        })
    }
}

impl fmt::Display for Detector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// The packages in a folder, without those whose code decides no result.
fn packages(folder: &str) -> &'static [&'static str] {
    match folder {
        "stress" => &["tenterhook-stress", "tenterhook"],
        "loom-tests" => &["tenterhook-loom-tests"],
        _ => &["tenterhook-runtime"],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn real_threads_get_several_runs_on_the_clean_code_and_each_a_seed() {
        for detector in [Detector::Unit, Detector::Crash, Detector::Threads] {
            assert!(detector.budget(None).repetitions >= 3, "{detector}");
        }
        for detector in Detector::ALL.into_iter().filter(|detector| detector.build() == Build::Sim) {
            let budget = detector.budget(None);
            let runs = (0..budget.repetitions).map(|run| detector.arguments(None, budget, run));
            let different: std::collections::BTreeSet<Vec<String>> = runs.collect();
            assert_eq!(different.len() as u64, budget.repetitions, "{detector}");
        }
    }
}
