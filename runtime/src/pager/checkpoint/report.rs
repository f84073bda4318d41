//! What a checkpoint is to do, and what it did.

/// How much a checkpoint is to reach, and whom it may hold up for that. Each does what the one before does, and more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum CheckpointMode {
    /// Copies what is committed, as far as the oldest reader's snapshot allows. Waits for no one and blocks no one.
    #[default]
    Passive,
    /// Copies all of the log. After a passive pass it waits for the readers of older commits to end, and copies on; then it
    /// takes the write lock, in its turn, waits for the commits in flight and for the readers of older commits that have
    /// begun meanwhile, and copies the rest. While it has the write lock no writer begins; readers do.
    ///
    /// It waits for a reader for as long as that lasts, also for one of the same thread, which then waits for itself. It waits
    /// for another checkpoint to end, too.
    Full,
    /// Then waits until no reader reads the log, and resets it: the next commit is written to its beginning. Readers
    /// that begin once all is copied read the database file, and it waits for none of them.
    Restart,
    /// Then cuts the log file off behind its headers.
    Truncate,
}

/// How far a checkpoint came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckpointOutcome {
    /// The log is empty: all of it is in the database file, and it has been reset.
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
