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
use tenterhook_runtime::executor::{Executor, Task, TaskError};
use tenterhook_runtime::io::{Buffer, File, IO, MemoryIO, OpenOptions, Submission, ThreadsIO};
use tenterhook_runtime::{Completer, Completion, CompletionError, CompletionGroup, IOCompletions, IOResult};

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
    let scenarios: [(&str, fn()); 6] = [
        ("groups_built_in_one_thread_and_ended_in_another", groups_built_in_one_thread_and_ended_in_another),
        ("nested_groups_cancelled_while_their_leaves_end", nested_groups_cancelled_while_their_leaves_end),
        ("waiters_in_three_threads_are_all_told", waiters_in_three_threads_are_all_told),
        ("buffers_travel_between_threads", buffers_travel_between_threads),
        ("machines_move_between_workers_and_are_joined", machines_move_between_workers_and_are_joined),
        ("machines_write_and_read_a_file_on_threads", machines_write_and_read_a_file_on_threads),
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
                let _ = completer.finish(if number % 3 == 0 { Err(CompletionError::NoSpace) } else { Ok(1) });
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
            let _ = completer.complete(7);
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

/// Machines that yield, wait for completions that another thread ends, and hand their own to other machines; some are
/// cancelled, some detached.
fn machines_move_between_workers_and_are_joined() {
    let executor = Executor::new(3);
    let queue = Arc::new(Queue::default());
    let ender = ender(&queue);
    let mut tasks: Vec<Task<usize, CompletionError>> = Vec::new();
    for round in 0..ROUNDS / 4 {
        let (completion, completer) = pair();
        let mut yields = round % 5;
        let task = executor.spawn(move || {
            if yields > 0 {
                yields -= 1;
                return Ok(IOResult::IO(IOCompletions::Yield));
            }
            match completion.result() {
                None => Ok(IOResult::IO(IOCompletions::Single(completion.clone()))),
                Some(outcome) => outcome.map(|_| IOResult::Done(round)),
            }
        });
        queue.send(Some(vec![completer]));
        match round % 8 {
            0 => task.cancel(),
            1 => {
                task.detach();
                continue;
            }
            _ => {}
        }
        tasks.push(task);
    }
    queue.send(None);
    for task in tasks {
        match task.join() {
            Ok(round) => assert!(round < ROUNDS),
            Err(TaskError::Failed(error)) => {
                assert!(matches!(error, CompletionError::NoSpace | CompletionError::Abandoned));
            }
            Err(TaskError::Cancelled) => {}
            Err(error) => panic!("{error}"),
        }
    }
    ender.join().unwrap();
    executor.drain();
}

/// Each machine writes a block of its own and reads it back, in a file that threads of the backend serve.
fn machines_write_and_read_a_file_on_threads() {
    const BLOCK: usize = 64;
    let folder = tempfile::tempdir().unwrap();
    let io = ThreadsIO::new(2.try_into().unwrap()).unwrap();
    let file = io.open(&folder.path().join("blocks"), OpenOptions::creating()).unwrap();
    let executor = Executor::new(2);
    let checked = Counter::default();
    let tasks: Vec<Task<(), CompletionError>> = (0..ROUNDS / 10)
        .map(|number| executor.spawn(writes_and_reads(Arc::clone(&file), number, BLOCK, checked.clone())))
        .collect();
    for task in tasks {
        task.join().unwrap();
    }
    assert_eq!(checked.get(), ROUNDS / 10);
}

fn writes_and_reads(
    file: Arc<dyn File>,
    number: usize,
    block: usize,
    checked: Counter,
) -> impl FnMut() -> Result<IOResult<()>, CompletionError> + Send + 'static {
    let (offset, byte) = ((number * block) as u64, number as u8);
    let (mut wrote, mut read) = (None::<Completion>, None::<Completion>);
    move || {
        let write = || file.start(Submission::write(offset, Buffer::copy_of(&vec![byte; block]), |_, _| {}));
        let wrote = wrote.get_or_insert_with(write);
        match wrote.result() {
            None => return Ok(IOResult::IO(IOCompletions::Single(wrote.clone()))),
            Some(outcome) => outcome?,
        };
        let check = checked.clone();
        let look = move |outcome, buffer: Buffer| {
            assert_eq!(outcome, Ok(buffer.len() as u64));
            assert!(buffer.iter().all(|found| *found == byte));
            check.bump();
        };
        let read =
            read.get_or_insert_with(|| file.start(Submission::read(offset, Buffer::zeroed(block), look)));
        match read.result() {
            None => Ok(IOResult::IO(IOCompletions::Single(read.clone()))),
            Some(outcome) => outcome.map(|_| IOResult::Done(())),
        }
    }
}
