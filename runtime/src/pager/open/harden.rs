//! Making sure that what a recovery found is on disk.

use std::sync::Arc;

use super::scan::{Prefix, frames_at_once};
use crate::io::Buffer;
use crate::pager::format::log::{HEADER_SLOT, LogHeader, follow_chain, frame_offset, frame_size};
use crate::pager::latch::{Latch, Wait};
use crate::pager::pager::PagerFile;
use crate::pager::transfer::{self, Ended, Filled, Piece, ReadBatch};
use crate::pager::{LogProblem, PagerError};
use crate::{IOResult, return_if_io};

/// Writes the newest commits' frames once more, cuts off what comes after them, and syncs.
///
/// The file can't say which of its bytes are on disk and which are only cached by the system. Commits that a later one
/// calls durable are. The others may have been written by a process that was killed before their sync, or whose sync
/// failed; in that case the system may have marked their bytes as clean although they are not on disk, and a sync now
/// would do nothing. Bytes that are written again are synced.
///
/// Writing the same bytes to the same place changes nothing, whichever part of it a power loss lets through. The frames are
/// read a second time for that, so they are checked a second time: what a device returns now need not be what it returned
/// to the scan.
pub(super) struct Harden {
    page_size: usize,
    /// Frames that are through.
    done: u64,
    /// The chain after those.
    chain: u64,
    end: u64,
    stage: Stage,
}

enum Stage {
    WriteHeader(Wait<Ended>),
    ReadFrames,
    WriteFrames(ReadBatch, u64),
    AwaitFrames(Wait<Ended>, u64),
    CutTail(Wait<Ended>),
    Sync(Wait<Ended>),
}

impl Harden {
    /// A header that was read as damaged may be whole on disk, and newer. Then the log has nothing of its generation, and what
    /// this opening adds to the older one would be lost to the next. So it goes.
    pub(super) fn begin(
        log: &PagerFile,
        header: &LogHeader,
        damaged_slot: Option<u64>,
        prefix: &Prefix,
        page_size: usize,
    ) -> Self {
        let piece = Piece { offset: header.offset(), buffers: vec![header.encode()] };
        let nothing = |offset| Piece { offset, buffers: vec![Buffer::zeroed(HEADER_SLOT as usize)] };
        let pieces = [piece].into_iter().chain(damaged_slot.map(nothing)).collect();
        let stage = Stage::WriteHeader(write(log, pieces));
        Self {
            page_size,
            done: prefix.durable_frames,
            chain: prefix.durable_chain,
            end: prefix.frames,
            stage,
        }
    }

    pub(super) fn step(&mut self, log: &PagerFile) -> Result<IOResult<()>, PagerError> {
        loop {
            self.stage = match &mut self.stage {
                Stage::WriteHeader(wait) => {
                    return_if_io!(log.ended(wait, "write the header of"));
                    Stage::ReadFrames
                }
                Stage::ReadFrames if self.done == self.end => {
                    let (latch, wait) = latch();
                    let len = frame_offset(self.end, self.page_size);
                    transfer::truncate(&*log.file, len, move |ended| latch.set(ended));
                    Stage::CutTail(wait)
                }
                Stage::ReadFrames => {
                    let count = frames_at_once(self.page_size).min(self.end - self.done);
                    let offset = frame_offset(self.done, self.page_size);
                    let len = count as usize * frame_size(self.page_size);
                    Stage::WriteFrames(ReadBatch::one(&*log.file, offset, len), count)
                }
                Stage::WriteFrames(read, count) => {
                    let mut bytes = return_if_io!(read.poll().map_err(|error| log.error("read", error)));
                    let count = *count;
                    let (frames, chain) = self.check(log, bytes.swap_remove(0))?;
                    self.chain = chain;
                    let offset = frame_offset(self.done, self.page_size);
                    Stage::AwaitFrames(write(log, vec![Piece { offset, buffers: vec![frames] }]), count)
                }
                Stage::AwaitFrames(wait, count) => {
                    return_if_io!(log.ended(wait, "write frames to"));
                    self.done += *count;
                    Stage::ReadFrames
                }
                Stage::CutTail(wait) => {
                    return_if_io!(log.ended(wait, "truncate"));
                    let (latch, wait) = latch();
                    transfer::sync(&*log.file, move |ended| latch.set(ended));
                    Stage::Sync(wait)
                }
                Stage::Sync(wait) => return log.ended(wait, "sync"),
            };
        }
    }
}

impl Harden {
    /// The frames that come next, if they are what the scan has seen, and the chain after them.
    fn check(&self, log: &PagerFile, frames: Filled) -> Result<(Buffer, u64), PagerError> {
        // It was longer a moment ago.
        let mut frames = frames.require_whole().map_err(|error| log.error("read", error))?;
        let mut chain = self.chain;
        for (frame, bytes) in (self.done..).zip(frames.chunks_exact_mut(frame_size(self.page_size))) {
            chain = follow_chain(bytes, chain).ok_or_else(|| PagerError::CorruptLog {
                path: Arc::clone(&log.path),
                frame,
                problem: LogProblem::ReadsDiffer,
            })?;
        }
        Ok((frames, chain))
    }
}

fn latch() -> (Arc<Latch<Ended>>, Wait<Ended>) {
    let latch = Latch::new();
    let wait = Wait::new(Arc::clone(&latch));
    (latch, wait)
}

fn write(log: &PagerFile, pieces: Vec<Piece>) -> Wait<Ended> {
    let (latch, wait) = latch();
    transfer::write_all(&*log.file, pieces, move |ended| latch.set(ended));
    wait
}
