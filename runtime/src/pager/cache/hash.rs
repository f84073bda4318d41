//! A hasher that is the same in every run.

use std::hash::{BuildHasherDefault, Hasher};

/// For maps with [`Key`](super::Key)s or page numbers: no random state, so that nothing differs between two runs.
pub(super) type FixedState = BuildHasherDefault<Mix>;

/// One multiplication and one fold for a key that is one word. Not for keys that an attacker chooses; a file can't
/// choose page numbers beyond its own length.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Mix(u64);

impl Hasher for Mix {
    #[inline]
    fn write_u64(&mut self, word: u64) {
        let product = (u128::from(word ^ self.0)) * 0x9E37_79B9_7F4A_7C15;
        self.0 = (product >> 64) as u64 ^ product as u64;
    }

    #[inline]
    fn write_u32(&mut self, word: u32) {
        self.write_u64(u64::from(word));
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    #[inline]
    fn finish(&self) -> u64 {
        self.0
    }
}
