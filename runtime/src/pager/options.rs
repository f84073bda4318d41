//! What a pager is opened with.

use super::PagerError;
use crate::pager::format::header::{MAX_PAGE_SIZE, MIN_PAGE_SIZE};

/// What an acknowledged commit is worth. In all of them a snapshot shows whole commits in order, and what a recovery
/// brings back is a prefix of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// It survives a power loss: it is acknowledged after a sync of the log that covers it.
    #[default]
    Full,
    /// It survives the end of the process. A power loss may take the newest commits, back to the last sync that succeeded,
    /// and so may a sync that fails: the log is synced before a checkpoint copies from it, its header when it is reset.
    Normal,
    /// It survives the end of the process. Nothing is ever synced, except by an opening, and a power loss may leave a
    /// damaged file.
    Off,
}

/// What a pager is opened with. Build it with `..PagerOptions::default()`.
///
/// ```
/// use tenterhook_runtime::pager::PagerOptions;
/// let options = PagerOptions { page_size: 512, cache_pages: 64, ..PagerOptions::default() };
/// assert!(options.validate().is_ok());
/// assert!(PagerOptions { page_size: 1000, ..options }.validate().is_err());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PagerOptions {
    /// Bytes in a page: a power of two from 512 to 65,536. Fixed when the file is made; a file of another page size
    /// is refused.
    pub page_size: u32,
    /// Pages that the shared cache keeps; at least 1. In bytes that is `cache_pages * page_size`, and some 150 for each
    /// page's entry, its ghost and their places in maps. Pinned pages stay beyond it.
    ///
    /// Eviction is by shard: from 256 pages on there are several, by page number, each with its part of this.
    pub cache_pages: usize,
    /// Pages that a write transaction changes in memory; at least 1. When it is about to change more, it writes those that
    /// it has to the log, ahead of its commit, and reads them from there: it *spills*. Such a transaction keeps the write
    /// lock until its commit is acknowledged, which others need not. [`usize::MAX`] for never.
    pub spill_pages: usize,
    /// From how many log frames that are not in the database file yet [`Pager::checkpoint_due`] asks for a passive checkpoint;
    /// 0 for never.
    ///
    /// [`Pager::checkpoint_due`]: super::Pager::checkpoint_due
    pub checkpoint_frames: u32,
    /// From how many frames in the log [`Pager::checkpoint_due`] asks for one that resets the log; 0, the default, for
    /// never. Readers and writers that follow one another without a gap otherwise make the log grow without end. But writers
    /// wait for readers then, see [`CheckpointMode::Full`]: for files whose readers are short, some multiple of
    /// `checkpoint_frames` is good.
    ///
    /// [`CheckpointMode::Full`]: super::CheckpointMode::Full
    ///
    /// [`Pager::checkpoint_due`]: super::Pager::checkpoint_due
    pub restart_frames: u32,
    /// Pages that the file may grow to, its header page included; allocation beyond is [`PagerError::NoSpace`].
    pub max_pages: u32,
    /// What an acknowledged commit is worth. Not a property of the file: each opening may have another.
    pub durability: Durability,
    /// Seeds the identity of a file that is made, and through it the salts of its logs. Give each file its own; the
    /// pager asks neither clock nor system for one, so that a run can be repeated. Not used when the file exists.
    pub id_seed: u64,
}

impl Default for PagerOptions {
    fn default() -> Self {
        Self {
            page_size: 4096,
            cache_pages: 2048,
            spill_pages: 2048,
            checkpoint_frames: 1000,
            restart_frames: 0,
            max_pages: u32::MAX,
            durability: Durability::Full,
            id_seed: 0,
        }
    }
}

impl PagerOptions {
    /// Whether every option is within its bounds.
    ///
    /// # Errors
    ///
    /// [`PagerError::InvalidOptions`], with the first option that is not, and its bounds.
    pub fn validate(&self) -> Result<(), PagerError> {
        let invalid = |what, value, right| Err(PagerError::InvalidOptions { what, value, right });
        if !self.page_size.is_power_of_two() || !(MIN_PAGE_SIZE..=MAX_PAGE_SIZE).contains(&self.page_size) {
            return invalid("page_size", self.page_size.into(), "a power of two from 512 to 65536");
        }
        if self.cache_pages == 0 {
            return invalid("cache_pages", 0, "at least 1");
        }
        if self.spill_pages == 0 {
            return invalid("spill_pages", 0, "at least 1");
        }
        if self.max_pages < 2 {
            return invalid("max_pages", self.max_pages.into(), "at least 2: the header page and one more");
        }
        Ok(())
    }
}
