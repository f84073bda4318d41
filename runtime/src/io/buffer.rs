//! Owned bytes, aligned for pages.

use std::alloc::{Layout, alloc, alloc_zeroed, dealloc, handle_alloc_error};
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
        // SAFETY: called with a layout that has a length above 0, and the bytes it gives are initialised.
        unsafe { Self::allocate(len, |layout| alloc_zeroed(layout)) }
    }

    /// A copy of `bytes`.
    #[must_use]
    pub fn copy_of(bytes: &[u8]) -> Self {
        // SAFETY: called with a layout that has a length above 0, that of `bytes`; what it gives is new, so the two don't
        // overlap, and all of it is initialised unless it is null.
        unsafe {
            Self::allocate(bytes.len(), |layout| {
                let copy = alloc(layout);
                if !copy.is_null() {
                    copy.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len());
                }
                copy
            })
        }
    }

    /// The same; `None` when no more memory can be had.
    pub(super) fn try_zeroed(len: usize) -> Option<Self> {
        // SAFETY: as in `zeroed`.
        unsafe { Self::try_allocate(len, |layout| alloc_zeroed(layout)) }
    }

    /// # Safety
    ///
    /// `allocate` gives null or `len` initialised bytes, allocated with the layout that it is called with. It is not called for
    /// a length of 0.
    unsafe fn allocate(len: usize, allocate: impl FnOnce(Layout) -> *mut u8) -> Self {
        // SAFETY: the caller's.
        unsafe { Self::try_allocate(len, allocate) }.unwrap_or_else(|| handle_alloc_error(Self::layout(len)))
    }

    /// # Safety
    ///
    /// As for `allocate`.
    unsafe fn try_allocate(len: usize, allocate: impl FnOnce(Layout) -> *mut u8) -> Option<Self> {
        if len == 0 {
            return Some(Self { bytes: NonNull::dangling(), len });
        }
        NonNull::new(allocate(Self::layout(len))).map(|bytes| Self { bytes, len })
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

    #[inline]
    fn deref(&self) -> &[u8] {
        // SAFETY: `len` initialised bytes that we own (dangling, and aligned for bytes, when there are none).
        unsafe { std::slice::from_raw_parts(self.bytes.as_ptr(), self.len) }
    }
}

impl DerefMut for Buffer {
    #[inline]
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
