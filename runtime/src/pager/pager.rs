//! The pager itself: what all connections share.

use std::fmt;
use std::path::Path;
use std::sync::{Arc, Weak};

use super::cache::{CacheCounters, Found, IN_DATABASE, Key, Load, SharedCache};
use super::latch::Wait;
use super::readers::Snapshot;
use super::state::{State, Version};
use super::transfer::{self, Ended};
use super::wakes::Wakes;
use super::{Audit, CheckpointMode, PageNo, PagePlace, PageProblem, PagerError, PagerOptions};
use crate::io::{Buffer, File, Submission};
use crate::pager::format::log::{FRAME_HEADER, frame_offset};
use crate::pager::format::page::{Page, Seal, Sealer, TRAILER};
use crate::pager::log::index::FrameNo;
use crate::sync::Mutex;
use crate::{CompletionError, IOResult, Outcome};

/// One of the pager's files, with its name for errors.
#[derive(Clone)]
pub(super) struct PagerFile {
    pub(super) file: Arc<dyn File>,
    pub(super) path: Arc<Path>,
}

impl PagerFile {
    pub(super) fn len(&self) -> Result<u64, PagerError> {
        self.file.len().map_err(|error| self.error("ask for the length of", error))
    }

    /// An error of an operation on this file.
    pub(super) fn error(&self, operation: &'static str, error: CompletionError) -> PagerError {
        PagerError::Io { operation, path: Arc::clone(&self.path), error }
    }

    /// What an operation on this file that the pager owns came to.
    pub(super) fn ended(
        &self,
        wait: &mut Wait<Ended>,
        operation: &'static str,
    ) -> Result<IOResult<()>, PagerError> {
        match wait.poll() {
            Ok(IOResult::IO(io)) => Ok(IOResult::IO(io)),
            Ok(IOResult::Done(Ok(()))) => Ok(IOResult::Done(())),
            Ok(IOResult::Done(Err(error))) | Err(error) => Err(self.error(operation, error)),
        }
    }
}

/// A file of pages that many connections on many threads share: snapshots for readers, one writer at a time, commits
/// that survive a power loss.
///
/// Everything that may need I/O is a state machine of its own, stepped until it is done. Dropping one, or a
/// transaction, at any time takes back what it did and leaves nothing locked, pinned or registered. I/O that
/// it had begun continues and belongs to the pager; so does a commit that has been
/// [submitted](super::Commit::is_submitted), as long as the pager exists: one that waits for its write when
/// the last reference goes is not written. None such was acknowledged, because a [`Commit`](super::Commit)
/// that waits keeps the pager.
///
/// Commits are pipelined: a writer lets go of the write lock when its frames are submitted, the next one builds on
/// them, and one sync acknowledges all commits whose frames were written before it. A transaction that is larger than
/// [`PagerOptions::spill_pages`] is the exception: it keeps the write lock.
///
/// One pager at a time may have a file open, whatever process it is in: another is refused with [`PagerError::Locked`]. A
/// pager that was dropped has it until the I/O has ended that it had begun; the end of a process ends that, too.
///
/// ```
/// use std::sync::Arc;
/// use tenterhook_runtime::io::{MemoryIO, drive};
/// use tenterhook_runtime::pager::{Pager, PagerError, PagerOptions};
/// let io = Arc::new(MemoryIO::new());
/// let mut open = Pager::open(io.clone(), "looms.db".as_ref(), PagerOptions::default());
/// let pager = drive(&*io, || open.step())?;
///
/// let mut begin = pager.begin_write();
/// let mut writer = drive(&*io, || begin.step())?;
/// let page = drive(&*io, || writer.allocate())?;
/// drive(&*io, || Ok::<_, PagerError>(writer.page_mut(page)?.map(|bytes| bytes[..4].copy_from_slice(b"warp"))))?;
/// let mut commit = writer.commit();
/// let sequence = drive(&*io, || commit.step())?;
///
/// let mut reader = pager.begin_read()?;
/// assert_eq!(reader.commit_sequence(), sequence);
/// assert_eq!(&drive(&*io, || reader.page(page))?[..4], b"warp");
/// # Ok::<(), PagerError>(())
/// ```
pub struct Pager {
    pub(super) database: PagerFile,
    pub(super) log: PagerFile,
    pub(super) options: PagerOptions,
    pub(super) id: u64,
    pub(super) sealer: Sealer,
    /// Taken before a shard of `cache` where both are needed.
    pub(super) state: Mutex<State>,
    pub(super) cache: SharedCache,
}

/// What a page's reader gets at once.
pub(super) enum Fetched {
    Page(Arc<Page>),
    Loading(Arc<Load>),
}

impl Pager {
    /// The checkpoint that should be made now, if any: ask after a commit, and step it, here or on another thread. One that is
    /// not passive waits for readers: do not step it where it would wait for a read transaction of your own.
    ///
    /// [`CheckpointMode::Passive`] when that could copy at least [`PagerOptions::checkpoint_frames`] frames.
    /// [`CheckpointMode::Restart`] when the log has at least [`PagerOptions::restart_frames`] frames and all readers have begun
    /// in the newer half of it, so that one that has lasted long already holds up the copying only. With that the log's length is at most the greater of `restart_frames` and twice what is written during the longest
    /// reader, and what is written until the checkpoint has the write lock.
    pub fn checkpoint_due(&self) -> Option<CheckpointMode> {
        let state = self.state.lock();
        let PagerOptions { checkpoint_frames, restart_frames, .. } = self.options;
        if state.checkpoint.is_some() || state.poison.is_some() {
            return None;
        }
        let (log, target) = (&state.log, state.checkpoint_target().0);
        let restarts = restart_frames > 0 && log.has_next_generation();
        if restarts && log.frames() >= u64::from(restart_frames) && log.end - target <= log.frames() / 2 {
            return Some(CheckpointMode::Restart);
        }
        let ready = target.saturating_sub(log.backfilled);
        let is_due = checkpoint_frames > 0 && ready >= u64::from(checkpoint_frames);
        is_due.then_some(CheckpointMode::Passive)
    }

    /// What is registered, pinned, held and under way.
    pub fn audit(&self) -> Audit {
        let state = self.state.lock();
        Audit {
            readers: state.readers.count(),
            pins: self.cache.pins(),
            writer_held: state.write_lock.is_held(),
            writers_waiting: state.write_lock.waiting(),
            checkpoint_running: state.checkpoint.is_some(),
            loading: self.cache.loading(),
            commits_pending: state.pending.count(),
            commits_published: state.commits_published,
            log_syncs: state.log_syncs,
            log_writes: state.log_io.running(),
            database_writes: State::running(&state.database_io).into_iter().count(),
            cached: self.cache.len(),
            log_frames: state.log.frames(),
            log_checkpointed: (state.log.backfilled + 1).saturating_sub(state.log.first),
            commit_sequence: state.committed.sequence,
            poisoned: state.poison.is_some(),
        }
    }

    /// What the cache has done since the file was opened.
    pub fn cache_counters(&self) -> CacheCounters {
        self.cache.counters()
    }

    /// Bytes in a page.
    pub fn page_size(&self) -> u32 {
        self.options.page_size
    }

    /// Bytes of a page that callers may use.
    pub fn usable_size(&self) -> usize {
        self.sealer.page_size() - TRAILER
    }

    /// Pages as of the newest commit, the header page included.
    pub fn page_count(&self) -> u32 {
        self.state.lock().committed.page_count
    }

    /// Number of the newest commit that a new transaction sees.
    pub fn commit_sequence(&self) -> u64 {
        self.state.lock().committed.sequence
    }

    /// The page as `snapshot` sees it, or the read that brings it.
    #[inline]
    pub(super) fn fetch(self: &Arc<Self>, page: PageNo, snapshot: &Snapshot) -> Result<Fetched, PagerError> {
        let version = match snapshot.reads_log {
            true => self.state.lock().find(page, snapshot)?,
            false => Version::Frame(IN_DATABASE),
        };
        let key = match version {
            Version::Frame(frame) => Key { page, frame },
            Version::Unpublished(page) => return Ok(Fetched::Page(page)),
        };
        let found = self.cache.find(key);
        Ok(match found {
            Found::Page(page) => Fetched::Page(page),
            Found::Loading(load) => Fetched::Loading(load),
            Found::Missing(load) => {
                self.begin_load(key, &load);
                Fetched::Loading(load)
            }
        })
    }

    /// The frame that has the page for `snapshot`, a reader's.
    #[inline]
    pub(super) fn resolve(&self, page: PageNo, snapshot: &Snapshot) -> FrameNo {
        if !snapshot.reads_log {
            return IN_DATABASE;
        }
        self.state.lock().index.lookup(page, snapshot.mark).unwrap_or(IN_DATABASE)
    }

    /// Which file has the page in this version, from which byte on, and what to call the place.
    ///
    /// For a frame of the log the caller is registered as reading it, or is the checkpoint: the log stays as it is.
    pub(super) fn locate(&self, key: Key) -> (&PagerFile, u64, PagePlace) {
        let page_size = self.sealer.page_size();
        if key.frame == IN_DATABASE {
            return (&self.database, u64::from(key.page - 1) * page_size as u64, PagePlace::Database);
        }
        let place = self.state.lock().log.place(key.frame);
        let offset = frame_offset(place, page_size) + FRAME_HEADER as u64;
        (&self.log, offset, PagePlace::LogFrame(place))
    }

    #[cold]
    fn begin_load(self: &Arc<Self>, key: Key, load: &Arc<Load>) {
        let (file, offset, place) = self.locate(key);
        let pager = Arc::downgrade(self);
        let load = Arc::clone(load);
        let buffer = Buffer::zeroed(self.sealer.page_size());
        let (_, submission) = Submission::read(offset, buffer, move |outcome, buffer| {
            end_load(&pager, key, place, &load, outcome, buffer);
        });
        file.file.submit(submission);
    }

    /// What a read of a page came to.
    fn finish_read(
        &self,
        key: Key,
        place: PagePlace,
        outcome: Outcome,
        bytes: Buffer,
    ) -> Result<Arc<Page>, PagerError> {
        let file = if place == PagePlace::Database { &self.database } else { &self.log };
        let filled = outcome.map_err(|error| file.error("read a page of", error))?;
        let filled = usize::try_from(filled).unwrap_or(usize::MAX).min(bytes.len());
        let seal = self.check_page(key.page, place, &bytes[..filled])?;
        Ok(Arc::new(Page { number: key.page, seal, bytes }))
    }

    /// Whether what was read is the page, whole.
    pub(super) fn check_page(
        &self,
        page: PageNo,
        place: PagePlace,
        bytes: &[u8],
    ) -> Result<Seal, PagerError> {
        let corrupt = |problem| PagerError::Corrupt { page, place, problem };
        if bytes.len() < self.sealer.page_size() {
            return Err(corrupt(PageProblem::Missing { bytes: bytes.len() as u64 }));
        }
        self.sealer.check(bytes, page).map_err(corrupt)
    }

    /// Gives up the write lock, or the place in its queue.
    pub(super) fn give_up_write_lock(&self, ticket: u64) {
        let wakes: Wakes = self.state.lock().write_lock.give_up(ticket);
        wakes.wake();
    }

    /// Syncs a file; a failure poisons the pager, even if no caller waits any more.
    pub(super) fn sync(self: &Arc<Self>, file: &PagerFile, done: impl FnOnce(Ended) + Send + 'static) {
        let pager = Arc::downgrade(self);
        transfer::sync(&*file.file, move |ended| {
            let wakes = match (ended, pager.upgrade()) {
                (Err(cause), Some(pager)) => Some(pager.state.lock().poison(cause)),
                _ => None,
            };
            // Poisoned before the failure is reported, and reported before user code runs, which may panic.
            done(ended);
            if let Some(wakes) = wakes {
                wakes.wake();
            }
        });
    }
}

/// The end of a read into the cache, in the thread that ended it. Installs the page whether or not a waiter is left.
fn end_load(
    pager: &Weak<Pager>,
    key: Key,
    place: PagePlace,
    load: &Arc<Load>,
    outcome: Outcome,
    bytes: Buffer,
) {
    let Some(pager) = pager.upgrade() else { return };
    let loaded = pager.finish_read(key, place, outcome, bytes);
    let evicted = pager.cache.end_load(key, load, loaded.as_ref().ok());
    drop(evicted);
    load.set(loaded);
}

impl fmt::Debug for Pager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pager").field("path", &self.database.path).field("audit", &self.audit()).finish()
    }
}
