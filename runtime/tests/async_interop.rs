//! Completions, tasks and machines in async Rust, with other executors: tokio, and the plainest there is.

use std::convert::Infallible;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

use tenterhook_runtime::executor::{Executor, TaskError};
use tenterhook_runtime::io::{Buffer, IO, MemoryIO, OpenOptions, Submission};
use tenterhook_runtime::{
    Completion, CompletionError, CompletionGroup, IOCompletions, IOResult, MachineFuture,
};

/// Unparks a thread.
struct Unparks(Thread);

impl Wake for Unparks {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// The plainest executor: one future, one thread, park and unpark.
fn block_on<F: Future>(future: F) -> F::Output {
    let waker = Waker::from(Arc::new(Unparks(thread::current())));
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}

fn tokio_block_on<F: Future>(future: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build();
    runtime.expect("a runtime").block_on(future)
}

/// Reads page after page of `pages`, each through a completion that another thread ends, and adds them up.
fn adding(pages: u64) -> impl FnMut() -> Result<IOResult<u64>, CompletionError> {
    let (mut sum, mut left, mut reading) = (0, pages, None::<Completion>);
    move || {
        while left > 0 {
            let read = reading.get_or_insert_with(|| {
                let (completion, completer) = Completion::new(|_| {});
                let value = left;
                thread::spawn(move || completer.complete(value));
                completion
            });
            let Some(outcome) = read.result() else {
                return Ok(IOResult::IO(IOCompletions::Single(read.clone())));
            };
            sum += outcome?;
            left -= 1;
            reading = None;
        }
        Ok(IOResult::Done(sum))
    }
}

#[test]
fn a_completion_is_awaited_under_any_executor() {
    for run in [block_on, tokio_block_on] as [fn(Completion) -> _; 2] {
        let (completion, completer) = Completion::new(|_| {});
        let ender = thread::spawn(move || completer.complete(9));
        assert_eq!(run(completion), Ok(9));
        assert!(ender.join().unwrap());
    }
}

#[test]
fn a_thousand_tokio_tasks_await_one_group() {
    let mut group = CompletionGroup::new(|_| {});
    let completers: Vec<_> = (0..100)
        .map(|_| {
            let (completion, completer) = Completion::new(|_| {});
            group.add(&completion);
            completer
        })
        .collect();
    let group = group.build();
    tokio_block_on(async move {
        let tasks: Vec<_> = (0..1_000).map(|_| tokio::spawn(group.clone())).collect();
        let ender = tokio::task::spawn_blocking(move || {
            completers.into_iter().for_each(|completer| assert!(completer.complete(1)))
        });
        for task in tasks {
            assert_eq!(task.await.unwrap(), Ok(0));
        }
        ender.await.unwrap();
    });
}

#[test]
fn a_machine_is_a_future_under_any_executor() {
    assert_eq!(block_on(MachineFuture::new(adding(20))), Ok(210));
    assert_eq!(
        tokio_block_on(async { tokio::spawn(MachineFuture::new(adding(20))).await.unwrap() }),
        Ok(210)
    );
}

#[test]
fn a_machine_that_yields_lets_other_futures_go_on() {
    let mut left = 1_000;
    let machine = MachineFuture::new(move || {
        left -= 1;
        Ok::<_, Infallible>(if left == 0 { IOResult::Done(()) } else { IOResult::IO(IOCompletions::Yield) })
    });
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async move {
        let (sender, receiver) = tokio::sync::oneshot::channel();
        let machine = tokio::spawn(machine);
        let other = tokio::spawn(async move { sender.send(()).unwrap() });
        receiver.await.unwrap();
        assert!(!machine.is_finished(), "it yields to the other task");
        other.await.unwrap();
        machine.await.unwrap().unwrap();
    });
}

#[test]
fn a_machine_whose_io_is_always_done_still_yields_now_and_then() {
    let (done, completer) = Completion::new(|_| {});
    let _ = completer.complete(0);
    let mut steps = 0_u32;
    let mut machine = pin!(MachineFuture::new(move || {
        steps += 1;
        match steps {
            100_000 => Ok::<_, Infallible>(IOResult::Done(())),
            _ => Ok(IOResult::IO(IOCompletions::Single(done.clone()))),
        }
    }));
    let mut context = Context::from_waker(Waker::noop());
    let mut polls = 1;
    while machine.as_mut().poll(&mut context).is_pending() {
        polls += 1;
    }
    assert!(polls > 100, "{polls} polls for 100,000 steps");
}

#[test]
fn tasks_are_awaited_from_tokio() {
    let executor = Executor::new(2);
    let tasks: Vec<_> = (1..=50).map(|pages| executor.spawn(adding(pages))).collect();
    let cancelled = executor.spawn(|| Ok::<IOResult<()>, Infallible>(IOResult::IO(IOCompletions::Yield)));
    tokio_block_on(async move {
        for (pages, task) in (1..=50_u64).zip(tasks) {
            assert_eq!(task.await.unwrap(), pages * (pages + 1) / 2);
        }
        cancelled.cancel();
        assert!(matches!(cancelled.await, Err(TaskError::Cancelled)));
    });
}

#[test]
fn a_dropped_future_leaves_the_operation_and_its_buffer_alone() {
    let io = MemoryIO::new();
    let file = io.open("page".as_ref(), OpenOptions::creating()).unwrap();
    let write = file.start(Submission::write(0, Buffer::copy_of(b"weft"), |_, _| {}));
    let mut future = Box::pin(write.clone());
    assert!(future.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    drop(future);
    while io.step().unwrap() > 0 {}
    assert_eq!(block_on(write), Ok(4));
}
