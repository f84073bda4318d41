//! Where mutants are built and detectors run.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::cell::{Attempt, Cell};
use crate::detector::{Budget, Build, Detector};
use crate::mutant::Mutant;
use crate::process;
use crate::tree::Tree;

/// Nobody looks at a mutant in a debugger, and a patch changes a line: what would be lost in speed by this is nothing beside
/// what it saves in building.
const QUICK_BUILDS: [(&str, &str); 5] = [
    ("CARGO_INCREMENTAL", "1"),
    ("CARGO_PROFILE_DEV_DEBUG", "false"),
    ("CARGO_PROFILE_MODELS_DEBUG", "false"),
    ("CARGO_PROFILE_STRESS_DEBUG", "false"),
    ("CARGO_PROFILE_STRESS_LTO", "off"),
];

/// A build that takes longer hangs.
const BUILD: Duration = Duration::from_secs(1_200);

/// The scratch copy, the target folders that all mutants share, and the logs.
pub(crate) struct Bench {
    tree: Tree,
    folder: PathBuf,
    logs: PathBuf,
}

/// Why a mutant could not be judged.
#[derive(Debug)]
pub(crate) enum Fault {
    Io(io::Error),
    DoesNotApply {
        id: String,
        reason: String,
    },
    DoesNotBuild {
        id: String,
        log: PathBuf,
    },
    /// The detector could not do its work.
    Detector {
        id: String,
        detector: Detector,
        reason: String,
    },
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Io(error) => error.fmt(f),
            Self::DoesNotApply { id, reason } => write!(f, "{id}: the patch no longer applies: {reason}"),
            Self::DoesNotBuild { id, log } => write!(f, "{id}: does not build, see {}", log.display()),
            Self::Detector { id, detector, reason } => {
                write!(f, "{id}: {detector} could not do its work: {reason}")
            }
        }
    }
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// The code without a patch.
pub(crate) const CLEAN: &str = "clean";

impl Bench {
    /// Of one lane of the run that keeps its things in `state`.
    pub(crate) fn new(source: &Path, state: &Path, lane: usize) -> io::Result<Self> {
        fs::create_dir_all(state.join("logs"))?;
        let state = fs::canonicalize(state)?;
        let folder = state.join(format!("lane-{lane}"));
        Ok(Self { tree: Tree::new(source, &folder.join("tree"))?, folder, logs: state.join("logs") })
    }

    /// Of everything that `detector`'s results on a mutant depend on beside the patch.
    pub(crate) fn hash(&self, detector: Detector, area: Option<&str>) -> io::Result<u64> {
        // The simulator's own tests need the runtime, too.
        self.tree.hash(&["runtime"].iter().chain(detector.crates(area)).copied().collect())
    }

    /// Applies a patch, or none, and compiles quickly whatever it touches.
    pub(crate) fn check(&self, mutant: &Mutant) -> Result<(), Fault> {
        self.apply(Some(mutant))?;
        let mut cargo = self.cargo(Build::Tests);
        cargo.args(["check", "-q", "-p", "tenterhook-runtime", "-p", "tenterhook-stress"]);
        let log = self.log(&mutant.id, "check");
        let ended = process::run(cargo, &log, BUILD)?;
        match ended.status {
            Some(status) if status.success() => Ok(()),
            _ => Err(Fault::DoesNotBuild { id: mutant.id.clone(), log }),
        }
    }

    fn apply(&self, mutant: Option<&Mutant>) -> Result<(), Fault> {
        let Some(mutant) = mutant else { return Ok(self.tree.reset()?) };
        let refuse =
            |error: io::Error| Fault::DoesNotApply { id: mutant.id.clone(), reason: error.to_string() };
        self.tree.apply(&mutant.path).map_err(refuse)
    }

    /// Has `detector` look at a mutant, or at the clean code.
    pub(crate) fn judge(
        &self,
        mutant: Option<&Mutant>,
        detector: Detector,
        budget: Budget,
        extra: &[String],
    ) -> Result<Cell, Fault> {
        self.apply(mutant)?;
        let id = mutant.map_or(CLEAN, |mutant| &mutant.id);
        let area = mutant.map(Mutant::area);
        let build = detector.build();
        let mut cargo = self.cargo(build);
        cargo.args(detector.build_arguments(area));
        let log = self.log(id, build.folder());
        let built = process::run(cargo, &log, BUILD)?;
        if !built.status.is_some_and(|status| status.success()) {
            return Err(Fault::DoesNotBuild { id: id.into(), log });
        }
        let mut attempts = Vec::new();
        for repetition in 0..budget.repetitions {
            let mut command = self.command(detector);
            command.args(detector.arguments(area, budget, repetition)).args(extra);
            let log = self.log(id, &format!("{detector}-{repetition}"));
            let ended = process::run(command, &log, budget.time)?;
            let attempt = Attempt::of(detector, &ended);
            attempts.push(attempt.map_err(|reason| Fault::Detector { id: id.into(), detector, reason })?);
        }
        Ok(Cell { detector, attempts })
    }

    fn command(&self, detector: Detector) -> Command {
        let build = detector.build();
        let mut command = match build.program() {
            Some(program) => Command::new(self.target(build).join(program)),
            None => self.cargo(build),
        };
        // Machines differ in what they print along with a panic, and reading symbols takes longer than most tests.
        command.current_dir(self.tree.root()).env("RUST_BACKTRACE", "0");
        command
    }

    fn cargo(&self, build: Build) -> Command {
        let mut cargo = Command::new("cargo");
        cargo
            .current_dir(self.tree.root())
            .env("CARGO_TARGET_DIR", self.target(build))
            .env("RUSTFLAGS", build.rustflags())
            .envs(QUICK_BUILDS)
            .env("RUST_BACKTRACE", "0");
        cargo
    }

    fn target(&self, build: Build) -> PathBuf {
        self.folder.join("target").join(build.folder())
    }

    fn log(&self, id: &str, what: &str) -> PathBuf {
        self.logs.join(format!("{id}-{what}.log"))
    }
}
