//! Bytes of a file in memory: what was never written takes no room.

use std::collections::BTreeMap;

use crate::CompletionError;
use crate::io::Buffer;

/// How many bytes have a place of their own: the memory that one byte in a hole costs.
const CHUNK: u64 = 64 << 10;

/// A file's content. Like a file system's, a hole reads as zeros and takes no room, so that a length far beyond the
/// memory of the machine is a length and not the end of the process.
#[derive(Debug, Default)]
pub(super) struct Sparse {
    /// By number, at offset number * CHUNK; all of CHUNK bytes, zero from `len` on.
    chunks: BTreeMap<u64, Buffer>,
    len: u64,
}

/// The part of one chunk that a transfer touches.
struct Part {
    chunk: u64,
    /// Within the chunk.
    from: usize,
    len: usize,
}

/// The parts of `len` bytes from `offset` on.
fn parts(offset: u64, len: u64) -> impl Iterator<Item = Part> {
    let end = offset + len;
    let mut at = offset;
    std::iter::from_fn(move || {
        let (chunk, from) = (at / CHUNK, at % CHUNK);
        let len = (end - at).min(CHUNK - from);
        at += len;
        (len > 0).then_some(Part { chunk, from: from as usize, len: len as usize })
    })
}

impl Sparse {
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// Fills `buffer` from `offset` on; how many bytes there were.
    pub(super) fn read(&self, offset: u64, buffer: &mut [u8]) -> u64 {
        let len = self.len.saturating_sub(offset).min(buffer.len() as u64);
        let mut rest = buffer;
        for part in parts(offset, len) {
            let (target, after) = rest.split_at_mut(part.len);
            match self.chunks.get(&part.chunk) {
                Some(chunk) => target.copy_from_slice(&chunk[part.from..part.from + part.len]),
                None => target.fill(0),
            }
            rest = after;
        }
        len
    }

    /// Writes `bytes` at `offset`. The caller has seen to it that no sum overflows.
    ///
    /// # Errors
    ///
    /// [`NoSpace`](CompletionError::NoSpace) when no more memory can be had; what went before is written.
    pub(super) fn write(&mut self, offset: u64, bytes: &[u8]) -> Result<(), CompletionError> {
        let mut rest = bytes;
        for part in parts(offset, bytes.len() as u64) {
            let (source, after) = rest.split_at(part.len);
            let chunk = match self.chunks.entry(part.chunk) {
                std::collections::btree_map::Entry::Occupied(chunk) => chunk.into_mut(),
                std::collections::btree_map::Entry::Vacant(place) => {
                    place.insert(Buffer::try_zeroed(CHUNK as usize).ok_or(CompletionError::NoSpace)?)
                }
            };
            chunk[part.from..part.from + part.len].copy_from_slice(source);
            self.len = self.len.max(part.chunk * CHUNK + (part.from + part.len) as u64);
            rest = after;
        }
        Ok(())
    }

    /// Sets the length; what is cut off reads as zeros should the file grow again.
    pub(super) fn truncate(&mut self, len: u64) {
        if len < self.len {
            let kept = len.div_ceil(CHUNK);
            drop(self.chunks.split_off(&kept));
            if !len.is_multiple_of(CHUNK)
                && let Some(last) = self.chunks.get_mut(&(len / CHUNK))
            {
                last[(len % CHUNK) as usize..].fill(0);
            }
        }
        self.len = len;
    }
}

#[cfg(all(test, not(any(tenterhook_loom, tenterhook_shuttle))))]
mod tests {
    use super::*;

    fn content(file: &Sparse) -> Vec<u8> {
        let mut bytes = vec![7; file.len() as usize + 3];
        let read = file.read(0, &mut bytes) as usize;
        assert_eq!(bytes.split_off(read), [7; 3], "nothing beyond the end is touched");
        bytes
    }

    #[test]
    fn random_writes_and_cuts_leave_what_a_vector_of_bytes_has() {
        let mut numbers = (1_u64..).map(|n| n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 33);
        let (mut file, mut model) = (Sparse::default(), Vec::new());
        for round in 0..300_u32 {
            let (at, len) = (numbers.next().unwrap() % (3 * CHUNK), numbers.next().unwrap() % (CHUNK + 99));
            if round % 7 == 0 {
                file.truncate(at);
                model.resize(at as usize, 0);
            } else {
                let bytes = vec![round as u8; len as usize];
                file.write(at, &bytes).unwrap();
                if len > 0 {
                    model.resize(model.len().max((at + len) as usize), 0);
                    model[at as usize..(at + len) as usize].copy_from_slice(&bytes);
                }
            }
            assert_eq!(content(&file), model, "round {round}");
        }
    }

    #[test]
    fn byte_far_out_costs_one_chunk() {
        let mut file = Sparse::default();
        file.write(1 << 62, &[1]).unwrap();
        assert_eq!((file.len(), file.chunks.len()), ((1 << 62) + 1, 1));
        let mut bytes = [7; 4];
        assert_eq!(file.read((1 << 62) - 3, &mut bytes), 4);
        assert_eq!(bytes, [0, 0, 0, 1]);
    }
}
