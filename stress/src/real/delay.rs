//! Operations that are held back for a while.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{RecvTimeoutError, Sender, unbounded};
use tenterhook_runtime::io::{File, Submission};

/// A thread that submits what it is given when its time has come. When it is dropped, everything goes at once.
#[derive(Debug)]
pub(super) struct Delayer {
    sender: Option<Sender<Held>>,
    thread: Option<JoinHandle<()>>,
}

struct Held {
    due: Instant,
    file: Arc<dyn File>,
    submission: Submission,
}

impl Delayer {
    pub(super) fn start() -> Delayer {
        let (sender, receiver) = unbounded::<Held>();
        let thread = std::thread::spawn(move || {
            let mut waiting = Waiting::default();
            loop {
                let next = waiting.next_due().map(|due| due.saturating_duration_since(Instant::now()));
                // A day stands for no limit: a message or the end of the channel comes before.
                match receiver.recv_timeout(next.unwrap_or(Duration::from_secs(86_400))) {
                    Ok(held) => waiting.put(held),
                    Err(RecvTimeoutError::Timeout) => waiting.release(Some(Instant::now())),
                    Err(RecvTimeoutError::Disconnected) => return waiting.release(None),
                }
            }
        });
        Delayer { sender: Some(sender), thread: Some(thread) }
    }

    /// `submission` goes to `file` after `delay`.
    pub(super) fn hold(&self, delay: Duration, file: &Arc<dyn File>, submission: Submission) {
        let held = Held { due: Instant::now() + delay, file: Arc::clone(file), submission };
        if let Some(Err(refused)) = self.sender.as_ref().map(|sender| sender.send(held)) {
            // The thread is gone, which it never is: then without delay.
            refused.0.file.submit(refused.0.submission);
        }
    }
}

impl Drop for Delayer {
    fn drop(&mut self) {
        self.sender = None;
        if let Some(thread) = self.thread.take() {
            // A panic of its own has been reported.
            let _ = thread.join();
        }
    }
}

/// What is held, by when it is due.
#[derive(Default)]
struct Waiting {
    next: u64,
    order: BinaryHeap<Reverse<(Instant, u64)>>,
    held: BTreeMap<u64, Held>,
}

impl Waiting {
    fn put(&mut self, held: Held) {
        self.order.push(Reverse((held.due, self.next)));
        self.held.insert(self.next, held);
        self.next += 1;
    }

    fn next_due(&self) -> Option<Instant> {
        self.order.peek().map(|&Reverse((due, _))| due)
    }

    /// Submits what is due by `now`, or everything.
    fn release(&mut self, now: Option<Instant>) {
        while let Some(&Reverse((due, number))) = self.order.peek()
            && now.is_none_or(|now| due <= now)
        {
            self.order.pop();
            if let Some(held) = self.held.remove(&number) {
                held.file.submit(held.submission);
            }
        }
    }
}
