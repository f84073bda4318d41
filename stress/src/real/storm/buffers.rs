//! Buffers that came back, watched for bytes that are written to them afterwards.

use std::collections::VecDeque;
use std::sync::OnceLock;

use tenterhook_runtime::io::Buffer;

use super::round::FILE;
use crate::rng::scramble;

/// What a buffer is filled with as soon as its callback has it.
const MARK: u8 = 0xa5;

/// The most bytes that are watched at a time.
const MOST: usize = 16 << 20;

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
            // Compared as a whole first: nearly all are as they should be.
            if buffer[..] != marked()[..buffer.len()]
                && let Some(place) = buffer.iter().position(|byte| *byte != MARK)
            {
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

/// The longest buffer of the storm, full of marks.
fn marked() -> &'static [u8] {
    static MARKED: OnceLock<Vec<u8>> = OnceLock::new();
    MARKED.get_or_init(|| vec![MARK; FILE as usize])
}

/// What is in every file of the storm, and what every write puts there.
fn file() -> &'static [u8] {
    static CONTENT: OnceLock<Vec<u8>> = OnceLock::new();
    CONTENT.get_or_init(|| (0..FILE).map(|place| (scramble(place) >> 56) as u8).collect())
}

/// Makes what the others compare with, before there are threads.
pub(super) fn prepare() {
    let _ = (marked(), file());
}

/// A buffer with the file's content from `offset` on.
pub(super) fn content(offset: u64, len: usize) -> Buffer {
    Buffer::copy_of(&file()[offset as usize..][..len])
}

/// The first byte of `bytes`, read from `offset` on, that is not the file's.
pub(super) fn wrong_byte(offset: u64, bytes: &[u8]) -> Option<u64> {
    let right = &file()[offset as usize..][..bytes.len()];
    if bytes == right {
        return None;
    }
    let wrong = right.iter().zip(bytes).position(|(right, byte)| right != byte)?;
    Some(offset + wrong as u64)
}
