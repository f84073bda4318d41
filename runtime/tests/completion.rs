//! What one completion promises, where one thread is enough to see it. The races are the loom models' business.
#![allow(clippy::disallowed_types, reason = "tests observe from outside the facade")]

mod support;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use support::{Counter, pair, poll};
use tenterhook_runtime::{Completion, CompletionError};

#[test]
fn completed_operation_reports_its_value_everywhere() {
    let (completion, completer) = pair();
    assert!(!completion.finished() && !completion.succeeded() && !completion.failed());
    assert_eq!((completion.result(), completion.get_error()), (None, None));
    assert!(completer.complete(512));
    assert!(completion.finished() && completion.succeeded() && !completion.failed());
    assert_eq!((completion.result(), completion.get_error()), (Some(Ok(512)), None));
    assert_eq!(completion.wait(), Ok(512));
    assert_eq!(completion.wait_timeout(Duration::ZERO), Some(Ok(512)));
}

#[test]
fn failed_operation_reports_its_error_everywhere() {
    let (completion, completer) = pair();
    let error = CompletionError::ShortRead { expected: 4096, actual: 100 };
    assert!(completer.fail(error));
    assert!(completion.finished() && !completion.succeeded() && completion.failed());
    assert_eq!((completion.result(), completion.get_error()), (Some(Err(error)), Some(error)));
}

#[test]
fn dropped_completer_abandons_its_operation() {
    let (completion, completer) = pair();
    drop(completer);
    assert_eq!(completion.result(), Some(Err(CompletionError::Abandoned)));
}

#[test]
fn cancel_before_start_ends_at_once_and_beats_the_completer() {
    let calls = Counter::default();
    let counted = calls.clone();
    let (completion, completer) = Completion::new(move |outcome| {
        assert_eq!(outcome, Err(CompletionError::Cancelled));
        counted.bump();
    });
    completion.cancel();
    assert_eq!(completion.result(), Some(Err(CompletionError::Cancelled)));
    assert!(!completer.complete(1), "the cancel came first");
    completion.cancel();
    assert_eq!(calls.get(), 1);
}

#[test]
fn cancel_after_start_is_a_request() {
    let (completion, mut completer) = pair();
    assert!(completer.start());
    assert!(!completer.cancel_requested());
    completion.cancel();
    assert!(!completion.finished());
    assert!(completer.cancel_requested());
    assert!(completer.complete(9), "the real outcome stands");
    assert_eq!(completion.result(), Some(Ok(9)));
}

#[test]
fn cancel_after_the_end_changes_nothing() {
    let (completion, completer) = pair();
    let _ = completer.complete(3);
    completion.cancel();
    assert_eq!(completion.result(), Some(Ok(3)));
}

#[test]
fn completion_is_pending_inside_its_own_callback() {
    let own = Arc::new(Mutex::new(None::<Completion>));
    let seen = Arc::clone(&own);
    let (completion, completer) = Completion::new(move |_| {
        let own = seen.lock().unwrap().take().unwrap();
        assert!(!own.finished());
        own.cancel();
    });
    *own.lock().unwrap() = Some(completion.clone());
    let _ = completer.complete(1);
    assert_eq!(completion.result(), Some(Ok(1)));
}

#[test]
fn panicking_callback_leaves_a_finished_completion_and_told_waiters() {
    let (completion, completer) = Completion::new(|_| panic!("on purpose"));
    let wakes = Counter::default();
    let mut waiter = completion.clone();
    assert!(poll(&mut waiter, &wakes.waker()).is_pending());
    let panic = catch_unwind(AssertUnwindSafe(|| completer.complete(1))).expect_err("the panic continues");
    assert_eq!(panic.downcast_ref(), Some(&"on purpose"));
    assert_eq!(completion.result(), Some(Err(CompletionError::CallbackPanicked)));
    assert_eq!(wakes.get(), 1);
}

#[test]
fn completer_dropped_by_a_panic_does_not_abort_when_its_callback_panics_too() {
    let (completion, completer) = Completion::new(|_| panic!("second"));
    let panic = catch_unwind(AssertUnwindSafe(move || {
        let _completer = completer;
        panic!("first");
    }))
    .expect_err("the first panic");
    assert_eq!(panic.downcast_ref(), Some(&"first"));
    assert_eq!(completion.result(), Some(Err(CompletionError::CallbackPanicked)));
}

#[test]
fn waiting_inside_the_own_callback_panics_at_the_callers_line() {
    let own = Arc::new(Mutex::new(None::<Completion>));
    let seen = Arc::clone(&own);
    let (completion, completer) = Completion::new(move |_| {
        let own = seen.lock().unwrap().take().unwrap();
        let _ = own.wait();
    });
    *own.lock().unwrap() = Some(completion.clone());
    let place = Arc::new(Mutex::new(String::new()));
    let noted = Arc::clone(&place);
    std::panic::set_hook(Box::new(move |info| {
        *noted.lock().unwrap() = info.location().unwrap().file().into();
    }));
    let panic = catch_unwind(AssertUnwindSafe(|| completer.complete(1)));
    drop(std::panic::take_hook());
    assert!(panic.is_err());
    assert!(place.lock().unwrap().ends_with("completion.rs"), "the caller's file, not the runtime's");
    assert_eq!(completion.result(), Some(Err(CompletionError::CallbackPanicked)));
}

#[test]
fn every_waiter_is_woken_once_with_its_newest_waker() {
    let (completion, completer) = pair();
    let (old, new) = (Counter::default(), Counter::default());
    let mut waiters: Vec<_> = (0..50).map(|_| completion.clone()).collect();
    for waiter in &mut waiters {
        assert!(poll(waiter, &old.waker()).is_pending());
        assert!(poll(waiter, &new.waker()).is_pending());
    }
    waiters.truncate(40);
    let _ = completer.complete(0);
    assert_eq!((old.get(), new.get()), (0, 40), "replaced wakers and dropped waiters are not called");
}

#[test]
fn wait_blocks_until_another_thread_completes() {
    let (completion, completer) = pair();
    let waiting = completion.clone();
    let waiter = std::thread::spawn(move || waiting.wait());
    let _ = completer.complete(11);
    assert_eq!(waiter.join().unwrap(), Ok(11));
}

#[test]
fn wait_timeout_gives_up_and_leaves_no_waiter() {
    let (completion, completer) = pair();
    assert_eq!(completion.wait_timeout(Duration::from_millis(1)), None);
    let _ = completer.complete(1);
    assert_eq!(completion.wait_timeout(Duration::MAX), Some(Ok(1)));
}

/// A waker whose clone panics while it is told to.
mod touchy {
    use std::cell::Cell;
    use std::task::{RawWaker, RawWakerVTable, Waker};

    thread_local! {
        pub(crate) static PANICS: Cell<bool> = const { Cell::new(false) };
    }
    static VTABLE: RawWakerVTable = RawWakerVTable::new(clone, |_| {}, |_| {}, |_| {});

    fn clone(data: *const ()) -> RawWaker {
        assert!(!PANICS.get(), "on purpose");
        RawWaker::new(data, &VTABLE)
    }

    /// Wakers with different `data` do not take each other for the same.
    pub(crate) fn waker(data: usize) -> Waker {
        // SAFETY: the table ignores its data.
        unsafe { Waker::from_raw(RawWaker::new(std::ptr::without_provenance(data), &VTABLE)) }
    }
}

/// Broke once: the slot stayed half updated, and the next poll took that for the end.
#[test]
fn panicking_waker_clone_leaves_the_waiter_registered_and_the_completion_pending() {
    let (completion, completer) = pair();
    let mut waiter = completion.clone();
    let wakes = Counter::default();
    assert!(poll(&mut waiter, &wakes.waker()).is_pending());
    touchy::PANICS.set(true);
    let panicked = catch_unwind(AssertUnwindSafe(|| poll(&mut waiter, &touchy::waker(1))));
    touchy::PANICS.set(false);
    assert!(panicked.is_err());
    let _ = completer.complete(1);
    assert_eq!(wakes.get(), 1, "the waker that was registered before is still the one");
}

#[test]
fn poll_after_a_panicking_waker_clone_is_pending() {
    let (completion, _completer) = pair();
    let mut waiter = completion.clone();
    assert!(poll(&mut waiter, &touchy::waker(1)).is_pending());
    let panicked = {
        let other = touchy::waker(2);
        touchy::PANICS.set(true);
        let panicked = catch_unwind(AssertUnwindSafe(|| poll(&mut waiter, &other)));
        touchy::PANICS.set(false);
        panicked
    };
    assert!(panicked.is_err());
    assert!(poll(&mut waiter, &touchy::waker(3)).is_pending());
}

#[test]
fn starting_twice_is_not_a_cancel() {
    let (completion, mut completer) = pair();
    assert!(completer.start() && completer.start());
    completion.cancel();
    assert!(completer.start());
    let _ = completer.complete(1);
    assert_eq!(completion.result(), Some(Ok(1)));
}

/// A panic payload whose own drop panics.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("dropped a bomb");
    }
}

/// Broke once: the second payload was dropped while its group was half done.
#[test]
fn second_panic_payload_is_not_dropped_among_the_parents() {
    let (child, completer) = pair();
    let groups = [(); 3].map(|()| {
        let mut group = tenterhook_runtime::CompletionGroup::new(|_| std::panic::panic_any(Bomb));
        group.add(&child);
        group.build()
    });
    let payload =
        catch_unwind(AssertUnwindSafe(|| completer.complete(1))).expect_err("the first panic continues");
    assert!(payload.is::<Bomb>());
    std::mem::forget(payload);
    assert!(groups.iter().all(|group| group.get_error() == Some(CompletionError::CallbackPanicked)));
}
