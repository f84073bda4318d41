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

/// Uninitialised memory. Where the layout is a constant, so is the choice of the size class.
#[inline(always)]
pub(crate) fn allocate(layout: Layout) -> NonNull<u8> {
    debug_assert_ne!(layout.size(), 0, "a block is never empty");
    let kept = class_for(layout).and_then(kept::take);
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
/// `block` came from [`allocate`] with this layout, on whatever thread. Its content has been dropped, and it is not used
/// any more.
#[inline(always)]
pub(crate) unsafe fn free(block: NonNull<u8>, layout: Layout) {
    // SAFETY: the caller's promise; all blocks of one size class have one layout.
    if !class_for(layout).is_some_and(|class| unsafe { kept::put(class, block) }) {
        // SAFETY: allocated with this layout, and given to no other user.
        unsafe { dealloc(block.as_ptr(), rounded(layout)) };
    }
}

/// Which size class keeps such blocks, if any does.
#[inline(always)]
const fn class_for(layout: Layout) -> Option<usize> {
    if layout.size() <= STEP * SIZES && layout.align() <= ALIGN {
        Some(layout.size().div_ceil(STEP) - 1)
    } else {
        None
    }
}

const fn class_layout(class: usize) -> Layout {
    match Layout::from_size_align((class + 1) * STEP, ALIGN) {
        Ok(layout) => layout,
        Err(_) => panic!("a small multiple of the alignment"),
    }
}

/// What the allocator is asked for.
#[inline(always)]
const fn rounded(layout: Layout) -> Layout {
    match class_for(layout) {
        Some(class) => class_layout(class),
        None => layout,
    }
}

/// The size classes of each thread.
#[cfg(not(any(tenterhook_loom, tenterhook_shuttle, tenterhook_unpooled)))]
mod kept {
    use std::alloc::dealloc;
    use std::cell::Cell;
    use std::ptr::NonNull;

    use super::{SIZES, class_layout};
    use crate::sync::thread_local;

    /// How many bytes a thread keeps: about ten thousand completions.
    const KEPT: usize = 1 << 20;

    /// A block on a size class: a link to the next.
    struct Kept {
        next: Option<NonNull<Kept>>,
    }

    /// Blocks by their size.
    struct SizeClasses {
        first: [Cell<Option<NonNull<Kept>>>; SIZES],
        /// Bytes of all blocks together.
        kept: Cell<usize>,
    }

    thread_local! {
        static SIZE_CLASSES: SizeClasses = SizeClasses::new();
    }

    /// A block from this thread's size class.
    #[inline]
    pub(super) fn take(class: usize) -> Option<NonNull<u8>> {
        // No size classes any more: this runs in a destructor at the thread's end.
        SIZE_CLASSES.try_with(|classes| classes.take(class)).ok().flatten()
    }

    /// Keeps a block; false if there is no room for it.
    ///
    /// # Safety
    ///
    /// The block has the size class's layout, and it is no longer used.
    #[inline]
    pub(super) unsafe fn put(class: usize, block: NonNull<u8>) -> bool {
        // SAFETY: the caller's promise.
        SIZE_CLASSES.try_with(|classes| unsafe { classes.put(class, block.cast()) }).unwrap_or(false)
    }

    impl SizeClasses {
        const fn new() -> Self {
            Self { first: [const { Cell::new(None) }; SIZES], kept: Cell::new(0) }
        }

        #[inline]
        fn take(&self, class: usize) -> Option<NonNull<u8>> {
            let block = self.first[class].get()?;
            // SAFETY: `put` wrote it, and a block that is here has no other user.
            self.first[class].set(unsafe { block.as_ref() }.next);
            self.kept.set(self.kept.get() - class_layout(class).size());
            Some(block.cast())
        }

        /// # Safety
        ///
        /// As for the function of this name.
        #[inline]
        unsafe fn put(&self, class: usize, block: NonNull<Kept>) -> bool {
            let kept = self.kept.get() + class_layout(class).size();
            if kept > KEPT {
                return false;
            }
            // SAFETY: the block is unused, and large and aligned enough for a link.
            unsafe { block.write(Kept { next: self.first[class].get() }) };
            self.first[class].set(Some(block));
            self.kept.set(kept);
            true
        }
    }

    impl Drop for SizeClasses {
        fn drop(&mut self) {
            for class in 0..SIZES {
                while let Some(block) = self.take(class) {
                    // SAFETY: all blocks of a size class were allocated with its layout; this one has just left it.
                    unsafe { dealloc(block.as_ptr(), class_layout(class)) };
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
