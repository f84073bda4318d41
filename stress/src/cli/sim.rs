use std::hash::{BuildHasher as _, RandomState};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;

use super::history::{self, HistoryArguments};
use super::{interruption, parse, print, shrinking, usage};
use crate::campaign::{Campaign, CampaignOptions, Finding, Summary};
use crate::exit::ExitCode;
use crate::options::Fixed;
use crate::report;
use crate::shrink::{Budget, Symptom};
use crate::sim::{self, Setup};
use crate::stop::Stop;
use crate::subject::{self, Subject};
use crate::tape::Source;
use crate::violation::Violation;
use crate::watch::Watch;
use crate::world::Keep;

/// What a sitting takes for which no number of seeds and no duration is given.
const DURATION: Duration = Duration::from_secs(30);

/// Runs seeds on a simulated disk.
///
/// One seed decides everything. What no flag fixes is drawn from it and printed first; the hash of every event is
/// printed last, and two runs of a seed have the same. When a promise is broken the last line is the command that
/// repeats it.
#[derive(Debug, Args)]
pub(super) struct SimArguments<S: Subject> {
    /// The seed, or the first of many [default: a fresh one].
    #[arg(long, value_name = "SEED", value_parser = parse::seed)]
    seed: Option<u64>,
    /// How many seeds to run [default: 1 with --seed, else as many as fit].
    #[arg(long, value_name = "N")]
    seeds: Option<u64>,
    /// How long to run: 500ms, 30s, 5m, 8h [default: 30s].
    #[arg(long, value_name = "TIME", value_parser = parse::duration)]
    duration: Option<Duration>,
    #[command(flatten)]
    fixed: Fixed<S::Options>,
    /// Number of seeds to run in parallel [default: one per core].
    #[arg(long, value_name = "N")]
    jobs: Option<usize>,
    /// Run one in N seeds twice and compare; 0 for none.
    #[arg(long, value_name = "N", default_value_t = 16)]
    recheck: u64,
    /// Start no new seed after N failures.
    #[arg(long, value_name = "N", default_value_t = 1)]
    max_failures: usize,
    /// Fail if any `sometimes!` point was not reached, however few seeds were run.
    #[arg(long)]
    strict: bool,
    /// Record finished seeds in this directory, and resume from it if it has some.
    #[arg(long, value_name = "DIRECTORY")]
    state: Option<PathBuf>,
    /// Directory for the shrunk tape of each kind of failure, its test and its timeline; none to skip shrinking.
    #[arg(long, value_name = "DIRECTORY", default_value = "tenterhook-runs/failures")]
    artifacts: String,
    #[command(flatten)]
    history: HistoryArguments,
    /// Print every event of the run, for one seed only.
    #[arg(long)]
    events: bool,
    /// Print one JSON document instead of text.
    #[arg(long)]
    json: bool,
    /// Print every count, and everything known about each failure.
    #[arg(long)]
    verbose: bool,
    /// Don't draw a progress bar.
    #[arg(long)]
    quiet: bool,
}

pub(super) const EXAMPLES: &str = "\
Examples:
  PROGRAM sim                                  30 s of fresh seeds on all cores
  PROGRAM sim --seed 7 --connections 64        one seed
  PROGRAM sim --seeds 1000 --faults power-loss,process-killed   a thousand seeds with crashes only
  PROGRAM sim --duration 8h --state soak       overnight; the same command resumes after an interruption";

pub(super) fn run<S: Subject>(mut arguments: SimArguments<S>) -> ExitCode {
    let history = std::mem::take(&mut arguments.history);
    let (json, events, verbose) = (arguments.json, arguments.events, arguments.verbose);
    let artifacts = (arguments.artifacts != "none").then(|| PathBuf::from(&arguments.artifacts));
    let options = match options(arguments) {
        Ok(options) => options,
        Err(problem) => return usage(S::PROGRAM, &problem),
    };
    if events && (json || !options.is_single()) {
        return usage(S::PROGRAM, "--events is for one seed and for text: give --seed alone, without --json");
    }
    let history = match history.directory(&options) {
        Ok(history) => history,
        Err(problem) => return usage(S::PROGRAM, &problem),
    };
    let interrupted = interruption(S::PROGRAM);
    let campaign = match Campaign::open(&options) {
        Ok(campaign) => campaign,
        Err(error) => return usage(S::PROGRAM, &error.to_string()),
    };
    if !json {
        print(&report::heading(&options));
    }
    if events {
        print_events(&options);
    }
    let summary = campaign.run(&interrupted);
    if !json {
        let tables = if verbose { report::tables(&summary) } else { String::new() };
        print(&(tables + &report::failures(&options, &summary, verbose)));
    }
    let shrunk = match artifacts {
        Some(directory) if !summary.interrupted => shrink_all(&directory, &options, &summary, &interrupted),
        _ => Vec::new(),
    };
    let written = history.filter(|_| !summary.interrupted).map(|to| history::write_all(&to, &options));
    if let (Some(Ok(written)), false) = (&written, json) {
        print(written);
    }
    if json {
        print(&format!("{:#}\n", report::document(&options, &summary, &shrunk)));
    } else {
        print(&report::glance(&options, &summary, &shrunk));
    }
    match (written, summary.exit_code()) {
        (Some(Err(problem)), ExitCode::Ok) => usage(S::PROGRAM, &problem),
        (Some(Err(problem)), code) => {
            usage(S::PROGRAM, &problem);
            code
        }
        (_, code) => code,
    }
}

/// Makes broken promises small, the first of each that are told in the same words, of eight kinds at most. Ctrl-C ends it with what is small so far.
fn shrink_all<S: Subject>(
    directory: &Path,
    options: &CampaignOptions<S>,
    summary: &Summary,
    interrupted: &Stop,
) -> Vec<report::ShrunkFailure> {
    /// Each may take the whole budget of a shrinker.
    const KINDS: usize = 8;
    let mut known: Vec<&Violation> = Vec::new();
    let mut shrunk = Vec::new();
    for failure in &summary.failures {
        let Finding::Violation(violation) = &failure.finding else { continue };
        // A run that no longer moves cannot be run again.
        if failure.steps == 0
            || known.len() == KINDS
            || known.iter().any(|other| other.is_alike(violation))
            || interrupted.is_told()
        {
            continue;
        }
        known.push(violation);
        let setup = Setup::<S> { seed: failure.seed, fixed: options.fixed.clone() };
        let limits = shrinking::Limits { budget: Budget::default(), duration: None, interrupted };
        let found =
            shrinking::shrink(&setup, &Source::Seed(failure.seed), Symptom::Same, limits, options.progress);
        match found.map(|found| report::ShrunkFailure::save(directory, failure.seed, &found)) {
            Some(Ok(saved)) => shrunk.push(saved),
            Some(Err(error)) => {
                let directory = directory.display();
                eprintln!("{}: --artifacts {directory}: cannot be written ({error})", S::PROGRAM);
                break;
            }
            None => {}
        }
    }
    shrunk
}

fn options<S: Subject>(arguments: SimArguments<S>) -> Result<CampaignOptions<S>, String> {
    let positive = |flag: &str, value: Option<u64>| match value {
        Some(0) => Err(format!("{flag} is 0: it must be at least 1")),
        _ => Ok(()),
    };
    positive("--seeds", arguments.seeds)?;
    positive("--jobs", arguments.jobs.map(|jobs| jobs as u64))?;
    positive("--max-failures", Some(arguments.max_failures as u64))?;
    if arguments.jobs.is_some_and(|jobs| jobs > 1024) {
        return Err("--jobs is above 1024: it must be at most that, better the number of cores".into());
    }
    arguments.fixed.validate().map_err(|error| error.to_string())?;
    let (seeds, duration) = match (arguments.seed, arguments.seeds, arguments.duration) {
        (Some(_), None, None) => (Some(1), None),
        (None, None, None) => (None, Some(DURATION)),
        (_, seeds, duration) => (seeds, duration),
    };
    let cores = || std::thread::available_parallelism().map_or(1, usize::from);
    let jobs = arguments.jobs.unwrap_or_else(cores);
    Ok(CampaignOptions {
        first_seed: arguments.seed.unwrap_or_else(fresh_seed),
        seeds,
        duration,
        jobs: seeds.map_or(jobs, |seeds| jobs.min(usize::try_from(seeds).unwrap_or(jobs))),
        recheck: arguments.recheck,
        strict: arguments.strict,
        max_failures: arguments.max_failures,
        state: arguments.state,
        fixed: arguments.fixed,
        progress: !arguments.quiet,
    })
}

/// Runs the seed once for its events alone.
fn print_events<S: Subject>(options: &CampaignOptions<S>) {
    let seed = options.first_seed;
    let drawn = subject::draw::<S>(&Source::Seed(seed), seed, &options.fixed);
    let outcome = sim::run::<S>(&drawn, Keep::Events, &Watch::default());
    for (index, event) in outcome.trace.events().unwrap_or_default().iter().enumerate() {
        print(&format!("{index:>8} {event}\n"));
    }
}

/// A fresh seed: the standard library seeds its hash maps from the system. It is short, because people
/// will type it.
pub(super) fn fresh_seed() -> u64 {
    RandomState::new().hash_one(0_u64) >> 24
}
