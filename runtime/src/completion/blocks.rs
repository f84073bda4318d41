//! Memory for nodes and their links. A thread keeps a bounded number of the blocks that it has freed, and builds what
//! comes next in them.
//!
//! A completion lives for one operation, and an engine has thousands under way: an allocator's fast path for a handful of
//! blocks is soon left, and its slow path costs more than all that a completion does. Blocks are kept by size in steps of
//! [`STEP`] bytes, at most a mebibyte together; what is beyond goes to the allocator, as does everything when the
//! thread ends. A thread that only ever ends what others began so gives memory back, but for that.
//!
//! Only memory is kept: what was in a node is dropped when the node is. Under `--cfg tenterhook_unpooled` every block
//! comes from the allocator and goes there, so that AddressSanitizer sees the end of each; so it is under the model
//! checkers.

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::ptr::NonNull;

/// Block sizes are multiples of this.
const STEP: usize = 16;
/// The alignment of every block that is kept.
const ALIGN: usize = 16;
/// How many sizes are kept: blocks up to 512 bytes.
const SIZES: usize = 32;

/// Uninitialised memory. Where the layout is a constant, so is the choice of the shelf.
#[inline(always)]
pub(crate) fn allocate(layout: Layout) -> NonNull<u8> {
    debug_assert_ne!(layout.size(), 0, "nobody asks for nothing");
    let kept = shelf_for(layout).and_then(kept::take);
    kept.unwrap_or_else(|| {
        let layout = rounded(layout);
        // SAFETY: the size is not 0.
        NonNull::new(unsafe { alloc(layout) }).unwrap_or_else(|| handle_alloc_error(layout))
    })
}

/// Gives memory back.
///
/// # Safety
///
/// `block` came from [`allocate`] with this layout, on whatever thread. Its content has been dropped, and nobody uses it
/// any more.
#[inline(always)]
pub(crate) unsafe fn free(block: NonNull<u8>, layout: Layout) {
    // SAFETY: the caller's promise; all blocks of one shelf have one layout.
    if !shelf_for(layout).is_some_and(|shelf| unsafe { kept::put(shelf, block) }) {
        // SAFETY: allocated with this layout, and given to nobody else.
        unsafe { dealloc(block.as_ptr(), rounded(layout)) };
    }
}

/// Which shelf keeps such blocks, if any does.
#[inline(always)]
const fn shelf_for(layout: Layout) -> Option<usize> {
    if layout.size() <= STEP * SIZES && layout.align() <= ALIGN {
        Some(layout.size().div_ceil(STEP) - 1)
    } else {
        None
    }
}

const fn shelf_layout(shelf: usize) -> Layout {
    match Layout::from_size_align((shelf + 1) * STEP, ALIGN) {
        Ok(layout) => layout,
        Err(_) => panic!("a small multiple of the alignment"),
    }
}

/// What the allocator is asked for.
#[inline(always)]
const fn rounded(layout: Layout) -> Layout {
    match shelf_for(layout) {
        Some(shelf) => shelf_layout(shelf),
        None => layout,
    }
}

/// The shelves of each thread.
#[cfg(not(any(tenterhook_loom, tenterhook_shuttle, tenterhook_unpooled)))]
mod kept {
    use std::alloc::dealloc;
    use std::cell::Cell;
    use std::ptr::NonNull;

    use super::{SIZES, shelf_layout};
    use crate::sync::thread_local;

    /// How many bytes a thread keeps: about ten thousand completions.
    const KEPT: usize = 1 << 20;

    /// A block on a shelf: a link to the next.
    struct Kept {
        next: Option<NonNull<Kept>>,
    }

    /// Blocks by their size.
    struct Shelves {
        first: [Cell<Option<NonNull<Kept>>>; SIZES],
        /// Bytes of all blocks together.
        kept: Cell<usize>,
    }

    thread_local! {
        static SHELVES: Shelves = Shelves::new();
    }

    /// A block from this thread's shelf.
    #[inline]
    pub(super) fn take(shelf: usize) -> Option<NonNull<u8>> {
        // No shelves any more: this runs in a destructor at the thread's end.
        SHELVES.try_with(|shelves| shelves.take(shelf)).ok().flatten()
    }

    /// Keeps a block; false if there is no room for it.
    ///
    /// # Safety
    ///
    /// The block has the shelf's layout, and nobody uses it any more.
    #[inline]
    pub(super) unsafe fn put(shelf: usize, block: NonNull<u8>) -> bool {
        // SAFETY: the caller's promise.
        SHELVES.try_with(|shelves| unsafe { shelves.put(shelf, block.cast()) }).unwrap_or(false)
    }

    impl Shelves {
        const fn new() -> Self {
            Self { first: [const { Cell::new(None) }; SIZES], kept: Cell::new(0) }
        }

        #[inline]
        fn take(&self, shelf: usize) -> Option<NonNull<u8>> {
            let block = self.first[shelf].get()?;
            // SAFETY: `put` wrote it, and while a block is here nobody else uses it.
            self.first[shelf].set(unsafe { block.as_ref() }.next);
            self.kept.set(self.kept.get() - shelf_layout(shelf).size());
            Some(block.cast())
        }

        /// # Safety
        ///
        /// As for the function of this name.
        #[inline]
        unsafe fn put(&self, shelf: usize, block: NonNull<Kept>) -> bool {
            let kept = self.kept.get() + shelf_layout(shelf).size();
            if kept > KEPT {
                return false;
            }
            // SAFETY: the block is unused, and large and aligned enough for a link.
            unsafe { block.write(Kept { next: self.first[shelf].get() }) };
            self.first[shelf].set(Some(block));
            self.kept.set(kept);
            true
        }
    }

    impl Drop for Shelves {
        fn drop(&mut self) {
            for shelf in 0..SIZES {
                while let Some(block) = self.take(shelf) {
                    // SAFETY: all blocks of a shelf were allocated with its layout; this one has just left it.
                    unsafe { dealloc(block.as_ptr(), shelf_layout(shelf)) };
                }
            }
        }
    }
}

/// Nothing is kept.
#[cfg(any(tenterhook_loom, tenterhook_shuttle, tenterhook_unpooled))]
mod kept {
    use std::ptr::NonNull;

    pub(super) fn take(_: usize) -> Option<NonNull<u8>> {
        None
    }

    /// # Safety
    ///
    /// None; as the other one.
    pub(super) unsafe fn put(_: usize, _: NonNull<u8>) -> bool {
        false
    }
}
