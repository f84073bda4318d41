//! Reads and writes of whole batches.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use crate::io::{Buffer, File, Submission};
use crate::sync::Mutex;
use crate::{Completion, CompletionError, CompletionGroup, IOCompletions, IOResult, Outcome};

/// What ends with a file operation that moves no bytes to its starter.
pub(super) type Ended = Result<(), CompletionError>;

/// One write: buffers that go one after the other to an offset.
pub(super) struct Piece {
    pub(super) offset: u64,
    pub(super) buffers: Vec<Buffer>,
}

impl Piece {
    fn len(&self) -> u64 {
        self.buffers.iter().map(|buffer| buffer.len() as u64).sum()
    }
}

/// Bytes that [`merge`] puts into one write.
const MERGED: u64 = 1 << 20;

/// One write for each run of pieces that follow one another in the file, if that is not too long.
pub(super) fn merge(pieces: impl IntoIterator<Item = Piece>) -> Vec<Piece> {
    let mut merged: Vec<Piece> = Vec::new();
    // Of the last one.
    let mut len = 0;
    for piece in pieces {
        let more = piece.len();
        match merged.last_mut() {
            Some(last) if last.offset + len == piece.offset && len + more <= MERGED => {
                last.buffers.extend(piece.buffers);
                len += more;
            }
            _ => {
                merged.push(piece);
                len = more;
            }
        }
    }
    merged
}

/// Reads that one machine waits for, all of them together. They are the machine's own: dropping it loses the bytes,
/// cancelling its completion cancels the reads.
pub(super) struct ReadBatch {
    all: Completion,
    reads: Vec<Arc<Mutex<Option<Read>>>>,
}

type Read = (Outcome, Buffer);

/// What a read brought: dereferences to the bytes that were there.
pub(super) struct Filled {
    buffer: Buffer,
    filled: usize,
}

impl Filled {
    /// The buffer, if all of it was filled.
    pub(super) fn require_whole(self) -> Result<Buffer, CompletionError> {
        if self.filled < self.buffer.len() {
            let (expected, actual) = (clamp(self.buffer.len() as u64), clamp(self.filled as u64));
            return Err(CompletionError::ShortRead { expected, actual });
        }
        Ok(self.buffer)
    }
}

impl Deref for Filled {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.buffer[..self.filled]
    }
}

impl DerefMut for Filled {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.buffer[..self.filled]
    }
}

impl ReadBatch {
    /// Starts one read of `len` bytes at each offset.
    pub(super) fn start<'a>(wanted: impl IntoIterator<Item = (&'a dyn File, u64, usize)>) -> Self {
        let mut group = CompletionGroup::drain(|_| {});
        let mut reads = Vec::new();
        let mut submissions = Vec::new();
        for (file, offset, len) in wanted {
            let slot = Arc::new(Mutex::new(None));
            let landing = Arc::clone(&slot);
            let (completion, submission) =
                Submission::read(offset, Buffer::zeroed(len), move |outcome, buffer| {
                    *landing.lock() = Some((outcome, buffer));
                });
            group.add(&completion);
            reads.push(slot);
            submissions.push((file, submission));
        }
        let all = group.build();
        for (file, submission) in submissions {
            file.submit(submission);
        }
        Self { all, reads }
    }

    /// Starts one read.
    pub(super) fn one(file: &dyn File, offset: u64, len: usize) -> Self {
        Self::start([(file, offset, len)])
    }

    /// What each read brought, in the order of starting; the first error when any failed. To be called until it is
    /// done, once.
    pub(super) fn poll(&mut self) -> Result<IOResult<Vec<Filled>>, CompletionError> {
        match self.all.result() {
            None => return Ok(IOResult::IO(IOCompletions::Single(self.all.clone()))),
            Some(outcome) => outcome?,
        };
        let taken = std::mem::take(&mut self.reads);
        let bytes = taken.into_iter().map(|slot| {
            let (outcome, buffer) = slot.lock().take().ok_or(CompletionError::Abandoned)?;
            let filled = usize::try_from(outcome?).unwrap_or(usize::MAX).min(buffer.len());
            Ok(Filled { buffer, filled })
        });
        Ok(IOResult::Done(bytes.collect::<Result<_, CompletionError>>()?))
    }
}

/// Writes all pieces and calls `done` when the last has ended, with the first error of any. A piece that ended short
/// is an error too.
pub(super) fn write_all(file: &dyn File, pieces: Vec<Piece>, done: impl FnOnce(Ended) + Send + 'static) {
    let short = Arc::new(Mutex::new(None));
    let noted = Arc::clone(&short);
    let mut group = CompletionGroup::drain(move |outcome| {
        let short = noted.lock().take();
        done(outcome.and(short.map_or(Ok(()), Err)));
    });
    let mut submissions = Vec::with_capacity(pieces.len());
    for piece in pieces {
        let len = piece.len();
        let short = Arc::clone(&short);
        let (completion, submission) =
            Submission::write_vectored(piece.offset, piece.buffers, move |outcome, _| {
                if let Ok(written) = outcome
                    && written != len
                {
                    let (expected, actual) = (clamp(len), clamp(written));
                    *short.lock() = Some(CompletionError::ShortWrite { expected, actual });
                }
            });
        group.add(&completion);
        submissions.push(submission);
    }
    // Built first: a backend may end an operation before `submit` returns. The group lives on in its children.
    drop(group.build());
    for submission in submissions {
        file.submit(submission);
    }
}

/// Makes what was written durable.
pub(super) fn sync(file: &dyn File, done: impl FnOnce(Ended) + Send + 'static) {
    file.submit(Submission::sync(move |outcome| done(outcome.map(drop))).1);
}

/// Sets the file's length.
pub(super) fn truncate(file: &dyn File, len: u64, done: impl FnOnce(Ended) + Send + 'static) {
    file.submit(Submission::truncate(len, move |outcome| done(outcome.map(drop))).1);
}

fn clamp(bytes: u64) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_that_follow_one_another_become_one_up_to_a_length() {
        let half = MERGED as usize / 2;
        let piece = |offset: usize, len| Piece { offset: offset as u64, buffers: vec![Buffer::zeroed(len)] };
        let [first, second, third] = [piece(512, half), piece(512 + half, half), piece(512 + 2 * half, 8)];
        let [apart, before] = [piece(4 * half, 8), piece(4 * half - 8, 8)];
        let merged = merge([first, second, third, apart, before]);
        let shapes: Vec<_> =
            merged.iter().map(|piece| (piece.offset as usize, piece.buffers.len())).collect();
        let expected = [(512, 2), (512 + 2 * half, 1), (4 * half, 1), (4 * half - 8, 1)];
        assert_eq!(shapes, expected);
        assert!(merge([]).is_empty());
    }
}
