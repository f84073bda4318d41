//! The bytes of a file at one moment.

/// Bytes that grow with zeroes when written past their end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Image {
    bytes: Vec<u8>,
}

impl Image {
    pub(super) fn len(&self) -> u64 {
        self.bytes.len() as u64
    }

    /// Copies what is at `offset` into `target`; returns how much of it there was.
    pub(super) fn read(&self, offset: u64, target: &mut [u8]) -> usize {
        let start = usize::try_from(offset).map_or(self.bytes.len(), |start| start.min(self.bytes.len()));
        let length = target.len().min(self.bytes.len() - start);
        target[..length].copy_from_slice(&self.bytes[start..start + length]);
        length
    }

    /// Whether `expected` is what is at `offset`.
    pub(super) fn holds(&self, offset: u64, expected: &[u8]) -> bool {
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        let end = start.saturating_add(expected.len());
        self.bytes.get(start..end) == Some(expected)
    }

    /// Puts `source` at `offset`.
    pub(super) fn write(&mut self, offset: u64, source: &[u8]) {
        if source.is_empty() {
            return;
        }
        let start = usize::try_from(offset).expect("a simulated file fits into memory");
        let end = start + source.len();
        if end > self.bytes.len() {
            self.bytes.resize(end, 0);
        }
        self.bytes[start..end].copy_from_slice(source);
    }

    /// Cuts or extends to `len` bytes.
    pub(super) fn truncate(&mut self, len: u64) {
        self.bytes.resize(usize::try_from(len).expect("a simulated file fits into memory"), 0);
    }

    #[cfg(test)]
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}
