//! Commands about one run: play it, make it small, look at it.

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;

use super::fixed::Fixed;
use super::{parse, print, usage};
use crate::exit::ExitCode;
use crate::options::SimOptions;
use crate::report::ShrunkFailure;
use crate::shrink::{self, Budget, Replay as _};
use crate::sim::Setup;
use crate::tape::{Source, TapeFile};
use crate::timeline;
use crate::violation::Class;
use crate::world::{Keep, RunOutcome};

/// Plays a tape without drawing anything, or the run of a seed, and says what became of it.
#[derive(Debug, Args)]
#[command(after_long_help = "Example:\n  tenterhook replay tenterhook-runs/failures/durability_2a.tape")]
pub(super) struct ReplayArguments {
    #[command(flatten)]
    run: Run,
    /// Print one JSON document instead of text.
    #[arg(long)]
    json: bool,
}

/// Makes a failing run small and writes its tape, a test that plays it, and a timeline.
///
/// Fewer connections, operations, preemptions and faults, and lower values, as long as the same oracle fires.
#[derive(Debug, Args)]
#[command(
    after_long_help = "Example:\n  tenterhook shrink 0x2a --profile chaos --artifacts tests/regressions"
)]
pub(super) struct ShrinkArguments {
    #[command(flatten)]
    run: Run,
    /// Where the files go.
    #[arg(long, value_name = "DIRECTORY", default_value = "tenterhook-runs/failures")]
    artifacts: PathBuf,
    /// Simulated steps that this may take over all runs.
    #[arg(long, value_name = "N", default_value_t = Budget::default().steps)]
    budget: u64,
    /// Print one JSON document instead of text.
    #[arg(long)]
    json: bool,
}

/// Draws the run of a tape or a seed: time downwards, one lane for the disk and one for each connection.
#[derive(Debug, Args)]
#[command(
    after_long_help = "Example:\n  tenterhook trace tenterhook-runs/failures/durability_2a.tape | less"
)]
pub(super) struct TraceArguments {
    #[command(flatten)]
    run: Run,
    /// Print one JSON document instead of text.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct Run {
    /// A tape's file, or a seed.
    #[arg(value_name = "TAPE|SEED")]
    what: String,
    #[command(flatten)]
    fixed: Fixed,
}

impl Run {
    /// The run that is meant.
    fn find(self) -> Result<(Setup, Source), String> {
        let overrides = self.fixed.overrides()?;
        let path = Path::new(&self.what);
        match parse::seed(&self.what) {
            Ok(seed) if !path.exists() => Ok((Setup { seed, overrides }, Source::Seed(seed))),
            _ if overrides != Default::default() => {
                Err(format!("a tape fixes every option: give '{}' without{}", self.what, overrides.flags()))
            }
            _ => {
                let played = TapeFile::read(path).and_then(Setup::of);
                played.map_err(|error| format!("{} {error}", self.what))
            }
        }
    }
}

pub(super) fn replay(arguments: ReplayArguments) -> ExitCode {
    let (setup, source) = match arguments.run.find() {
        Ok(run) => run,
        Err(problem) => return usage(&problem),
    };
    let outcome = setup.play(&source, Keep::Hash);
    if arguments.json {
        print(&format!("{:#}\n", document(&outcome)));
    } else {
        let options = SimOptions::draw_from(&source, setup.seed, &setup.overrides);
        print(&options.describe());
        print(&format!(
            "\nsteps            {}\ntrace hash       {:#018x}\n",
            outcome.steps, outcome.trace_hash
        ));
        match &outcome.violation {
            Some(violation) => print(&format!("\n{violation}\n")),
            None => print("violations       none\n"),
        }
    }
    exit_code(&outcome)
}

pub(super) fn shrink(arguments: ShrinkArguments) -> ExitCode {
    let ShrinkArguments { run, artifacts, budget, json } = arguments;
    let (setup, source) = match run.find() {
        Ok(run) => run,
        Err(problem) => return usage(&problem),
    };
    let Some(shrunk) = shrink::shrink(&setup, &source, Budget { steps: budget }) else {
        return usage("this run breaks no promise: there is nothing to shrink");
    };
    let saved = match ShrunkFailure::save(&artifacts, setup.seed, &shrunk) {
        Ok(saved) => saved,
        Err(error) => {
            return usage(&format!("--artifacts {}: cannot be written ({error})", artifacts.display()));
        }
    };
    if json {
        print(&format!("{:#}\n", json!(saved)));
    } else {
        print(&timeline::draw(&shrunk.outcome));
        print(&saved.to_string());
    }
    exit_code(&shrunk.outcome)
}

pub(super) fn trace(arguments: TraceArguments) -> ExitCode {
    let (setup, source) = match arguments.run.find() {
        Ok(run) => run,
        Err(problem) => return usage(&problem),
    };
    let outcome = setup.play(&source, Keep::Story);
    let timeline = timeline::draw(&outcome);
    if arguments.json {
        let mut document = document(&outcome);
        document["timeline"] = timeline.lines().collect();
        print(&format!("{document:#}\n"));
    } else {
        print(&timeline);
    }
    exit_code(&outcome)
}

fn document(outcome: &RunOutcome) -> serde_json::Value {
    json!({
        "steps": outcome.steps,
        "lives": outcome.lives,
        "trace_hash": format!("{:#018x}", outcome.trace_hash),
        "violation": outcome.violation,
    })
}

fn exit_code(outcome: &RunOutcome) -> ExitCode {
    match outcome.violation.as_ref().map(|violation| violation.class) {
        None => ExitCode::Ok,
        Some(Class::Liveness) => ExitCode::Liveness,
        Some(Class::Safety | Class::Panic) => ExitCode::Violation,
    }
}
