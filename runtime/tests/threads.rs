//! Real threads on completions and groups: for ThreadSanitizer and AddressSanitizer (`make sanitize`), which see what
//! the models abstract away, and for a processor that really reorders.
//!
//! A program of its own, without the test harness and without std's channels: those come built without the
//! sanitizers, and ThreadSanitizer would report them instead of us.

mod support;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use support::{Counter, pair, poll};
use tenterhook_runtime::io::{Buffer, IO, MemoryIO, OpenOptions, Submission};
use tenterhook_runtime::{Completer, Completion, CompletionError, CompletionGroup};

const ROUNDS: usize = 10_000;

/// A queue between two threads; `None` ends it.
#[derive(Default)]
struct Queue {
    items: Mutex<VecDeque<Option<Vec<Completer>>>>,
    filled: Condvar,
}

impl Queue {
    fn send(&self, item: Option<Vec<Completer>>) {
        self.items.lock().push_back(item);
        self.filled.notify_one();
    }

    fn receive(&self) -> Option<Vec<Completer>> {
        let mut items = self.items.lock();
        loop {
            match items.pop_front() {
                Some(item) => return item,
                None => self.filled.wait(&mut items),
            }
        }
    }
}

fn main() {
    let scenarios: [(&str, fn()); 4] = [
        ("groups_built_in_one_thread_and_ended_in_another", groups_built_in_one_thread_and_ended_in_another),
        ("nested_groups_cancelled_while_their_leaves_end", nested_groups_cancelled_while_their_leaves_end),
        ("waiters_in_three_threads_are_all_told", waiters_in_three_threads_are_all_told),
        ("buffers_travel_between_threads", buffers_travel_between_threads),
    ];
    for (name, scenario) in scenarios {
        scenario();
        println!("{name} ... ok");
    }
    println!("{} passed, 0 failed", scenarios.len());
}

/// A thread that ends what it is sent: every third fails, every seventh is dropped.
fn ender(sent: &Arc<Queue>) -> std::thread::JoinHandle<()> {
    let sent = Arc::clone(sent);
    std::thread::spawn(move || {
        for (number, completer) in std::iter::from_fn(|| sent.receive()).flatten().enumerate() {
            if number % 7 == 0 {
                drop(completer);
            } else {
                completer.finish(if number % 3 == 0 { Err(CompletionError::NoSpace) } else { Ok(1) });
            }
        }
    })
}

fn groups_built_in_one_thread_and_ended_in_another() {
    let queue = Arc::new(Queue::default());
    let ender = ender(&queue);
    let callbacks = Counter::default();
    for round in 0..ROUNDS {
        let (children, completers): (Vec<_>, Vec<_>) = (0..1 + round % 4).map(|_| pair()).unzip();
        let counted = callbacks.clone();
        let callback = move |_| counted.bump();
        let mut group =
            if round % 2 == 0 { CompletionGroup::new(callback) } else { CompletionGroup::drain(callback) };
        queue.send(Some(completers));
        children.iter().for_each(|child| group.add(child));
        let group = group.build();
        let outcome = group.wait();
        children.iter().for_each(|child| _ = child.wait());
        assert_eq!(outcome.is_ok(), children.iter().all(Completion::succeeded));
    }
    queue.send(None);
    ender.join().unwrap();
    assert_eq!(callbacks.get(), ROUNDS);
}

fn nested_groups_cancelled_while_their_leaves_end() {
    let queue = Arc::new(Queue::default());
    let ender = ender(&queue);
    for _ in 0..ROUNDS {
        let (leaves, completers): (Vec<_>, Vec<_>) = (0..4).map(|_| pair()).unzip();
        let mut root = CompletionGroup::drain(|_| {});
        for pair in leaves.chunks(2) {
            let mut inner = CompletionGroup::drain(|_| {});
            pair.iter().for_each(|leaf| inner.add(leaf));
            root.add(&inner.build());
        }
        let root = root.build();
        queue.send(Some(completers));
        root.cancel();
        let outcome = root.wait();
        assert!(leaves.iter().all(Completion::finished));
        assert_eq!(outcome.is_ok(), leaves.iter().all(Completion::succeeded));
    }
    queue.send(None);
    ender.join().unwrap();
}

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

fn buffers_travel_between_threads() {
    let io = MemoryIO::new();
    let file = io.open("shared".as_ref(), OpenOptions::creating()).unwrap();
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
