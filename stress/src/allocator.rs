//! The allocator of the program `tenterhook` and of its benchmark.
//!
//! A run allocates pages, aligned ones among them, all the time, and every core runs a seed of its own. The system's
//! allocator searches and splits for each aligned page; mimalloc has them in lists of each thread. Who uses this crate as a
//! library keeps the allocator that he has.
//!
//! A build for the sanitizers (`--cfg tenterhook_unpooled`) has the system's: they know what it does with memory, and mimalloc is C that
//! they don't see.

#[cfg(not(tenterhook_unpooled))]
pub use mimalloc::MiMalloc as Allocator;
#[cfg(tenterhook_unpooled)]
pub use std::alloc::System as Allocator;

/// `mi_option_purge_delay` of `mimalloc.h`, whose options keep their numbers.
const PURGE_DELAY: libmimalloc_sys::mi_option_t = 15;

/// Memory that a run has freed is not given back to the system: the next run takes it, without a page fault for each page.
///
/// Without effect where [`Allocator`] is not the global one.
pub fn keep_freed_pages() {
    // SAFETY: sets a number by which mimalloc tunes itself, for which every value is legal; -1 is "never".
    unsafe { libmimalloc_sys::mi_option_set(PURGE_DELAY, -1) };
}
