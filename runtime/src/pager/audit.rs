//! What a pager holds at one moment.

/// What a pager holds at one moment, for oracles that look for leaks.
///
/// When no transaction, machine or page reference exists and all I/O has ended, a sound pager is
/// [idle](Audit::is_idle).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Audit {
    /// Registered snapshots; a write transaction has one too.
    pub readers: usize,
    /// Page references beyond the cache's own.
    pub pins: usize,
    /// Whether a transaction or a checkpoint has the write lock.
    pub writer_held: bool,
    /// Transactions and checkpoints that wait for the write lock.
    pub writers_waiting: usize,
    /// Whether a checkpoint is under way.
    pub checkpoint_running: bool,
    /// Reads of pages into the cache that have not ended.
    pub loading: usize,
    /// Commits in flight: submitted, and neither published nor failed.
    pub commits_pending: usize,
    /// Commits that have been published since the file was opened.
    pub commits_published: u64,
    /// Syncs that published them: fewer where one sync covered several commits.
    pub log_syncs: u64,
    /// Operations on the log file that have not ended, whether a caller waits for them or not: a header, a
    /// cut, a sync of commits or before a checkpoint, and writes, which count as one for all commits that
    /// share them, and as one for the frames that a transaction spills at a time. Commits that wait in the
    /// queue do not count.
    pub log_writes: usize,
    /// The same for the database file and checkpoints: 0 or 1.
    pub database_writes: usize,
    /// Pages in the cache, pinned ones included.
    pub cached: usize,
    /// Frames in the log that count: committed since its last reset.
    pub log_frames: u64,
    /// How many of those are in the database file too.
    pub log_checkpointed: u64,
    /// Number of the newest commit that a new transaction sees.
    pub commit_sequence: u64,
    /// Whether writes are refused since a sync failed.
    pub poisoned: bool,
}

impl Audit {
    /// Whether nothing is registered, pinned, held, waited for or under way.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.readers == 0
            && self.pins == 0
            && !self.writer_held
            && self.writers_waiting == 0
            && !self.checkpoint_running
            && self.loading == 0
            && self.commits_pending == 0
            && self.log_writes == 0
            && self.database_writes == 0
    }
}
