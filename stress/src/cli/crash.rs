//! The command that kills processes of a subject, and the process that is killed.

use std::marker::PhantomData;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use tenterhook_runtime::io::Backend;

use super::scratch::Scratch;
use super::{backends, interruption, parse, print, usage};
use crate::exit::ExitCode;
use crate::real::killed::{self, ChildOptions, CrashOptions, Killable, Point};
use crate::real::noise::NoiseKind;
use crate::subject::Subject;

/// Kills processes in the middle of their work on a real file and looks at what the next one finds.
///
/// Each child recovers the file, looks it over and commits, until it is killed at a random moment or kills itself at a named
/// point, before or after an operation of the log or of the database, also during recovery. Afterwards everything that was
/// acknowledged must be there, and nothing in halves: in the file as it is, and in what a power loss might have left.
#[derive(Debug, Args)]
pub(super) struct CrashArguments<S: Subject> {
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
    /// Plant a bug in the children that the run must find.
    #[arg(long, value_name = "BUG", value_parser = plant::<S>)]
    plant: Option<&'static str>,
    /// Don't run: check the evidence of an earlier failure again. It is in the folder of the failure's files.
    #[arg(long, value_name = "DIRECTORY", conflicts_with_all = ["kills", "duration", "directory", "plant", "json"])]
    examine: Option<PathBuf>,
    /// Print one JSON document instead of text.
    #[arg(long)]
    json: bool,
    /// Don't draw a progress bar.
    #[arg(long)]
    quiet: bool,
    #[arg(skip)]
    subject: PhantomData<S>,
}

const EXAMPLES: &str = "\
Examples:
  PROGRAM crash                                     2000 deaths, threads and io_uring in turn
  PROGRAM crash --duration 8h --directory soak      overnight; the same command resumes after an interruption
  PROGRAM crash --points before-log-sync --kills 50 one point
  PROGRAM crash --examine soak/evidence             check the evidence again";

const EXAMPLES_UNRECORDED: &str = "\
Examples:
  PROGRAM crash                                     2000 deaths
  PROGRAM crash --duration 8h --directory soak      overnight; the same command resumes after an interruption
  PROGRAM crash --examine soak/evidence             check the evidence again";

/// The command as it is for `S`: hidden where there is nothing to kill, without options that do nothing.
pub(super) fn shaped<S: Subject>(command: clap::Command) -> clap::Command {
    let about = format!("Kill processes that use the {}, and check what the next process recovers", S::NAME);
    let command = command.about(about);
    let Some(system) = S::killed() else { return command.hide(true) };
    let command = command.mut_arg("plant", |plant| match system.plants() {
        [] => plant.hide(true),
        names => {
            plant.help(format!("Plant a bug in the children that the run must find: {}", alternatives(names)))
        }
    });
    let examples = |text: &str| text.replace("PROGRAM", S::PROGRAM);
    if system.is_recorded() {
        return command.after_long_help(examples(EXAMPLES));
    }
    let nothing = |name: &'static str, value: &'static str| {
        move |command: clap::Command| command.mut_arg(name, |arg| arg.default_value(value).hide(true))
    };
    let command = nothing("backend", "threads")(command);
    let command = nothing("points", "none")(command);
    nothing("power_losses", "0")(command).after_long_help(examples(EXAMPLES_UNRECORDED))
}

/// `a, b or c`.
fn alternatives(names: &[&str]) -> String {
    match names {
        [all @ .., last] if !all.is_empty() => format!("{} or {last}", all.join(", ")),
        names => names.join(", "),
    }
}

fn plant<S: Subject>(text: &str) -> Result<&'static str, String> {
    let known = S::killed().map_or(&[][..], |system| system.plants());
    let plant = known.iter().copied().find(|name| *name == text);
    plant.ok_or_else(|| match known {
        [] => format!("{} has no bugs to plant", S::NAME),
        known => format!("it must be one of {}", known.join(", ")),
    })
}

/// What `S` offers to be killed.
fn system<S: Subject>() -> Result<Killable, String> {
    S::killed().ok_or_else(|| format!("{} offers no processes to kill", S::NAME))
}

pub(super) fn run<S: Subject>(arguments: CrashArguments<S>) -> ExitCode {
    let system = match system::<S>() {
        Ok(system) => system,
        Err(problem) => return usage(S::PROGRAM, &problem),
    };
    if let Some(folder) = &arguments.examine {
        return examine::<S>(&system, folder);
    }
    // Read before a directory is made.
    let read = read::<S>(&system, &arguments);
    let scratch = read.and_then(|read| Ok((Scratch::new(arguments.directory.clone())?, read)));
    let (scratch, options) = match scratch.and_then(|(scratch, read)| {
        let options = options::<S>(&arguments, &scratch, read)?;
        Ok((scratch, options))
    }) {
        Ok(right) => right,
        Err(problem) => return usage(S::PROGRAM, &problem),
    };
    let summary = match killed::run(&system, &options, &interruption(S::PROGRAM)) {
        Ok(summary) => summary,
        Err(error) => {
            return usage(S::PROGRAM, &format!("--directory {}: {error}", options.directory.display()));
        }
    };
    if summary.failure.is_some() {
        scratch.keep();
    }
    if arguments.json {
        let mut document = serde_json::json!(summary);
        document["exit_code"] = (summary.exit_code() as u8).into();
        print(&format!("{document:#}\n"));
    } else {
        print(&summary.text(S::PROGRAM));
        if summary.failure.is_some() {
            print(&format!("\nrepeat with:\n{}\n", command(&system, &arguments, &options)));
        }
    }
    summary.exit_code()
}

/// What lists of names say.
struct Read {
    points: Vec<Point>,
    noise: Vec<NoiseKind>,
    backends: Vec<Backend>,
}

fn read<S: Subject>(system: &Killable, arguments: &CrashArguments<S>) -> Result<Read, String> {
    let CrashArguments { points, power_losses, backend, .. } = arguments;
    if !system.is_recorded() {
        for (flag, value, default) in [
            ("--points", points.clone(), "none"),
            ("--power-losses", power_losses.to_string(), "0"),
            ("--backend", backend.clone(), "threads"),
        ] {
            if value != default {
                let name = S::NAME;
                return Err(format!(
                    "{flag} {value}: {name} opens its files by itself, so its I/O is not recorded: leave {flag} out"
                ));
            }
        }
    }
    let offered = system.noise();
    let known: Vec<NoiseKind> =
        NoiseKind::OF_CHILDREN.into_iter().filter(|kind| offered.contains(kind)).collect();
    let noise = parse::noise(&arguments.noise, &known)?;
    let points = parse::names(points, "point", &system.points(), |point| point.to_string())
        .map_err(|problem| format!("--points {points}: {problem}"))?;
    Ok(Read { points, noise, backends: backends(S::PROGRAM, backend)? })
}

fn options<S: Subject>(
    arguments: &CrashArguments<S>,
    scratch: &Scratch,
    Read { points, noise, backends }: Read,
) -> Result<CrashOptions, String> {
    let executable =
        std::env::current_exe().map_err(|error| format!("this program cannot find itself: {error}"))?;
    Ok(CrashOptions {
        directory: scratch.path().to_owned(),
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
        executable,
        program: S::PROGRAM,
        progress: !arguments.quiet,
    })
}

/// Says what is wrong with the files of a failure.
fn examine<S: Subject>(system: &Killable, folder: &Path) -> ExitCode {
    match killed::examine(system, folder) {
        Ok(Some((image, violation))) => {
            print(&format!("{violation}\n  in        {image}\n"));
            ExitCode::Violation
        }
        Ok(None) => {
            print("this build finds nothing wrong with it\n");
            ExitCode::Ok
        }
        Err(error) => usage(S::PROGRAM, &format!("--examine {}: {error}", folder.display())),
    }
}

/// The same once more, in a fresh directory. Where a child dies is drawn; what the kernel makes of it is not.
fn command<S: Subject>(system: &Killable, arguments: &CrashArguments<S>, options: &CrashOptions) -> String {
    let CrashArguments { seed, backend, connections, points, power_losses, noise, stall, .. } = arguments;
    let mut command = format!("{} crash --seed {seed:#x}", S::PROGRAM);
    let recorded = system.is_recorded();
    if recorded {
        command += &format!(" --backend {backend}");
    }
    command += &format!(" --connections {connections}");
    if recorded {
        command += &format!(" --points {points} --power-losses {power_losses}");
    }
    command += &format!(" --noise {noise} --stall {}ms", stall.as_millis().max(1));
    if let Some(kills) = options.kills {
        command += &format!(" --kills {kills}");
    }
    if let Some(plant) = options.plant {
        command += &format!(" --plant {plant}");
    }
    command
}

/// The process that is killed.
#[derive(Debug, Args)]
pub(super) struct ChildArguments<S: Subject> {
    #[arg(long)]
    directory: PathBuf,
    #[arg(long, default_value = "threads")]
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
    #[arg(long, value_parser = plant::<S>)]
    plant: Option<&'static str>,
    #[arg(skip)]
    subject: PhantomData<S>,
}

pub(super) fn run_child<S: Subject>(arguments: ChildArguments<S>) -> ExitCode {
    let system = match system::<S>() {
        Ok(system) => system,
        Err(problem) => return usage(S::PROGRAM, &problem),
    };
    let ChildArguments { directory, backend, connections, point, occurrence, variety, noise, plant, .. } =
        arguments;
    let point = point.zip(occurrence);
    let options = ChildOptions { directory, backend, connections, point, variety, noise, plant };
    let Err(error) = killed::run_child(&system, &options);
    eprintln!("{error}");
    ExitCode::Internal
}
