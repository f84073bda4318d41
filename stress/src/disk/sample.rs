//! When a read takes its bytes.

use tenterhook_runtime::io::{InFlight, Operation};

use super::crash::SECTOR;
use super::queue::Pending;
use super::{LATE, SAMPLED, State};
use crate::sometimes;

/// When a read takes its bytes: any moment between its submission and its end is as good as any other, and for each sector.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Sample {
    AtDelivery,
    /// It has them, so many, as the file was after this change.
    AtSubmission {
        available: usize,
        change: u64,
    },
    /// It has them, and reads those sectors again when it is delivered whose bit is set.
    Pieces {
        available: usize,
        late: u32,
    },
}

impl State {
    /// A read is submitted: may it take its bytes now?
    pub(super) fn sample(&mut self, operation: &mut InFlight, file: u32) -> Sample {
        let Operation::Read { offset, buffer } = operation.operation() else { return Sample::AtDelivery };
        let file = &self.files[file as usize];
        match self.stream.choose(SAMPLED, 4) {
            1 => {
                let available = file.current.read(offset, buffer);
                Sample::AtSubmission { available, change: file.next_change() }
            }
            2 => {
                let late = self.stream.choose(LATE, u32::MAX);
                Sample::Pieces { available: file.current.read(offset, buffer), late }
            }
            _ => Sample::AtDelivery,
        }
    }

    /// A read is delivered: how many bytes it has, all of which are in its buffer then.
    pub(super) fn take_sample(&mut self, pending: &mut Pending) -> usize {
        if !matches!(pending.sample, Sample::AtSubmission { .. }) {
            self.expose_overlapping_writes(pending);
        }
        let file = &self.files[pending.file as usize];
        let Operation::Read { offset, buffer } = pending.operation.operation() else { return 0 };
        match pending.sample {
            Sample::AtDelivery => file.current.read(offset, buffer),
            Sample::AtSubmission { available, change } => {
                sometimes!(
                    file.next_change() > change && !file.current.holds(offset, &buffer[..available]),
                    "a read returns bytes from before a completed write"
                );
                available
            }
            Sample::Pieces { available, late } => {
                let mut now = vec![0; buffer.len()];
                let available = file.current.read(offset, &mut now).min(available);
                let sectors = buffer.chunks_mut(SECTOR as usize).zip(now.chunks(SECTOR as usize));
                for (index, (sector, now)) in sectors.enumerate() {
                    if late >> (index % 32) & 1 == 1 {
                        sector.copy_from_slice(now);
                    }
                }
                sometimes!(
                    !file.current.holds(offset, &buffer[..available]),
                    "a read returns bytes from before and after a write"
                );
                available
            }
        }
    }
}
