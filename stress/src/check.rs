//! Your own system as an ordinary test: seeds, shrinking, replay.
//!
//! [`simulate!`](crate::simulate!) makes the test; [`Check`] is what is behind it. A test runs the same seeds each time, on all
//! cores, and prints how often they reached each point of [`sometimes!`](crate::sometimes!). When
//! a promise is broken it shrinks the run, writes its tape and a timeline below `tenterhook-runs/failures`, and says how to
//! repeat it. The environment may ask for something else than the test does:
//!
//! | variable | meaning |
//! | --- | --- |
//! | `TENTERHOOK_SEED` | run from this seed on; alone, run only this one |
//! | `TENTERHOOK_SEEDS` | run so many seeds |
//! | `TENTERHOOK_TAPE` | play this tape instead |

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use parking_lot::Mutex;
use rayon::iter::{IntoParallelIterator as _, ParallelIterator as _};
use serde::{Deserialize, Serialize};

use crate::disk::FaultKind;
use crate::options::FixedWorld;
use crate::race;
use crate::schedule::SchedulerKind;
use crate::shrink::{self, Budget, Replay, Shrunk};
use crate::sim;
use crate::sometimes;
use crate::system::System;
use crate::tape::{Actor, Source, TapeFile};
use crate::timeline;
use crate::watch::Watch;
use crate::world::{Keep, RunOutcome, World, WorldOptions};

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
    /// A failure is not made smaller than this.
    min_connections: u32,
    setup: Setup,
}

/// What a tape needs beside its choices.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Setup {
    connections: u32,
    steps: u64,
    /// Instead of the one that is drawn.
    scheduler: Option<SchedulerKind>,
    /// Threads; 0 for none.
    #[serde(default)]
    threads: u32,
}

/// How often runs reached each point, by its name.
type Points = BTreeMap<&'static str, u64>;

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
    M: Fn(u32) -> S + Clone + Send + Sync,
    S: System,
{
    /// A test that is called `name` of the systems that `make` makes for a number of connections.
    pub fn new(name: &'static str, make: M) -> Check<M> {
        let setup = Setup { connections: 3, steps: 2_000, scheduler: None, threads: 0 };
        Check { name, make, seeds: 100, faults: Vec::new(), min_connections: 1, setup }
    }

    /// How many connections there are; 3 unless said otherwise.
    #[must_use]
    pub fn connections(mut self, connections: u32) -> Check<M> {
        self.setup.connections = connections;
        self
    }

    /// With fewer connections the system cannot be made, or its failure means something else: a failure is shrunk to no fewer.
    /// 1 unless said otherwise.
    #[must_use]
    pub fn min_connections(mut self, connections: u32) -> Check<M> {
        self.min_connections = connections;
        self
    }

    /// Each connection has a thread, which is stopped at any synchronisation operation (see [`race`]); there are as many
    /// connections. In a build without deterministic threads it only sets the number of connections.
    #[must_use]
    pub fn threads(mut self, threads: u32) -> Check<M> {
        self.setup.connections = threads;
        self.setup.threads = if race::IS_BUILT { threads } else { 0 };
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
    /// is invalid.
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
        let (failed, reached) = self.first_failure(first, seeds);
        // Of one seed, or of some until one failed, there is nothing to expect. The test's harness shows this with `--nocapture`, and when the test fails.
        if seeds > 1 && failed.is_none() {
            print!("{}", self.tell_points(seeds, &reached));
        }
        if let Some(broken) = failed.and_then(|seed| self.search(seed, 1)) {
            panic!("{}", self.explain(&broken, Path::new("tenterhook-runs/failures")));
        }
    }

    /// The first of `seeds` seeds that breaks a promise, made small. Seeds run on all cores.
    ///
    /// # Panics
    ///
    /// When two runs of a seed differ.
    pub fn search(&self, first: u64, seeds: u64) -> Option<Broken<M>> {
        let seed = self.first_failure(first, seeds).0?;
        let shrunk = shrink::shrink(self, &Source::Seed(seed), Budget::default());
        shrunk.map(|shrunk| Broken { seed: Some(seed), shrunk })
    }

    /// The lowest of the seeds that breaks a promise, and how often runs reached each point of [`sometimes!`].
    fn first_failure(&self, first: u64, seeds: u64) -> (Option<u64>, Points) {
        let reached = Mutex::new(Points::default());
        let breaks = |index: u64| {
            let seed = first.wrapping_add(index);
            let outcome = self.play_twice_now_and_then(seed);
            let mut reached = reached.lock();
            for (name, count) in outcome.reached {
                *reached.entry(name).or_default() += count;
            }
            outcome.violation.map(|_| seed)
        };
        let found = (0..seeds).into_par_iter().find_map_first(breaks);
        (found, reached.into_inner())
    }

    /// A run that fails, and one in sixteen others, is run again: it must have the same trace.
    fn play_twice_now_and_then(&self, seed: u64) -> RunOutcome {
        let source = Source::Seed(seed);
        let outcome = self.play(&source, Keep::Hash);
        if seed.is_multiple_of(16) || outcome.violation.is_some() {
            let again = self.play(&source, Keep::Hash);
            assert_eq!(
                outcome.trace_hash, again.trace_hash,
                "two runs of seed {seed:#x} differ: something other than the tape decides"
            );
        }
        outcome
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
        if let Some(fixture) = file.tape.fixture() {
            let mut system = (check.make)(check.setup.connections);
            let checked = sim::check_fixture(&mut system, fixture);
            checked.unwrap_or_else(|error| panic!("the tape {error}"));
        }
        let outcome = check.play(&Source::from(file.tape), Keep::Story);
        if let Some(violation) = &outcome.violation {
            panic!("{violation}\n{}", timeline::draw(&outcome));
        }
    }

    /// How often the runs reached each point that a good campaign reaches.
    fn tell_points(&self, seeds: u64, reached: &Points) -> String {
        let line = |name: &'static str| match reached.get(name) {
            Some(count) => format!("{count:>10}  {name}\n"),
            None => format!("     NEVER  {name}\n"),
        };
        let lines: String = sometimes::names().into_iter().map(line).collect();
        if lines.is_empty() { lines } else { format!("{}, {seeds} seeds run\n{lines}", self.name) }
    }

    /// What a person needs to know, the command that repeats it last.
    fn explain(&self, broken: &Broken<M>, directory: &Path) -> String {
        let Broken { seed, shrunk } = broken;
        let mut text = format!("\n{}\n\n{}", shrunk.violation, timeline::draw(&shrunk.outcome));
        let (before, after) = (shrunk.before, shrunk.after);
        let _ = writeln!(
            text,
            "shrunk from {} choices that are not default to {}, from {} connections to {}",
            before.choices, after.choices, self.setup.connections, shrunk.setup.setup.connections
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
        // The test runs in its package's folder; the command that repeats it may run in another one.
        std::fs::canonicalize(path)
    }

    /// What the seed, or the tape, says about everything that the test does not.
    fn draw(&self, source: &Source) -> (WorldOptions, crate::tape::StreamRecord) {
        let mut stream = source.stream(Actor::OPTIONS, true);
        let Setup { steps, scheduler, threads, .. } = self.setup;
        let threads = (threads > 0).then_some(threads);
        let fixed = FixedWorld { steps: Some(steps), scheduler, threads, ..FixedWorld::default() };
        let mut options = WorldOptions::draw(&mut stream, &fixed, &self.faults);
        options.take_threads(&mut stream, &fixed);
        (options, stream.take_record().unwrap_or_default())
    }
}

impl<M, S> Replay for Check<M>
where
    M: Fn(u32) -> S + Clone + Send + Sync,
    S: System,
{
    fn play(&self, source: &Source, keep: Keep) -> RunOutcome {
        let (options, drawn) = self.draw(source);
        let run = || {
            let world = World::new((self.make)(self.setup.connections), options, source, keep);
            world.run(&Watch::default())
        };
        let mut outcome = race::enter(run);
        if keep >= Keep::Tape {
            outcome.tape.insert(drawn);
        }
        outcome
    }

    fn smaller(&self, source: &Source, failed_at: u64) -> Vec<Check<M>> {
        let with = |setup| Check { setup, ..self.clone() };
        let fewer = (self.min_connections.max(1)..self.setup.connections)
            .map(|connections| Setup { connections, ..self.setup.clone() });
        let shorter = shrink::earlier_ends(source, failed_at, self.setup.steps);
        let shorter = shorter.map(|steps| Setup { steps, ..self.setup.clone() });
        fewer.chain(shorter).map(with).collect()
    }

    fn test(&self, tape: &str) -> String {
        format!(
            "// Of the test `{}`: give it its `Check`.\n    check.replay(include_bytes!(\"{tape}\"));",
            self.name
        )
    }

    fn file(&self, source: &Source, oracle: Option<String>) -> TapeFile {
        let tape = source.tape().cloned().unwrap_or_default();
        let setup = serde_json::to_string(&self.setup).unwrap_or_default();
        TapeFile { system: self.name.into(), oracle, setup, tape }
    }
}

#[cfg(test)]
mod tests;
