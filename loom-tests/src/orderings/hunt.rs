//! Which model notices?

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use tenterhook_loom_tests::explored::{Explored, Place, explore};

/// A model may take so many times as long as with nothing weakened, since more executions may be possible then ..
const SLACK: f64 = 30.0;
/// .. and at least so long.
const LEAST: Duration = Duration::from_secs(60);

/// A model, and what exploring it came to with nothing broken.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Model {
    pub(crate) name: String,
    pub(crate) explored: Explored,
}

impl Model {
    fn limit(&self) -> Duration {
        LEAST.max(Duration::from_secs_f64(self.explored.seconds * SLACK))
    }

    fn touches(&self, suspect: impl Fn(&Place) -> bool) -> bool {
        self.explored.places.iter().any(suspect)
    }
}

/// What became of something broken.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Verdict {
    /// A model turned red.
    Killed {
        /// Which.
        by: String,
        /// What it said.
        failure: String,
        /// How long it took.
        seconds: f64,
    },
    /// All models that could notice are green, or were still at it when their time was up: those are named.
    Survived {
        /// The ones that were stopped.
        stopped: Vec<String>,
        /// How long all took together.
        seconds: f64,
    },
    /// The compiler noticed, which is no model.
    Refused {
        /// Its first words.
        error: String,
    },
}

/// The program with the models.
pub(crate) struct Program(PathBuf);

impl Program {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self(path)
    }

    /// A copy that the next build does not overwrite.
    pub(crate) fn copy_to(&self, path: PathBuf) -> io::Result<Self> {
        fs::copy(&self.0, &path)?;
        Ok(Self(path))
    }

    /// The models' names, in the order in which it would run them.
    pub(crate) fn names(&self) -> io::Result<Vec<String>> {
        let output = Command::new(&self.0).arg("--list").stderr(Stdio::inherit()).output()?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        Ok(text.lines().filter_map(|line| Some(line.split_whitespace().next()?.to_owned())).collect())
    }

    /// Whether the model passes. One that doesn't fit on loom's stack, in a build that is not optimised, does not.
    fn is_green(&self, model: &Model) -> bool {
        let mut command = Command::new(&self.0);
        command.stderr(Stdio::null());
        let explored = explore(command, &model.name, model.limit());
        matches!(explored, Ok(Some(Explored { failure: None, .. })))
    }

    /// Explores one model with nothing broken, however long it takes.
    pub(crate) fn measure(&self, name: &str) -> io::Result<Explored> {
        let explored = explore(Command::new(&self.0), name, Duration::MAX)?;
        Ok(explored.expect("it may take as long as it likes"))
    }

    /// Explores `models`, with this in the environment, until one turns red that is green in the `clean` program.
    pub(crate) fn hunt<'a>(
        &self,
        environment: Option<(&str, &str)>,
        models: impl Iterator<Item = &'a Model>,
        clean: Option<&Self>,
    ) -> io::Result<Verdict> {
        let begun = Instant::now();
        let mut stopped = Vec::new();
        for model in models {
            let mut command = Command::new(&self.0);
            command.envs(environment).stderr(Stdio::null());
            match explore(command, &model.name, model.limit())? {
                None => stopped.push(model.name.clone()),
                Some(Explored { failure: Some(failure), seconds, .. }) => {
                    if clean.is_some_and(|clean| !clean.is_green(model)) {
                        continue;
                    }
                    let failure = failure.lines().next().unwrap_or_default().to_owned();
                    return Ok(Verdict::Killed { by: model.name.clone(), failure, seconds });
                }
                Some(_) => {}
            }
        }
        Ok(Verdict::Survived { stopped, seconds: begun.elapsed().as_secs_f64() })
    }
}

/// The models in the order in which they are likely to notice soon: the one that did before, those that reach what is
/// suspect, and then, if `all` are wanted, the others; the quick ones first. Canaries, which are red inside, judge nothing.
pub(crate) fn order<'a>(
    models: &'a [Model],
    before: Option<&str>,
    suspect: impl Fn(&Place) -> bool + Copy,
    all: bool,
) -> Vec<&'a Model> {
    let rank = |model: &Model| match () {
        () if before == Some(&*model.name) => 0,
        () if model.touches(suspect) => 1,
        () => 2,
    };
    let judges = models.iter().filter(|model| !model.name.starts_with("canary_"));
    let mut order: Vec<_> = judges.filter(|model| all || model.touches(suspect)).collect();
    order.sort_by(|one, other| {
        rank(one).cmp(&rank(other)).then(one.explored.seconds.total_cmp(&other.explored.seconds))
    });
    order
}

/// How the models are built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Build {
    /// Once, for all weakenings.
    Weakened,
    /// For one breakage, whose model turns red within a second of exploring: what costs is the compiler. loom is optimised.
    Broken,
    /// The same of the pager, whose frames don't fit on loom's stacks unoptimised.
    BrokenPager,
}

/// Builds the models of the workspace at `root` in the folder `target`.
pub(crate) fn build(root: &Path, target: &Path, build: Build) -> io::Result<Result<Program, String>> {
    let (flags, optimised) = match build {
        Build::Weakened => ("--cfg tenterhook_loom --cfg tenterhook_orderings", "1"),
        Build::Broken => ("--cfg tenterhook_loom", "0"),
        Build::BrokenPager => ("--cfg tenterhook_loom", "1"),
    };
    let output = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["build", "-q", "--profile", "models", "-p", "tenterhook-loom-tests"])
        .args(["--bin", "tenterhook-loom-tests"])
        .current_dir(root)
        .env("RUSTFLAGS", flags)
        .env("CARGO_PROFILE_MODELS_OPT_LEVEL", optimised)
        .env("CARGO_TARGET_DIR", target)
        .stdin(Stdio::null())
        .output()?;
    if !output.status.success() {
        return Ok(Err(String::from_utf8_lossy(&output.stderr).into_owned()));
    }
    Ok(Ok(Program::new(target.join("models/tenterhook-loom-tests"))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model(name: &str, seconds: f64, file: &str) -> Model {
        let place =
            Place { file: file.into(), line: 1, column: 1, role: "load".into(), ordering: "Acquire".into() };
        let explored = Explored { seconds, places: vec![place], ..Explored::default() };
        Model { name: name.into(), explored }
    }

    #[test]
    fn the_last_to_notice_goes_first_then_the_quick_ones_that_come_by() {
        let models = [
            model("slow", 9.0, "a"),
            model("quick", 1.0, "a"),
            model("other", 0.1, "b"),
            model("known", 99.0, "a"),
        ];
        let names = |all| {
            let order = order(&models, Some("known"), |place| place.file == "a", all);
            order.iter().map(|model| model.name.clone()).collect::<Vec<_>>()
        };
        assert_eq!(names(false), ["known", "quick", "slow"]);
        assert_eq!(names(true), ["known", "quick", "slow", "other"]);
    }
}
