//! The program: the commands of every subject, for the pager.

use tenterhook_stress::exit::ExitCode;

use crate::PagerSubject;

/// Runs the program with the arguments of the process. The tester's code for the pager is generated here, in the library, and
/// not again in the program and its tests.
pub fn main() -> ExitCode {
    tenterhook_stress::cli::main::<PagerSubject>()
}
