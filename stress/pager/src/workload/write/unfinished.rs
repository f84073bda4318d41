//! A write transaction whose call is given up, that fails, or that is dropped.

use tenterhook_runtime::pager::PagerError;
use tenterhook_stress::history::Outcome;
use tenterhook_stress::sometimes;
use tenterhook_stress::tape::Stream;

use super::super::{Aside, Failure, Fixture};
use super::{Layout, Stage, Write};
use crate::oracle::Observation;

impl Write {
    /// Gives up the call that waits, and continues in the same transaction: with the next thing that it does aside, with the end
    /// in place of a vacuum, or with something aside before the same call is made again. False where no call can be
    /// given up without the transaction.
    ///
    /// If what the call waits for is about to be cancelled, something comes in between: the same call made again right away
    /// would be the one that is told.
    pub(crate) fn give_up(&mut self, is_cancelled: bool, layout: &Layout, stream: &mut Stream) -> bool {
        if let (Stage::Work(transaction), true) = (&mut self.stage, is_cancelled) {
            let between = transaction.savepoint();
            if transaction.release(between).is_err() {
                return false;
            }
        }
        match (&self.stage, &mut self.aside) {
            (Stage::Work(_), Some(aside)) if aside.is_due(&self.changes, self.is_job_done) => {
                sometimes!(true, "a call is given up with a savepoint open");
                aside.give_up();
            }
            (Stage::Work(_), aside) => {
                sometimes!(true, "a call is given up and another made");
                *aside = Some(Box::new(Aside::plan(self.id, layout, stream).at_once()));
            }
            (Stage::Vacuum(_), _) => return self.give_up_vacuum(),
            (Stage::Look(..) | Stage::Upgrade(..) | Stage::Begin(_) | Stage::Commit(_) | Stage::Over, _) => {
                return false;
            }
        }
        true
    }

    fn give_up_vacuum(&mut self) -> bool {
        if let Stage::Vacuum(vacuum) = std::mem::replace(&mut self.stage, Stage::Over) {
            sometimes!(true, "a vacuum is given up and the transaction continues");
            (self.vacuum, self.is_job_done) = (false, true);
            self.stage = vacuum.into_transaction().map_or(Stage::Over, Stage::Work);
        }
        true
    }

    /// Whether the transaction may go on after an error that one of its calls was told.
    pub(crate) fn may_go_on(&self) -> bool {
        matches!(self.stage, Stage::Work(_))
    }

    /// Pages of the file as the transaction has left it, while it is at work.
    pub(crate) fn page_count(&self) -> Option<u32> {
        match &self.stage {
            Stage::Work(transaction) => Some(transaction.page_count()),
            _ => None,
        }
    }

    /// Tells the oracles that the commit, if it had been asked for, ended with this error.
    pub(crate) fn failed(&self, error: &PagerError, fixture: &mut Fixture<'_>) -> Result<(), Failure> {
        let is_doomed = matches!(error, PagerError::EarlierCommitFailed { .. });
        match self.stage {
            Stage::Commit(_) if matches!(error, PagerError::OutcomeUnknown { .. }) => {
                sometimes!(true, "the outcome of a commit is never reported");
                fixture.recorder.end(Outcome::Unknown);
                fixture.observe(&Observation::CommitDropped { id: self.id, submitted: true })
            }
            Stage::Commit(_) => {
                fixture.tally.borrow_mut().failed_commits += 1;
                sometimes!(true, "a commit ends with an error");
                sometimes!(is_doomed, "a commit in flight fails because an earlier one did");
                fixture.recorder.end(Outcome::Unknown);
                fixture.observe(&Observation::CommitFailed { id: self.id })
            }
            Stage::Begin(_) | Stage::Upgrade(..) => fixture.observe(&Observation::TurnLeft { id: self.id }),
            Stage::Look(..) | Stage::Work(_) | Stage::Vacuum(_) | Stage::Over => {
                sometimes!(is_doomed, "a writer is told that its base commit has failed");
                Ok(())
            }
        }
    }

    /// Tells the oracles that the machine is about to be dropped.
    pub(crate) fn dropped(&self, fixture: &mut Fixture<'_>) -> Result<(), Failure> {
        match &self.stage {
            Stage::Commit(commit) => {
                let submitted = commit.is_submitted();
                sometimes!(submitted, "a commit is dropped midway");
                sometimes!(!submitted, "a commit is dropped before it is handed to the log");
                fixture.recorder.end(if submitted { Outcome::Unknown } else { Outcome::Aborted });
                fixture.observe(&Observation::CommitDropped { id: self.id, submitted })
            }
            Stage::Begin(_) | Stage::Upgrade(..) => fixture.observe(&Observation::TurnLeft { id: self.id }),
            Stage::Look(..) | Stage::Work(_) | Stage::Vacuum(_) | Stage::Over => {
                sometimes!(self.has_spilled(), "a transaction that has spilled is dropped");
                Ok(())
            }
        }
    }

    /// Whether it is at work, and has pages in the log already.
    pub(crate) fn has_spilled(&self) -> bool {
        matches!(&self.stage, Stage::Work(transaction) if transaction.pages_spilled() > 0)
    }
}
