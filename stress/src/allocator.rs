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

/// Options of `mimalloc.h`, which keep their numbers, and what they are set to.
///
/// Unused memory goes back to the system after ten seconds. A seed takes less than one, so the next seed has its pages without a fault for
/// each: a campaign is as fast as with "never". With "never" a mixed job of two hours grew to 1.5 GiB, the sum of its worst moments. Each
/// free puts the moment off by a millisecond unless the extension is 0, and a run frees more than one in each.
const PURGE: [(libmimalloc_sys::mi_option_t, std::ffi::c_long); 2] =
    [(PURGE_DELAY, 10_000), (PURGE_EXTEND_DELAY, 0)];
const PURGE_DELAY: libmimalloc_sys::mi_option_t = 15;
const PURGE_EXTEND_DELAY: libmimalloc_sys::mi_option_t = 25;

/// Memory that a run has freed is kept for the next one for ten seconds, without a page fault for each page.
///
/// Without effect where [`Allocator`] is not the global one.
pub fn keep_freed_pages() {
    for (option, value) in PURGE {
        // SAFETY: sets a number by which mimalloc tunes itself, for which every value is legal.
        unsafe { libmimalloc_sys::mi_option_set(option, value) };
    }
}
