//! The command that runs the pager on real threads.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use clap::Args;

use super::crash::real_backends;
use super::{parse, print, storm, usage};
use crate::disk::FaultKind;
use crate::real::noise::{NoiseKind, without_obstacles};
use crate::real::threads::{self, KINDS, ThreadsOptions};

use crate::exit::ExitCode;

/// Runs the pager on real threads, over real backends in a scratch folder, under faults.
///
/// Every snapshot that is looked at has to be the state after some number of commits, with every commit that was acknowledged
/// before it was begun. A failed sync ends a life of the pager: the file is recovered, and nobody's commits may be missing.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  tenterhook threads                                        half a minute, threads and io_uring in turn
  tenterhook threads --duration 20m --connections 1000      longer
  tenterhook threads --backend uring --faults cancelled     one backend, one kind of fault
  tenterhook threads --storm --actions 1000000              user code that panics and re-enters")]
pub(super) struct ThreadsArguments {
    /// Decides which operations are struck [default: 1].
    #[arg(long, value_name = "SEED", default_value = "1", value_parser = parse::seed)]
    pub(super) seed: u64,
    /// For how long, over all backends: 30s, 5m, 8h [default: 30s].
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = parse::duration)]
    pub(super) duration: Duration,
    /// What does the I/O: threads, uring, or both in turn.
    #[arg(long, value_name = "BACKEND", default_value = "both", value_parser = ["threads", "uring", "both"])]
    pub(super) backend: String,
    /// Connections.
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    connections: u64,
    /// Threads of the executor [default: one for each core].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    workers: Option<u16>,
    /// The kinds of fault that strike, with commas: names, all, or none.
    #[arg(long, value_name = "KINDS", default_value = "all")]
    faults: String,
    /// Instead of the pager, run a storm of user code that re-enters, panics and cancels, over every backend.
    #[arg(long, conflicts_with_all = ["connections", "workers", "faults", "noise"])]
    storm: bool,
    /// End the storm after so many actions [default: no end but the duration's].
    #[arg(long, value_name = "N", requires = "storm", value_parser = clap::value_parser!(u64).range(1..))]
    pub(super) actions: Option<u64>,
    /// Kernel noise, with commas: names, all, or none.
    #[arg(long, value_name = "KINDS", num_args = 0..=1, default_value = "all", default_missing_value = "all")]
    noise: String,
    /// Without any progress for so long it has stalled [default: 30s].
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = parse::duration)]
    pub(super) stall: Duration,
    /// Where the files go [default: a fresh one, removed if all is well].
    #[arg(long, value_name = "DIRECTORY")]
    directory: Option<PathBuf>,
    /// Print one JSON document instead of text.
    #[arg(long)]
    pub(super) json: bool,
    /// Draw no progress bar.
    #[arg(long)]
    quiet: bool,
}

pub(super) fn run(arguments: ThreadsArguments) -> ExitCode {
    let read = || -> Result<_, String> {
        let noise = parse::noise(&arguments.noise, &NoiseKind::WITHIN)?;
        Ok((faults(&arguments.faults)?, real_backends(&arguments.backend)?, noise))
    };
    let (faults, backends, noise) = match read() {
        Ok(right) => right,
        Err(problem) => return usage(&problem),
    };
    let scratch = match arguments.directory {
        Some(_) => None,
        None => match tempfile::tempdir() {
            Ok(directory) => Some(directory),
            Err(error) => {
                return usage(&format!("no scratch directory ({error}): name one with --directory"));
            }
        },
    };
    let named = arguments.directory.clone();
    let directory =
        named.or_else(|| scratch.as_ref().map(|scratch| scratch.path().to_owned())).unwrap_or_default();
    if let Err(problem) = fresh(&directory) {
        return usage(&format!("--directory {}: {problem}", directory.display()));
    }
    if arguments.storm {
        return storm::run(&arguments, directory);
    }
    let noise = without_obstacles(noise, &directory);
    let options = ThreadsOptions {
        directory,
        seed: arguments.seed,
        duration: arguments.duration,
        backends,
        connections: arguments.connections,
        workers: arguments
            .workers
            .map_or_else(|| std::thread::available_parallelism().map_or(2, usize::from), usize::from),
        faults,
        noise,
        stall: arguments.stall,
        progress: !arguments.quiet,
    };
    let interrupted = interruption();
    let summary = match threads::run(&options, &interrupted) {
        Ok(summary) => summary,
        Err(error) => return usage(&format!("--directory {}: {error}", options.directory.display())),
    };
    let code = summary.exit_code();
    let broken = summary.runs.iter().any(|run| run.violation.is_some());
    if let (true, Some(scratch)) = (broken, scratch) {
        let _ = scratch.keep();
    }
    if arguments.json {
        let mut document = serde_json::json!(summary);
        document["exit_code"] = (code as u8).into();
        print(&format!("{document:#}\n"));
    } else {
        print(&summary.text());
        if broken {
            print(&format!(
                "\nfiles: {}\nrepeat with:\n{}\n",
                options.directory.display(),
                command(&arguments)
            ));
        }
    }
    code
}

/// Raised by Ctrl-C.
pub(super) fn interruption() -> Arc<AtomicBool> {
    let interrupted = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&interrupted);
    if ctrlc::set_handler(move || flag.store(true, Ordering::Relaxed)).is_err() {
        eprintln!("tenterhook: Ctrl-C cannot be caught: it will end the run without a summary");
    }
    interrupted
}

/// The table of what was acknowledged is in memory: files of an earlier run would be held against nothing.
fn fresh(directory: &std::path::Path) -> Result<(), String> {
    std::fs::create_dir_all(directory).map_err(|error| error.to_string())?;
    let mut entries = std::fs::read_dir(directory).map_err(|error| error.to_string())?;
    let is_left = |name: std::ffi::OsString| name.to_string_lossy().contains(".db");
    match entries.any(|entry| entry.is_ok_and(|entry| is_left(entry.file_name()))) {
        true => Err("it has files of an earlier run; name an empty one".into()),
        false => Ok(()),
    }
}

fn faults(text: &str) -> Result<Vec<FaultKind>, String> {
    let known = KINDS.map(|(kind, _)| kind);
    let faults = parse::names(text, "fault", &known, |kind| kind.name().to_owned());
    faults.map_err(|problem| format!("--faults {text}: {problem}"))
}

/// The same once more. What the threads make of it is not the seed's.
fn command(arguments: &ThreadsArguments) -> String {
    let ThreadsArguments { seed, duration, backend, connections, faults, noise, .. } = arguments;
    format!(
        "tenterhook threads --seed {seed:#x} --duration {}s --backend {backend} --connections {connections} --faults {faults} --noise {noise}",
        duration.as_secs().max(1)
    )
}
