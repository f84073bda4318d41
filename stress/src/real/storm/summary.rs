//! What a storm did and found.

use std::time::Duration;

use super::StormBackend;
use crate::exit::ExitCode;
use crate::violation::Violation;

/// The end of a storm.
#[derive(Clone, Debug, serde::Serialize)]
pub struct StormSummary {
    /// As it was asked for.
    pub seed: u64,
    /// Rounds, each with a backend of its own.
    pub rounds: u64,
    /// Actions of threads, callbacks, wakers and machines.
    pub actions: u64,
    /// Operations that were submitted.
    pub operations: u64,
    /// Panics that were planned and made.
    pub panics: u64,
    /// Threads that ended with operations under way.
    pub ended_threads: u64,
    /// Rounds that dropped their backend with operations in flight.
    pub dropped: u64,
    /// What was found first.
    pub violation: Option<Violation>,
    /// How long it took.
    #[serde(skip)]
    pub elapsed: Duration,
}

/// The end of one round.
#[derive(Debug, Default)]
pub(super) struct RoundEnd {
    pub(super) actions: u64,
    pub(super) operations: u64,
    pub(super) panics: u64,
    pub(super) ended_threads: u64,
    pub(super) dropped: bool,
    pub(super) violation: Option<Box<Violation>>,
}

impl StormSummary {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            seed,
            rounds: 0,
            actions: 0,
            operations: 0,
            panics: 0,
            ended_threads: 0,
            dropped: 0,
            violation: None,
            elapsed: Duration::ZERO,
        }
    }

    pub(super) fn take(&mut self, backend: StormBackend, end: RoundEnd) {
        self.rounds += 1;
        self.actions += end.actions;
        self.operations += end.operations;
        self.panics += end.panics;
        self.ended_threads += end.ended_threads;
        self.dropped += u64::from(end.dropped);
        let round = self.rounds;
        self.violation = end.violation.map(|violation| {
            *violation.note(format!(
                "backend {} in round {round}, after {} actions",
                backend.name(),
                self.actions
            ))
        });
    }

    /// The exit code.
    pub fn exit_code(&self) -> ExitCode {
        self.violation.as_ref().map_or(ExitCode::Ok, |violation| violation.class.into())
    }

    /// What a person reads.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = format!(
            "seed             {:#x}\nrounds           {}\nactions          {}\noperations       {}\n\
             planned panics   {}\nthreads ended in flight      {}\nbackends dropped in flight   {}\nelapsed          {:.1} s\n",
            self.seed,
            self.rounds,
            self.actions,
            self.operations,
            self.panics,
            self.ended_threads,
            self.dropped,
            self.elapsed.as_secs_f64()
        );
        match &self.violation {
            Some(violation) => {
                text += &format!("\n{violation}\n");
            }
            None => text += "violations       0\n",
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use tenterhook_runtime::Completion;

    use super::*;
    use crate::real::storm::operation::Record;

    #[test]
    fn an_operation_that_never_ends_is_a_violation_of_liveness() {
        let (completion, _completer) = Completion::new(|_| {});
        let violation = Record::new("a write", None, false).judge(&completion, false).err();
        let mut summary = StormSummary::new(7);
        summary.take(StormBackend::Memory, RoundEnd { violation, ..RoundEnd::default() });
        assert_eq!(summary.exit_code(), ExitCode::Liveness);
        let text = summary.text();
        assert!(text.contains("expected  a write that ends"), "{text}");
        assert!(text.contains("in round 1"), "{text}");
        assert_eq!(StormSummary::new(7).exit_code(), ExitCode::Ok);
    }
}
