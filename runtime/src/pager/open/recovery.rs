//! From two files to a pager.

use std::mem;
use std::sync::Arc;

use super::database::{DatabaseFile, Verdict};
use super::harden::Harden;
use super::scan::{LogScan, Prefix, frames_at_once};
use crate::io::Buffer;
use crate::pager::cache::SharedCache;
use crate::pager::format::header::{self, FileState, MAX_LAST_SEQUENCE, VERSION};
use crate::pager::format::log::{
    FRAME_HEADER, FrameHeader, HEADER_SPAN, LogHeader, frame_offset, frame_size,
};
use crate::pager::latch::{Latch, Wait};
use crate::pager::log::index::LogIndex;
use crate::pager::pager::{Pager, PagerFile};
use crate::pager::state::{Log, State};
use crate::pager::transfer::{self, Ended, Filled, Piece, ReadBatch};
use crate::pager::{LogProblem, PagerError, PagerOptions};
use crate::sync::Mutex;
use crate::{IOResult, return_and_restore_if_io};

/// From two files to a pager.
pub(super) struct Recovery {
    database: DatabaseFile,
    log: PagerFile,
    log_len: u64,
    /// Of the log's newest header; 0 while there is none.
    generation: u32,
    /// Where the log has a header that is not whole.
    damaged_slot: Option<u64>,
    options: PagerOptions,
    stage: Stage,
}

/// A recovery, from top to bottom. The log decides which stages it goes through.
enum Stage {
    Begin,
    ReadLogHeader(ReadBatch),
    /// The log's header is damaged: does it have anything that the database file lacks?
    LookForOrphans(ReadBatch, u64),
    ScanLog(ReadBatch, LogHeader, LogScan),
    ConcludeScan(LogHeader, LogScan),
    /// The frame at which the commits end is read again, before anything is taken for lost.
    LookAgain(ReadBatch, LogHeader, LogScan),
    WithoutLog,
    /// The log has a header and no commit. That header has to be on disk before the other one is overwritten, or a
    /// power loss could leave neither, beside frames that look like lost commits. The frames stay until then: they may
    /// be all that the header on disk has to show.
    RewriteFoundHeader(Wait<Ended>, FileState),
    SyncFoundHeader(Wait<Ended>, FileState),
    /// The log has nothing that the database file lacks, and no header, or one of the last generation that there can be:
    /// its frames are removed before it is reset, or they would be taken for the new generations' future.
    CutLog(Wait<Ended>, FileState),
    SyncCutLog(Wait<Ended>, FileState),
    HardenLog(Harden, LogHeader, Prefix, FileState),
    WriteHeader(Wait<Ended>, FileState),
    SyncHeader(Wait<Ended>, FileState),
    WriteLogHeader(Wait<Ended>, LogHeader, FileState),
    SyncLogHeader(Wait<Ended>, LogHeader, FileState),
    Ended,
}

impl Recovery {
    pub(super) fn new(database: DatabaseFile, log: PagerFile, log_len: u64, options: PagerOptions) -> Self {
        Self { database, log, log_len, generation: 0, damaged_slot: None, options, stage: Stage::Begin }
    }

    pub(super) fn step(&mut self) -> Result<IOResult<Arc<Pager>>, PagerError> {
        loop {
            let next = match mem::replace(&mut self.stage, Stage::Ended) {
                Stage::Begin => self.begin()?,
                Stage::ReadLogHeader(mut read) => {
                    let bytes = read.poll().map_err(|error| self.log.error("read the header of", error));
                    let bytes = return_and_restore_if_io!(self.stage, Stage::ReadLogHeader(read), bytes);
                    self.judge_log(&self.whole(bytes)?)?
                }
                Stage::LookForOrphans(mut read, from) => {
                    let bytes = read.poll().map_err(|error| self.log.error("read", error));
                    let bytes =
                        return_and_restore_if_io!(self.stage, Stage::LookForOrphans(read, from), bytes);
                    self.look_for_orphans(from, &self.whole(bytes)?)?
                }
                Stage::ScanLog(mut read, header, scan) => {
                    let bytes = read.poll().map_err(|error| self.log.error("read", error));
                    let bytes =
                        return_and_restore_if_io!(self.stage, Stage::ScanLog(read, header, scan), bytes);
                    self.scan_log(header, scan, &mut self.whole(bytes)?)
                }
                Stage::ConcludeScan(header, scan) => match scan.doubt() {
                    Some(frame) => {
                        let page_size = self.database.sealer.page_size();
                        let (offset, len) = (frame_offset(frame, page_size), frame_size(page_size));
                        Stage::LookAgain(ReadBatch::one(&*self.log.file, offset, len), header, scan)
                    }
                    None => self.conclude_scan(header, scan)?,
                },
                Stage::LookAgain(mut read, header, mut scan) => {
                    let bytes = read.poll().map_err(|error| self.log.error("read", error));
                    let bytes =
                        return_and_restore_if_io!(self.stage, Stage::LookAgain(read, header, scan), bytes);
                    let frame = scan.doubt().unwrap_or_default();
                    if !scan.is_confirmed_by(&self.whole(bytes)?) {
                        return Err(self.corrupt_log(frame, LogProblem::ReadsDiffer));
                    }
                    Stage::ConcludeScan(header, scan)
                }
                Stage::WithoutLog => self.cut_log(self.state_without_log()?),
                Stage::RewriteFoundHeader(mut wait, state) => {
                    let ended = self.log.ended(&mut wait, "write the header of");
                    return_and_restore_if_io!(self.stage, Stage::RewriteFoundHeader(wait, state), ended);
                    let latch = Latch::new();
                    let wait = Wait::new(Arc::clone(&latch));
                    transfer::sync(&*self.log.file, move |ended| latch.set(ended));
                    Stage::SyncFoundHeader(wait, state)
                }
                Stage::SyncFoundHeader(mut wait, state) => {
                    let ended = self.log.ended(&mut wait, "sync");
                    return_and_restore_if_io!(self.stage, Stage::SyncFoundHeader(wait, state), ended);
                    self.start_generation(state)
                }
                Stage::CutLog(mut wait, state) => {
                    let ended = self.log.ended(&mut wait, "truncate");
                    return_and_restore_if_io!(self.stage, Stage::CutLog(wait, state), ended);
                    let latch = Latch::new();
                    let wait = Wait::new(Arc::clone(&latch));
                    transfer::sync(&*self.log.file, move |ended| latch.set(ended));
                    Stage::SyncCutLog(wait, state)
                }
                Stage::SyncCutLog(mut wait, state) => {
                    let ended = self.log.ended(&mut wait, "sync");
                    return_and_restore_if_io!(self.stage, Stage::SyncCutLog(wait, state), ended);
                    self.start_generation(state)
                }
                Stage::HardenLog(mut harden, header, prefix, state) => {
                    let hardened = harden.step(&self.log);
                    return_and_restore_if_io!(
                        self.stage,
                        Stage::HardenLog(harden, header, prefix, state),
                        hardened
                    );
                    return Ok(IOResult::Done(self.assemble_recovered(header, prefix, state)));
                }
                Stage::WriteHeader(mut wait, state) => {
                    let ended = self.database.file.ended(&mut wait, "write the header of");
                    return_and_restore_if_io!(self.stage, Stage::WriteHeader(wait, state), ended);
                    let latch = Latch::new();
                    let wait = Wait::new(Arc::clone(&latch));
                    transfer::sync(&*self.database.file.file, move |ended| latch.set(ended));
                    Stage::SyncHeader(wait, state)
                }
                Stage::SyncHeader(mut wait, state) => {
                    let ended = self.database.file.ended(&mut wait, "sync");
                    return_and_restore_if_io!(self.stage, Stage::SyncHeader(wait, state), ended);
                    self.begin_log(state)
                }
                Stage::WriteLogHeader(mut wait, header, state) => {
                    let ended = self.log.ended(&mut wait, "write the header of");
                    return_and_restore_if_io!(self.stage, Stage::WriteLogHeader(wait, header, state), ended);
                    let latch = Latch::new();
                    let wait = Wait::new(Arc::clone(&latch));
                    transfer::sync(&*self.log.file, move |ended| latch.set(ended));
                    Stage::SyncLogHeader(wait, header, state)
                }
                Stage::SyncLogHeader(mut wait, header, state) => {
                    let ended = self.log.ended(&mut wait, "sync");
                    return_and_restore_if_io!(self.stage, Stage::SyncLogHeader(wait, header, state), ended);
                    let (log, in_database) = (Log::begun(header), state.sequence);
                    return Ok(IOResult::Done(self.assemble(state, log, LogIndex::default(), in_database)));
                }
                Stage::Ended => unreachable!("a recovery that has ended is not stepped"),
            };
            self.stage = next;
        }
    }

    /// What was read, if that is all that was asked for. Nothing beyond the file's end is, so less is a failed read, and
    /// not a log that is shorter or has one header less.
    fn whole(&self, mut bytes: Vec<Filled>) -> Result<Buffer, PagerError> {
        bytes.swap_remove(0).require_whole().map_err(|error| self.log.error("read", error))
    }

    fn begin(&self) -> Result<Stage, PagerError> {
        if let Verdict::New { .. } = self.database.verdict {
            return Ok(self.write_header(FileState::EMPTY));
        }
        if self.log_len == 0 {
            return Ok(self.start_generation(self.state_without_log()?));
        }
        let wanted = self.log_len.min(HEADER_SPAN) as usize;
        Ok(Stage::ReadLogHeader(ReadBatch::one(&*self.log.file, 0, wanted)))
    }

    /// There is no commit in the log: the database file has to know by itself what it holds.
    fn state_without_log(&self) -> Result<FileState, PagerError> {
        let state = match self.database.verdict {
            Verdict::Whole(state) => state,
            Verdict::Damaged(problem) => {
                return Err(PagerError::CorruptHeader {
                    path: Arc::clone(&self.database.file.path),
                    problem,
                });
            }
            Verdict::New { .. } => FileState::EMPTY,
        };
        self.database.require_all_pages(&state, &LogIndex::default())?;
        Ok(state)
    }

    fn start_generation(&self, state: FileState) -> Stage {
        // No sync after the creation of the file, as far as the file can say: perhaps that sync failed.
        if state.sequence == 0 { self.write_header(state) } else { self.begin_log(state) }
    }

    fn cut_log(&self, state: FileState) -> Stage {
        let latch = Latch::new();
        let wait = Wait::new(Arc::clone(&latch));
        transfer::truncate(&*self.log.file, 0, move |ended| latch.set(ended));
        Stage::CutLog(wait, state)
    }

    /// Resets the log, with a header of its own, whether or not it has one. What this recovery did not find, frames
    /// of a commit that were never whole, then never comes back either.
    fn begin_log(&self, state: FileState) -> Stage {
        let (page_size, id) = (self.options.page_size, self.database.id);
        // The last generation there can be was cut off.
        let generation = self.generation + 1;
        let header = LogHeader { page_size, id, base: state.sequence, generation };
        let latch = Latch::new();
        let wait = Wait::new(Arc::clone(&latch));
        let piece = Piece { offset: header.offset(), buffers: vec![header.encode()] };
        transfer::write_all(&*self.log.file, vec![piece], move |ended| latch.set(ended));
        Stage::WriteLogHeader(wait, header, state)
    }

    fn write_header(&self, state: FileState) -> Stage {
        let latch = Latch::new();
        let wait = Wait::new(Arc::clone(&latch));
        let header = header::encode(&self.database.sealer, self.database.id, &state);
        let piece = Piece { offset: 0, buffers: vec![header] };
        transfer::write_all(&*self.database.file.file, vec![piece], move |ended| latch.set(ended));
        Stage::WriteHeader(wait, state)
    }

    fn judge_log(&mut self, start: &[u8]) -> Result<Stage, PagerError> {
        let Some((version, header)) = LogHeader::newest(start) else {
            return Ok(self.read_orphans(0));
        };
        let path = || Arc::clone(&self.log.path);
        if version != VERSION {
            return Err(PagerError::UnsupportedVersion { path: path(), found: version, supported: VERSION });
        }
        if header.id != self.database.id {
            return Err(PagerError::ForeignLog {
                path: path(),
                found: header.id,
                expected: self.database.id,
            });
        }
        let page_size = self.database.sealer.page_size() as u32;
        let problem = match self.database.verdict {
            _ if header.page_size != page_size => {
                Some(LogProblem::PageSize { found: header.page_size, expected: page_size })
            }
            _ if header.base > MAX_LAST_SEQUENCE => {
                Some(LogProblem::Field { name: "base", value: header.base })
            }
            Verdict::Whole(FileState { sequence, .. }) if header.base > sequence => {
                Some(LogProblem::AheadOfDatabase { base: header.base, database: sequence })
            }
            _ => None,
        };
        match problem {
            Some(problem) => Err(self.corrupt_log(0, problem)),
            None => {
                self.generation = header.generation;
                self.damaged_slot = LogHeader::damaged_slot(start);
                Ok(self.scan_on(header, LogScan::new(&header)))
            }
        }
    }

    /// Reads the next frames, or draws the conclusion when there are none.
    fn read_frames(&self, from: u64) -> Option<ReadBatch> {
        let count =
            frames_at_once(self.database.sealer.page_size()).min(self.frames_in_file().saturating_sub(from));
        let page_size = self.database.sealer.page_size();
        let len = count as usize * frame_size(page_size);
        (count > 0).then(|| ReadBatch::one(&*self.log.file, frame_offset(from, page_size), len))
    }

    fn scan_on(&self, header: LogHeader, scan: LogScan) -> Stage {
        match self.read_frames(scan.looked_at()) {
            Some(read) => Stage::ScanLog(read, header, scan),
            None => Stage::ConcludeScan(header, scan),
        }
    }

    fn scan_log(&self, header: LogHeader, mut scan: LogScan, frames: &mut [u8]) -> Stage {
        let mut any_of_this_generation = false;
        for frame in frames.chunks_exact_mut(frame_size(self.database.sealer.page_size())) {
            any_of_this_generation |= scan.look_at(frame);
        }
        // Frames of this generation are together at the beginning. Where none is left there is no evidence either.
        if scan.is_broken() && !any_of_this_generation {
            return Stage::ConcludeScan(header, scan);
        }
        self.scan_on(header, scan)
    }

    fn conclude_scan(&mut self, header: LogHeader, scan: LogScan) -> Result<Stage, PagerError> {
        let in_database = match self.database.verdict {
            Verdict::Whole(state) => Some(state.sequence),
            Verdict::New { .. } | Verdict::Damaged(_) => None,
        };
        let prefix = scan.finish(in_database).map_err(|(frame, problem)| self.corrupt_log(frame, problem))?;
        let page_size = self.database.sealer.page_size();
        let Some(state) = prefix.state else {
            let state = self.state_without_log()?;
            if header.generation == u32::MAX {
                // Generation 1 has its header in the same slot, and the other one's would count instead.
                self.generation = 0;
                return Ok(self.cut_log(state));
            }
            let latch = Latch::new();
            let wait = Wait::new(Arc::clone(&latch));
            let piece = Piece { offset: header.offset(), buffers: vec![header.encode()] };
            transfer::write_all(&*self.log.file, vec![piece], move |ended| latch.set(ended));
            return Ok(Stage::RewriteFoundHeader(wait, state));
        };
        self.database.require_all_pages(&state, &prefix.index)?;
        let harden = Harden::begin(&self.log, &header, self.damaged_slot, &prefix, page_size);
        Ok(Stage::HardenLog(harden, header, prefix, state))
    }

    fn read_orphans(&self, from: u64) -> Stage {
        match self.read_frames(from) {
            Some(read) => Stage::LookForOrphans(read, from),
            None => Stage::WithoutLog,
        }
    }

    /// Frames whose header is damaged are orphans. One that is newer than the database file is a lost commit; a log
    /// whose header was torn while it was written has none, see the README.
    fn look_for_orphans(&self, from: u64, frames: &[u8]) -> Result<Stage, PagerError> {
        let Verdict::Whole(state) = self.database.verdict else { return Ok(Stage::WithoutLog) };
        let frame_size = frame_size(self.database.sealer.page_size());
        for (at, frame) in (from..).zip(frames.chunks_exact(frame_size)) {
            let Some(header) = FrameHeader::decode(frame) else { continue };
            let seal = self.database.sealer.check(&frame[FRAME_HEADER..], header.page);
            if seal.is_ok_and(|seal| seal.sequence > state.sequence) {
                return Err(self.corrupt_log(at, LogProblem::Header));
            }
        }
        let read = (frames.len() / frame_size) as u64;
        Ok(if read == 0 { Stage::WithoutLog } else { self.read_orphans(from + read) })
    }

    fn frames_in_file(&self) -> u64 {
        self.log_len.saturating_sub(HEADER_SPAN) / frame_size(self.database.sealer.page_size()) as u64
    }

    fn corrupt_log(&self, frame: u64, problem: LogProblem) -> PagerError {
        PagerError::CorruptLog { path: Arc::clone(&self.log.path), frame, problem }
    }

    fn assemble_recovered(&self, header: LogHeader, prefix: Prefix, committed: FileState) -> Arc<Pager> {
        let Prefix { frames, chain, run, index, .. } = prefix;
        let log = Log { end: frames, chain, run, newest_run: run, ..Log::begun(header) };
        self.assemble(committed, log, index, header.base)
    }

    fn assemble(&self, committed: FileState, log: Log, index: LogIndex, in_database: u64) -> Arc<Pager> {
        Arc::new(Pager {
            database: self.database.file.clone(),
            log: self.log.clone(),
            options: self.options,
            id: self.database.id,
            sealer: self.database.sealer,
            state: Mutex::new(State::new(committed, log, index, in_database)),
            cache: SharedCache::new(self.options.cache_pages),
        })
    }
}
