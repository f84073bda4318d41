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

/// So many milliseconds pass before unused memory goes back to the system.
///
/// A seed ends sooner, so the next one has its pages without a page fault for each. A campaign is as fast as with "never", and 3 to 4 %
/// faster than with 1,000. With "never" a mixed job of two hours grew to 1.5 GiB, the sum of its worst moments.
const UNUSED_FOR: std::ffi::c_long = 10_000;

/// Memory that a run has freed is kept for the next one for ten seconds, without a page fault for each page.
///
/// Without effect where [`Allocator`] is not the global one.
pub fn keep_freed_pages() {
    // SAFETY: sets a number by which mimalloc tunes itself, for which every value is legal.
    unsafe { libmimalloc_sys::mi_option_set(PURGE_DELAY, UNUSED_FOR) };
}
