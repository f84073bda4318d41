//! Commands about one run: play it, make it small, look at it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use serde_json::json;

use super::{interruption, parse, print, shrinking, usage};
use crate::exit::ExitCode;
use crate::options::Fixed;
use crate::report::{ShrunkFailure, lanes, page};
use crate::shrink::{Budget, Replay as _, Symptom};
use crate::sim::Setup;
use crate::subject::{self, Subject};
use crate::tape::{Place, Source, Tape, TapeFile};
use crate::timeline;
use crate::world::{Keep, RunOutcome};

pub(super) const REPLAY_EXAMPLE: &str =
    "Example:\n  PROGRAM replay tenterhook-runs/failures/durability_2a.tape";
pub(super) const SHRINK_EXAMPLE: &str = "Example:\n  PROGRAM shrink 0x2a --artifacts tests/regressions";
pub(super) const TRACE_EXAMPLE: &str =
    "Example:\n  PROGRAM trace tenterhook-runs/failures/durability_2a.tape | less";

/// Plays a tape without drawing anything, or the run of a seed, and says what became of it.
#[derive(Debug, Args)]
pub(super) struct ReplayArguments<S: Subject> {
    #[command(flatten)]
    run: Run<S>,
    /// Print one JSON document instead of text.
    #[arg(long)]
    json: bool,
}

/// Makes a failing run small and writes its tape, a test that plays it, and a timeline.
///
/// Fewer connections, operations, preemptions and faults, and lower values, as long as the same oracle fires. Ctrl-C ends it with the
/// smallest run so far.
#[derive(Debug, Args)]
pub(super) struct ShrinkArguments<S: Subject> {
    #[command(flatten)]
    run: Run<S>,
    /// Directory for the files.
    #[arg(long, value_name = "DIRECTORY", default_value = "tenterhook-runs/failures")]
    artifacts: PathBuf,
    /// Budget in simulated steps over all runs: 500k, 24M.
    #[arg(long, value_name = "STEPS", default_value_t = Budget::default().steps, value_parser = parse::steps)]
    budget: u64,
    /// How long to shrink at most: 30s, 5m. The result depends on the machine then.
    #[arg(long, value_name = "TIME", value_parser = parse::duration)]
    duration: Option<Duration>,
    /// Take a smaller run, too, that breaks another promise of the same oracle.
    #[arg(long)]
    any: bool,
    /// Print one JSON document instead of text.
    #[arg(long)]
    json: bool,
}

/// Draws the run of a tape or a seed: time downwards, one column for the disk and one for each connection.
#[derive(Debug, Args)]
pub(super) struct TraceArguments<S: Subject> {
    #[command(flatten)]
    run: Run<S>,
    /// Write the timeline as one HTML file that needs no network.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// A line for each operation, also where nothing goes wrong.
    #[arg(long)]
    whole: bool,
    /// Print one JSON document instead of text.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(super) struct Run<S: Subject> {
    /// A tape file, or a seed.
    #[arg(value_name = "TAPE|SEED")]
    what: String,
    #[command(flatten)]
    fixed: Fixed<S::Options>,
}

impl<S: Subject> Run<S> {
    /// The run that is meant.
    pub(super) fn find(self) -> Result<(Setup<S>, Source), String> {
        let fixed = self.fixed;
        fixed.validate().map_err(|error| error.to_string())?;
        let path = Path::new(&self.what);
        match parse::seed(&self.what) {
            Ok(seed) if !path.exists() => Ok((Setup { seed, fixed }, Source::Seed(seed))),
            _ if fixed != Default::default() => {
                Err(format!("a tape fixes every option: give '{}' without{}", self.what, fixed.flags()))
            }
            _ => {
                let played = TapeFile::read(path).and_then(Setup::<S>::of);
                played.map_err(|error| format!("{} {error}", self.what))
            }
        }
    }
}

pub(super) fn replay<S: Subject>(arguments: ReplayArguments<S>) -> ExitCode {
    let (setup, source) = match arguments.run.find() {
        Ok(run) => run,
        Err(problem) => return usage(S::PROGRAM, &problem),
    };
    let outcome = setup.play(&source, Keep::Hash);
    if arguments.json {
        print(&format!("{:#}\n", document(&source, &outcome)));
    } else {
        print(&subject::describe::<S>(&setup.draw(&source)));
        if let Some(fixture) = source.tape().and_then(Tape::fixture) {
            print(&format!("begins with      a fixture: {}\n", fixture.describe()));
        }
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

pub(super) fn shrink<S: Subject>(arguments: ShrinkArguments<S>) -> ExitCode {
    let ShrinkArguments { run, artifacts, budget, duration, any, json } = arguments;
    let (setup, source) = match run.find() {
        Ok(run) => run,
        Err(problem) => return usage(S::PROGRAM, &problem),
    };
    let interrupted = interruption(S::PROGRAM);
    let symptom = if any { Symptom::Any } else { Symptom::Same };
    let limits = shrinking::Limits { budget: Budget { steps: budget }, duration, interrupted: &interrupted };
    let Some(shrunk) = shrinking::shrink(&setup, &source, symptom, limits, !json) else {
        return usage(S::PROGRAM, "this run breaks no promise: there is nothing to shrink");
    };
    let saved = match ShrunkFailure::save(&artifacts, setup.seed, &shrunk) {
        Ok(saved) => saved,
        Err(error) => {
            return usage(
                S::PROGRAM,
                &format!("--artifacts {}: cannot be written ({error})", artifacts.display()),
            );
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

pub(super) fn trace<S: Subject>(arguments: TraceArguments<S>) -> ExitCode {
    let (setup, source) = match arguments.run.find() {
        Ok(run) => run,
        Err(problem) => return usage(S::PROGRAM, &problem),
    };
    let outcome = setup.play(&source, Keep::Story);
    if let Some(path) = &arguments.html {
        let drawn = lanes::document(&outcome);
        let title = format!("{}: {}", S::NAME, path.display());
        let body =
            format!("<h1>A run of {}</h1>\n{}{}", S::NAME, page::violation(&drawn), page::lanes(&drawn));
        if let Err(error) = std::fs::write(path, page::page(&title, &body)) {
            let path = path.display();
            return usage(
                S::PROGRAM,
                &format!("--html {path}: cannot be written ({error}); name another file"),
            );
        }
    }
    let timeline = match arguments.whole {
        true => timeline::draw_whole(&outcome),
        false => timeline::draw(&outcome),
    };
    if arguments.json {
        let mut document = document(&source, &outcome);
        document["timeline"] = timeline.lines().collect();
        document["choices"] = outcome.tape.clone().in_turns().choices().map(choice).collect();
        print(&format!("{document:#}\n"));
    } else {
        print(&timeline);
    }
    exit_code(&outcome)
}

/// A choice that is not default: what it belongs to, and what was drawn.
fn choice((place, value): (Place, u32)) -> serde_json::Value {
    let Place { address, choice_point, occurrence } = place;
    json!({
        "life": address.life,
        "actor": address.actor.to_string(),
        "operation": address.operation,
        "call": address.call,
        "stage": address.stage.code(),
        "choice_point": choice_point,
        "occurrence": occurrence,
        "value": value,
    })
}

fn document(source: &Source, outcome: &RunOutcome) -> serde_json::Value {
    json!({
        "fixture": source.tape().and_then(Tape::fixture).map(|fixture| fixture.describe()),
        "steps": outcome.steps,
        "lives": outcome.lives,
        "trace_hash": format!("{:#018x}", outcome.trace_hash),
        "violation": outcome.violation,
    })
}

fn exit_code(outcome: &RunOutcome) -> ExitCode {
    outcome.violation.as_ref().map_or(ExitCode::Ok, |violation| violation.class.into())
}
