//! The command line of the program `tenterhook`.

mod crash;
mod fixed;
mod parse;
mod sim;
mod storm;
mod sweep;
mod tape;
mod threads;

use std::io::Write as _;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Parser, Subcommand};

use crate::exit::ExitCode;

/// Deterministic stress tester for re-entrant storage state machines.
#[derive(Debug, Parser)]
#[command(name = "tenterhook", version, about, after_long_help = exit_codes())]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run seeds against the pager on a simulated disk.
    Sim(sim::SimArguments),
    /// Run every operation of the pager through every harm, one at a time.
    Sweep(sweep::SweepArguments),
    /// Run the pager on real threads, over real backends, under faults.
    Threads(threads::ThreadsArguments),
    /// Kill processes in the middle of their work on a real file, and look at what the next one finds.
    Crash(crash::CrashArguments),
    /// The process that is killed.
    #[command(hide = true)]
    CrashChild(crash::ChildArguments),
    /// Play a tape, or the run of a seed.
    Replay(tape::ReplayArguments),
    /// Make a failing tape small.
    Shrink(tape::ShrinkArguments),
    /// Draw a tape as a timeline, one lane a connection.
    Trace(tape::TraceArguments),
}

/// Runs the program with the arguments of the process.
pub fn main() -> ExitCode {
    run(std::env::args_os())
}

/// Runs the program with `arguments`, the program's name first.
pub fn run(arguments: impl IntoIterator<Item = std::ffi::OsString>) -> ExitCode {
    match Arguments::try_parse_from(arguments) {
        Ok(Arguments { command }) => match command {
            Command::Sim(arguments) => sim::run(arguments),
            Command::Sweep(arguments) => sweep::run(arguments),
            Command::Threads(arguments) => threads::run(arguments),
            Command::Crash(arguments) => crash::run(arguments),
            Command::CrashChild(arguments) => crash::run_child(arguments),
            Command::Replay(arguments) => tape::replay(arguments),
            Command::Shrink(arguments) => tape::shrink(arguments),
            Command::Trace(arguments) => tape::trace(arguments),
        },
        Err(error) if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) => {
            // Help that nobody reads, because its reader has gone, is no failure.
            let _ = error.print();
            ExitCode::Ok
        }
        Err(error) => usage(&in_one_line(&error)),
    }
}

/// Says in one line what is wrong with the command line.
fn usage(problem: &str) -> ExitCode {
    eprintln!("tenterhook: {problem}");
    ExitCode::Usage
}

/// Prints to stdout; whoever has stopped reading is no reason to panic.
fn print(text: &str) {
    let _ = std::io::stdout().lock().write_all(text.as_bytes());
}

/// What was wrong, where, and what would be right: the parser's own account takes a screen.
fn in_one_line(error: &clap::Error) -> String {
    let rendered = error.render().to_string();
    let first = rendered.lines().next().unwrap_or("the command line makes no sense");
    let what = first.strip_prefix("error: ").unwrap_or(first);
    let what = match error.kind() {
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand | ErrorKind::MissingSubcommand => {
            "no command is given"
        }
        _ => what,
    };
    let suggested =
        [ContextKind::SuggestedArg, ContextKind::SuggestedSubcommand, ContextKind::SuggestedValue];
    if let (ErrorKind::MissingRequiredArgument, Some(ContextValue::Strings(missing))) =
        (error.kind(), error.get(ContextKind::InvalidArg))
    {
        return format!("{} is missing; see 'tenterhook --help'", missing.join(" and "));
    }
    let names = suggested.iter().find_map(|&kind| match error.get(kind) {
        Some(ContextValue::String(name)) => Some(name.clone()),
        Some(ContextValue::Strings(names)) => names.first().cloned(),
        _ => None,
    });
    let valid = match error.get(ContextKind::ValidValue) {
        Some(ContextValue::Strings(names)) => Some(format!("one of {}", names.join(", "))),
        _ => None,
    };
    match (names, valid) {
        (Some(name), _) => format!("{what}: did you mean '{name}'?"),
        (None, Some(valid)) => format!("{what}: it must be {valid}"),
        (None, None) => format!("{what}; see 'tenterhook --help'"),
    }
}

fn exit_codes() -> String {
    let lines = ExitCode::ALL.map(|code| format!("  {:<3} {}", code as u8, code.meaning()));
    format!("Exit codes:\n{}", lines.join("\n"))
}
