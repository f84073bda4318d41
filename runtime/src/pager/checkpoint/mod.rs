//! Copying the log into the database file, and beginning it anew.

mod machine;
mod pass;

use std::fmt;
use std::sync::Arc;

use self::machine::Checkpointing;
use super::PagerError;
use super::shared::Pager;
use crate::{IOResult, StateMachine};

/// How much a checkpoint is to reach, and whom it may hold up for that. Each does what the one before does, and more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum CheckpointMode {
    /// Copies what is committed, as far as the oldest reader's snapshot allows. Waits for nobody and holds up nobody.
    #[default]
    Passive,
    /// Copies all of the log. After a passive pass it waits for the readers of older commits to end, and copies on; then it
    /// takes the write right, in its turn, waits for the commits on their way and for the readers of older commits that have
    /// begun meanwhile, and copies the rest. While it has the right no writer begins; readers do.
    ///
    /// It waits for a reader for as long as that lasts, also for one of the same thread, which then waits for itself. It waits
    /// for another checkpoint to end, too.
    Full,
    /// Then waits until no reader reads the log, and begins that anew: the next commit is written to its beginning. Readers
    /// that begin once all is copied read the database file, and it waits for none of them.
    Restart,
    /// Then cuts the log file off behind its headers.
    Truncate,
}

/// Copies committed pages from the log into the database file; made by [`Pager::checkpoint`]. Dropped at any time it leaves
/// no more than pages in the database file that the log still has, and holds up nobody any more.
#[must_use = "it does nothing until it is stepped"]
pub struct Checkpoint {
    machine: StateMachine<Checkpointing>,
}

/// How far a checkpoint came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckpointOutcome {
    /// The log is empty: all of it is in the database file, and it has been begun anew.
    Restarted,
    /// All of the log is in the database file.
    Complete,
    /// The log has more: of commits that came meanwhile, or beyond the oldest reader's snapshot.
    Partial,
    /// Another checkpoint was under way; this one, a passive one, did nothing.
    AlreadyRunning,
}

/// What a checkpoint did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CheckpointReport {
    /// How far it came.
    pub outcome: CheckpointOutcome,
    /// The commit that the database file holds now.
    pub sequence: u64,
    /// Frames of the log that the database file holds now, and did not before.
    pub frames: u64,
    /// Pages that were written for that; a page that several frames changed is written once in each pass.
    pub pages: u64,
}

impl Checkpoint {
    pub(super) fn new(pager: &Arc<Pager>, mode: CheckpointMode) -> Self {
        Self { machine: StateMachine::new(Checkpointing::new(pager, mode)) }
    }

    /// Steps until the mode's end is reached.
    ///
    /// # Errors
    ///
    /// [`PagerError::Io`], [`PagerError::Corrupt`] for a page that can't be read from the log, which then stays as it
    /// is, and [`PagerError::Poisoned`]. [`PagerError::Io`], too, when somebody cancelled its wait.
    ///
    /// # Panics
    ///
    /// When it has ended already.
    #[track_caller]
    pub fn step(&mut self) -> Result<IOResult<CheckpointReport>, PagerError> {
        self.machine.step(&())
    }

    /// Whether it waits for readers to end.
    #[must_use]
    pub fn waits_for_readers(&self) -> bool {
        self.machine.transitions().waits_for_readers()
    }

    /// Whether it has the write right. Who would rather have writers go on than a log that is short can drop it then, for
    /// example when it also [waits for readers](Self::waits_for_readers) for long, and what was copied stays copied.
    #[must_use]
    pub fn holds_up_writers(&self) -> bool {
        self.machine.transitions().has_the_right()
    }
}

impl fmt::Debug for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Checkpoint").field("ended", &self.machine.is_finished()).finish_non_exhaustive()
    }
}
