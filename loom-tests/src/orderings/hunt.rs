//! Which model notices?

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

    /// The models' names, in the order in which it would run them.
    pub(crate) fn names(&self) -> io::Result<Vec<String>> {
        let output = Command::new(&self.0).arg("--list").stderr(Stdio::inherit()).output()?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        Ok(text.lines().filter_map(|line| Some(line.split_whitespace().next()?.to_owned())).collect())
    }

    /// Explores one model with nothing broken, however long it takes.
    pub(crate) fn measure(&self, name: &str) -> io::Result<Explored> {
        let explored = explore(Command::new(&self.0), name, Duration::MAX)?;
        Ok(explored.expect("it may take as long as it likes"))
    }

    /// Explores `models`, with this in the environment, until one turns red.
    pub(crate) fn hunt<'a>(
        &self,
        environment: Option<(&str, &str)>,
        models: impl Iterator<Item = &'a Model>,
    ) -> io::Result<Verdict> {
        let begun = Instant::now();
        let mut stopped = Vec::new();
        for model in models {
            let mut command = Command::new(&self.0);
            command.envs(environment).stderr(Stdio::null());
            match explore(command, &model.name, model.limit())? {
                None => stopped.push(model.name.clone()),
                Some(Explored { failure: Some(failure), seconds, .. }) => {
                    let failure = failure.lines().next().unwrap_or_default().to_owned();
                    return Ok(Verdict::Killed { by: model.name.clone(), failure, seconds });
                }
                Some(_) => {}
            }
        }
        Ok(Verdict::Survived { stopped, seconds: begun.elapsed().as_secs_f64() })
    }
}

/// The models in the order in which they are likely to notice soon: the one that did before, those that come by what is
/// suspect, and then, if `all` are wanted, the others; the quick ones first.
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
    let mut order: Vec<_> = models.iter().filter(|model| all || model.touches(suspect)).collect();
    order.sort_by(|one, other| {
        rank(one).cmp(&rank(other)).then(one.explored.seconds.total_cmp(&other.explored.seconds))
    });
    order
}

/// Builds the models of the workspace at `root` with the flags `cfgs`, in the folder `target`.
pub(crate) fn build(root: &Path, target: &Path, cfgs: &[&str]) -> io::Result<Result<Program, String>> {
    let flags: Vec<_> = cfgs.iter().map(|cfg| format!("--cfg {cfg}")).collect();
    let output = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["build", "-q", "--profile", "models", "-p", "tenterhook-loom-tests"])
        .args(["--bin", "tenterhook-loom-tests"])
        .current_dir(root)
        .env("RUSTFLAGS", flags.join(" "))
        .env("CARGO_TARGET_DIR", target)
        // What is built again differs in a line.
        .env("CARGO_INCREMENTAL", "1")
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
