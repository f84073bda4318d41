//! A ring and everything that goes through it.
//!
//! Two locks, because the ring has two ends. `state` is for a thread that puts entries into the submission queue: it covers
//! the queue, the slots and the backlog. `reaping` is for a thread that takes entries out of the completion queue. No thread takes
//! `reaping` while holding `state`, and no user code runs under either.

use std::sync::{Arc, Weak};
use std::time::Duration;

use io_uring::types::{SubmitArgs, Timespec};
use io_uring::{IoUring, Probe, opcode};
use rustix::io::Errno;

use super::flight::Advance;
use super::slots::Token;
use super::state::{Outgoing, State};
use crate::io::abandon::{abandon, refuse};
use crate::io::posix::PosixFile;
use crate::io::{Canceller, IoError, Submission, Unstarted};
use crate::panics::Panics;
use crate::sync::Mutex;

/// How long a thread waits that has to enter the kernel again after the kernel was short of memory.
const BREATH: Duration = Duration::from_millis(1);

pub(super) struct Ring {
    uring: IoUring,
    state: Mutex<State>,
    /// For the thread that takes answers, with the allocation that it puts them into.
    reaping: Mutex<Answers>,
    /// To itself: operations in flight take requests to cancel to it.
    own: Weak<Ring>,
}

/// The entries that were taken from the completion queue in one go.
type Answers = Vec<(u64, i32)>;

/// What came of entering the kernel.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Entered {
    /// It took what it was given, or a wait ended.
    Done,
    /// It is short of memory, or has answers to be taken first.
    NotNow,
}

impl Ring {
    /// With room for `entries` operations in the kernel at a time.
    pub(super) fn new(entries: u32) -> Result<Arc<Self>, IoError> {
        let refuse = |error: std::io::Error| IoError::of("start io_uring", &error);
        // An operation has two answers at most, its own and that to the one request to cancel it, which may come when its
        // slot has been given on. What the queue can't hold, the kernel keeps (IORING_FEAT_NODROP, older than the operations
        // probed for below) until `flush` enters it.
        let answers = entries.saturating_mul(2);
        let uring: IoUring = IoUring::builder().setup_cqsize(answers).build(entries).map_err(refuse)?;
        let mut probe = Probe::new();
        uring.submitter().register_probe(&mut probe).map_err(refuse)?;
        let needed = [
            opcode::Read::CODE,
            opcode::Write::CODE,
            opcode::Writev::CODE,
            opcode::Fsync::CODE,
            opcode::Ftruncate::CODE,
            opcode::AsyncCancel::CODE,
        ];
        if !needed.iter().all(|code| probe.is_supported(*code)) {
            return Err(refuse(Errno::OPNOTSUPP.into()));
        }
        Ok(Arc::new_cyclic(|own| Self {
            uring,
            state: Mutex::new(State::new(entries)),
            reaping: Mutex::new(Answers::new()),
            own: own.clone(),
        }))
    }

    /// Puts an operation into the submission queue, or into the backlog if the ring is full. It reaches the kernel with
    /// the next [`Ring::flush`].
    pub(super) fn submit(&self, file: Arc<PosixFile>, submission: Submission) {
        let refused = {
            let mut state = self.state.lock();
            if state.closed {
                drop(state);
                return abandon(submission);
            }
            if state.flights.is_full() {
                return state.backlog.push_back((file, submission));
            }
            self.launch(&mut state, file, submission)
        };
        // Runs a callback: with no lock held.
        if let Some(refused) = refused {
            refuse(refused);
        }
    }

    /// Starts an operation; what can't be started is to be dropped when the lock has been released.
    #[must_use]
    fn launch(&self, state: &mut State, file: Arc<PosixFile>, submission: Submission) -> Option<Unstarted> {
        match state.launch(self.own.clone(), file, submission) {
            Ok(piece) => {
                self.send(state, piece);
                None
            }
            Err(unstarted) => Some(unstarted),
        }
    }

    fn send(&self, state: &mut State, outgoing: Outgoing) {
        // SAFETY: `state` is borrowed from its lock, which makes this the only view of the submission queue.
        let mut queue = unsafe { self.uring.submission_shared() };
        state.send(&mut queue, outgoing);
    }

    /// Gives the kernel what is in the submission queue and in the outbox. What it refuses for now is left to the next
    /// call.
    pub(super) fn flush(&self) -> Result<(), IoError> {
        loop {
            let (waiting, all) = {
                let mut state = self.state.lock();
                // SAFETY: as in `send`.
                let mut queue = unsafe { self.uring.submission_shared() };
                let all = state.empty_outbox(&mut queue);
                queue.sync();
                // Answers that overflowed come into their queue when the kernel is entered.
                (!queue.is_empty() || queue.cq_overflow(), all)
            };
            if !waiting {
                return Ok(());
            }
            let entered = classify(self.uring.submit())?;
            if all || entered == Entered::NotNow {
                return Ok(());
            }
        }
    }

    /// Takes what the kernel has answered and ends those operations. With `patience`, waits that long for the first
    /// answer. Returns how many ended, or nothing if another thread is at it. Callbacks' panics go to `panics`.
    pub(super) fn reap(
        &self,
        patience: Option<Duration>,
        panics: &mut Panics,
    ) -> Result<Option<usize>, IoError> {
        let mut answers = {
            let Some(mut reaping) = self.reaping.try_lock() else { return Ok(None) };
            if let Some(patience) = patience {
                self.wait_for_an_answer(patience)?;
            }
            // SAFETY: the lock makes this the only view of the completion queue.
            let queue = unsafe { self.uring.completion_shared() };
            let mut answers = std::mem::take(&mut *reaping);
            answers.extend(queue.map(|answer| (answer.user_data(), answer.result())));
            answers
        };
        let mut ended = 0;
        for (token, answer) in answers.drain(..) {
            ended += usize::from(self.conclude(Token(token), answer, panics));
        }
        if let Some(mut reaping) = self.reaping.try_lock() {
            *reaping = answers;
        }
        Ok(Some(ended))
    }

    fn wait_for_an_answer(&self, patience: Duration) -> Result<(), IoError> {
        let timespec = Timespec::from(patience);
        let arguments = SubmitArgs::new().timespec(&timespec);
        if classify(self.uring.submitter().submit_with_args(1, &arguments))? == Entered::NotNow {
            // Not a wait for anything: the caller would come back at once, as often as the processor allows.
            std::thread::sleep(BREATH);
        }
        Ok(())
    }

    /// Takes one answer; true when it ended an operation.
    fn conclude(&self, token: Token, answer: i32, panics: &mut Panics) -> bool {
        let (flight, outcome, refused) = {
            let mut state = self.state.lock();
            let closed = state.closed;
            // No flight's, or an answer to a request to cancel.
            let Some(flight) = state.flights.get_mut(token) else { return false };
            let outcome = match flight.advance(answer, closed) {
                Advance::Again => {
                    self.send(&mut state, Outgoing::Piece(token));
                    return false;
                }
                Advance::Here => None,
                Advance::Ended(outcome) => Some(outcome),
            };
            let flight = state.flights.remove(token).expect("found above");
            (flight, outcome, self.relaunch(&mut state))
        };
        panics.guard(|| match outcome {
            Some(outcome) => flight.finish(outcome),
            None => flight.run(),
        });
        panics.drop_each(refused);
        true
    }

    /// Fills free slots from the backlog.
    #[must_use]
    fn relaunch(&self, state: &mut State) -> Vec<Unstarted> {
        let mut refused = Vec::new();
        while !state.flights.is_full()
            && let Some((file, submission)) = state.backlog.pop_front()
        {
            refused.extend(self.launch(state, file, submission));
        }
        refused
    }

    /// Abandons the backlog and what comes later, and asks for the end of what is in flight.
    pub(super) fn close(&self, panics: &mut Panics) {
        let abandoned = {
            let mut state = self.state.lock();
            state.closed = true;
            // SAFETY: as in `send`.
            state.cancel_all(&mut unsafe { self.uring.submission_shared() });
            std::mem::take(&mut state.backlog)
        };
        panics.drop_each(abandoned);
    }

    /// Whether it is closed and the kernel has let go of everything.
    pub(super) fn is_over(&self) -> bool {
        let state = self.state.lock();
        state.closed && state.flights.len() == 0
    }

    /// Whether operations are in flight.
    pub(super) fn is_busy(&self) -> bool {
        self.state.lock().flights.len() > 0
    }

    /// Has the kernel answer, for a thread that waits for an answer.
    pub(super) fn nudge(&self) {
        self.send(&mut self.state.lock(), Outgoing::Nudge);
    }
}

impl Canceller for Ring {
    fn cancel(&self, token: u64) {
        let token = Token(token);
        {
            let mut state = self.state.lock();
            if !state.flights.get_mut(token).is_some_and(super::flight::Flight::wants_cancel) {
                return;
            }
            self.send(&mut state, Outgoing::Cancel(token));
        }
        // A refusal leaves it to the next flush; the operation ends with its real outcome at the latest.
        let _ = self.flush();
    }
}

impl Drop for Ring {
    /// The backend waits until the kernel has let go of everything. Should that fail, in whatever way, the buffers are
    /// leaked: the kernel may write to them as long as the process lives.
    fn drop(&mut self) {
        self.state.lock().flights.leak();
    }
}

/// What only says "not now" is no error: the kernel is short of memory or has answers to be taken first. Nor is the end of
/// a wait.
fn classify(result: std::io::Result<usize>) -> Result<Entered, IoError> {
    match result {
        Ok(_) => Ok(Entered::Done),
        Err(error) => match error.raw_os_error().map(Errno::from_raw_os_error) {
            Some(Errno::INTR | Errno::TIME) => Ok(Entered::Done),
            Some(Errno::AGAIN | Errno::BUSY | Errno::NOMEM) => Ok(Entered::NotNow),
            _ => Err(IoError::of("enter io_uring", &error)),
        },
    }
}
