//! The command that runs a subject on real threads.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use tenterhook_runtime::io::Backend;

use super::scratch::Scratch;
use super::{interruption, parse, print, storm, usage};
use crate::disk::FaultKind;
use crate::exit::ExitCode;
use crate::real::noise::NoiseKind;
use crate::real::threads::{self, KINDS, ThreadsOptions};
use crate::subject::Subject;

/// Runs the system on real threads, over real backends in a scratch folder, under faults.
///
/// Many connections work at the same time. When faults have stopped and every operation has ended, the system is checked, opened
/// again on the same files, and checked again. The seed does not decide how threads interleave: runs of a seed are similar, not equal.
#[derive(Debug, Args)]
pub(super) struct ThreadsArguments {
    /// Seed: decides which operations get a fault.
    #[arg(long, value_name = "SEED", default_value = "1", value_parser = parse::seed)]
    pub(super) seed: u64,
    /// Total time over all backends: 30s, 5m, 8h.
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = parse::duration)]
    pub(super) duration: Duration,
    /// The I/O backend: threads, uring, or both in turn.
    #[arg(long, value_name = "BACKEND", default_value = "both", value_parser = ["threads", "uring", "both"])]
    pub(super) backend: String,
    /// Connections.
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    connections: u64,
    /// Threads of the executor [default: one per core].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    workers: Option<u16>,
    /// Kinds of fault to inject, separated by commas: names, all, or none.
    #[arg(long, value_name = "KINDS", default_value = "all")]
    faults: String,
    /// Instead of the system, run storms of the runtime, separated by commas: completions, waiters, groups, tasks, io (user code
    /// that re-enters and panics, over every backend), or all.
    #[arg(long, value_name = "KINDS", num_args = 0..=1, default_missing_value = "all",
        conflicts_with_all = ["connections", "workers", "faults", "noise"])]
    storm: Option<String>,
    /// End each storm after N actions or cases [default: run for --duration].
    #[arg(long, value_name = "N", requires = "storm", value_parser = clap::value_parser!(u64).range(1..))]
    pub(super) actions: Option<u64>,
    /// Leave the storms' threads without delays, processors and priorities of their own.
    #[arg(long, requires = "storm")]
    pub(super) unperturbed: bool,
    /// Kernel noise, separated by commas: names, all, or none.
    #[arg(long, value_name = "KINDS", num_args = 0..=1, default_value = "all", default_missing_value = "all")]
    noise: String,
    /// Time without progress after which the run has stalled.
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = parse::duration)]
    pub(super) stall: Duration,
    /// Directory for the files [default: a fresh one, removed after a clean run].
    #[arg(long, value_name = "DIRECTORY")]
    directory: Option<PathBuf>,
    /// Print one JSON document instead of text.
    #[arg(long)]
    pub(super) json: bool,
    /// Don't draw a progress bar.
    #[arg(long)]
    quiet: bool,
}

pub(super) const EXAMPLES: &str = "\
Examples:
  PROGRAM threads                                        30 s, threads and io_uring in turn
  PROGRAM threads --duration 20m --connections 1000      longer
  PROGRAM threads --backend uring --faults cancelled     one backend, one kind of fault
  PROGRAM threads --storm                                completions, waiters, groups, tasks and backends, by themselves
  PROGRAM threads --storm groups --duration 10m          one of them";

pub(super) fn run<S: Subject>(arguments: ThreadsArguments) -> ExitCode {
    if arguments.storm.is_none() && S::threads(arguments.connections).is_none() {
        return usage(
            S::PROGRAM,
            &format!("{} is only simulated: it offers nothing for real threads", S::NAME),
        );
    }
    let directory = match Scratch::new(arguments.directory.clone()).and_then(Scratch::fresh) {
        Ok(directory) => directory,
        Err(problem) => return usage(S::PROGRAM, &problem),
    };
    if let Some(kinds) = &arguments.storm {
        return storm::run::<S>(&arguments, kinds, directory);
    }
    let options = match options::<S>(&arguments, &directory) {
        Ok(options) => options,
        Err(problem) => return usage(S::PROGRAM, &problem),
    };
    let workload = || S::threads(arguments.connections).expect("offered above");
    let summary = match threads::run(&options, workload, &interruption(S::PROGRAM)) {
        Ok(summary) => summary,
        Err(error) => {
            return usage(S::PROGRAM, &format!("--directory {}: {error}", options.directory.display()));
        }
    };
    let code = summary.exit_code();
    let broken = summary.runs.iter().any(|run| run.violation.is_some());
    let mut document = serde_json::json!(summary);
    document["exit_code"] = (code as u8).into();
    let saved = broken.then(|| directory.save(&document));
    if arguments.json {
        print(&format!("{document:#}\n"));
    } else {
        print(&summary.text());
        if let Some(saved) = saved {
            let (files, command) = (options.directory.display(), command::<S>(&arguments));
            print(&format!("\nfiles: {files}\n{saved}\nrepeat with:\n{command}\n"));
        }
    }
    code
}

fn options<S: Subject>(arguments: &ThreadsArguments, directory: &Scratch) -> Result<ThreadsOptions, String> {
    let noise = parse::noise(&arguments.noise, &NoiseKind::WITHIN)?;
    let cores = || std::thread::available_parallelism().map_or(2, usize::from);
    Ok(ThreadsOptions {
        directory: directory.path().to_owned(),
        seed: arguments.seed,
        duration: arguments.duration,
        backends: backends(S::PROGRAM, &arguments.backend)?,
        connections: arguments.connections,
        workers: arguments.workers.map_or_else(cores, usize::from),
        faults: faults(&arguments.faults)?,
        noise,
        stall: arguments.stall,
        progress: !arguments.quiet,
    })
}

/// The backends that are meant, as far as this machine has them.
///
/// # Errors
///
/// When it does not have the one that is meant.
pub fn backends(program: &str, name: &str) -> Result<Vec<Backend>, String> {
    let uring = || Backend::Uring.start().map(drop);
    match name {
        "threads" => Ok(vec![Backend::Threads]),
        "uring" => {
            uring().map(|()| vec![Backend::Uring]).map_err(|error| format!("--backend uring: {error}"))
        }
        _ => match uring() {
            Ok(()) => Ok(vec![Backend::Threads, Backend::Uring]),
            Err(error) => {
                eprintln!("{program}: {error}; going on with threads alone");
                Ok(vec![Backend::Threads])
            }
        },
    }
}

fn faults(text: &str) -> Result<Vec<FaultKind>, String> {
    let known = KINDS.map(|(kind, _)| kind);
    let faults = parse::names(text, "fault", &known, |kind| kind.name().to_owned());
    faults.map_err(|problem| format!("--faults {text}: {problem}"))
}

/// The same once more. What the threads make of it is not the seed's.
fn command<S: Subject>(arguments: &ThreadsArguments) -> String {
    let ThreadsArguments { seed, duration, backend, connections, faults, noise, stall, .. } = arguments;
    let (duration, stall) = (humantime::format_duration(*duration), humantime::format_duration(*stall));
    let workers = arguments.workers.map_or_else(String::new, |workers| format!(" --workers {workers}"));
    format!(
        "{} threads --seed {seed:#x} --duration '{duration}' --backend {backend} --connections {connections} --faults {faults} --noise {noise} --stall '{stall}'{workers}",
        S::PROGRAM,
    )
}
