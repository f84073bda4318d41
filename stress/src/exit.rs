//! Exit codes of the `tenterhook` program.

use crate::violation::Class;

/// How a run of the program ended, as its exit code tells it to scripts and to CI.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum ExitCode {
    /// 0: every run finished and no oracle fired. A campaign ended by Ctrl-C with nothing found is one too.
    Ok = 0,
    /// 2: the command line, or a file that it names, is invalid. Nothing was run.
    Usage = 2,
    /// 10: an oracle of safety fired, or the system under test panicked.
    Violation = 10,
    /// 11: after faults had stopped, an operation did not finish within its bound of steps.
    Liveness = 11,
    /// 12: one seed gave two different traces. Nothing else that was found can be trusted until this is gone.
    Nondeterminism = 12,
    /// 70: the tester itself is at fault: it panicked, could not write its state, or asked for a kind of fault
    /// over a whole campaign and never delivered one. A job: its canary was not found, or its database failed.
    Internal = 70,
}

impl ExitCode {
    /// Every code, in the order in which `--help` lists them.
    pub const ALL: [ExitCode; 6] = [
        ExitCode::Ok,
        ExitCode::Usage,
        ExitCode::Violation,
        ExitCode::Liveness,
        ExitCode::Nondeterminism,
        ExitCode::Internal,
    ];

    /// One line for `--help`.
    pub fn meaning(self) -> &'static str {
        match self {
            ExitCode::Ok => "every run finished and no oracle fired",
            ExitCode::Usage => "the command line, or a file that it names, is invalid",
            ExitCode::Violation => "an oracle fired, or the system under test panicked",
            ExitCode::Liveness => "an operation did not finish after faults had stopped",
            ExitCode::Nondeterminism => "one seed gave two different traces",
            ExitCode::Internal => "the tester failed, or a kind of fault was never delivered",
        }
    }
}

impl From<Class> for ExitCode {
    fn from(class: Class) -> Self {
        match class {
            Class::Safety | Class::Panic => ExitCode::Violation,
            Class::Liveness => ExitCode::Liveness,
        }
    }
}

impl From<ExitCode> for std::process::ExitCode {
    fn from(code: ExitCode) -> Self {
        std::process::ExitCode::from(code as u8)
    }
}
