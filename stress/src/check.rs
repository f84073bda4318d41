//! Somebody's own system as an ordinary test: seeds, shrinking, replay.
//!
//! [`simulate!`](crate::simulate!) makes the test; [`Check`] is what is behind it. A test runs the same seeds each time. When
//! a promise is broken it shrinks the run, writes its tape and a timeline below `tenterhook-runs/failures`, and says how to
//! repeat it. The environment may ask for something else than the test does:
//!
//! | variable | meaning |
//! | --- | --- |
//! | `TENTERHOOK_SEED` | run from this seed on; alone, run only this one |
//! | `TENTERHOOK_SEEDS` | run so many seeds |
//! | `TENTERHOOK_TAPE` | play this tape instead |

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::disk::{DiskOptions, FaultKind, FaultPlan};
use crate::schedule::SchedulerKind;
use crate::shrink::{self, Budget, Replay, Shrunk};
use crate::system::System;
use crate::tape::{Actor, Chance, Site, Source, TapeFile};
use crate::timeline;
use crate::watch::Watch;
use crate::world::{Keep, NemesisOptions, RunOutcome, World, WorldOptions};

const SCHEDULER: Site = Site::new(0, "scheduler");
const DELIVERY: Site = Site::new(1, "delivery weight");
const DEPTH: Site = Site::new(2, "depth");
const DISK: Site = Site::new(3, "disk");
const RATE: Site = Site::new(4, "rates of faults");
const LIFE: Site = Site::new(5, "length of lives");
const READ_DELAY: Site = Site::new(8, "delay of reads");
const SYNC_DELAY: Site = Site::new(6, "delay of syncs");
const FAILED_SYNCS: Site = Site::new(7, "power after failed syncs");

/// Makes an ordinary test of a system: `fn name(option = value, ..) => make`, where `make` gives a fresh system for a number
/// of connections and the options are [`Check`]'s methods.
///
/// ```
/// # use tenterhook_stress::system::{Context, Crash, Step, System};
/// # use tenterhook_stress::violation::Violation;
/// struct Idler(u32);
///
/// impl System for Idler {
///     fn connections(&self) -> u32 {
///         self.0
///     }
///     fn step(&mut self, _: &mut Context<'_>) -> Result<Step, Box<Violation>> {
///         Ok(Step::Ended)
///     }
///     fn crash(&mut self, _: Crash) -> Result<(), Box<Violation>> {
///         Ok(())
///     }
/// }
///
/// tenterhook_stress::simulate! {
///     /// It does nothing, so nothing goes wrong.
///     fn idling_is_harmless(connections = 3, seeds = 20) => Idler
/// }
/// ```
#[macro_export]
macro_rules! simulate {
    ($($(#[$meta:meta])* fn $name:ident($($option:ident = $value:expr),* $(,)?) => $make:expr)+) => {
        $($(#[$meta])*
        #[test]
        fn $name() {
            $crate::check::Check::new(stringify!($name), $make)$(.$option($value))*.run();
        })+
    };
}

/// What a test runs.
#[derive(Clone, Debug)]
pub struct Check<M> {
    name: &'static str,
    make: M,
    seeds: u64,
    faults: Vec<FaultKind>,
    setup: Setup,
}

/// What a tape needs beside its choices.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Setup {
    connections: u32,
    steps: u64,
    /// Instead of the one that is drawn.
    scheduler: Option<SchedulerKind>,
}

/// A broken promise, made small.
#[derive(Debug)]
pub struct Broken<M> {
    /// The seed that found it; none if it was a tape.
    pub seed: Option<u64>,
    /// The small run.
    pub shrunk: Shrunk<Check<M>>,
}

impl<M, S> Check<M>
where
    M: Fn(u32) -> S + Clone,
    S: System,
{
    /// A test that is called `name` of the systems that `make` makes for a number of connections.
    pub fn new(name: &'static str, make: M) -> Check<M> {
        let setup = Setup { connections: 3, steps: 2_000, scheduler: None };
        Check { name, make, seeds: 100, faults: Vec::new(), setup }
    }

    /// How many connections there are; 3 unless said otherwise.
    #[must_use]
    pub fn connections(mut self, connections: u32) -> Check<M> {
        self.setup.connections = connections;
        self
    }

    /// How many steps a run has; 2,000 unless said otherwise.
    #[must_use]
    pub fn steps(mut self, steps: u64) -> Check<M> {
        self.setup.steps = steps;
        self
    }

    /// How many seeds are run; 100 unless said otherwise.
    #[must_use]
    pub fn seeds(mut self, seeds: u64) -> Check<M> {
        self.seeds = seeds;
        self
    }

    /// Kinds of fault that may strike; none unless said otherwise. With [`FaultKind::PowerLoss`] or
    /// [`FaultKind::ProcessKilled`] lives end in the middle.
    #[must_use]
    pub fn faults(mut self, faults: impl IntoIterator<Item = FaultKind>) -> Check<M> {
        self.faults = faults.into_iter().collect();
        self
    }

    /// Runs the seeds, or what the environment asks for.
    ///
    /// # Panics
    ///
    /// When a promise is broken, with all that is needed to repeat it; when two runs of a seed differ; when the environment
    /// makes no sense.
    pub fn run(&self) {
        let variable = |name: &str| std::env::var(name).ok();
        let number = |name: &str| {
            let read = |text: String| match text.strip_prefix("0x") {
                Some(digits) => u64::from_str_radix(digits, 16),
                None => text.parse(),
            };
            variable(name)
                .map(|text| read(text).unwrap_or_else(|_| panic!("{name} is not a number below 2^64")))
        };
        if let Some(path) = variable("TENTERHOOK_TAPE") {
            return self.play_tape(Path::new(&path));
        }
        let (first, seeds) = match (number("TENTERHOOK_SEED"), number("TENTERHOOK_SEEDS")) {
            (Some(first), seeds) => (first, seeds.unwrap_or(1)),
            (None, seeds) => (0, seeds.unwrap_or(self.seeds)),
        };
        if let Some(broken) = self.search(first, seeds) {
            panic!("{}", self.explain(&broken, Path::new("tenterhook-runs/failures")));
        }
    }

    /// The first of `seeds` seeds that breaks a promise, made small.
    ///
    /// # Panics
    ///
    /// When two runs of a seed differ.
    pub fn search(&self, first: u64, seeds: u64) -> Option<Broken<M>> {
        for seed in (0..seeds).map(|index| first.wrapping_add(index)) {
            let source = Source::Seed(seed);
            let outcome = self.play(&source, Keep::Hash);
            if seed % 16 == 0 || outcome.violation.is_some() {
                let again = self.play(&source, Keep::Hash);
                assert_eq!(
                    outcome.trace_hash, again.trace_hash,
                    "two runs of seed {seed:#x} differ: something other than the tape decides"
                );
            }
            if outcome.violation.is_some() {
                let shrunk = shrink::shrink(self, &source, Budget::default());
                return shrunk.map(|shrunk| Broken { seed: Some(seed), shrunk });
            }
        }
        None
    }

    /// Plays a tape that was saved: a regression test.
    ///
    /// # Panics
    ///
    /// When it is no tape of this test, or a promise is broken.
    pub fn replay(&self, tape: &[u8]) {
        self.play_file(TapeFile::decode(tape).unwrap_or_else(|error| panic!("the tape {error}")));
    }

    fn play_tape(&self, path: &Path) {
        let file = TapeFile::read(path);
        self.play_file(file.unwrap_or_else(|error| panic!("TENTERHOOK_TAPE {} {error}", path.display())));
    }

    fn play_file(&self, file: TapeFile) {
        let file = file.of_system(self.name).unwrap_or_else(|error| panic!("the tape {error}"));
        let setup = serde_json::from_str(&file.setup);
        let setup: Setup =
            setup.unwrap_or_else(|_| panic!("the tape was made by another version of this test"));
        let check = Check { setup, ..self.clone() };
        let outcome = check.play(&Source::Recorded(file.tape), Keep::Story);
        if let Some(violation) = &outcome.violation {
            panic!("{violation}\n{}", timeline::draw(&outcome));
        }
    }

    /// What a person needs to know, the command that repeats it last.
    fn explain(&self, broken: &Broken<M>, directory: &Path) -> String {
        let Broken { seed, shrunk } = broken;
        let mut text = format!("\n{}\n\n{}", shrunk.violation, timeline::draw(&shrunk.outcome));
        let (before, after) = (shrunk.before, shrunk.after);
        let _ = writeln!(
            text,
            "shrunk from {} choices that are not dull to {}, from {} connections to {}",
            before.deviations, after.deviations, self.setup.connections, shrunk.setup.setup.connections
        );
        match self.save(directory, shrunk) {
            Ok(tape) => {
                let _ = writeln!(
                    text,
                    "\nthe small run:\nTENTERHOOK_TAPE={} cargo test {}",
                    tape.display(),
                    self.name
                );
            }
            Err(error) => {
                let _ = writeln!(text, "\nits tape could not be written to {}: {error}", directory.display());
            }
        }
        if let Some(seed) = seed {
            let _ = writeln!(text, "\nrepeat with:\nTENTERHOOK_SEED={seed:#x} cargo test {}", self.name);
        }
        text
    }

    fn save(&self, directory: &Path, shrunk: &Shrunk<Check<M>>) -> std::io::Result<PathBuf> {
        std::fs::create_dir_all(directory)?;
        let path = directory.join(format!("{}.tape", self.name));
        shrunk.file().write(&path)?;
        // The test runs in its package's folder; whoever repeats it may be elsewhere.
        std::fs::canonicalize(path)
    }

    /// What the seed, or the tape, says about everything that the test does not.
    fn draw(&self, source: &Source) -> (WorldOptions, crate::tape::LaneRecord) {
        let mut lane = source.lane(Actor::OPTIONS, true);
        let portfolio = SchedulerKind::PORTFOLIO;
        let drawn = portfolio[lane.choose(SCHEDULER, portfolio.len() as u32) as usize];
        let mut faults = FaultPlan::NONE;
        for kind in FaultKind::ALL {
            let rate = 2_000 << lane.choose(RATE, 5);
            if self.faults.contains(&kind) {
                faults.set(kind, Chance::per_million(rate));
            }
        }
        let (loses_power, is_killed) =
            (self.faults.contains(&FaultKind::PowerLoss), self.faults.contains(&FaultKind::ProcessKilled));
        let mean_life = 50 + lane.choose(LIFE, 400);
        let max_delay = 1 << lane.choose(DISK, 8);
        let failed_syncs = Chance::per_mille([0, 500, 900][lane.choose(FAILED_SYNCS, 3) as usize]);
        let options = WorldOptions {
            steps: self.setup.steps,
            scheduler: self.setup.scheduler.unwrap_or(drawn),
            delivery_weight: 2 + lane.choose(DELIVERY, 12),
            depth: 1 + lane.choose(DEPTH, 4),
            disk: DiskOptions {
                max_delay,
                max_sync_delay: max_delay * [1, 4, 16][lane.choose(SYNC_DELAY, 3) as usize],
                max_read_delay: max_delay * [1, 1, 4, 16][lane.choose(READ_DELAY, 4) as usize],
                immediate: Chance::per_mille([0, 100, 900][lane.choose(DISK, 3) as usize]),
                faults,
            },
            nemesis: NemesisOptions {
                mean_life: if loses_power || is_killed { mean_life } else { 0 },
                killed: Chance::per_mille(match (loses_power, is_killed) {
                    (true, true) => 300,
                    (false, true) => 1000,
                    (_, false) => 0,
                }),
                failed_syncs: if loses_power { failed_syncs } else { Chance::NEVER },
                ..NemesisOptions::default()
            },
            ..WorldOptions::default()
        };
        (options, lane.take_record().unwrap_or_default())
    }
}

impl<M, S> Replay for Check<M>
where
    M: Fn(u32) -> S + Clone,
    S: System,
{
    fn play(&self, source: &Source, keep: Keep) -> RunOutcome {
        let (options, drawn) = self.draw(source);
        let world = World::new((self.make)(self.setup.connections), options, source, keep);
        let mut outcome = world.run(&Watch::default());
        if keep >= Keep::Tape {
            outcome.tape.put(Actor::OPTIONS, drawn);
        }
        outcome
    }

    fn with_random_scheduler(&self) -> Check<M> {
        let mut check = self.clone();
        check.setup.scheduler = Some(SchedulerKind::Random);
        check
    }

    fn smaller(&self, _: &Source, failed_at: u64) -> Vec<Check<M>> {
        let with = |setup| Check { setup, ..self.clone() };
        let fewer =
            (1..self.setup.connections).map(|connections| Setup { connections, ..self.setup.clone() });
        let shorter = [failed_at / 4, failed_at / 2, failed_at * 3 / 4, failed_at];
        let shorter = shorter.into_iter().filter(|&steps| (1..self.setup.steps).contains(&steps));
        let shorter = shorter.map(|steps| Setup { steps, ..self.setup.clone() });
        fewer.chain(shorter).map(with).collect()
    }

    fn test(&self, tape: &str) -> String {
        format!("// Of the test `{}`: give it its `Check`.\n    check.replay(include_bytes!(\"{tape}\"));", self.name)
    }

    fn file(&self, source: &Source, oracle: Option<String>) -> TapeFile {
        let tape = match source {
            Source::Recorded(tape) => tape.clone(),
            Source::Seed(_) => Default::default(),
        };
        let setup = serde_json::to_string(&self.setup).unwrap_or_default();
        TapeFile { system: self.name.into(), oracle, setup, tape }
    }
}
