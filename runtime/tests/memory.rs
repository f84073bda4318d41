//! What the runtime allocates, and that it gives all of it back.
//!
//! Counted thread by thread: the test harness allocates whenever it likes.

mod support;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::AtomicIsize;
use std::sync::atomic::Ordering::Relaxed;

use support::{Counter, pair, poll};
use tenterhook_runtime::{Completion, CompletionGroup};

struct Counting;

/// Live bytes of the one thread that says so: outlives it.
static OUTLIVING: AtomicIsize = AtomicIsize::new(0);

thread_local! {
    // None needs an initializer or a destructor to run, so an allocator may touch them at any time.
    static LIVE: Cell<isize> = const { Cell::new(0) };
    static OUTLIVED: Cell<bool> = const { Cell::new(false) };
    static CALLS: Cell<usize> = const { Cell::new(0) };
    static BYTES: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: hands everything to the system's allocator and counts.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size().cast_signed());
        CALLS.set(CALLS.get() + 1);
        BYTES.set(BYTES.get() + layout.size());
        // SAFETY: the caller's promises are the system allocator's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, bytes: *mut u8, layout: Layout) {
        count(-layout.size().cast_signed());
        // SAFETY: as above.
        unsafe { System.dealloc(bytes, layout) }
    }
}

fn count(bytes: isize) {
    LIVE.set(LIVE.get() + bytes);
    if OUTLIVED.get() {
        OUTLIVING.fetch_add(bytes, Relaxed);
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Live bytes of this thread that `f` left behind.
fn left_behind(f: impl FnOnce()) -> isize {
    let before = LIVE.get();
    f();
    LIVE.get() - before
}

/// Allocations and bytes that `f` asked for in this thread.
fn asked_for(f: impl FnOnce()) -> (usize, usize) {
    let before = (CALLS.get(), BYTES.get());
    f();
    (CALLS.get() - before.0, BYTES.get() - before.1)
}

/// A group of three: `end` says what becomes of the completers.
fn group_of_three(end: impl FnOnce(Vec<tenterhook_runtime::Completer>)) {
    let (children, completers): (Vec<_>, Vec<_>) = (0..3).map(|_| pair()).unzip();
    let mut group = CompletionGroup::new(|_| {});
    children.iter().for_each(|child| group.add(child));
    let _built = group.build();
    end(completers);
}

#[test]
fn memory_returns_to_where_it_was() {
    let captured = std::sync::Arc::new(());
    let (calls, bytes) = asked_for(|| {
        let (completion, completer) = Completion::new(move |_| drop(captured));
        let wakes = Counter::default();
        let _ = wakes;
        let _ = completer.complete(1);
        assert!(completion.finished());
    });
    assert!(calls <= 2 && bytes <= 96 + 24, "a completion is one allocation: {calls} calls, {bytes} bytes");

    // A thread keeps a few blocks for what comes next, and from then on neither more nor fewer.
    group_of_three(drop);
    let finished = left_behind(|| {
        for _ in 0..1_000_000 {
            group_of_three(|completers| {
                completers.into_iter().for_each(|c| {
                    let _ = c.complete(0);
                })
            });
        }
    });
    assert_eq!(finished, 0, "bytes left by a million finished groups");

    let abandoned = left_behind(|| (0..1_000_000).for_each(|_| group_of_three(drop)));
    assert_eq!(abandoned, 0, "bytes left by a million abandoned groups");

    let unbuilt = left_behind(|| {
        let (child, _completer) = pair();
        let mut group = CompletionGroup::new(|_| {});
        group.add(&child);
    });
    assert_eq!(unbuilt, 0, "bytes left by a group that was never built");

    let (completion, completer) = pair();
    let waker = Counter::default().waker();
    let polls = left_behind(|| {
        for _ in 0..100_000 {
            let mut first = completion.clone();
            assert!(poll(&mut first, &waker).is_pending());
            assert!(poll(&mut first, &waker).is_pending());
        }
    });
    assert_eq!(polls, 0, "one waiter after the other shares the slot that the completion brings");
    let overflowing = left_behind(|| {
        let mut first = completion.clone();
        assert!(poll(&mut first, &waker).is_pending());
        for _ in 0..100_000 {
            let mut second = completion.clone();
            assert!(poll(&mut second, &waker).is_pending());
        }
    });
    assert!(overflowing <= 64, "two at a time need one slot more, not {overflowing} bytes");
    let _ = completer.complete(0);
}

/// What a thread with `many` completions at a time keeps, and what is left of it when it has gone.
fn kept_and_left_by_a_thread(many: usize) -> (isize, isize) {
    OUTLIVING.store(0, Relaxed);
    let thread = std::thread::spawn(move || {
        OUTLIVED.set(true);
        let kept = left_behind(|| drop((0..many).map(|_| pair()).collect::<Vec<_>>()));
        let (calls, _) = asked_for(|| drop(pair()));
        assert_eq!(calls, 0, "the next completion is built in a block that is there already");
        kept
    });
    (thread.join().expect("no panic"), OUTLIVING.load(Relaxed))
}

#[test]
fn what_a_thread_keeps_is_bounded_and_goes_when_it_does() {
    // What the thread itself leaves to its joiner shows in both.
    let (kept_few, left_by_few) = kept_and_left_by_a_thread(1);
    let (kept_many, left_by_many) = kept_and_left_by_a_thread(100_000);
    assert!((kept_few + 1..=1 << 20).contains(&kept_many), "{kept_many} bytes, of a mebibyte at most");
    assert_eq!(left_by_many, left_by_few, "bytes left of a thread that has gone");
}
