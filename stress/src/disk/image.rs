//! The bytes of a file at one moment.

use std::sync::Arc;

/// Bytes that two images share until one of them changes some. Small enough that a page written after a power loss copies
/// little, large enough that an image has few.
const CHUNK: usize = 16 << 10;

/// Bytes that grow with zeroes when written past their end.
///
/// A clone costs a count for each chunk, so that what the disk has after a power loss is copied only where it is then
/// written: with thousands of commits in flight, whole copies of the log were a good part of a run.
#[derive(Clone, Debug, Default)]
pub(super) struct Image {
    /// What is beyond the last one is zeroes, and so is what the last one has beyond the length.
    chunks: Vec<Arc<[u8; CHUNK]>>,
    len: usize,
}

impl Image {
    pub(super) fn len(&self) -> u64 {
        self.len as u64
    }

    /// Copies what is at `offset` into `target`; returns how much of it there was.
    pub(super) fn read(&self, offset: u64, target: &mut [u8]) -> usize {
        let start = usize::try_from(offset).map_or(self.len, |start| start.min(self.len));
        let length = target.len().min(self.len - start);
        let mut rest = &mut target[..length];
        for (index, from, count) in pieces(start, length) {
            let (piece, later) = rest.split_at_mut(count);
            match self.chunks.get(index) {
                Some(chunk) => piece.copy_from_slice(&chunk[from..from + count]),
                None => piece.fill(0),
            }
            rest = later;
        }
        length
    }

    /// Whether `expected` is what is at `offset`.
    pub(super) fn holds(&self, offset: u64, expected: &[u8]) -> bool {
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        if start.saturating_add(expected.len()) > self.len {
            return false;
        }
        let mut rest = expected;
        pieces(start, expected.len()).all(|(index, from, count)| {
            let (piece, later) = rest.split_at(count);
            rest = later;
            match self.chunks.get(index) {
                Some(chunk) => chunk[from..from + count] == *piece,
                None => piece.iter().all(|&byte| byte == 0),
            }
        })
    }

    /// Puts `source` at `offset`.
    pub(super) fn write(&mut self, offset: u64, source: &[u8]) {
        if source.is_empty() {
            return;
        }
        let start = usize::try_from(offset).expect("a simulated file fits into memory");
        let end = start + source.len();
        self.len = self.len.max(end);
        let needed = end.div_ceil(CHUNK);
        self.chunks.reserve(needed.saturating_sub(self.chunks.len()));
        while self.chunks.len() < needed {
            self.chunks.push(Arc::new([0; CHUNK]));
        }
        let mut rest = source;
        for (index, from, count) in pieces(start, source.len()) {
            let (piece, later) = rest.split_at(count);
            Arc::make_mut(&mut self.chunks[index])[from..from + count].copy_from_slice(piece);
            rest = later;
        }
    }

    /// Cuts or extends to `len` bytes.
    pub(super) fn truncate(&mut self, len: u64) {
        let len = usize::try_from(len).expect("a simulated file fits into memory");
        if len < self.len {
            self.chunks.truncate(len.div_ceil(CHUNK));
            if let Some(chunk) = self.chunks.get_mut(len / CHUNK) {
                Arc::make_mut(chunk)[len % CHUNK..].fill(0);
            }
        }
        self.len = len;
    }

    #[cfg(test)]
    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut bytes = vec![0xdb; self.len];
        assert_eq!(self.read(0, &mut bytes), self.len);
        bytes
    }
}

/// The chunks that `length` bytes from `start` on lie in: which, from where in it, and how many bytes.
fn pieces(start: usize, length: usize) -> impl Iterator<Item = (usize, usize, usize)> {
    let (mut at, end) = (start, start + length);
    std::iter::from_fn(move || {
        let from = at % CHUNK;
        let count = (CHUNK - from).min(end - at);
        let piece = (at / CHUNK, from, count);
        at += count;
        (count > 0).then_some(piece)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng;

    /// The plain way.
    fn write(bytes: &mut Vec<u8>, offset: usize, source: &[u8]) {
        bytes.resize(bytes.len().max(offset + source.len()), 0);
        bytes[offset..offset + source.len()].copy_from_slice(source);
    }

    #[test]
    fn an_image_is_what_a_vector_would_be_and_so_are_its_clones() {
        let (mut image, mut bytes) = (Image::default(), Vec::new());
        let mut clones = Vec::new();
        for round in 0..600 {
            let draw = |position, bound| rng::below(rng::at(round, position), bound) as usize;
            // Often near the border between two chunks, where the mistakes are.
            let near = |at: usize| (draw(0, 5) * CHUNK + at).saturating_sub(20);
            match draw(1, 8) {
                0 => {
                    let len = near(draw(2, 40));
                    image.truncate(len as u64);
                    bytes.resize(len, 0);
                }
                1 => clones.push((image.clone(), bytes.clone())),
                _ => {
                    let source =
                        vec![(round % 200) as u8 + 1; draw(3, 2) * draw(4, 3 * CHUNK as u64) + draw(5, 40)];
                    let offset = near(draw(2, 40));
                    image.write(offset as u64, &source);
                    if !source.is_empty() {
                        write(&mut bytes, offset, &source);
                    }
                }
            }
            assert_eq!(image.len(), bytes.len() as u64);
            assert!(image.bytes() == bytes, "round {round}");
            let at = near(draw(6, 40));
            let expected = bytes.get(at..at + 30);
            assert_eq!(expected.is_some_and(|expected| image.holds(at as u64, expected)), expected.is_some());
            assert!(!image.holds(at as u64, &[0xee; 30]), "never written");
        }
        assert!(clones.iter().all(|(image, bytes)| image.bytes() == *bytes), "a clone changed");
        assert!(clones.len() > 20);
    }

    #[test]
    fn a_read_past_the_end_takes_what_there_is() {
        let mut image = Image::default();
        image.write(0, &[7; 100]);
        image.truncate(CHUNK as u64 + 10);
        let mut target = [1; 40];
        assert_eq!(image.read(CHUNK as u64 - 10, &mut target), 20);
        assert_eq!(target[..21], [&[0; 20][..], &[1]].concat());
        assert_eq!((image.read(CHUNK as u64 + 10, &mut target), image.read(u64::MAX, &mut target)), (0, 0));
    }
}
