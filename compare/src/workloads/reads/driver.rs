//! tokio with io_uring: one task owns the ring, the others send it their reads over a channel and await a oneshot.
//!
//! tokio documents `AsyncFd` for kernel objects that become ready like a socket, and a ring's descriptor is one: it is
//! readable while completions wait. The driver takes all waiting requests with each turn, so that it enters the kernel once
//! for many reads.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::time::Instant;

use io_uring::{IoUring, opcode, types};
use tenterhook_runtime::io::Buffer;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::{mpsc, oneshot};

use super::tasks::{Share, Tasks};
use super::{Book, PAGE, Sum, mark_in};
use crate::contender::{Contender, Evidence, Latencies};

/// Room for the reads of the deepest row.
const ENTRIES: u32 = 256;

/// A read that a task waits for. The buffer goes to the driver and comes back, so the kernel never has one that a dropped
/// task has freed.
struct Request {
    page: u64,
    buffer: Buffer,
    reply: oneshot::Sender<(i32, Buffer)>,
}

/// See the module.
pub(super) struct DriverTask {
    tasks: Tasks<DriverShare>,
}

struct DriverShare {
    requests: mpsc::UnboundedSender<Request>,
    sum: &'static Sum,
}

impl Share for DriverShare {
    async fn read(&self, pages: Vec<u64>, mut latencies: Option<Latencies>) -> Option<Latencies> {
        let mut buffer = Buffer::zeroed(PAGE);
        for page in pages {
            let (started, (reply, answer)) = (Instant::now(), oneshot::channel());
            let sent = self.requests.send(Request { page, buffer, reply });
            assert!(sent.is_ok(), "the driver lives as long as this");
            let read;
            (read, buffer) = answer.await.expect("the driver answers");
            assert_eq!(read, PAGE as i32, "the page is there");
            if let Some(latencies) = &mut latencies {
                latencies.record(started);
            }
            self.sum.add(mark_in(&buffer));
        }
        latencies
    }
}

impl DriverTask {
    pub(super) fn new(book: &Book, depth: usize) -> io::Result<Self> {
        let ring = IoUring::new(ENTRIES)?;
        let file = book.open()?;
        let (requests, queue) = mpsc::unbounded_channel();
        let tasks = Tasks::new(depth, DriverShare { requests, sum: Sum::leak() });
        tasks.spawn(Driver::new(ring, file, queue).run());
        Ok(Self { tasks })
    }
}

impl Contender for DriverTask {
    fn run(&mut self, operations: u64) -> Evidence {
        self.tasks.read(operations, None);
        Evidence::results(self.tasks.share.sum.take())
    }

    fn latencies(&mut self, operations: u64) -> Option<Latencies> {
        let latencies = self.tasks.read(operations, Some(&Latencies::new()));
        self.tasks.share.sum.take();
        latencies
    }
}

/// The owner of the ring.
struct Driver {
    ring: IoUring,
    file: File,
    queue: mpsc::UnboundedReceiver<Request>,
    /// By the number that the kernel gives back.
    in_flight: Vec<Option<Request>>,
    free: VecDeque<usize>,
}

impl Driver {
    fn new(ring: IoUring, file: File, queue: mpsc::UnboundedReceiver<Request>) -> Self {
        let in_flight = (0..ENTRIES).map(|_| None).collect();
        Self { ring, file, queue, in_flight, free: (0..ENTRIES as usize).collect() }
    }

    /// Until the last sender is gone.
    async fn run(mut self) {
        let ring = self.descriptor().expect("a descriptor more");
        // SAFETY: the descriptor is owned by `ready`, which neither closes nor exchanges it before its own end.
        let ready = unsafe { AsyncFd::register_with_interest(ring, Interest::READABLE) };
        let ready = ready.expect("a runtime with a driver for I/O");
        loop {
            let idle = self.free.len() == ENTRIES as usize;
            tokio::select! {
                biased;
                completed = ready.readable(), if !idle => {
                    let mut completed = completed.expect("the driver for I/O lives as long as its runtime");
                    // Cleared before completions are taken: what completes from now on sets it again.
                    completed.clear_ready();
                }
                request = self.queue.recv(), if !self.free.is_empty() => match request {
                    Some(request) => self.push(request),
                    None if idle => return,
                    None => {}
                },
            }
            self.turn();
        }
    }

    /// A duplicate of the ring's, for tokio to poll.
    fn descriptor(&self) -> io::Result<OwnedFd> {
        // SAFETY: the ring is open as long as `self`, and the borrowed descriptor ends in this function.
        unsafe { BorrowedFd::borrow_raw(self.ring.as_raw_fd()) }.try_clone_to_owned()
    }

    fn push(&mut self, mut request: Request) {
        let at = self.free.pop_front().expect("checked by the caller");
        let entry =
            opcode::Read::new(types::Fd(self.file.as_raw_fd()), request.buffer.as_mut_ptr(), PAGE as u32)
                .offset(request.page * PAGE as u64)
                .build()
                .user_data(at as u64);
        self.in_flight[at] = Some(request);
        // SAFETY: the buffer is in `in_flight` until the kernel has answered, and the driver's drop waits for that.
        unsafe { self.ring.submission().push(&entry) }.expect("as many entries as numbers");
    }

    /// Takes the requests that wait, enters the kernel once for all of them, and answers what has completed.
    fn turn(&mut self) {
        while !self.free.is_empty()
            && let Ok(request) = self.queue.try_recv()
        {
            self.push(request);
        }
        self.ring.submit().expect("the ring takes what fits");
        self.answer();
    }

    fn answer(&mut self) {
        for completion in self.ring.completion() {
            let at = completion.user_data() as usize;
            let request = self.in_flight[at].take().expect("answered once");
            self.free.push_back(at);
            // A task that is gone needs no answer.
            let _ = request.reply.send((completion.result(), request.buffer));
        }
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        while self.free.len() < ENTRIES as usize {
            if self.ring.submit_and_wait(1).is_err() {
                // The kernel may still write to these buffers: better lost than freed.
                std::mem::take(&mut self.in_flight).into_iter().for_each(std::mem::forget);
                return;
            }
            self.answer();
        }
    }
}
