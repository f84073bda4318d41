//! What loom leaves out of a model, under the model's own name: preemptions beyond its bound, workers beyond its threads, and
//! the orders of a load before an exchange that its search does not show (`litmus_load_is_not_moved_behind_a_load_and_an_exchange`).

use std::convert::Infallible;
use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::task::{Context, Wake, Waker};

use shuttle::thread;
use tenterhook_runtime::executor::Executor;
use tenterhook_runtime::io::{MemoryIO, drive};
use tenterhook_runtime::pager::{BeginWrite, Pager, PagerOptions, WriteTransaction};
use tenterhook_runtime::{Completer, Completion, IOCompletions, IOResult};

use super::Model;

pub(super) fn models() -> Vec<Model> {
    macro_rules! models {
        ($($body:ident),+ $(,)?) => { vec![$(Model { name: stringify!($body), body: $body }),+] };
    }
    models![
        write_lock_granted_vs_waiter_looks,
        write_lock_granted_vs_waiter_drops,
        write_lock_taken_vs_given_up,
        slot_changes_hands_while_the_hint_is_up,
        waiter_in_a_slot_polls_with_another_waker_vs_complete,
        slot_left_during_a_walk,
        two_slots_left_during_a_walk,
        two_threads_push_slots_at_once,
        two_threads_wait_vs_complete,
        executor_wake_vs_two_workers,
        executor_blocked_step_vs_the_other_worker,
    ]
}

fn open() -> Arc<Pager> {
    let io = Arc::new(MemoryIO::new());
    let options = PagerOptions { page_size: 512, cache_pages: 4, ..PagerOptions::default() };
    let mut open = Pager::open(io.clone(), Path::new("model.db"), options);
    drive(&*io, || open.step()).expect("no fault")
}

/// The write lock, and a waiter for it that has looked once.
fn holder_and_waiter(pager: &Arc<Pager>) -> (WriteTransaction, BeginWrite) {
    let holder = pager.try_begin_write().expect("free");
    let mut waiter = pager.begin_write();
    assert!(waiter.step().expect("it waits").is_io());
    (holder, waiter)
}

/// A waiter that looks while it is granted the right has it, or is told to look again.
fn write_lock_granted_vs_waiter_looks() {
    let pager = open();
    let (holder, mut waiter) = holder_and_waiter(&pager);
    let looking = thread::spawn(move || (waiter.step(), waiter));
    drop(holder);
    let (step, mut waiter) = looking.join().unwrap();
    if step.expect("it was not cancelled").is_io() {
        assert!(matches!(waiter.step(), Ok(IOResult::Done(_))));
    }
}

/// Whichever is first, the one behind gets the right.
fn write_lock_granted_vs_waiter_drops() {
    let pager = open();
    let (holder, waiter) = holder_and_waiter(&pager);
    let mut behind = pager.begin_write();
    assert!(behind.step().expect("it waits").is_io());
    let dropping = thread::spawn(move || drop(waiter));
    drop(holder);
    dropping.join().unwrap();
    assert!(matches!(behind.step(), Ok(IOResult::Done(_))));
}

/// Two want the right while it is given up: one has it, the other gets it.
fn write_lock_taken_vs_given_up() {
    let pager = open();
    let holder = pager.try_begin_write().expect("free");
    let others = Arc::clone(&pager);
    let taking = thread::spawn(move || {
        let mut begin = others.begin_write();
        (begin.step().expect("it was not cancelled"), begin)
    });
    drop(holder);
    let (step, mut begin) = taking.join().unwrap();
    if step.is_io() {
        assert!(matches!(begin.step(), Ok(IOResult::Done(_))));
    }
}

/// Counts its wake-ups.
#[derive(Default)]
struct Woken(AtomicUsize);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, SeqCst);
    }
}

/// One more waiter, what counts its wake-ups, and whether it waits.
fn join(completion: &Completion) -> (Completion, Arc<Woken>, bool) {
    let mut waiter = completion.clone();
    let (woken, pending) = poll(&mut waiter);
    (waiter, woken, pending)
}

fn poll(waiter: &mut Completion) -> (Arc<Woken>, bool) {
    let woken = Arc::new(Woken::default());
    let waker = Waker::from(Arc::clone(&woken));
    let pending = Pin::new(waiter).poll(&mut Context::from_waker(&waker)).is_pending();
    (woken, pending)
}

/// A completion of which the first place is taken: every other waiter needs a slot.
fn crowded() -> (Completion, Completer, Completion) {
    let (completion, completer) = Completion::new(|_| {});
    let (first, _, pending) = join(&completion);
    assert!(pending);
    (completion, completer, first)
}

fn slot_changes_hands_while_the_hint_is_up() {
    let (completion, completer, _first) = crowded();
    let (early, late) = (join(&completion).0, join(&completion).0);
    drop(early);
    let leaving = thread::spawn(move || drop(late));
    let (_waiter, woken, pending) = join(&completion);
    leaving.join().unwrap();
    let _ = completer.complete(1);
    assert!(pending && woken.0.load(SeqCst) == 1);
}

fn waiter_in_a_slot_polls_with_another_waker_vs_complete() {
    let (completion, completer, _first) = crowded();
    let (mut waiter, ..) = join(&completion);
    let ender = thread::spawn(move || completer.complete(1));
    let (woken, pending) = poll(&mut waiter);
    assert!(pending || waiter.finished());
    ender.join().unwrap();
    assert!(!pending || woken.0.load(SeqCst) == 1);
}

/// Lets `leavers` of the two waiters in slots go while another comes, the hint being up though no slot is vacant. In the end
/// there are three slots for three waiters.
fn slots_left_during_a_walk(leavers: usize) {
    let (completion, _completer, _first) = crowded();
    let (stays, leaves) = (join(&completion).0, join(&completion).0);
    drop(leaves);
    let mut waiters = vec![stays, join(&completion).0];
    let leave = waiters.split_off(waiters.len() - leavers);
    let leaving = thread::spawn(move || drop(leave));
    waiters.push(join(&completion).0);
    leaving.join().unwrap();
    while waiters.len() < 3 {
        waiters.push(join(&completion).0);
    }
    assert_eq!(completion.waiter_slots(), 3);
}

fn slot_left_during_a_walk() {
    slots_left_during_a_walk(1);
}

fn two_slots_left_during_a_walk() {
    slots_left_during_a_walk(2);
}

fn two_threads_push_slots_at_once() {
    let (completion, completer, _first) = crowded();
    let threads = [(); 2].map(|()| {
        let completion = completion.clone();
        thread::spawn(move || join(&completion))
    });
    let waiters = threads.map(|thread| thread.join().unwrap());
    assert_eq!(completion.waiter_slots(), 2);
    let _ = completer.complete(1);
    for (waiter, woken, pending) in waiters {
        assert!(pending && waiter.finished() && woken.0.load(SeqCst) == 1);
    }
}

fn two_threads_wait_vs_complete() {
    let (completion, completer) = Completion::new(|_| {});
    let waiters = [(); 2].map(|()| {
        let completion = completion.clone();
        thread::spawn(move || assert_eq!(completion.wait(), Ok(1)))
    });
    let _ = completer.complete(1);
    waiters.into_iter().for_each(|waiter| waiter.join().unwrap());
}

/// The task parks on one worker and continues on another, of three.
fn executor_wake_vs_two_workers() {
    let executor = Executor::new(3);
    let (completion, completer) = Completion::new(|_| {});
    let mut task = executor.spawn(move || match completion.result() {
        Some(outcome) => Ok::<_, Infallible>(IOResult::Done(outcome.expect("completed with a value"))),
        None => Ok(IOResult::IO(IOCompletions::Single(completion.clone()))),
    });
    let _ = completer.complete(3);
    executor.drain();
    assert!(matches!(task.try_take(), Some(Ok(3))));
}

/// Two steps block until a third unblocks them: each of three workers is woken for one.
fn executor_blocked_step_vs_the_other_worker() {
    let executor = Executor::new(3);
    let (completion, completer) = Completion::new(|_| {});
    let tasks = [(); 2].map(|()| {
        let completion = completion.clone();
        executor.spawn(move || Ok::<_, Infallible>(IOResult::Done(completion.wait())))
    });
    let mut completer = Some(completer);
    executor
        .spawn(move || {
            let _ = completer.take().expect("stepped once").complete(3);
            Ok::<_, Infallible>(IOResult::Done(()))
        })
        .detach();
    executor.drain();
    for mut task in tasks {
        assert!(matches!(task.try_take(), Some(Ok(Ok(3)))));
    }
}
