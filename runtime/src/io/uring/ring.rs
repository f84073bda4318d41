//! A ring and everything that goes through it.
//!
//! Two locks, because the ring has two ends. `state` is for whoever puts entries into the submission queue: it covers
//! the queue, the slots and the backlog. `reaping` is for whoever takes entries out of the completion queue. Nobody takes
//! `reaping` while holding `state`, and no user code runs under either.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::Path;
use std::sync::{Arc, Weak};
use std::time::Duration;

use io_uring::squeue::Entry;
use io_uring::types::{SubmitArgs, Timespec};
use io_uring::{IoUring, Probe, opcode};
use rustix::io::Errno;

use super::flight::{Advance, Flight};
use super::slots::{Slots, Token};
use crate::io::posix::PosixFile;
use crate::io::{Canceller, IoError, Submission};
use crate::sync::Mutex;

/// What comes back for an entry that belongs to no operation: a request to cancel, a wake.
const NOBODY: u64 = u64::MAX;

pub(super) struct Ring {
    uring: IoUring,
    state: Mutex<State>,
    /// For whoever takes answers, with the allocation that it puts them into.
    reaping: Mutex<Answers>,
    /// To itself: operations in flight take requests to cancel to it.
    own: Weak<Ring>,
}

struct State {
    flights: Slots<Flight>,
    /// What found no slot; not started, so a cancel ends it at once.
    backlog: VecDeque<(Arc<PosixFile>, Submission)>,
    closed: bool,
}

/// The entries that were taken from the completion queue in one go.
type Answers = Vec<(u64, i32)>;

impl Ring {
    /// With room for `entries` operations in the kernel at a time.
    pub(super) fn new(entries: u32) -> Result<Arc<Self>, IoError> {
        let refuse = |error: std::io::Error| IoError::of("start io_uring for", Path::new(""), &error);
        // An operation has two answers at most, its own and that to its cancellation: the queue can't overflow.
        let uring: IoUring = IoUring::builder().setup_cqsize(entries * 2).build(entries).map_err(refuse)?;
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
        let most = entries as usize;
        let state = State { flights: Slots::new(most), backlog: VecDeque::new(), closed: false };
        Ok(Arc::new_cyclic(|own| Self {
            uring,
            state: Mutex::new(state),
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
                return drop(submission);
            }
            if state.flights.is_full() {
                return state.backlog.push_back((file, submission));
            }
            self.launch(&mut state, file, submission)
        };
        if let Some((flight, error)) = refused {
            flight.finish(Err(error));
        }
    }

    /// Starts an operation; gives it back if it can't be done.
    fn launch(
        &self,
        state: &mut State,
        file: Arc<PosixFile>,
        submission: Submission,
    ) -> Option<(Flight, crate::CompletionError)> {
        let token = state.flights.next();
        let canceller: Weak<dyn Canceller> = self.own.clone();
        // Whoever cancels from now on waits for the state's lock, and then finds the flight.
        let in_flight = submission.start(Some((canceller, token.0)))?;
        let mut flight = Flight::new(file, in_flight);
        if let Err(error) = flight.check() {
            return Some((flight, error));
        }
        let entry = flight.entry().user_data(token.0);
        state.flights.insert(token, flight);
        // SAFETY: what the entry points to is in the flight, which stays in its slot until the kernel has answered.
        unsafe { self.push(state, &entry) };
        None
    }

    /// # Safety
    ///
    /// What `entry` points to stays where it is until the kernel has answered.
    unsafe fn push(&self, _state: &mut State, entry: &Entry) {
        // SAFETY: the state's lock makes this the only view of the submission queue.
        while unsafe { self.uring.submission_shared().push(entry) }.is_err() {
            // Full: the kernel takes what is in it.
            let _ = self.uring.submit();
        }
    }

    /// Gives the kernel what is in the submission queue.
    pub(super) fn flush(&self) -> Result<(), IoError> {
        let waiting = {
            let _state = self.state.lock();
            // SAFETY: as in `push`.
            !unsafe { self.uring.submission_shared() }.is_empty()
        };
        if waiting { tolerate(self.uring.submit()) } else { Ok(()) }
    }

    /// Takes what the kernel has answered and ends those operations. With `patience`, waits that long for the first
    /// answer. Returns how many ended, or nothing if another thread is at it.
    ///
    /// # Panics
    ///
    /// With the first panic of a callback, after all operations have ended.
    pub(super) fn reap(&self, patience: Option<Duration>) -> Result<Option<usize>, IoError> {
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
        let (mut ended, mut panic) = (0, None);
        for (token, answer) in answers.drain(..) {
            match catch_unwind(AssertUnwindSafe(|| self.conclude(Token(token), answer))) {
                Ok(finished) => ended += usize::from(finished),
                Err(payload) => {
                    ended += 1;
                    panic.get_or_insert(payload);
                }
            }
        }
        if let Some(mut reaping) = self.reaping.try_lock() {
            *reaping = answers;
        }
        panic.map_or(Ok(Some(ended)), |payload| resume_unwind(payload))
    }

    fn wait_for_an_answer(&self, patience: Duration) -> Result<(), IoError> {
        let timespec = Timespec::from(patience);
        let arguments = SubmitArgs::new().timespec(&timespec);
        tolerate(self.uring.submitter().submit_with_args(1, &arguments))
    }

    /// Takes one answer; true when it ended an operation.
    fn conclude(&self, token: Token, answer: i32) -> bool {
        let (flight, outcome, refused) = {
            let mut state = self.state.lock();
            // Nobody's, or an answer to a request to cancel.
            let closed = state.closed;
            let Some(flight) = state.flights.get_mut(token) else { return false };
            match flight.advance(answer, closed) {
                Advance::Again => {
                    let entry = flight.entry().user_data(token.0);
                    // SAFETY: as in `launch`.
                    unsafe { self.push(&mut state, &entry) };
                    return false;
                }
                Advance::Ended(outcome) => {
                    let flight = state.flights.remove(token).expect("found above");
                    (flight, outcome, self.relaunch(&mut state))
                }
            }
        };
        flight.finish(outcome);
        for (flight, error) in refused {
            flight.finish(Err(error));
        }
        true
    }

    /// Fills free slots from the backlog.
    fn relaunch(&self, state: &mut State) -> Vec<(Flight, crate::CompletionError)> {
        let mut refused = Vec::new();
        while !state.flights.is_full()
            && let Some((file, submission)) = state.backlog.pop_front()
        {
            refused.extend(self.launch(state, file, submission));
        }
        refused
    }

    /// Abandons the backlog and what comes later, and asks for the end of what is in flight.
    pub(super) fn close(&self) {
        let abandoned = {
            let mut state = self.state.lock();
            state.closed = true;
            for token in state.flights.tokens() {
                self.push_cancel(&mut state, token);
            }
            std::mem::take(&mut state.backlog)
        };
        drop(abandoned);
    }

    /// Whether it is closed and the kernel has let go of everything.
    pub(super) fn is_over(&self) -> bool {
        let state = self.state.lock();
        state.closed && state.flights.len() == 0
    }

    /// Has the kernel answer, for whoever waits for an answer.
    pub(super) fn nudge(&self) {
        let mut state = self.state.lock();
        // SAFETY: it points to nothing.
        unsafe { self.push(&mut state, &opcode::Nop::new().build().user_data(NOBODY)) };
    }

    fn push_cancel(&self, state: &mut State, token: Token) {
        let entry = opcode::AsyncCancel::new(token.0).build().user_data(NOBODY);
        // SAFETY: it points to nothing.
        unsafe { self.push(state, &entry) };
    }
}

impl Canceller for Ring {
    fn cancel(&self, token: u64) {
        let mut state = self.state.lock();
        let token = Token(token);
        if state.flights.get_mut(token).is_some() {
            self.push_cancel(&mut state, token);
            drop(state);
            // A refusal leaves it to the next flush; the operation ends with its real outcome at the latest.
            let _ = self.flush();
        }
    }
}

/// What only says "not now": interrupted, timed out, or the kernel is short of memory or has answers to be taken first.
fn tolerate(result: std::io::Result<usize>) -> Result<(), IoError> {
    match result {
        Ok(_) => Ok(()),
        Err(error) => match error.raw_os_error().map(Errno::from_raw_os_error) {
            Some(Errno::INTR | Errno::TIME | Errno::AGAIN | Errno::BUSY) => Ok(()),
            _ => Err(IoError::of("step", Path::new(""), &error)),
        },
    }
}
