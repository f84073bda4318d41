//! Reads through our backends.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use parking_lot::Mutex;
use tenterhook_runtime::Completion;
use tenterhook_runtime::io::{BufferPool, File, IO, OpenOptions, Submission};

use super::{Book, PAGE, Sum, Walk, mark_in};
use crate::contender::{Contender, Evidence, Latencies};

/// One thread that keeps so many reads in flight and waits for the oldest.
pub(super) struct Completions {
    io: Arc<dyn IO>,
    file: Arc<dyn File>,
    buffers: BufferPool,
    depth: usize,
    sum: &'static Sum,
}

impl Completions {
    pub(super) fn new(io: Arc<dyn IO>, book: &Book, depth: usize) -> Self {
        let options = OpenOptions { direct: book.direct, ..OpenOptions::default() };
        let file = io.open(&book.path, options).expect("the file was written");
        Self { io, file, buffers: BufferPool::new(PAGE, depth), depth, sum: Sum::leak() }
    }

    fn read(&self, page: u64, done: impl FnOnce() + Send + 'static) -> Completion {
        let (sum, buffers) = (self.sum, self.buffers.clone());
        let buffer = self.buffers.take().expect("one for each read in flight");
        self.file.start(Submission::read(page * PAGE as u64, buffer, move |_, buffer| {
            sum.add(mark_in(&buffer));
            buffers.give_back(buffer);
            done();
        }))
    }

    fn wait(&self, read: &Completion) {
        let outcome = self.io.block_on(read).expect("the backend steps");
        assert_eq!(outcome, Ok(PAGE as u64));
    }

    /// Reads so many pages; `start` gives what to call at the end of each.
    fn walk<D: FnOnce() + Send + 'static>(&self, reads: u64, mut start: impl FnMut() -> D) {
        let mut window: VecDeque<Completion> = VecDeque::with_capacity(self.depth);
        for page in Walk::new().take(reads as usize) {
            if window.len() == self.depth {
                self.wait(&window.pop_front().expect("full"));
            }
            window.push_back(self.read(page, start()));
        }
        window.iter().for_each(|read| self.wait(read));
    }
}

impl Contender for Completions {
    fn run(&mut self, operations: u64) -> Evidence {
        self.walk(operations, || || {});
        Evidence::results(self.sum.take())
    }

    fn latencies(&mut self, operations: u64) -> Option<Latencies> {
        let latencies = Arc::new(Mutex::new(Latencies::new()));
        self.walk(operations, || {
            let (latencies, started) = (Arc::clone(&latencies), Instant::now());
            move || latencies.lock().record(started)
        });
        self.sum.take();
        let latencies = latencies.lock().clone();
        Some(latencies)
    }
}
