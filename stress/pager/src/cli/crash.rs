//! The command that kills processes, and the process that is killed.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use tenterhook_runtime::io::Backend;
use tenterhook_stress::cli::scratch::Scratch;
use tenterhook_stress::cli::{backends, parse, print};
use tenterhook_stress::exit::ExitCode;
use tenterhook_stress::real::noise::NoiseKind;
use tenterhook_stress::subject::Subject as _;

use super::{interruption, usage};
use crate::PagerSubject;

use crate::real::crash::{self, ChildOptions, CrashOptions, Plant, Point};

/// Kills processes in the middle of their work on a real file and looks at what the next one finds.
///
/// Each child recovers the file, looks it over and commits, until it is killed at a random moment or kills itself at a named
/// point, before or after an operation of the log or of the database, also during recovery. Afterwards everything that was
/// acknowledged must be there, and nothing in halves: in the file as it is, and in what a power loss might have left.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  tenterhook crash                                     2000 deaths, threads and io_uring in turn
  tenterhook crash --duration 8h --directory soak      overnight; the same command resumes after an interruption
  tenterhook crash --points before-log-sync --kills 50 one point
  tenterhook crash --examine soak/evidence             check the evidence again")]
pub struct CrashArguments {
    /// Seed: decides which child dies, and when.
    #[arg(long, value_name = "SEED", default_value = "1", value_parser = parse::seed)]
    seed: u64,
    /// Number of children to kill [default: 2000 without --duration].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    kills: Option<u64>,
    /// Total time: 30s, 5m, 8h.
    #[arg(long, value_name = "TIME", value_parser = parse::duration)]
    duration: Option<Duration>,
    /// The I/O backend: threads, uring, or both in turn.
    #[arg(long, value_name = "BACKEND", default_value = "both", value_parser = ["threads", "uring", "both"])]
    backend: String,
    /// Connections of a child.
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    connections: u64,
    /// Points at which children kill themselves, separated by commas: names, all, or none for random times only.
    #[arg(long, value_name = "POINTS", default_value = "all")]
    points: String,
    /// Power losses to try after each death.
    #[arg(long, value_name = "N", default_value_t = 24)]
    power_losses: u32,
    /// Kernel noise, each kind for a third of the children, separated by commas: names, all, or none.
    #[arg(long, value_name = "KINDS", default_value = "all")]
    noise: String,
    /// Directory for the files [default: a fresh one, removed after a clean run].
    #[arg(long, value_name = "DIRECTORY")]
    directory: Option<PathBuf>,
    /// Time without progress after which a child has stalled.
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = parse::duration)]
    stall: Duration,
    /// Plant a bug in the children that the run must find: hasty-acknowledgement, stall, error or panic.
    #[arg(long, value_name = "BUG")]
    plant: Option<Plant>,
    /// Don't run: check the evidence of an earlier failure again. It is in the folder of the failure's files.
    #[arg(long, value_name = "DIRECTORY", conflicts_with_all = ["kills", "duration", "directory", "plant", "json"])]
    examine: Option<PathBuf>,
    /// Print one JSON document instead of text.
    #[arg(long)]
    json: bool,
    /// Don't draw a progress bar.
    #[arg(long)]
    quiet: bool,
}

pub(super) fn run(arguments: CrashArguments) -> ExitCode {
    if let Some(folder) = &arguments.examine {
        return examine(folder);
    }
    let read = || -> Result<_, String> {
        let noise = parse::noise(&arguments.noise, &NoiseKind::OF_CHILDREN)?;
        Ok((points(&arguments.points)?, noise, backends(PagerSubject::PROGRAM, &arguments.backend)?))
    };
    let (points, noise, backends) = match read() {
        Ok(right) => right,
        Err(problem) => return usage(&problem),
    };
    let scratch = match Scratch::new(arguments.directory.clone()) {
        Ok(scratch) => scratch,
        Err(problem) => return usage(&problem),
    };
    let program = match std::env::current_exe() {
        Ok(program) => program,
        Err(error) => return usage(&format!("this program cannot find itself: {error}")),
    };
    let directory = scratch.path().to_owned();
    let options = CrashOptions {
        directory,
        seed: arguments.seed,
        kills: arguments.kills.or(arguments.duration.is_none().then_some(2_000)),
        duration: arguments.duration,
        backends,
        connections: arguments.connections,
        points,
        power_losses: arguments.power_losses,
        noise,
        stall: arguments.stall,
        plant: arguments.plant,
        program,
        progress: !arguments.quiet,
    };
    let summary = match crash::run(&options, &interruption()) {
        Ok(summary) => summary,
        Err(error) => return usage(&format!("--directory {}: {error}", options.directory.display())),
    };
    if summary.failure.is_some() {
        scratch.keep();
    }
    if arguments.json {
        let mut document = serde_json::json!(summary);
        document["exit_code"] = (summary.exit_code() as u8).into();
        print(&format!("{document:#}\n"));
    } else {
        print(&summary.text());
        if summary.failure.is_some() {
            print(&format!("\nrepeat with:\n{}\n", command(&arguments, &options)));
        }
    }
    summary.exit_code()
}

/// Says what is wrong with the files of a failure.
fn examine(folder: &Path) -> ExitCode {
    match crash::examine(folder) {
        Ok(Some((image, violation))) => {
            print(&format!("{violation}\n  in        {image}\n"));
            ExitCode::Violation
        }
        Ok(None) => {
            print("this build finds nothing wrong with it\n");
            ExitCode::Ok
        }
        Err(error) => usage(&format!("--examine {}: {error}", folder.display())),
    }
}

/// The same once more, in a fresh directory. Where a child dies is drawn; what the kernel makes of it is not.
fn command(arguments: &CrashArguments, options: &CrashOptions) -> String {
    let CrashArguments { seed, backend, connections, points, power_losses, noise, stall, .. } = arguments;
    let mut command = format!(
        "tenterhook crash --seed {seed:#x} --backend {backend} --connections {connections} --points {points} --power-losses {power_losses} --noise {noise} --stall {}ms",
        stall.as_millis().max(1)
    );
    if let Some(kills) = options.kills {
        command += &format!(" --kills {kills}");
    }
    if let Some(plant) = options.plant {
        command += &format!(" --plant {}", plant.name());
    }
    command
}

fn points(text: &str) -> Result<Vec<Point>, String> {
    let points = parse::names(text, "point", &Point::all(), |point| point.to_string());
    points.map_err(|problem| format!("--points {text}: {problem}"))
}

/// The process that is killed.
#[derive(Debug, Args)]
pub struct ChildArguments {
    #[arg(long)]
    directory: PathBuf,
    #[arg(long)]
    backend: Backend,
    #[arg(long)]
    connections: u64,
    #[arg(long, requires = "occurrence")]
    point: Option<Point>,
    #[arg(long)]
    occurrence: Option<u32>,
    #[arg(long, default_value_t = 0)]
    variety: u64,
    #[arg(long, value_delimiter = ',')]
    noise: Vec<NoiseKind>,
    #[arg(long)]
    plant: Option<Plant>,
}

pub(super) fn run_child(arguments: ChildArguments) -> ExitCode {
    let ChildArguments { directory, backend, connections, point, occurrence, variety, noise, plant } =
        arguments;
    let point = point.zip(occurrence);
    let Err(error) =
        crash::run_child(&ChildOptions { directory, backend, connections, point, variety, noise, plant });
    eprintln!("{error}");
    ExitCode::Internal
}
