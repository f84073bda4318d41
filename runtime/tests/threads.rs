//! Real threads on completions and groups: for ThreadSanitizer and AddressSanitizer (`make sanitize`), which see what
//! the models abstract away, and for a processor that really reorders.
#![allow(clippy::disallowed_types, reason = "tests observe from outside the facade")]

mod support;

use std::sync::mpsc::sync_channel;
use std::time::Duration;

use support::{Counter, pair, poll};
use tenterhook_runtime::io::{Buffer, IO, MemoryIO, OpenOptions, Submission};
use tenterhook_runtime::{Completer, Completion, CompletionError, CompletionGroup};

const ROUNDS: usize = 10_000;

/// A thread that ends what it is sent: every third fails, every seventh is dropped.
fn ender(sent: std::sync::mpsc::Receiver<Vec<Completer>>) -> std::thread::JoinHandle<()> {
    std::thread::spawn(move || {
        for (number, completer) in sent.into_iter().flatten().enumerate() {
            if number % 7 == 0 {
                drop(completer);
            } else {
                completer.finish(if number % 3 == 0 { Err(CompletionError::NoSpace) } else { Ok(1) });
            }
        }
    })
}

#[test]
fn groups_built_in_one_thread_and_ended_in_another_all_finish() {
    let (send, sent) = sync_channel(16);
    let ender = ender(sent);
    let callbacks = Counter::default();
    for round in 0..ROUNDS {
        let (children, completers): (Vec<_>, Vec<_>) = (0..1 + round % 4).map(|_| pair()).unzip();
        let counted = callbacks.clone();
        let callback = move |_| counted.bump();
        let mut group =
            if round % 2 == 0 { CompletionGroup::new(callback) } else { CompletionGroup::drain(callback) };
        send.send(completers).unwrap();
        children.iter().for_each(|child| group.add(child));
        let group = group.build();
        let outcome = group.wait();
        children.iter().for_each(|child| _ = child.wait());
        assert_eq!(outcome.is_ok(), children.iter().all(Completion::succeeded));
    }
    drop(send);
    ender.join().unwrap();
    assert_eq!(callbacks.get(), ROUNDS);
}

#[test]
fn nested_groups_cancelled_while_their_leaves_end() {
    let (send, sent) = sync_channel(16);
    let ender = ender(sent);
    for _ in 0..ROUNDS {
        let (leaves, completers): (Vec<_>, Vec<_>) = (0..4).map(|_| pair()).unzip();
        let mut root = CompletionGroup::drain(|_| {});
        for pair in leaves.chunks(2) {
            let mut inner = CompletionGroup::drain(|_| {});
            pair.iter().for_each(|leaf| inner.add(leaf));
            root.add(&inner.build());
        }
        let root = root.build();
        send.send(completers).unwrap();
        root.cancel();
        let outcome = root.wait();
        assert!(leaves.iter().all(Completion::finished));
        assert_eq!(outcome.is_ok(), leaves.iter().all(Completion::succeeded));
    }
    drop(send);
    ender.join().unwrap();
}

#[test]
fn waiters_in_three_threads_are_all_told() {
    for round in 0..ROUNDS / 10 {
        let (completion, completer) = pair();
        std::thread::scope(|scope| {
            for _ in 0..3 {
                let completion = completion.clone();
                scope.spawn(move || {
                    let mut passing = completion.clone();
                    let _ = poll(&mut passing, &Counter::default().waker());
                    drop(passing);
                    assert_eq!(completion.wait_timeout(Duration::from_secs(60)), Some(Ok(7)));
                });
            }
            if round % 2 == 0 {
                std::thread::yield_now();
            }
            completer.complete(7);
        });
    }
}

#[test]
fn buffers_travel_between_submitting_cancelling_and_stepping_threads() {
    let io = MemoryIO::new();
    let file = io.open("shared".as_ref(), OpenOptions { create: true }).unwrap();
    let done = Counter::default();
    std::thread::scope(|scope| {
        for number in 0..2_u8 {
            let (file, done) = (&file, done.clone());
            scope.spawn(move || {
                for round in 0..ROUNDS / 10 {
                    let mut buffer = Buffer::zeroed(64);
                    buffer.fill(number);
                    let write = file.start(Submission::write(
                        u64::from(number) * 64,
                        buffer,
                        move |outcome, buffer| {
                            assert!(buffer.iter().all(|byte| *byte == number), "{outcome:?}");
                        },
                    ));
                    if round % 5 == 0 {
                        write.cancel();
                    }
                    let outcome = write.wait();
                    assert!(outcome == Ok(64) || outcome == Err(CompletionError::Cancelled));
                }
                done.bump();
            });
        }
        while done.get() < 2 {
            io.step().unwrap();
        }
    });
}
