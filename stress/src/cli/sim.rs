use std::hash::{BuildHasher as _, RandomState};
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use clap::Args;

use super::{parse, usage};
use crate::campaign::{self, CampaignOptions};
use crate::disk::FaultKind;
use crate::exit::ExitCode;
use crate::options::{Overrides, Profile, SimOptions};
use crate::report;
use crate::schedule::SchedulerKind;
use crate::sim;
use crate::watch::Watch;
use crate::workload::OperationKind;

/// What a sitting takes for which no number of seeds and no duration is given.
const DURATION: Duration = Duration::from_secs(30);

/// Runs seeds against the pager on a simulated disk.
///
/// One seed decides everything. What no flag fixes is drawn from it and printed first; the hash of every event is
/// printed last, and two runs of a seed have the same. When a promise is broken the last line is the command that
/// repeats it.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(super) struct SimArguments {
    /// The seed, or the first of many [default: a fresh one].
    #[arg(long, value_name = "SEED", value_parser = parse::seed)]
    seed: Option<u64>,
    /// How many seeds to run [default: 1 with --seed, else as many as fit].
    #[arg(long, value_name = "N")]
    seeds: Option<u64>,
    /// How long to run seeds: 500ms, 30s, 5m, 8h [default: 30s].
    #[arg(long, value_name = "TIME", value_parser = parse::duration)]
    duration: Option<Duration>,
    /// Connections to the pager, from 1 to 1000000.
    #[arg(long, value_name = "N")]
    connections: Option<u32>,
    /// Steps of a run: a fiber stepped or an operation delivered [default: 20000].
    #[arg(long, value_name = "N")]
    steps: Option<u64>,
    /// Page size in bytes, a power of two from 512 to 65536.
    #[arg(long, value_name = "BYTES")]
    page_size: Option<u32>,
    /// Pages that the cache keeps.
    #[arg(long, value_name = "N")]
    cache_pages: Option<usize>,
    /// What runs concentrate on.
    #[arg(long, value_name = "PROFILE")]
    profile: Option<Profile>,
    /// Who chooses what is stepped next.
    #[arg(long, value_name = "SCHEDULER")]
    scheduler: Option<SchedulerKind>,
    /// The only kinds of fault that strike, with commas, or none.
    #[arg(long, value_name = "KINDS", value_parser = faults)]
    faults: Option<Kinds<FaultKind>>,
    /// The only kinds of operation, with commas.
    #[arg(long, value_name = "KINDS", value_parser = operations)]
    operations: Option<Kinds<OperationKind>>,
    /// Seeds run at a time [default: one for each core].
    #[arg(long, value_name = "N")]
    jobs: Option<usize>,
    /// Run one in N seeds twice and compare; 0 for none.
    #[arg(long, value_name = "N", default_value_t = 16)]
    recheck: u64,
    /// Begin no new seed after N failures.
    #[arg(long, value_name = "N", default_value_t = 1)]
    max_failures: usize,
    /// Remember finished seeds in this directory, and go on from there if it has some.
    #[arg(long, value_name = "DIRECTORY")]
    state: Option<PathBuf>,
    /// Print every event of the run, for one seed only.
    #[arg(long)]
    events: bool,
    /// Print one JSON document instead of text.
    #[arg(long)]
    json: bool,
    /// Draw no progress bar.
    #[arg(long)]
    quiet: bool,
}

const EXAMPLES: &str = "\
Examples:
  tenterhook sim                                  30 s of fresh seeds on all cores
  tenterhook sim --seed 7 --connections 64        one seed
  tenterhook sim --seeds 1000 --profile recovery  a thousand seeds with many crashes
  tenterhook sim --duration 8h --state soak       over night; the same command goes on where it was left";

/// A list given with commas.
#[derive(Clone, Debug)]
struct Kinds<K>(Vec<K>);

fn faults(text: &str) -> Result<Kinds<FaultKind>, String> {
    kinds(text, &FaultKind::ALL, FaultKind::name)
}

fn operations(text: &str) -> Result<Kinds<OperationKind>, String> {
    kinds(text, &OperationKind::ALL, OperationKind::name)
}

fn kinds<K: Copy>(text: &str, all: &[K], name: fn(K) -> &'static str) -> Result<Kinds<K>, String> {
    if text == "none" {
        return Ok(Kinds(Vec::new()));
    }
    let find = |wanted: &str| {
        let names = || all.iter().map(|&kind| name(kind)).collect::<Vec<_>>().join(",");
        let found = all.iter().copied().find(|&kind| name(kind) == wanted);
        found.ok_or_else(|| format!("there is no '{wanted}': it must be some of {}", names()))
    };
    text.split(',').map(find).collect::<Result<_, _>>().map(Kinds)
}

pub(super) fn run(arguments: SimArguments) -> ExitCode {
    let (json, events) = (arguments.json, arguments.events);
    let options = match options(arguments) {
        Ok(options) => options,
        Err(problem) => return usage(&problem),
    };
    if events && (json || !options.is_single()) {
        return usage("--events is for one seed and for text: give --seed alone, without --json");
    }
    let interrupted = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&interrupted);
    // Without a handler Ctrl-C ends the process at once, which is worse and not wrong.
    if ctrlc::set_handler(move || flag.store(true, Ordering::Relaxed)).is_err() {
        eprintln!("tenterhook: Ctrl-C cannot be caught: it will end the run without a summary");
    }
    if !json {
        print(&report::heading(&options));
    }
    if events {
        print_events(&options);
    }
    let summary = match campaign::run(&options, &interrupted) {
        Ok(summary) => summary,
        Err(error) => return usage(&error.to_string()),
    };
    if json {
        print(&format!("{:#}\n", report::document(&options, &summary)));
    } else {
        print(&report::summary(&options, &summary));
        print(&report::failures(&summary, options.is_single()));
    }
    summary.exit_code()
}

fn options(arguments: SimArguments) -> Result<CampaignOptions, String> {
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
    let overrides = Overrides {
        connections: arguments.connections,
        steps: arguments.steps,
        page_size: arguments.page_size,
        cache_pages: arguments.cache_pages,
        profile: arguments.profile,
        scheduler: arguments.scheduler,
        faults: arguments.faults.map(|kinds| kinds.0),
        operations: arguments.operations.map(|kinds| kinds.0),
    };
    overrides.validate().map_err(|error| error.to_string())?;
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
        max_failures: arguments.max_failures,
        state: arguments.state,
        overrides,
        progress: !arguments.quiet,
    })
}

/// Runs the seed once for its events alone.
fn print_events(options: &CampaignOptions) {
    let drawn = SimOptions::draw(options.first_seed, &options.overrides);
    let outcome = sim::run(&drawn, true, &Watch::default());
    for (index, event) in outcome.trace.events().unwrap_or_default().iter().enumerate() {
        print(&format!("{index:>8} {event}\n"));
    }
}

/// A seed that nobody has tried: the standard library seeds its hash maps from the system. Short, because people will
/// type it.
fn fresh_seed() -> u64 {
    RandomState::new().hash_one(0_u64) >> 24
}

/// Prints to stdout; whoever has stopped reading is no reason to panic.
fn print(text: &str) {
    let _ = std::io::stdout().lock().write_all(text.as_bytes());
}
