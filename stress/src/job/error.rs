use std::path::Path;

use crate::exit::ExitCode;

/// Why a job cannot go on: where, what, and what would be right, in one line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {problem}")]
pub struct JobError {
    place: String,
    problem: String,
    code: ExitCode,
}

impl JobError {
    /// What a person gave is not right.
    pub(crate) fn input(place: &Path, problem: impl Into<String>) -> JobError {
        JobError { place: place.display().to_string(), problem: problem.into(), code: ExitCode::Usage }
    }

    /// The tester or its machine is at fault.
    pub(crate) fn internal(place: &Path, problem: impl std::fmt::Display) -> JobError {
        JobError {
            place: place.display().to_string(),
            problem: problem.to_string(),
            code: ExitCode::Internal,
        }
    }

    /// The exit code of a program that ends with it.
    pub fn exit_code(&self) -> ExitCode {
        self.code
    }
}
