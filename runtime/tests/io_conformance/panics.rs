//! Callbacks that panic, and what their panics leave for the others.

use std::panic::{AssertUnwindSafe, catch_unwind, panic_any};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

use tenterhook_runtime::io::{Buffer, File, Submission};
use tenterhook_runtime::{Completion, CompletionError};

use crate::rig::Rig;

/// A panic's payload that panics in its turn when it is dropped, a few times over.
struct Bomb(u32);

impl Drop for Bomb {
    fn drop(&mut self) {
        if self.0 > 0 {
            panic_any(Bomb(self.0 - 1));
        }
    }
}

/// Runs `body` without the reports of panics that are made on purpose.
fn quietly(body: impl FnOnce()) {
    std::panic::set_hook(Box::new(|_| {}));
    let result = catch_unwind(AssertUnwindSafe(body));
    let _ = std::panic::take_hook();
    if let Err(payload) = result {
        // Its report was swallowed.
        panic!("{}", payload.downcast_ref::<String>().map_or("a panic without a text", String::as_str));
    }
}

/// Waits until `completion` has finished, whatever panics come out of the steps.
fn settle(rig: &Rig, completion: &Completion) {
    while !completion.finished() {
        if let Err(payload) = catch_unwind(AssertUnwindSafe(|| rig.wait(completion))) {
            std::mem::forget(payload);
        }
    }
}

pub(crate) fn a_callback_s_panic_is_survived(rig: &Rig) {
    quietly(|| {
        let file = rig.open("file");
        let bad = file.start(Submission::sync(|_| panic!("on purpose")));
        let good: Vec<_> = (0..10).map(|_| file.start(Submission::sync(|_| {}))).collect();
        // In a stepped backend the panic continues in the thread that steps.
        settle(rig, &bad);
        assert_eq!(bad.result(), Some(Err(CompletionError::CallbackPanicked)));
        for sync in good {
            assert_eq!(rig.wait(&sync), Ok(0));
        }
    });
}

/// Broke once: a step of the threads ended with the first panic, and the operations behind it were abandoned.
pub(crate) fn a_panic_abandons_no_neighbour(rig: &Rig) {
    quietly(|| {
        let file = rig.open("file");
        assert_eq!(rig.write(&file, 0, &[1; 8_192]), Ok(8_192));
        for round in 0..20 {
            let mut bad = Vec::new();
            let mut good = Vec::new();
            for place in 0..8_u64 {
                let read = Submission::read(place * 512, Buffer::zeroed(512), |_, _| panic!("on purpose"));
                bad.push(file.start(read));
                good.push(file.start(Submission::write(place * 512, Buffer::copy_of(&[1; 512]), |_, _| {})));
                good.push(file.start(Submission::read(place * 512, Buffer::zeroed(512), |_, _| {})));
            }
            bad.iter().chain(&good).for_each(|completion| settle(rig, completion));
            for read in &bad {
                assert_eq!(read.result(), Some(Err(CompletionError::CallbackPanicked)), "round {round}");
            }
            for operation in &good {
                assert_eq!(operation.result(), Some(Ok(512)), "round {round}");
            }
        }
    });
}

/// Broke once: the payload was dropped where it had been caught, and the thread of the backend ended with it.
pub(crate) fn a_payload_whose_drop_panics_is_survived(rig: &Rig) {
    quietly(|| {
        let file = rig.open("file");
        for _ in 0..10 {
            let bad: Vec<_> = (0..8).map(|_| file.start(Submission::sync(|_| panic_any(Bomb(2))))).collect();
            let good: Vec<_> = (0..8).map(|_| file.start(Submission::sync(|_| {}))).collect();
            bad.iter().chain(&good).for_each(|completion| settle(rig, completion));
            assert!(bad.iter().all(|sync| sync.result() == Some(Err(CompletionError::CallbackPanicked))));
            assert!(good.iter().all(|sync| sync.result() == Some(Ok(0))));
        }
    });
}

/// Broke once: the drop of the backend ended with the first panic. The threads were neither told nor joined, and operations
/// stayed pending.
pub(crate) fn backend_dropped_among_panicking_callbacks(rig: &Rig) {
    let threads = threads_of_this_process();
    quietly(|| {
        for panicking in [1, 3, 50] {
            let rig = Rig::new(rig.backend);
            let file = rig.open("file");
            let returned = Arc::new(AtomicUsize::new(0));
            let start = |file: &Arc<dyn File>, number: usize| {
                let returned = Arc::clone(&returned);
                file.start(Submission::write(0, Buffer::zeroed(1 << 16), move |_, _| {
                    returned.fetch_add(1, SeqCst);
                    if number.is_multiple_of(50 / panicking) {
                        panic_any(Bomb(1));
                    }
                }))
            };
            let writes: Vec<_> = (0..50).map(|number| start(&file, number)).collect();
            if rig.backend.name() == "uring-stepped" {
                // Some are with the kernel now.
                let _ = catch_unwind(AssertUnwindSafe(|| rig.step())).map_err(std::mem::forget);
            }
            let folder = catch_unwind(AssertUnwindSafe(|| rig.drop_io())).map_err(std::mem::forget);
            drop(folder);
            let ended = writes.iter().filter(|write| write.finished()).count();
            assert_eq!((ended, returned.load(SeqCst)), (50, 50), "{panicking} of 50 panic");
            assert!(falls_to(threads), "{panicking} of 50 panic");
        }
    });
}

/// How many threads this process has started: all but the kernel's own, which serve io_uring.
fn threads_of_this_process() -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").expect("Linux");
    let names = tasks.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("comm")).ok());
    names.filter(|name| !name.starts_with("iou-")).count()
}

/// Whether so many threads are left. A thread that was joined is listed for a moment longer.
fn falls_to(threads: usize) -> bool {
    let deadline = Instant::now() + Duration::from_secs(30);
    while threads_of_this_process() > threads && Instant::now() < deadline {
        std::thread::yield_now();
    }
    threads_of_this_process() == threads
}

/// A callback that submits again what was refused does so step by step, or ends in a panic that says so, and does not use up
/// the stack.
pub(crate) fn a_callback_resubmits_what_was_refused(rig: &Rig) {
    fn again(file: Arc<dyn File>, left: Arc<AtomicUsize>) -> (Completion, Submission) {
        Submission::write(u64::MAX, Buffer::zeroed(1), move |_, _| {
            if left.fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1)).is_ok() {
                let next = again(Arc::clone(&file), left);
                file.submit(next.1);
            }
        })
    }
    quietly(|| {
        let file = rig.open("file");
        let left = Arc::new(AtomicUsize::new(100_000));
        let (completion, submission) = again(Arc::clone(&file), Arc::clone(&left));
        let _ = catch_unwind(AssertUnwindSafe(|| file.submit(submission)));
        settle(rig, &completion);
        left.store(0, SeqCst);
        assert_eq!(rig.write(&file, 0, b"weft"), Ok(4));
    });
}

/// A callback that submits again whatever the outcome ends in a panic that says so, and not in an overflow of the stack.
pub(crate) fn a_callback_resubmits_to_a_backend_that_is_gone(rig: &Rig) {
    fn again(file: Arc<dyn File>, calls: Arc<AtomicUsize>) -> (Completion, Submission) {
        Submission::sync(move |_| {
            calls.fetch_add(1, SeqCst);
            let next = again(Arc::clone(&file), calls);
            file.submit(next.1);
        })
    }
    quietly(|| {
        let rig = Rig::new(rig.backend);
        let file = rig.open("file");
        let calls = Arc::new(AtomicUsize::new(0));
        let folder = rig.drop_io();
        let (completion, submission) = again(Arc::clone(&file), Arc::clone(&calls));
        let panic = catch_unwind(AssertUnwindSafe(|| file.submit(submission))).expect_err("a clear panic");
        let message = panic.downcast_ref::<String>().expect("with a text");
        assert!(message.contains("must not submit again after `Abandoned`"), "{message}");
        assert_eq!(completion.result(), Some(Err(CompletionError::CallbackPanicked)));
        assert!(calls.load(SeqCst) > 50);
        drop(folder);
    });
}
