//! Where mutants are built and detectors run.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::attempt::Attempt;
use crate::cell::Cell;
use crate::detector::{Budget, Build, Detector};
use crate::mutant::Mutant;
use crate::process;
use crate::tree::Tree;

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
    /// Another scoreboard has the state folder.
    Held {
        state: PathBuf,
        holder: String,
    },
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

impl Fault {
    /// Whether the command line or the patch is wrong, and not this machine.
    pub(crate) fn is_usage(&self) -> bool {
        match self {
            Self::Held { .. } | Self::DoesNotApply { .. } => true,
            // Without a patch it can only be the code or the machine.
            Self::DoesNotBuild { id, .. } => id != CLEAN,
            Self::Io(_) | Self::Detector { .. } => false,
        }
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Io(error) => error.fmt(f),
            Self::Held { state, holder } => write!(
                f,
                "process {holder} is at work in {}: wait for it, end it, or name another folder with --state",
                state.display()
            ),
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
    /// Of one lane of the run that keeps its things in `state`, with a copy of the frozen `source`.
    pub(crate) fn new(source: &Path, state: &Path, lane: usize) -> io::Result<Self> {
        fs::create_dir_all(state.join("logs"))?;
        let state = fs::canonicalize(state)?;
        let folder = state.join(format!("lane-{lane}"));
        Ok(Self { tree: Tree::new(source, &folder.join("tree"))?, folder, logs: state.join("logs") })
    }

    /// Applies a patch, or none, and compiles quickly whatever it touches.
    pub(crate) fn check(&self, mutant: &Mutant) -> Result<(), Fault> {
        self.apply(Some(mutant))?;
        let mut cargo = self.cargo(Build::Tests);
        cargo.args([
            "check",
            "-q",
            "-p",
            "tenterhook-runtime",
            "-p",
            "tenterhook-stress",
            "-p",
            "tenterhook",
        ]);
        self.build(cargo, &mutant.id, "check")
    }

    /// Has cargo compile a mutant. What ends it from outside, or never does, is not the patch's fault.
    fn build(&self, cargo: Command, id: &str, what: &str) -> Result<(), Fault> {
        let log = self.log(id, what);
        match process::run(cargo, &log, BUILD)?.status {
            Some(status) if status.success() => Ok(()),
            Some(status) if status.code().is_some() => Err(Fault::DoesNotBuild { id: id.into(), log }),
            _ => Err(io::Error::other(format!("{id}: the build was killed, see {}", log.display())).into()),
        }
    }

    fn apply(&self, mutant: Option<&Mutant>) -> Result<(), Fault> {
        let Some(mutant) = mutant else { return Ok(self.tree.reset()?) };
        let refuse =
            |error: io::Error| Fault::DoesNotApply { id: mutant.id.clone(), reason: error.to_string() };
        self.tree.apply(&mutant.text).map_err(refuse)
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
        self.build(cargo, id, build.folder())?;
        let mut attempts = Vec::new();
        for repetition in 0..budget.repetitions {
            let mut command = self.command(detector);
            command.args(detector.arguments(area, budget, repetition)).args(extra);
            let log = self.log(id, &format!("{detector}-{repetition}"));
            let ended = process::run(command, &log, detector.patience(budget))?;
            let attempt = Attempt::of(detector, budget, &ended);
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
        if build == Build::Tsan {
            // As in the Makefile.
            let suppressions = self.tree.root().join("runtime/tsan.supp");
            let options = "halt_on_error=1 report_signal_unsafe=0";
            command.env("TSAN_OPTIONS", format!("suppressions={} {options}", suppressions.display()));
        }
        command
    }

    fn cargo(&self, build: Build) -> Command {
        let mut cargo = Command::new("cargo");
        cargo
            .current_dir(self.tree.root())
            .env("CARGO_TARGET_DIR", self.target(build))
            .envs(build.environment())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_patch_is_to_blame_for_a_patch() {
        let log = || PathBuf::from("log");
        assert!(Fault::DoesNotBuild { id: "pager-x".into(), log: log() }.is_usage());
        assert!(!Fault::DoesNotBuild { id: CLEAN.into(), log: log() }.is_usage());
        let detector = Detector::Loom;
        assert!(!Fault::Detector { id: "pager-x".into(), detector, reason: String::new() }.is_usage());
    }
}
