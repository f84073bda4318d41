//! What goes into a ring: operations in flight, what waits for a slot, and what waits for the submission queue.

use std::collections::VecDeque;
use std::sync::{Arc, Weak};

use io_uring::opcode;
use io_uring::squeue::{Entry, SubmissionQueue};

use super::flight::Flight;
use super::slots::{Slots, Token};
use crate::io::posix::PosixFile;
use crate::io::{Canceller, Submission, Unstarted};

/// What comes back for an entry that belongs to no operation: a request to cancel, a wake.
const NO_FLIGHT: u64 = u64::MAX;

/// The part of a ring under its lock.
pub(super) struct State {
    pub(super) flights: Slots<Flight>,
    /// What found no slot; not started, so a cancel ends it at once.
    pub(super) backlog: VecDeque<(Arc<PosixFile>, Submission)>,
    /// What found no place in the submission queue. It goes there first, in this order.
    outbox: VecDeque<Outgoing>,
    pub(super) closed: bool,
}

/// Something that the kernel is to be told.
#[derive(Clone, Copy)]
pub(super) enum Outgoing {
    /// The next piece of a flight.
    Piece(Token),
    /// To cancel a flight.
    Cancel(Token),
    /// To answer, for a thread that waits for an answer.
    Nudge,
}

impl State {
    /// With slots for `entries` flights.
    pub(super) fn new(entries: u32) -> Self {
        Self {
            flights: Slots::new(entries as usize),
            backlog: VecDeque::new(),
            outbox: VecDeque::new(),
            closed: false,
        }
    }

    /// Starts an operation and puts it into a slot, of which one is free. The kernel is to be told next.
    pub(super) fn launch(
        &mut self,
        canceller: Weak<dyn Canceller>,
        file: Arc<PosixFile>,
        submission: Submission,
    ) -> Result<Outgoing, Unstarted> {
        let token = self.flights.next();
        // A cancel waits for the state's lock from now on, and then finds the flight.
        let in_flight = file.start(submission, Some((canceller, token.0)))?;
        self.flights.insert(token, Flight::new(file, in_flight));
        Ok(Outgoing::Piece(token))
    }

    /// Puts `outgoing` into the submission queue, or into the outbox if that is full.
    pub(super) fn send(&mut self, queue: &mut SubmissionQueue<'_>, outgoing: Outgoing) {
        if !self.outbox.is_empty() || !self.push(queue, outgoing) {
            self.outbox.push_back(outgoing);
        }
    }

    /// Moves as much of the outbox as fits into the submission queue; whether all of it did.
    pub(super) fn empty_outbox(&mut self, queue: &mut SubmissionQueue<'_>) -> bool {
        while let Some(outgoing) = self.outbox.front().copied() {
            if !self.push(queue, outgoing) {
                return false;
            }
            self.outbox.pop_front();
        }
        true
    }

    /// False when the queue is full. What names a flight that has ended needs no place.
    fn push(&mut self, queue: &mut SubmissionQueue<'_>, outgoing: Outgoing) -> bool {
        if queue.is_full() {
            return false;
        }
        let Some(entry) = self.entry(outgoing) else { return true };
        // SAFETY: what a piece's entry points to is in its flight, which stays in its slot until the kernel has answered
        // (`Ring::conclude` removes it then, `Ring::drop` never does). The other entries point to nothing.
        unsafe { queue.push(&entry) }.is_ok()
    }

    fn entry(&mut self, outgoing: Outgoing) -> Option<Entry> {
        Some(match outgoing {
            Outgoing::Piece(token) => self.flights.get_mut(token)?.entry().user_data(token.0),
            Outgoing::Cancel(token) => {
                self.flights.get_mut(token)?;
                opcode::AsyncCancel::new(token.0).build().user_data(NO_FLIGHT)
            }
            Outgoing::Nudge => opcode::Nop::new().build().user_data(NO_FLIGHT),
        })
    }

    /// Requests to cancel all that is in flight and has not been cancelled.
    pub(super) fn cancel_all(&mut self, queue: &mut SubmissionQueue<'_>) {
        for token in self.flights.tokens() {
            if self.flights.get_mut(token).is_some_and(Flight::wants_cancel) {
                self.send(queue, Outgoing::Cancel(token));
            }
        }
    }
}
