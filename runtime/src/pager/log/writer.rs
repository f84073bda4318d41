//! The log's side of commits: resetting the log, the frames in flight, the sync, publishing.
//!
//! What is begun here continues from callback to callback, even if the machine that began it is dropped.

use std::sync::Arc;

use super::deferred::{Deferred, Due, Notifications, Outcome, SetOnDrop};
use super::frames::Place;
use super::io;
use crate::CompletionError;
use crate::pager::cache::{Evicted, Key};
use crate::pager::format::log::LogHeader;
use crate::pager::latch::{Latch, Wait};
use crate::pager::pager::Pager;
use crate::pager::readers::Snapshot;
use crate::pager::state::{CommitLatch, Flight, State, flight_frames, refuse_if_poisoned};
use crate::pager::transfer::{self, Ended, Piece};
use crate::pager::wakes::Wakes;
use crate::pager::{Durability, PagerError};

/// What the holder of the write lock finds when it comes to the log.
pub(super) enum LogReadiness {
    /// Its frames go here.
    Ready(Place),
    /// What is under way has to end first.
    Busy(Wait<()>),
    /// The header has to be written first.
    NoHeader(LogHeader),
}

impl Pager {
    /// Where the holder of the write lock, who started from `snapshot`, may write. If all of the log is in the database
    /// file and no snapshot needs it, the log is empty from here on; on disk it becomes so with its new header.
    pub(super) fn ready_log(&self, snapshot: &Snapshot) -> Result<LogReadiness, PagerError> {
        let mut evicted = Evicted::default();
        let readiness = {
            let mut state = self.state.lock();
            refuse_if_poisoned(&state)?;
            state.require_base(snapshot)?;
            let is_done = state.log_is_done();
            let appends = !is_done && state.log.header_durable && !state.log.run_is_over;
            match if appends { None } else { state.log_io.wait_for_quiet() } {
                Some(wait) => LogReadiness::Busy(wait),
                None => {
                    if is_done {
                        evicted = self.reset_log(&mut state);
                    }
                    state.place()?
                }
            }
        };
        drop(evicted);
        Ok(readiness)
    }

    /// Makes the log, which [is done](State::log_is_done), empty. On disk it becomes so with its new header. Called by the
    /// holder of the write lock when nothing is under way on the log.
    pub(in crate::pager) fn reset_log(&self, state: &mut State) -> Evicted {
        debug_assert!(state.log_is_done() && state.log_io.running() == 0);
        let evicted = self.cache.move_to_database(&state.index);
        state.index.clear();
        state.log = state.log.next_generation(state.committed.sequence);
        evicted
    }

    /// Cuts the log file to `len` bytes. Called by the holder of the write lock when the log is empty, its header durable,
    /// and nothing is under way on it; the next commit waits for the end, since it begins a run.
    pub(in crate::pager) fn cut_log(self: &Arc<Self>, len: u64) -> Wait<Ended> {
        {
            let mut state = self.state.lock();
            debug_assert!(state.log.is_empty() && state.log.header_durable && state.log_io.running() == 0);
            // So that the next commit waits, come what may.
            state.log.run_is_over = true;
            state.log_io.begin();
        }
        let latch: Arc<Latch<Ended>> = Latch::new();
        let wait = Wait::new(Arc::clone(&latch));
        let pager = Arc::downgrade(self);
        transfer::truncate(&*self.log.file, len, move |ended| {
            if let Some(pager) = pager.upgrade() {
                pager.end_on_log(&latch, ended);
            }
        });
        wait
    }

    /// What the latch stands for has ended, and was all that its owner had begun on the log.
    pub(in crate::pager) fn end_on_log<T: Clone>(&self, latch: &Latch<T>, outcome: T) {
        let quiet = self.state.lock().log_io.end();
        latch.set(outcome);
        quiet.tell();
    }

    /// A wait for the commit that `snapshot` is of, if that is in flight.
    pub(in crate::pager) fn base_on_its_way(
        &self,
        snapshot: &Snapshot,
    ) -> Result<Option<Wait<Result<u64, PagerError>>>, PagerError> {
        let state = self.state.lock();
        state.require_base(snapshot)?;
        Ok(state.newest_on_its_way())
    }

    /// Writes a header and makes it durable. Called when nothing is under way on the log, by the holder of the write
    /// lock; should that be dropped, the next one waits.
    pub(in crate::pager) fn write_log_header(self: &Arc<Self>, header: &LogHeader) -> Wait<Outcome> {
        self.state.lock().log_io.begin();
        let latch: Arc<Latch<Outcome>> = Latch::new();
        let wait = Wait::new(Arc::clone(&latch));
        let pager = Arc::downgrade(self);
        let piece = Piece { offset: header.offset(), buffers: vec![header.encode()] };
        transfer::write_all(&*self.log.file, vec![piece], move |written| {
            let Some(pager) = pager.upgrade() else { return };
            match written {
                Ok(()) if pager.options.durability == Durability::Off => pager.end_log_header(&latch, Ok(())),
                Ok(()) => pager.sync_log_header(latch),
                Err(error) => {
                    pager.end_log_header(&latch, Err(pager.log.error("write the header of", error)))
                }
            }
        });
        wait
    }

    fn sync_log_header(self: &Arc<Self>, latch: Arc<Latch<Outcome>>) {
        let pager = Arc::downgrade(self);
        self.sync(&self.log, move |synced| {
            let Some(pager) = pager.upgrade() else { return };
            pager.end_log_header(&latch, synced.map_err(|error| pager.log.error("sync", error)));
        });
    }

    fn end_log_header(&self, latch: &Latch<Outcome>, outcome: Outcome) {
        self.state.lock().log.header_durable |= outcome.is_ok();
        self.end_on_log(latch, outcome);
    }

    /// Makes durable what is published, for a checkpoint that is about to copy it up to commit `sequence`. `None` when it
    /// is, or need not be. Look again after the wait.
    ///
    /// One such sync runs at a time. Beside one that fails another may succeed, and say nothing: the system may have dropped
    /// what the first was to write. A checkpoint that was dropped or cancelled leaves its sync to the next.
    pub(in crate::pager) fn sync_log_before_copying(
        self: &Arc<Self>,
        sequence: u64,
    ) -> Result<Option<Wait<Outcome>>, PagerError> {
        let latch: Arc<Latch<Outcome>> = Latch::new();
        let published = {
            let mut state = self.state.lock();
            if self.options.durability == Durability::Off || state.durable_sequence >= sequence {
                return Ok(None);
            }
            refuse_if_poisoned(&state)?;
            if let Some(running) = State::running(&state.log_sync) {
                return Ok(Some(Wait::new(running)));
            }
            state.log_sync = Some(Arc::clone(&latch));
            state.log_io.begin();
            state.committed.sequence
        };
        let wait = Wait::new(Arc::clone(&latch));
        let pager = Arc::downgrade(self);
        transfer::sync(&*self.log.file, move |ended| {
            if let Some(pager) = pager.upgrade() {
                let outcome = ended.map_err(|error| pager.log.error("sync", error));
                let _checkpoint = SetOnDrop(latch, outcome);
                pager.end_sync_before_copying(published, ended);
            }
        });
        Ok(Some(wait))
    }

    fn end_sync_before_copying(self: &Arc<Self>, published: u64, ended: Ended) {
        let mut deferred = Deferred::default();
        {
            let mut state = self.state.lock();
            match ended {
                Ok(()) => state.durable_sequence = state.durable_sequence.max(published),
                Err(cause) => {
                    let failed = state.pending.other_sync_failed();
                    deferred.fail_all(&mut state, failed, self.log.error("sync", cause), cause);
                }
            }
            deferred.ended = state.end_log_io(&Due::default());
        }
        self.settle(deferred);
    }

    /// Starts what is due. The state counts it as under way already.
    pub(in crate::pager) fn start(self: &Arc<Self>, due: Due) {
        let (file, pager) = (&*self.log.file, Arc::downgrade(self));
        match due {
            Due::Nothing => {}
            Due::Write(frames) => {
                let pieces = transfer::merge(frames.into_iter().flatten());
                transfer::write_all(file, pieces, move |ended| {
                    if let Some(pager) = pager.upgrade() {
                        pager.end_frames(ended);
                    }
                });
            }
            Due::Sync => transfer::sync(file, move |ended| {
                if let Some(pager) = pager.upgrade() {
                    pager.end_log_sync(ended);
                }
            }),
        }
    }

    /// All frames of the commits that one write carried have been written, or one could not be.
    fn end_frames(self: &Arc<Self>, ended: Ended) {
        let mut deferred = Deferred::default();
        {
            let mut state = self.state.lock();
            match ended {
                Ok(()) if self.options.durability == Durability::Full => {
                    deferred.due = state.pending.written();
                }
                Ok(()) => {
                    (deferred.published, deferred.due) = state.pending.written_for_good();
                    state.publish(&deferred.published);
                    deferred.wakes[1] = state.end_write_lock(&deferred.published);
                }
                Err(error) => {
                    let (failed, unwritten) = state.pending.write_failed();
                    deferred.unwritten = unwritten;
                    deferred.wakes[1] = state.end_write_lock(&failed);
                    deferred.failed = state.fail(failed, self.log.error("write frames to", error));
                }
            }
            deferred.ended = state.end_log_io(&deferred.due);
        }
        self.settle(deferred);
    }

    /// The sync of the log that covers the oldest commits in flight has ended.
    fn end_log_sync(self: &Arc<Self>, ended: Ended) {
        let mut deferred = Deferred::default();
        {
            let mut state = self.state.lock();
            match ended {
                Ok(()) => {
                    let (flights, due) = state.pending.synced();
                    state.publish(&flights);
                    deferred.wakes[1] = state.end_write_lock(&flights);
                    state.log_syncs += 1;
                    state.durable_sequence = state.committed.sequence;
                    (deferred.published, deferred.due) = (flights, due);
                }
                Err(cause) => {
                    let failed = state.pending.sync_failed();
                    deferred.fail_all(&mut state, failed, self.log.error("sync", cause), cause);
                }
            }
            deferred.ended = state.end_log_io(&deferred.due);
        }
        self.settle(deferred);
    }

    /// Does what is left. What is due goes before the notifications, which run user code.
    fn settle(self: &Arc<Self>, deferred: Deferred) {
        let Deferred { published, due, failed, unwritten, wakes, ended } = deferred;
        let kept = published.into_iter().map(|flight| self.keep_pages(flight));
        let failed = failed.into_iter().map(|(flight, error)| (flight.outcome, Err(error)));
        let mut notifications = Notifications { outcomes: kept.chain(failed).collect(), wakes, ended };
        self.start(due);
        drop(unwritten);
        notifications.tell();
    }

    /// Gives a published commit's pages to the cache. A reader may have missed one since it was published, and read it:
    /// then that is dropped. They are given away one by one, since a page with another reference counts as pinned.
    fn keep_pages(&self, flight: Flight) -> (Arc<CommitLatch>, Result<u64, PagerError>) {
        let Flight { tip, pages, outcome, .. } = flight;
        let keys: Vec<Key> =
            flight_frames(&tip, &pages).map(|(frame, page)| Key { page: page.number, frame }).collect();
        let evicted: Vec<Evicted> =
            keys.into_iter().zip(pages).map(|(key, page)| self.cache.insert(key, page)).collect();
        drop(evicted);
        (outcome, Ok(tip.state.sequence))
    }
}

impl State {
    /// Where the next commit goes, when nothing has to end first.
    fn place(&mut self) -> Result<LogReadiness, PagerError> {
        if !self.log.header_durable {
            return Ok(LogReadiness::NoHeader(self.log.header));
        }
        if self.log.run_is_over {
            // Should four thousand million runs fail in one generation, it takes a checkpoint to go on.
            let next = self.log.newest_run.checked_add(1);
            let sequence = self.failed_sequence;
            self.log.newest_run = next.ok_or(PagerError::EarlierCommitFailed { sequence })?;
            self.log.run_is_over = false;
        }
        let Self { log, durable_sequence: durable, .. } = *self;
        Ok(LogReadiness::Ready(Place { log, tip: self.tip(), run: log.newest_run, durable }))
    }

    /// What is due is under way from this moment on.
    pub(in crate::pager) fn begin_log_io(&mut self, due: &Due) {
        match due {
            Due::Nothing => {}
            Due::Write(_) | Due::Sync => self.log_io.begin(),
        }
    }

    /// A write or sync has ended, and made this due. So the log is not quiet while frames are queued.
    fn end_log_io(&mut self, due: &Due) -> io::Ended {
        self.begin_log_io(due);
        self.log_io.end()
    }

    /// Ends the run. `failed` are the commits that go with it, the first for a reason of its own.
    fn fail(&mut self, failed: Vec<Flight>, error: PagerError) -> Vec<(Flight, PagerError)> {
        let Some(first) = failed.first() else { return Vec::new() };
        let sequence = first.tip.state.sequence;
        self.failed_sequence = sequence;
        self.log.run_is_over = true;
        let later = std::iter::repeat(PagerError::EarlierCommitFailed { sequence });
        let errors = std::iter::once(error).chain(later);
        failed.into_iter().zip(errors).collect()
    }

    /// Ends the run. A sync has failed, and with it the commits that it `covered` and all `later` ones.
    pub(super) fn fail_all(
        &mut self,
        covered: Vec<Flight>,
        later: Vec<Flight>,
        error: PagerError,
        cause: CompletionError,
    ) -> (Vec<(Flight, PagerError)>, Wakes) {
        self.log.run_is_over = true;
        // At most one has kept it, the newest of all.
        let write_lock = self.end_write_lock(if later.is_empty() { &covered } else { &later });
        let covered = covered.into_iter().map(|flight| (flight, error.clone()));
        let later = later.into_iter().map(|flight| (flight, PagerError::Poisoned { cause }));
        (covered.chain(later).collect(), write_lock)
    }

    /// Refuses writes from now on: a sync failed, so it is unknown what is on disk.
    #[must_use = "waiting writers have to be told"]
    pub(in crate::pager) fn poison(&mut self, cause: CompletionError) -> Wakes {
        self.poison.get_or_insert(cause);
        self.write_lock.dismiss()
    }
}
