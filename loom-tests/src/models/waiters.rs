//! Several waiters of one completion.

use loom::thread;
use tenterhook_runtime::Completion;

use crate::model::{EXHAUSTIVE, Model, models, preemptions};
use crate::support::{CountingWaker, Trace, poll};

pub(crate) fn models() -> Vec<Model> {
    models![
        EXHAUSTIVE => two_waiters_in_one_task_vs_complete, waiter_leaves_and_another_joins_vs_complete,
            overflow_slot_is_reused_vs_complete, waiter_moves_to_another_thread_vs_complete,
            two_threads_join_where_two_slots_are_vacant;
        preemptions(2) => two_threads_wait_vs_complete;
        preemptions(3) => two_threads_join_vs_complete, waiter_leaves_vs_waiter_joins_vs_complete;
    ]
}

/// One of the two waits in a slot that was allocated for it.
fn two_waiters_in_one_task_vs_complete() {
    let (completion, completer) = Completion::new(|_| {});
    let ender = thread::spawn(move || completer.complete(1));
    let waiters = [(); 2].map(|()| {
        let (counter, waker) = CountingWaker::new();
        let mut waiter = completion.clone();
        let pending = poll(&mut waiter, &waker).is_pending();
        (waiter, counter, pending)
    });
    ender.join().unwrap();
    for (waiter, counter, pending) in waiters {
        counter.assert_woken_if(pending);
        assert!(waiter.finished());
    }
}

fn waiter_leaves_and_another_joins_vs_complete() {
    let (completion, completer) = Completion::new(|_| {});
    let ender = thread::spawn(move || completer.complete(1));
    let mut first = completion.clone();
    let _ = poll(&mut first, &CountingWaker::new().1);
    drop(first);
    let (counter, waker) = CountingWaker::new();
    let mut second = completion.clone();
    let pending = poll(&mut second, &waker).is_pending();
    ender.join().unwrap();
    counter.assert_woken_if(pending);
}

/// The inline slot stays taken, so the second and the third waiter share an allocated one, one after the other.
fn overflow_slot_is_reused_vs_complete() {
    let (completion, completer) = Completion::new(|_| {});
    let mut first = completion.clone();
    assert!(poll(&mut first, &CountingWaker::new().1).is_pending());
    let mut second = completion.clone();
    assert!(poll(&mut second, &CountingWaker::new().1).is_pending());
    let ender = thread::spawn(move || completer.complete(1));
    drop(second);
    let (counter, waker) = CountingWaker::new();
    let mut third = completion.clone();
    let pending = poll(&mut third, &waker).is_pending();
    ender.join().unwrap();
    counter.assert_woken_if(pending);
}

/// Both find one: memory grows with the greatest number of waiters, not with how often they meet.
///
/// For a while the hint at vacant slots was taken down during the walk. A waiter that joined then allocated a slot although there
/// were vacant ones, every time. Found by review.
fn two_threads_join_where_two_slots_are_vacant() {
    let (completion, _completer) = Completion::new(|_| {});
    let waiting = || {
        let mut waiter = completion.clone();
        assert!(poll(&mut waiter, &CountingWaker::new().1).is_pending());
        waiter
    };
    let _first = waiting();
    drop([waiting(), waiting()]);
    assert_eq!(completion.waiter_slots(), 2);
    let mut other = completion.clone();
    let joining = thread::spawn(move || {
        assert!(poll(&mut other, &CountingWaker::new().1).is_pending());
        other
    });
    let own = waiting();
    let other = joining.join().unwrap();
    assert_eq!(completion.waiter_slots(), 2);
    drop((own, other));
}

/// Polled in one thread, then in another: only the second thread's waker counts.
fn waiter_moves_to_another_thread_vs_complete() {
    let (mut completion, completer) = Completion::new(|_| {});
    assert!(poll(&mut completion, &CountingWaker::new().1).is_pending());
    let mover = thread::spawn(move || {
        let (counter, waker) = CountingWaker::new();
        let pending = poll(&mut completion, &waker).is_pending();
        (completion, counter, pending)
    });
    let _ = completer.complete(1);
    let (completion, counter, pending) = mover.join().unwrap();
    counter.assert_woken_if(pending);
    assert!(completion.finished());
}

fn two_threads_wait_vs_complete() {
    let trace = Trace::new();
    let (completion, completer) = Completion::new(trace.callback());
    let waiters = [(); 2].map(|()| {
        let (completion, trace) = (completion.clone(), trace.clone());
        thread::spawn(move || {
            assert_eq!(completion.wait(), Ok(1));
            assert_eq!(trace.only(), Ok(1));
        })
    });
    let _ = completer.complete(1);
    for waiter in waiters {
        waiter.join().unwrap();
    }
}

fn two_threads_join_vs_complete() {
    let (completion, completer) = Completion::new(|_| {});
    let waiters = [(); 2].map(|()| {
        let mut waiter = completion.clone();
        thread::spawn(move || {
            let (counter, waker) = CountingWaker::new();
            let pending = poll(&mut waiter, &waker).is_pending();
            (waiter, counter, pending)
        })
    });
    let _ = completer.complete(1);
    for waiter in waiters {
        let (waiter, counter, pending) = waiter.join().unwrap();
        assert!(waiter.finished());
        counter.assert_woken_if(pending);
    }
}

/// The slot that one handle gives back is the slot that another takes.
fn waiter_leaves_vs_waiter_joins_vs_complete() {
    let (completion, completer) = Completion::new(|_| {});
    let mut leaver = completion.clone();
    assert!(poll(&mut leaver, &CountingWaker::new().1).is_pending());
    let leaving = thread::spawn(move || drop(leaver));
    let mut joiner = completion.clone();
    let joining = thread::spawn(move || {
        let (counter, waker) = CountingWaker::new();
        let pending = poll(&mut joiner, &waker).is_pending();
        (joiner, counter, pending)
    });
    let _ = completer.complete(1);
    leaving.join().unwrap();
    let (_joiner, counter, pending) = joining.join().unwrap();
    counter.assert_woken_if(pending);
}
