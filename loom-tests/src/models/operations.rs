//! Operations with buffers, between their caller and their backend.

use std::sync::{Arc, Weak};

use loom::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use loom::thread;
use tenterhook_runtime::CompletionError;
use tenterhook_runtime::io::{Buffer, Canceller, Operation, Submission};

use crate::model::{EXHAUSTIVE, Model, models};
use crate::support::settled;

pub(crate) fn models() -> Vec<Model> {
    models![
        EXHAUSTIVE => submission_start_vs_cancel, in_flight_finish_vs_cancel, in_flight_dropped_vs_cancel,
            submission_dropped_vs_cancel, two_threads_cancel_what_is_in_flight,
            cancel_ends_what_has_not_started_or_asks_vs_start;
    ]
}

/// A backend's mailbox for requests to cancel.
struct Mailbox(AtomicUsize);

impl Canceller for Mailbox {
    fn cancel(&self, token: u64) {
        assert_eq!(token, 7);
        assert_eq!(self.0.fetch_add(1, SeqCst), 0, "asked at most once");
    }
}

fn mailbox() -> (Arc<Mailbox>, Weak<dyn Canceller>) {
    let mailbox = Arc::new(Mailbox(AtomicUsize::new(0)));
    let weak: Weak<Mailbox> = Arc::downgrade(&mailbox);
    (mailbox, weak)
}

/// The backend touches the buffer only if it won the start; the callback gets the buffer in both cases.
fn submission_start_vs_cancel() {
    let (completion, submission) = Submission::read(0, Buffer::zeroed(8), |outcome, buffer| {
        assert_eq!(buffer.len(), 8);
        assert_eq!(buffer[0], if outcome.is_ok() { 9 } else { 0 });
    });
    let other = completion.clone();
    let canceller = thread::spawn(move || other.cancel());
    let (_mailbox, weak) = mailbox();
    if let Ok(mut in_flight) = submission.start(Some((weak, 7))) {
        let Operation::Read { buffer, .. } = in_flight.operation() else { panic!("it was a read") };
        buffer[0] = 9;
        in_flight.finish(Ok(8));
    }
    canceller.join().unwrap();
    let outcome = settled(&completion);
    assert!(outcome == Ok(8) || outcome == Err(CompletionError::Cancelled));
}

/// A canceller that is told finds what the backend left at the start.
fn in_flight_finish_vs_cancel() {
    let (completion, submission) = Submission::write(0, Buffer::zeroed(8), |_, _| {});
    let (mailbox, weak) = mailbox();
    let in_flight = submission.start(Some((weak, 7))).expect("not cancelled yet");
    let other = completion.clone();
    let canceller = thread::spawn(move || other.cancel());
    let asked = in_flight.cancel_requested();
    in_flight.finish(if asked { Err(CompletionError::Cancelled) } else { Ok(8) });
    canceller.join().unwrap();
    assert_eq!(settled(&completion), if asked { Err(CompletionError::Cancelled) } else { Ok(8) });
    drop(mailbox);
}

/// Two threads ask for the end of one operation: its backend is asked once.
fn two_threads_cancel_what_is_in_flight() {
    let (completion, submission) = Submission::write(0, Buffer::zeroed(8), |_, _| {});
    let (mailbox, weak) = mailbox();
    let in_flight = submission.start(Some((weak, 7))).expect("not cancelled yet");
    let other = completion.clone();
    let canceller = thread::spawn(move || other.cancel());
    completion.cancel();
    canceller.join().unwrap();
    assert_eq!(mailbox.0.load(SeqCst), 1);
    in_flight.finish(Err(CompletionError::Cancelled));
    assert_eq!(settled(&completion), Err(CompletionError::Cancelled));
}

fn in_flight_dropped_vs_cancel() {
    let (completion, submission) = Submission::sync(|_| {});
    let (mailbox, weak) = mailbox();
    let in_flight = submission.start(Some((weak, 7))).expect("not cancelled yet");
    let other = completion.clone();
    let canceller = thread::spawn(move || other.cancel());
    drop(in_flight);
    drop(mailbox);
    canceller.join().unwrap();
    assert_eq!(settled(&completion), Err(CompletionError::Abandoned));
}

fn submission_dropped_vs_cancel() {
    let (completion, submission) = Submission::sync(|_| {});
    let other = completion.clone();
    let canceller = thread::spawn(move || other.cancel());
    drop(submission);
    canceller.join().unwrap();
    let outcome = settled(&completion);
    assert!(outcome == Err(CompletionError::Abandoned) || outcome == Err(CompletionError::Cancelled));
}

/// A cancel is never lost: either it ends the operation, or the backend that won the start has been asked, once, and
/// finds the canceller that it left.
fn cancel_ends_what_has_not_started_or_asks_vs_start() {
    let (completion, submission) = Submission::sync(|_| {});
    let other = completion.clone();
    let canceller = thread::spawn(move || other.cancel());
    let (mailbox, weak) = mailbox();
    let started = submission.start(Some((weak, 7)));
    canceller.join().unwrap();
    let asked = mailbox.0.load(SeqCst);
    match started {
        Err(_) => assert_eq!((asked, settled(&completion)), (0, Err(CompletionError::Cancelled))),
        Ok(in_flight) => {
            assert!(asked == 1 && in_flight.cancel_requested() && !completion.finished());
            in_flight.finish(Err(CompletionError::Cancelled));
        }
    }
}
