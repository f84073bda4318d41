//! The commands of long-running jobs.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, Subcommand};
use serde_json::json;

use super::sim::fresh_seed;
use super::{interruption, parse, print, usage};
use crate::exit::ExitCode;
use crate::job::{self, Cause, JobError, JobOptions, Mix, Shard};
use crate::options::Fixed;
use crate::subject::Subject;

/// The commands.
#[derive(Debug, Subcommand)]
pub(super) enum Commands<S: Subject> {
    /// Run a long job on a folder: it resumes, groups failures by cause, and replays known ones.
    Job(JobArguments<S>),
    /// List what a job has found, or tell one failure whole.
    Failures(FailuresArguments),
    /// Replay every failure that a job has found: open, fixed and regressed.
    Retest(RetestArguments),
    /// Tell what a job has come to.
    Report(ReportArguments),
    /// Put the jobs of several machines into one.
    Merge(MergeArguments),
    /// Print a failure as the Markdown text of an issue.
    Issue(IssueArguments),
}

pub(super) const EXAMPLES: &str = "\
Examples:
  PROGRAM job soak --duration 8h                         the same command resumes after an interruption or a kill
  PROGRAM job soak --mix sim=8,sweep=1,threads=1,crash=1 shares of the time
  PROGRAM job soak --until-failure                       no new seed after a failure
  PROGRAM job soak --seed 1 --seeds 100000 --shard 3/8   the third of eight machines";

/// One in how many seeds is run twice, unless a person says otherwise.
const RECHECK: u64 = 16;

/// Runs seeds for hours on one folder.
///
/// The folder has a database and the files of failures. Whatever ends the program, at most the seeds that were being run are lost.
/// Each failure is shrunk; failures of one cause are one signature with one folder. A sitting first replays the failures that it
/// knows. Exit code 10, 11 or 12 says that a cause is open, 70 that the tester is at fault.
#[derive(Debug, Args)]
pub(super) struct JobArguments<S: Subject> {
    /// The job's folder; it is made if it is not there.
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// The first seed [default: that of the job, a fresh one for a new job].
    #[arg(long, value_name = "SEED", value_parser = parse::seed)]
    seed: Option<u64>,
    /// How many seeds, those of all shards [default: as many as fit].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    seeds: Option<u64>,
    /// For how long, over all sittings: 30m, 8h [default: until Ctrl-C].
    #[arg(long, value_name = "TIME", value_parser = parse::duration)]
    duration: Option<Duration>,
    /// Start no new seed after the first failure of this sitting.
    #[arg(long, conflicts_with = "max_failures")]
    until_failure: bool,
    /// Start no new seed after N failures of this sitting.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    max_failures: Option<u64>,
    /// Shares of the time: sim, sweep, threads and crash.
    #[arg(long, value_name = "SHARES", default_value = "sim=1", value_parser = Mix::parse)]
    mix: Mix,
    #[command(flatten)]
    fixed: Fixed<S::Options>,
    /// Number of seeds to run in parallel [default: one per core].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    jobs: Option<u16>,
    /// Run one in N seeds twice and compare; 0 for none.
    #[arg(long, value_name = "N", default_value_t = RECHECK)]
    recheck: u64,
    /// This machine's part of the seeds, such as 3/8; a new job needs --seed with it [default: what JOB_COMPLETION_INDEX or SLURM_ARRAY_TASK_ID say, else all].
    #[arg(long, value_name = "K/N")]
    shard: Option<String>,
    /// Serve figures for Prometheus at this address, such as 127.0.0.1:9184.
    #[arg(long, value_name = "ADDRESS:PORT")]
    metrics: Option<std::net::SocketAddr>,
    /// Make the canary right, so that it can't be found.
    #[arg(long, hide = true)]
    blind_canary: bool,
    /// Say nothing before the end.
    #[arg(long)]
    quiet: bool,
    /// Print one JSON document instead of text.
    #[arg(long)]
    json: bool,
}

/// Lists what a job has found.
#[derive(Debug, Args)]
pub(super) struct FailuresArguments {
    /// The job's folder.
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// Only this one, with everything that is known of it. Its first letters suffice.
    #[arg(value_name = "SIGNATURE")]
    signature: Option<String>,
    /// Print one JSON document instead of text.
    #[arg(long)]
    json: bool,
}

/// Replays every failure that a job has found. Exit code 10, 11 or 12 says that one still fails.
#[derive(Debug, Args)]
pub(super) struct RetestArguments {
    /// The job's folder.
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// Print one JSON document instead of text.
    #[arg(long)]
    json: bool,
}

/// Tells what a job has come to; the job may be running.
#[derive(Debug, Args)]
pub(super) struct ReportArguments {
    /// The job's folder.
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// Print one JSON document instead of text: what `sim --json` says of the same seeds, and more.
    #[arg(long)]
    json: bool,
    /// Write one HTML file that needs no network.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
}

/// Puts jobs of the same seeds and options into one. The order does not matter, and merging twice changes nothing.
#[derive(Debug, Args)]
pub(super) struct MergeArguments {
    /// The folder of the merged job; it is made if it is not there.
    #[arg(value_name = "INTO")]
    into: PathBuf,
    /// The folders of its parts.
    #[arg(value_name = "DIR", required = true)]
    parts: Vec<PathBuf>,
}

/// Prints a failure as the Markdown text of an issue, ready for a tracker.
#[derive(Debug, Args)]
pub(super) struct IssueArguments {
    /// The job's folder.
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// The failure's signature. Its first letters suffice.
    #[arg(value_name = "SIGNATURE")]
    signature: String,
}

pub(super) fn run<S: Subject>(command: Commands<S>) -> ExitCode {
    let done = match command {
        Commands::Job(arguments) => start(arguments),
        Commands::Failures(arguments) => failures(&arguments),
        Commands::Retest(arguments) => retest::<S>(&arguments),
        Commands::Report(arguments) => report::<S>(&arguments),
        Commands::Merge(arguments) => merge::<S>(&arguments),
        Commands::Issue(arguments) => issue(&arguments),
    };
    done.unwrap_or_else(|error| {
        usage(S::PROGRAM, &error.to_string());
        error.exit_code()
    })
}

fn start<S: Subject>(arguments: JobArguments<S>) -> Result<ExitCode, JobError> {
    let (json, folder) = (arguments.json, arguments.folder.clone());
    let options = match options(arguments) {
        Ok(options) => options,
        Err(problem) => return Ok(usage(S::PROGRAM, &problem)),
    };
    let ended = job::run(&options, &interruption(S::PROGRAM))?;
    match json {
        true => print(&format!("{:#}\n", job::document::<S>(&folder)?)),
        false => print(&job::glance::<S>(&folder)?),
    }
    // One that has done all that it was asked for has nothing to go on with.
    if !json && ended.broke_off {
        print(&format!("\ngo on with:\n{} job {}{}\n", S::PROGRAM, folder.display(), flags(&options)));
    }
    job::exit_code::<S>(&folder)
}

/// What a command has to repeat for the job to be the same, and to end where this one was to end.
fn flags<S: Subject>(options: &JobOptions<S>) -> String {
    let mut flags = options.fixed.flags();
    let mut add = |name: &str, value: String, default: String| {
        if value != default {
            flags.push_str(&format!(" --{name} {value}"));
        }
    };
    add("mix", options.mix.to_string(), Mix::default().to_string());
    add("recheck", options.recheck.to_string(), RECHECK.to_string());
    add("shard", options.shard.to_string(), Shard::WHOLE.to_string());
    add("seeds", options.seeds.map(|seeds| seeds.to_string()).unwrap_or_default(), String::new());
    let duration =
        options.duration.map(|duration| humantime::format_duration(duration).to_string().replace(' ', ""));
    add("duration", duration.unwrap_or_default(), String::new());
    flags
}

fn options<S: Subject>(arguments: JobArguments<S>) -> Result<JobOptions<S>, String> {
    arguments.fixed.validate().map_err(|error| error.to_string())?;
    let cores = || std::thread::available_parallelism().map_or(1, usize::from);
    let variable = |name: &str| std::env::var(name).ok();
    Ok(JobOptions {
        folder: arguments.folder,
        first_seed: arguments.seed,
        fresh_seed: fresh_seed(),
        seeds: arguments.seeds,
        duration: arguments.duration,
        max_failures: if arguments.until_failure { Some(1) } else { arguments.max_failures },
        mix: arguments.mix,
        jobs: arguments.jobs.map_or_else(cores, usize::from),
        recheck: arguments.recheck,
        fixed: arguments.fixed,
        shard: Shard::find(arguments.shard.as_deref(), variable)?,
        metrics: arguments.metrics,
        blind_canary: arguments.blind_canary,
        quiet: arguments.quiet,
    })
}

fn failures(arguments: &FailuresArguments) -> Result<ExitCode, JobError> {
    let folder = &arguments.folder;
    let Some(signature) = &arguments.signature else {
        let causes = job::causes(folder)?;
        if arguments.json {
            print(&format!("{:#}\n", json!(causes)));
            return Ok(ExitCode::Ok);
        }
        print(&format!("{:<26} {:<9} {:>6}  {}\n", "signature", "state", "seeds", "what"));
        causes.iter().for_each(|cause| print(&format!("{}\n", job::glance_at(cause))));
        return Ok(ExitCode::Ok);
    };
    match arguments.json {
        true => print(&format!("{:#}\n", json!(job::cause(folder, signature)?))),
        false => print(&job::account(folder, signature)?),
    }
    Ok(ExitCode::Ok)
}

fn retest<S: Subject>(arguments: &RetestArguments) -> Result<ExitCode, JobError> {
    let tell = |looked: &job::Looked| {
        if !arguments.json {
            print(&format!("{looked}\n"));
        }
    };
    let looked = job::retest::<S>(&arguments.folder, &interruption(S::PROGRAM), tell)?;
    if arguments.json {
        print(&format!("{:#}\n", json!(looked)));
    }
    let fails = |cause: &&Cause| {
        looked.iter().any(|looked| looked.signature == cause.signature && looked.fails == Some(true))
    };
    Ok(job::code_of(job::causes(&arguments.folder)?.iter().filter(fails)))
}

fn report<S: Subject>(arguments: &ReportArguments) -> Result<ExitCode, JobError> {
    let folder: &Path = &arguments.folder;
    if let Some(path) = &arguments.html {
        let written = std::fs::write(path, job::page::<S>(folder)?);
        if let Err(error) = written {
            return Ok(usage(
                S::PROGRAM,
                &format!("--html {}: cannot be written ({error}); name another file", path.display()),
            ));
        }
    }
    match arguments.json {
        true => print(&format!("{:#}\n", job::document::<S>(folder)?)),
        false => print(&job::glance::<S>(folder)?),
    }
    Ok(ExitCode::Ok)
}

fn issue(arguments: &IssueArguments) -> Result<ExitCode, JobError> {
    print(&job::issue(&arguments.folder, &arguments.signature)?);
    Ok(ExitCode::Ok)
}

fn merge<S: Subject>(arguments: &MergeArguments) -> Result<ExitCode, JobError> {
    job::merge(&arguments.into, &arguments.parts)?;
    print(&job::glance::<S>(&arguments.into)?);
    Ok(ExitCode::Ok)
}
