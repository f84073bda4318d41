//! An operation in flight through the pool.

use std::sync::Arc;

use crate::CompletionError;
use crate::io::posix::PosixFile;
use crate::io::{InFlight, Operation, OperationKind, Submission, Unstarted};

/// An operation and the file that it is on, which it keeps open.
pub(super) struct Job {
    file: Arc<PosixFile>,
    stage: Stage,
}

enum Stage {
    Submitted(Submission),
    /// A read that the page cache could not serve.
    Started(InFlight),
}

impl Job {
    pub(super) fn new(file: Arc<PosixFile>, submission: Submission) -> Self {
        Self { file, stage: Stage::Submitted(submission) }
    }

    /// The submission of a job that was not started.
    pub(super) fn into_submission(self) -> Option<Submission> {
        match self.stage {
            Stage::Submitted(submission) => Some(submission),
            Stage::Started(_) => None,
        }
    }

    /// Whether the job waits for the device in any case, so that what is queued behind it would wait with it.
    pub(super) fn is_slow(&self) -> bool {
        self.kind() == Some(OperationKind::Sync)
    }

    /// Of a job that was not started.
    fn kind(&self) -> Option<OperationKind> {
        match &self.stage {
            Stage::Submitted(submission) => Some(submission.descriptor().kind),
            Stage::Started(_) => None,
        }
    }

    pub(super) fn run(self) {
        let Self { file, stage } = self;
        let mut in_flight = match stage.start(&file) {
            Ok(in_flight) => in_flight,
            Err(unstarted) => {
                // Close the file first: a callback may open it again.
                drop(file);
                return drop(unstarted);
            }
        };
        let outcome = if in_flight.cancel_requested() {
            Err(CompletionError::Cancelled)
        } else {
            file.run(&mut in_flight)
        };
        // Close the file first: a callback may open it again.
        drop(file);
        in_flight.finish(outcome);
    }

    /// Runs a read that need not wait for the device; gives back what has to.
    pub(super) fn run_cached(self) -> Option<Self> {
        if self.kind() != Some(OperationKind::Read) {
            return Some(self);
        }
        let Self { file, stage } = self;
        let mut in_flight = match stage.start(&file) {
            Ok(in_flight) => in_flight,
            Err(unstarted) => {
                drop(file);
                drop(unstarted);
                return None;
            }
        };
        let cached = match in_flight.operation() {
            Operation::Read { offset, buffer } => file.read_cached(offset, buffer),
            Operation::Write { .. } | Operation::Sync | Operation::Truncate { .. } => None,
        };
        let Some(outcome) = cached else { return Some(Self { file, stage: Stage::Started(in_flight) }) };
        drop(file);
        in_flight.finish(outcome);
        None
    }
}

impl Stage {
    fn start(self, file: &PosixFile) -> Result<InFlight, Unstarted> {
        match self {
            Self::Submitted(submission) => file.start(submission, None),
            Self::Started(in_flight) => Ok(in_flight),
        }
    }
}
