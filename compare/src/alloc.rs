//! The counting allocator: the system's, plus a note of how often and how much.
//!
//! It is in the path of every contender all the time. To be cheap and the same for all, it counts without locked
//! instructions: each thread adds to a line of its own with a plain load and store, and readers add the lines up. That
//! costs about a nanosecond a call, and times are measured in another pass than allocations.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::Ordering::Relaxed;

use crate::sync::{AtomicU64, AtomicUsize};

/// Threads with a line of their own. This program has a handful; the last line is shared by any beyond.
const LINES: usize = 64;

/// What one thread has allocated since it began. A cache line of its own, so that threads don't slow each other down.
#[repr(align(64))]
struct Line {
    allocations: AtomicU64,
    allocated: AtomicU64,
    freed: AtomicU64,
}

static COUNTS: [Line; LINES] = [const {
    Line { allocations: AtomicU64::new(0), allocated: AtomicU64::new(0), freed: AtomicU64::new(0) }
}; LINES];

static NEXT_LINE: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    /// This thread's line plus one; 0 before its first allocation. Without a destructor, so that it can be used to
    /// the thread's very end.
    static LINE: Cell<usize> = const { Cell::new(0) };
}

/// Install with `#[global_allocator]`.
pub(crate) struct Counting;

/// What the process had allocated at some moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Snapshot {
    /// Calls of `alloc`, `alloc_zeroed` and `realloc`.
    pub(crate) allocations: u64,
    /// Bytes asked for; a `realloc` asks for its whole new size.
    pub(crate) allocated: u64,
    /// Bytes given back.
    pub(crate) freed: u64,
}

impl Snapshot {
    /// The sum over all threads. Exact while the other threads are at rest.
    pub(crate) fn take() -> Self {
        COUNTS.iter().fold(Self::default(), |sum, line| Self {
            allocations: sum.allocations + line.allocations.load(Relaxed),
            allocated: sum.allocated + line.allocated.load(Relaxed),
            freed: sum.freed + line.freed.load(Relaxed),
        })
    }

    /// Bytes in use.
    pub(crate) fn alive(&self) -> u64 {
        self.allocated.wrapping_sub(self.freed)
    }
}

#[inline]
fn count(allocations: u64, allocated: usize, freed: usize) {
    let index = LINE.get();
    if index == 0 || index >= LINES {
        return count_slowly(allocations, allocated, freed);
    }
    let line = &COUNTS[index - 1];
    // A plain addition: the line has one writer.
    line.allocations.store(line.allocations.load(Relaxed) + allocations, Relaxed);
    line.allocated.store(line.allocated.load(Relaxed) + allocated as u64, Relaxed);
    line.freed.store(line.freed.load(Relaxed) + freed as u64, Relaxed);
}

/// A thread's first call, and every call of a thread that found all lines taken.
#[cold]
fn count_slowly(allocations: u64, allocated: usize, freed: usize) {
    if LINE.get() == 0 {
        let index = NEXT_LINE.fetch_add(1, Relaxed);
        LINE.set(index.min(LINES - 1) + 1);
    }
    let line = &COUNTS[LINE.get() - 1];
    line.allocations.fetch_add(allocations, Relaxed);
    line.allocated.fetch_add(allocated as u64, Relaxed);
    line.freed.fetch_add(freed as u64, Relaxed);
}

// SAFETY: every call is passed on unchanged to the system's allocator, which keeps the contract; counting neither
// allocates nor unwinds.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(1, layout.size(), 0);
        // SAFETY: passed on under the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(1, layout.size(), 0);
        // SAFETY: passed on under the caller's promise.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(0, 0, layout.size());
        // SAFETY: passed on under the caller's promise.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        count(1, new_size, layout.size());
        // SAFETY: passed on under the caller's promise.
        unsafe { System.realloc(pointer, layout, new_size) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_box_is_counted_once_and_given_back() {
        // Other tests allocate at the same time, so this asks for more than they do together.
        const SIZE: usize = 1 << 30;
        let before = Snapshot::take();
        let block: Vec<u8> = Vec::with_capacity(SIZE);
        let during = Snapshot::take();
        drop(std::hint::black_box(block));
        let after = Snapshot::take();
        assert!(during.allocations > before.allocations);
        assert!(during.alive() >= before.alive() + SIZE as u64 / 2);
        assert!(after.alive() < before.alive() + SIZE as u64 / 2);
    }
}
