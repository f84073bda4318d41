//! The command line of a subject, as a function: `cli::main::<MySubject>()` is a whole program.

mod answer;
mod bisect;
mod child;
mod crash;
mod explain;
mod history;
mod interruption;
#[cfg(feature = "job")]
mod job;
#[cfg(not(feature = "job"))]
mod no_job;
pub mod parse;
pub mod scratch;
mod shrinking;
mod sim;
mod storm;
mod sweep;
mod tape;
mod threads;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use self::answer::{exit_codes, in_one_line};
pub use self::answer::{print, usage};
pub use self::interruption::interruption;
pub use self::threads::backends;
use crate::exit::ExitCode;
use crate::race;
use crate::subject::Subject;

/// Commands that one program has beside those of every subject.
pub trait Commands: Subcommand {
    /// Runs one of them.
    fn run(self) -> ExitCode;
}

/// No commands of your own.
#[derive(Copy, Clone, Debug, Subcommand)]
pub enum NoCommands {}

impl Commands for NoCommands {
    fn run(self) -> ExitCode {
        match self {}
    }
}

#[derive(Debug, Parser)]
struct Arguments<S: Subject, C: Commands> {
    #[command(subcommand)]
    command: Command<S, C>,
}

#[derive(Debug, Subcommand)]
enum Command<S: Subject, C: Commands> {
    /// Run seeds on a simulated disk.
    Sim(sim::SimArguments<S>),
    /// Exhaustively inject every fault, yield, drop and crash into each operation.
    Sweep(sweep::SweepArguments),
    /// Run the system on real threads and files, under faults.
    Threads(threads::ThreadsArguments),
    /// Replay a tape or a seed.
    Replay(tape::ReplayArguments<S>),
    /// Shrink a failing tape.
    Shrink(tape::ShrinkArguments<S>),
    /// Draw a tape or a seed as a timeline, one lane per connection.
    Trace(tape::TraceArguments<S>),
    /// Find the step after which a failure was likely.
    Explain(explain::ExplainArguments<S>),
    /// Find the commit from which on a tape fails.
    Bisect(bisect::BisectArguments),
    #[cfg(feature = "job")]
    #[command(flatten)]
    Job(job::Commands<S>),
    #[cfg(not(feature = "job"))]
    #[command(flatten)]
    Job(no_job::Commands),
    /// Kill processes of the system, and check what the next process recovers.
    Crash(crash::CrashArguments<S>),
    /// The process that is killed.
    #[command(hide = true)]
    CrashChild(crash::ChildArguments<S>),
    #[command(flatten)]
    Own(C),
}

impl<S: Subject, C: Commands> Command<S, C> {
    /// Whether it runs seeds or tapes. With deterministic threads the runtime's primitives work nowhere else.
    fn is_simulated(&self) -> bool {
        use Command::{Bisect, Explain, Replay, Shrink, Sim, Trace};
        matches!(self, Sim(_) | Replay(_) | Shrink(_) | Trace(_) | Explain(_) | Bisect(_))
    }
}

/// The subject's version, if it says one, and the tester's.
fn version<S: Subject>() -> String {
    let tester = concat!("(tenterhook-stress ", env!("CARGO_PKG_VERSION"), ")");
    S::VERSION.map_or_else(|| tester.to_owned(), |version| format!("{version} {tester}"))
}

/// Runs the program of `S` with the arguments of the process.
pub fn main<S: Subject>() -> ExitCode {
    main_with::<S, NoCommands>()
}

/// The same with commands of its own.
pub fn main_with<S: Subject, C: Commands>() -> ExitCode {
    run::<S, C>(std::env::args_os())
}

/// Runs the program with `arguments`, the program's name first.
pub fn run<S: Subject, C: Commands>(arguments: impl IntoIterator<Item = std::ffi::OsString>) -> ExitCode {
    let program = Arguments::<S, C>::command().name(S::PROGRAM).version(version::<S>());
    let mut program = program.about(S::ABOUT).after_long_help(exit_codes());
    for (command, examples) in [
        ("sim", sim::EXAMPLES),
        ("sweep", sweep::EXAMPLES),
        ("threads", threads::EXAMPLES),
        ("replay", tape::REPLAY_EXAMPLE),
        ("shrink", tape::SHRINK_EXAMPLE),
        ("trace", tape::TRACE_EXAMPLE),
        ("explain", explain::EXAMPLE),
        ("bisect", bisect::EXAMPLES),
        #[cfg(feature = "job")]
        ("job", job::EXAMPLES),
    ] {
        let examples = examples.replace("PROGRAM", S::PROGRAM);
        program = program.mut_subcommand(command, |known| known.after_long_help(examples));
    }
    let mut program = program.mut_subcommand("crash", crash::shaped::<S>);
    let parsed = program
        .try_get_matches_from_mut(arguments)
        .and_then(|matches| Arguments::<S, C>::from_arg_matches(&matches));
    match parsed {
        Ok(Arguments { ref command }) if race::IS_BUILT && !command.is_simulated() => usage(
            S::PROGRAM,
            "this program was built by `make race`: it has sim, replay, shrink, trace and bisect only; build it without --cfg tenterhook_shuttle for the others",
        ),
        Ok(Arguments { command }) => match command {
            Command::Sim(arguments) => sim::run(arguments),
            Command::Sweep(arguments) => sweep::run::<S>(arguments),
            Command::Threads(arguments) => threads::run::<S>(arguments),
            Command::Replay(arguments) => tape::replay(arguments),
            Command::Shrink(arguments) => tape::shrink(arguments),
            Command::Trace(arguments) => tape::trace(arguments),
            Command::Explain(arguments) => explain::run(arguments),
            Command::Bisect(arguments) => bisect::run::<S>(&arguments),
            #[cfg(feature = "job")]
            Command::Job(command) => job::run(command),
            #[cfg(not(feature = "job"))]
            Command::Job(command) => no_job::run::<S>(&command),
            Command::Crash(arguments) => crash::run(arguments),
            Command::CrashChild(arguments) => crash::run_child(arguments),
            Command::Own(command) => command.run(),
        },
        Err(error) if !error.use_stderr() => {
            // It is no failure if the reader of the help has gone.
            let _ = error.print();
            ExitCode::Ok
        }
        Err(error) => usage(S::PROGRAM, &in_one_line(&error, S::PROGRAM)),
    }
}
