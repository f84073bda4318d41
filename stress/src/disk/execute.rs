//! What an operation does to the disk when it is delivered.

use std::io::ErrorKind;

use tenterhook_runtime::io::{Operation, OperationKind};
use tenterhook_runtime::{CompletionError, Outcome};

use super::crash::SECTOR;
use super::queue::Pending;
use super::{DROPPED, EFFECT, ELSEWHERE, FaultKind, LENGTH, OVERLAP, State};
use crate::tape::Stage;

/// What an injected failure of the device looks like: `EIO`.
const FAILED: CompletionError = CompletionError::Io { kind: ErrorKind::Other, os_code: 5 };

/// What a buffer holds beyond the bytes that were read into it. A system must not use it.
const GARBAGE: u8 = 0xdb;

impl State {
    /// Does what `pending` asks for, or what its fault makes of that.
    pub(super) fn execute(&mut self, pending: &mut Pending) -> Outcome {
        self.go_on_with(pending.address.at(Stage::DELIVERED));
        let kind = pending.operation.descriptor().kind;
        self.changes += u64::from(kind != OperationKind::Read);
        match kind {
            OperationKind::Read => self.read(pending),
            OperationKind::Write => self.write(pending),
            OperationKind::Sync => self.sync(pending),
            OperationKind::Truncate => self.truncate(pending),
        }
    }

    /// Lets a write or a truncation happen as far as `limit` bytes of it; nothing else has an effect of its own.
    pub(super) fn take_effect(&mut self, pending: &mut Pending, limit: u64) {
        let cause = pending.next_change();
        let file = self.files[pending.file as usize].by(cause);
        match pending.operation.operation() {
            Operation::Write { offset, buffers: [buffer] } => {
                file.write(offset, &[buffer], usize::try_from(limit).unwrap_or(usize::MAX));
            }
            Operation::Write { offset, buffers } => {
                let parts: Vec<&[u8]> = buffers.iter().map(|buffer| &**buffer).collect();
                file.write(offset, &parts, usize::try_from(limit).unwrap_or(usize::MAX));
            }
            Operation::Truncate { len } if limit > 0 => file.truncate(len),
            Operation::Truncate { .. } | Operation::Read { .. } | Operation::Sync => {}
        }
    }

    fn read(&mut self, pending: &mut Pending) -> Outcome {
        let available = self.take_sample(pending);
        let Operation::Read { buffer, .. } = pending.operation.operation() else { return Err(FAILED) };
        match pending.fault {
            Some(fault @ FaultKind::ReadError) => {
                buffer.fill(GARBAGE);
                self.fail(fault, FAILED)
            }
            Some(fault @ FaultKind::Cancelled) => {
                buffer.fill(GARBAGE);
                self.fail(fault, CompletionError::Cancelled)
            }
            Some(fault @ FaultKind::ShortRead) if available > 1 => {
                self.counts.deliver(fault);
                let filled = 1 + self.stream.choose(LENGTH, available as u32 - 1) as usize;
                buffer[filled..].fill(GARBAGE);
                Ok(filled as u64)
            }
            Some(fault @ FaultKind::BitFlip) if available > 0 => {
                self.counts.deliver(fault);
                let bit = self.stream.choose(LENGTH, available as u32 * 8) as usize;
                buffer[bit / 8] ^= 1 << (bit % 8);
                Ok(available as u64)
            }
            _ => {
                self.note_stuck(pending);
                Ok(available as u64)
            }
        }
    }

    /// A device may have done part of a write that it has not yet reported. What a read sees of one stays seen.
    pub(super) fn expose_overlapping_writes(&mut self, read: &Pending) {
        let range = read.operation.descriptor();
        let mut writes = 0;
        while let Some(write) = self.queue.write(writes) {
            writes += 1;
            let written = write.operation.descriptor();
            let overlaps = write.file == read.file
                && written.offset < range.offset + range.len
                && range.offset < written.offset + written.len;
            if !overlaps {
                continue;
            }
            let cause = write.next_change();
            let Operation::Write { offset, buffers } = write.operation.operation() else { continue };
            let seen = match self.stream.choose(OVERLAP, 3) {
                0 => 0,
                1 => written.len,
                // Whole sectors, as the device would have written them.
                _ => u64::from(self.stream.choose(LENGTH, (written.len / SECTOR) as u32 + 1)) * SECTOR,
            };
            let parts: Vec<&[u8]> = buffers.iter().map(|buffer| &**buffer).collect();
            self.files[read.file as usize].by(cause).write(offset, &parts, seen as usize);
        }
    }

    fn write(&mut self, pending: &mut Pending) -> Outcome {
        let descriptor = pending.operation.descriptor();
        let grows = descriptor.offset + descriptor.len > self.files[pending.file as usize].current.len();
        match pending.fault {
            Some(fault @ FaultKind::WriteError) => {
                self.half_done(pending);
                self.fail(fault, FAILED)
            }
            Some(fault @ FaultKind::Cancelled) => {
                self.half_done(pending);
                self.fail(fault, CompletionError::Cancelled)
            }
            Some(fault @ FaultKind::NoSpace) if grows => self.fail(fault, CompletionError::NoSpace),
            Some(fault @ FaultKind::ShortWrite) if descriptor.len > 1 => {
                self.counts.deliver(fault);
                let written = 1 + u64::from(self.stream.choose(LENGTH, descriptor.len as u32 - 1));
                self.take_effect(pending, written);
                Ok(written)
            }
            Some(fault @ FaultKind::LostWrite) => {
                self.counts.deliver(fault);
                Ok(descriptor.len)
            }
            Some(fault @ FaultKind::MisdirectedWrite) => {
                self.counts.deliver(fault);
                self.misdirect(pending);
                Ok(descriptor.len)
            }
            _ => {
                self.note_stuck(pending);
                self.take_effect(pending, descriptor.len);
                Ok(descriptor.len)
            }
        }
    }

    /// The bytes go to another sector of the file.
    fn misdirect(&mut self, pending: &mut Pending) {
        let sectors = self.files[pending.file as usize].current.len() / SECTOR;
        let sector = u64::from(self.stream.choose(ELSEWHERE, u32::try_from(sectors).unwrap_or(u32::MAX)));
        let cause = pending.next_change();
        if let Operation::Write { buffers, .. } = pending.operation.operation() {
            let parts: Vec<&[u8]> = buffers.iter().map(|buffer| &**buffer).collect();
            self.files[pending.file as usize].by(cause).write(sector * SECTOR, &parts, usize::MAX);
        }
    }

    fn sync(&mut self, pending: &mut Pending) -> Outcome {
        let file = &mut self.files[pending.file as usize];
        match pending.fault {
            Some(fault @ FaultKind::SyncFailed) => self.fail(fault, FAILED),
            Some(fault @ FaultKind::SyncDropped) => {
                let stream = &mut self.stream;
                let still_read = stream.choose(EFFECT, 2) == 1;
                file.drop_unsynced(pending.covered, still_read, |_| stream.choose(DROPPED, 3) == 1);
                self.fail(fault, FAILED)
            }
            Some(fault @ FaultKind::LyingSync) => {
                self.counts.deliver(fault);
                Ok(0)
            }
            Some(fault @ FaultKind::Cancelled) => {
                if self.stream.choose(EFFECT, 2) == 1 {
                    file.sync(pending.covered);
                }
                self.fail(fault, CompletionError::Cancelled)
            }
            _ => {
                file.sync(pending.covered);
                self.note_stuck(pending);
                Ok(0)
            }
        }
    }

    fn truncate(&mut self, pending: &mut Pending) -> Outcome {
        match pending.fault {
            Some(fault @ FaultKind::TruncateError) => self.fail(fault, FAILED),
            Some(fault @ FaultKind::Cancelled) => {
                self.half_done(pending);
                self.fail(fault, CompletionError::Cancelled)
            }
            _ => {
                self.note_stuck(pending);
                self.take_effect(pending, u64::MAX);
                Ok(0)
            }
        }
    }

    /// The operation failed after an unknown part of it: nothing, some, or all.
    fn half_done(&mut self, pending: &mut Pending) {
        let len = pending.operation.descriptor().len;
        match self.stream.choose(EFFECT, 3) {
            0 => {}
            1 if len > 1 => {
                let limit = u64::from(self.stream.choose(LENGTH, len as u32));
                self.take_effect(pending, limit);
            }
            _ => self.take_effect(pending, u64::MAX),
        }
    }

    fn fail(&mut self, fault: FaultKind, error: CompletionError) -> Outcome {
        self.counts.deliver(fault);
        Err(error)
    }

    fn note_stuck(&mut self, pending: &Pending) {
        if pending.fault == Some(FaultKind::Stuck) {
            self.counts.deliver(FaultKind::Stuck);
        }
    }
}
