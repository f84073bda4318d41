//! Buffers that came back, watched for bytes that are written to them afterwards.

use std::collections::VecDeque;

use tenterhook_runtime::io::Buffer;

/// What a buffer is filled with as soon as its callback has it.
const MARK: u8 = 0xa5;

/// The most bytes that are watched at a time.
const MOST: usize = 64 << 20;

/// Buffers whose operations have ended. They stay over the end of their backend, for a round and longer: a late write needs
/// time to come.
#[derive(Default)]
pub(super) struct Quarantine {
    buffers: VecDeque<Buffer>,
    bytes: usize,
}

impl Quarantine {
    /// Takes in buffers that callbacks gave up.
    pub(super) fn extend(&mut self, buffers: impl IntoIterator<Item = Buffer>) {
        for buffer in buffers {
            self.bytes += buffer.len();
            self.buffers.push_back(buffer);
        }
    }

    /// Looks at all of them, and lets the oldest go.
    pub(super) fn check(&mut self) -> Result<(), String> {
        for buffer in &self.buffers {
            if let Some(place) = buffer.iter().position(|byte| *byte != MARK) {
                return Err(format!(
                    "byte {place} of a buffer of {} bytes changed after its operation had ended",
                    buffer.len()
                ));
            }
        }
        while self.bytes > MOST
            && let Some(oldest) = self.buffers.pop_front()
        {
            self.bytes -= oldest.len();
        }
        Ok(())
    }
}

/// Marks a buffer that came back.
pub(super) fn mark(mut buffer: Buffer) -> Buffer {
    buffer.fill(MARK);
    buffer
}

/// The byte that every file of the storm has at `place`, and that every write puts there.
fn byte_at(place: u64) -> u8 {
    (place.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8
}

/// A buffer with the file's content from `offset` on.
pub(super) fn content(offset: u64, len: usize) -> Buffer {
    let mut buffer = Buffer::zeroed(len);
    (offset..).zip(buffer.iter_mut()).for_each(|(place, byte)| *byte = byte_at(place));
    buffer
}

/// The first byte of `bytes`, read from `offset` on, that is not the file's.
pub(super) fn wrong_byte(offset: u64, bytes: &[u8]) -> Option<u64> {
    (offset..).zip(bytes).find(|(place, byte)| **byte != byte_at(*place)).map(|(place, _)| place)
}
