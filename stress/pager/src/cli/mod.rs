//! What the program has beside the commands of every subject: processes that are killed.

pub mod crash;

use clap::Subcommand;
use tenterhook_stress::exit::ExitCode;
use tenterhook_stress::stop::Stop;
use tenterhook_stress::subject::Subject as _;

use crate::PagerSubject;

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Commands {
    /// Kill processes that use the pager, and check what the next process recovers.
    Crash(crash::CrashArguments),
    /// The process that is killed.
    #[command(hide = true)]
    CrashChild(crash::ChildArguments),
}

impl tenterhook_stress::cli::Commands for Commands {
    fn run(self) -> ExitCode {
        match self {
            Commands::Crash(arguments) => crash::run(arguments),
            Commands::CrashChild(arguments) => crash::run_child(arguments),
        }
    }
}

/// Runs the program with the arguments of the process. The tester's code for the pager is generated here, in the library, and
/// not again in the program and its tests.
pub fn main() -> ExitCode {
    tenterhook_stress::cli::main_with::<PagerSubject, Commands>()
}

fn usage(problem: &str) -> ExitCode {
    tenterhook_stress::cli::usage(PagerSubject::PROGRAM, problem)
}

/// A stop that Ctrl-C tells.
fn interruption() -> Stop {
    tenterhook_stress::cli::interruption(PagerSubject::PROGRAM)
}
