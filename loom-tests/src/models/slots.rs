//! The slots beyond a completion's first place: pushed, left, taken over, closed by the publisher.

use loom::thread;
use tenterhook_runtime::{Completer, Completion};

use crate::model::{EXHAUSTIVE, Model, models, preemptions};
use crate::support::{CountingWaker, Trace, poll};

pub(crate) fn models() -> Vec<Model> {
    models![
        EXHAUSTIVE => slot_changes_hands_while_the_hint_is_up, waiter_in_a_slot_polls_with_another_waker_vs_complete,
            waiter_in_a_slot_leaves_vs_complete, two_threads_push_slots_at_once,
            waiter_that_would_need_a_slot_is_refused_vs_complete, slot_left_during_a_walk,
            slot_left_during_a_push;
        preemptions(3) => two_slots_left_during_a_walk;
    ]
}

/// A completion whose first place is taken: every other waiter needs a slot.
struct Crowded {
    completion: Completion,
    completer: Completer,
    _first: Completion,
}

impl Crowded {
    fn new(trace: &Trace) -> Self {
        let (completion, completer) = Completion::new(trace.callback());
        let first = joined(&completion);
        Self { completion, completer, _first: first }
    }

    /// Ends the completion, now that the race is over.
    fn end(self) {
        let _ = self.completer.complete(1);
    }
}

/// One more waiter of a pending completion.
fn joined(completion: &Completion) -> Completion {
    let mut waiter = completion.clone();
    assert!(poll(&mut waiter, &CountingWaker::new().1).is_pending());
    waiter
}

/// A slot that one thread leaves is taken by another, which has the hint from an earlier departure: nothing but the slot's
/// own phase orders the two owners.
fn slot_changes_hands_while_the_hint_is_up() {
    let crowded = Crowded::new(&Trace::new());
    let (early, late) = (joined(&crowded.completion), joined(&crowded.completion));
    drop(early);
    let leaving = thread::spawn(move || drop(late));
    let (counter, waker) = CountingWaker::new();
    let mut waiter = crowded.completion.clone();
    assert!(poll(&mut waiter, &waker).is_pending());
    leaving.join().unwrap();
    drop(waker);
    crowded.end();
    counter.assert_woken_if(true);
}

/// The waiter learns of the end from its slot alone, where the publisher has been before it came or while it was there; or
/// the publisher wakes its newest waker.
fn waiter_in_a_slot_polls_with_another_waker_vs_complete() {
    let trace = Trace::new();
    let Crowded { completion, completer, _first } = Crowded::new(&trace);
    let mut waiter = joined(&completion);
    let ender = thread::spawn(move || completer.complete(1));
    let (counter, waker) = CountingWaker::new();
    let pending = poll(&mut waiter, &waker).is_pending();
    if !pending {
        trace.assert_called();
    }
    ender.join().unwrap();
    drop(waker);
    counter.assert_woken_if(pending);
    counter.assert_let_go();
}

/// A waker that a waiter leaves behind is called or dropped, and not both.
fn waiter_in_a_slot_leaves_vs_complete() {
    let Crowded { completion, completer, _first } = Crowded::new(&Trace::new());
    let (counter, waker) = CountingWaker::new();
    let mut waiter = completion.clone();
    assert!(poll(&mut waiter, &waker).is_pending());
    drop(waker);
    let ender = thread::spawn(move || completer.complete(1));
    drop(waiter);
    ender.join().unwrap();
    counter.assert_woken_if(false);
    counter.assert_let_go();
}

/// Both slots are on the stack: the publisher reaches both.
fn two_threads_push_slots_at_once() {
    let crowded = Crowded::new(&Trace::new());
    let join = |completion: &Completion| {
        let (counter, waker) = CountingWaker::new();
        let mut waiter = completion.clone();
        assert!(poll(&mut waiter, &waker).is_pending());
        (waiter, counter)
    };
    let other = crowded.completion.clone();
    let joining = thread::spawn(move || join(&other));
    let own = join(&crowded.completion);
    let other = joining.join().unwrap();
    assert_eq!(crowded.completion.waiter_slots(), 2);
    crowded.end();
    for (waiter, counter) in [own, other] {
        counter.assert_woken_if(true);
        assert!(waiter.finished());
    }
}

/// A waiter that comes too late for the publisher is refused, and its waker goes when `poll` returns, not with the node.
fn waiter_that_would_need_a_slot_is_refused_vs_complete() {
    let trace = Trace::new();
    let Crowded { completion, completer, _first } = Crowded::new(&trace);
    let ender = thread::spawn(move || completer.complete(1));
    let (counter, waker) = CountingWaker::new();
    let mut waiter = completion.clone();
    let pending = poll(&mut waiter, &waker).is_pending();
    if !pending {
        trace.assert_called();
    }
    ender.join().unwrap();
    drop(waker);
    counter.assert_woken_if(pending);
    counter.assert_let_go();
}

/// Joins until `slots` waiters wait in slots, and returns how many slots there are.
fn slots_after(completion: &Completion, mut waiters: Vec<Completion>, slots: usize) -> usize {
    while waiters.len() < slots {
        waiters.push(joined(completion));
    }
    completion.waiter_slots()
}

/// A completion with two waiters in slots and the hint up, though no slot is vacant.
fn two_in_slots_and_a_stale_hint() -> (Crowded, [Completion; 2]) {
    let crowded = Crowded::new(&Trace::new());
    let (stays, leaves) = (joined(&crowded.completion), joined(&crowded.completion));
    drop(leaves);
    let takes = joined(&crowded.completion);
    assert_eq!(crowded.completion.waiter_slots(), 2);
    (crowded, [stays, takes])
}

/// A slot that is left while a walk finds none is found, or the hint stays up for the next walk. Else a slot is allocated for
/// each time that they meet.
fn slot_left_during_a_walk() {
    let (crowded, [stays, leaves]) = two_in_slots_and_a_stale_hint();
    let leaving = thread::spawn(move || drop(leaves));
    let walked = joined(&crowded.completion);
    leaving.join().unwrap();
    assert_eq!(slots_after(&crowded.completion, vec![stays, walked], 3), 3);
    crowded.end();
}

/// The same of two slots: who has taken the hint down and then found one slot puts it up again for the other.
fn two_slots_left_during_a_walk() {
    let (crowded, waiters) = two_in_slots_and_a_stale_hint();
    let leaving = thread::spawn(move || drop(waiters));
    let walked = joined(&crowded.completion);
    leaving.join().unwrap();
    assert_eq!(slots_after(&crowded.completion, vec![walked], 3), 3);
    crowded.end();
}

/// A push keeps the hint that is put up during it, or before.
fn slot_left_during_a_push() {
    let crowded = Crowded::new(&Trace::new());
    let (stays, leaves) = (joined(&crowded.completion), joined(&crowded.completion));
    let leaving = thread::spawn(move || drop(leaves));
    let pushed = joined(&crowded.completion);
    leaving.join().unwrap();
    assert_eq!(slots_after(&crowded.completion, vec![stays, pushed], 3), 3);
    crowded.end();
}
