//! Owned bytes, aligned for pages.

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;

/// Owned, zeroed, aligned bytes of a fixed length.
///
/// Aligned to 4,096 bytes from that length on, to 512 from that length on, else to 64: what direct I/O asks for, and
/// what keeps a copy from straddling cache lines.
pub struct Buffer {
    bytes: NonNull<u8>,
    len: usize,
}

// SAFETY: owns its bytes like a box.
unsafe impl Send for Buffer {}
// SAFETY: shared access only reads.
unsafe impl Sync for Buffer {}

impl Buffer {
    /// `len` zero bytes.
    ///
    /// # Panics
    ///
    /// When `len` is within a page of `isize::MAX`, beyond what can be allocated.
    #[must_use]
    pub fn zeroed(len: usize) -> Self {
        if len == 0 {
            return Self { bytes: NonNull::dangling(), len };
        }
        let layout = Self::layout(len);
        // SAFETY: the layout has a length above 0.
        let bytes = unsafe { alloc_zeroed(layout) };
        let Some(bytes) = NonNull::new(bytes) else { handle_alloc_error(layout) };
        Self { bytes, len }
    }

    /// A copy of `bytes`.
    #[must_use]
    pub fn copy_of(bytes: &[u8]) -> Self {
        let mut buffer = Self::zeroed(bytes.len());
        buffer.copy_from_slice(bytes);
        buffer
    }

    fn layout(len: usize) -> Layout {
        let align = match len {
            4096.. => 4096,
            512.. => 512,
            _ => 64,
        };
        Layout::from_size_align(len, align).expect("a buffer's length is far below isize::MAX")
    }
}

impl Default for Buffer {
    /// No bytes, no allocation.
    fn default() -> Self {
        Self::zeroed(0)
    }
}

impl Deref for Buffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: `len` initialised bytes that we own (dangling, and aligned for bytes, when there are none).
        unsafe { std::slice::from_raw_parts(self.bytes.as_ptr(), self.len) }
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `deref`, and `&mut self` makes us alone.
        unsafe { std::slice::from_raw_parts_mut(self.bytes.as_ptr(), self.len) }
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        if self.len > 0 {
            // SAFETY: allocated with the same layout, freed once.
            unsafe { dealloc(self.bytes.as_ptr(), Self::layout(self.len)) };
        }
    }
}

impl fmt::Debug for Buffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Buffer({} bytes)", self.len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_zeroed_and_aligned_to_their_kind() {
        for (len, align) in [(1, 64), (512, 512), (4095, 512), (4096, 4096), (65_536, 4096)] {
            let buffer = Buffer::zeroed(len);
            assert_eq!(buffer.as_ptr().addr() % align, 0, "{len} bytes");
            assert!(buffer.iter().all(|byte| *byte == 0));
            assert_eq!(buffer.len(), len);
        }
    }

    #[test]
    fn empty_buffer_is_an_empty_slice() {
        assert_eq!(&*Buffer::default(), &[] as &[u8]);
    }
}
