//! The write lock: one holder, the others in a queue.

use std::collections::VecDeque;

use super::readers::{Obstacle, Snapshot};
use super::wakes::Wakes;
use crate::{Completer, Completion};

/// Names one claim to the write lock.
pub(super) type Ticket = u64;

/// On whose behalf the write lock is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Waiter {
    /// A waiter without a snapshot: a new transaction, or a checkpoint.
    New,
    /// A reader that keeps its snapshot while it waits. It would wait without end for a holder that waits for it.
    Reader(Snapshot),
}

impl Waiter {
    /// Whether it is in the way.
    fn is(self, obstacle: Obstacle) -> bool {
        matches!(self, Self::Reader(snapshot) if obstacle.includes(&snapshot))
    }
}

/// One holder, the others in the order of asking.
///
/// Who holds the write lock is said here, under the pager's lock, and nowhere else. A waiter's completion only tells it to
/// look again, so a grant that races with a cancel or a drop is never lost: the one that leaves gives up what it finds here.
#[derive(Debug, Default)]
pub(super) struct WriteLock {
    last_ticket: Ticket,
    holder: Option<Ticket>,
    /// The readers that the holder waits for: none of them may wait for the write lock meanwhile.
    awaited: Option<Obstacle>,
    queue: VecDeque<Queued>,
}

#[derive(Debug)]
struct Queued {
    ticket: Ticket,
    waiter: Waiter,
    completer: Completer,
}

impl WriteLock {
    fn ticket(&mut self) -> Ticket {
        self.last_ticket += 1;
        self.last_ticket
    }

    /// The write lock, if it is free and has no waiter.
    pub(super) fn try_take(&mut self) -> Option<Ticket> {
        if self.holder.is_some() || !self.queue.is_empty() {
            return None;
        }
        self.holder = Some(self.ticket());
        self.holder
    }

    /// A place at the end of the queue, and what ends when its turn has come, or when it is sent away. `None` for a reader
    /// that the holder waits for.
    pub(super) fn enqueue(&mut self, waiter: Waiter) -> Option<(Ticket, Completion)> {
        if self.awaited.is_some_and(|obstacle| waiter.is(obstacle)) {
            return None;
        }
        let ticket = self.ticket();
        let (completion, completer) = Completion::new(|_| {});
        self.queue.push_back(Queued { ticket, waiter, completer });
        Some((ticket, completion))
    }

    /// The holder is about to wait for these readers: sends away those of them that wait for it.
    pub(super) fn await_readers(&mut self, obstacle: Obstacle) -> Wakes {
        self.awaited = Some(obstacle);
        let (awaited, others): (VecDeque<_>, _) =
            self.queue.drain(..).partition(|queued| queued.waiter.is(obstacle));
        self.queue = others;
        awaited.into_iter().map(|queued| queued.completer).collect()
    }

    /// The holder waits for readers no longer.
    pub(super) fn go_on(&mut self) {
        self.awaited = None;
    }

    pub(super) fn is_holder(&self, ticket: Ticket) -> bool {
        self.holder == Some(ticket)
    }

    /// Gives up whatever `ticket` has: the write lock, which goes to the next, or its place in the queue, or nothing.
    pub(super) fn give_up(&mut self, ticket: Ticket) -> Wakes {
        if !self.is_holder(ticket) {
            let place = self.queue.iter().position(|queued| queued.ticket == ticket);
            let left = place.and_then(|place| self.queue.remove(place));
            return left.into_iter().map(|queued| queued.completer).collect();
        }
        let next = self.queue.pop_front();
        self.holder = next.as_ref().map(|queued| queued.ticket);
        self.awaited = None;
        next.into_iter().map(|queued| queued.completer).collect()
    }

    /// Sends all waiters away, to find out why.
    pub(super) fn dismiss(&mut self) -> Wakes {
        self.queue.drain(..).map(|queued| queued.completer).collect()
    }

    pub(super) fn is_held(&self) -> bool {
        self.holder.is_some()
    }

    pub(super) fn waiting(&self) -> usize {
        self.queue.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pager::format::header::FileState;

    fn enqueue(lock: &mut WriteLock) -> (Ticket, Completion) {
        lock.enqueue(Waiter::New).expect("only readers are refused")
    }

    #[test]
    fn lock_is_granted_in_the_order_of_requests() {
        let mut lock = WriteLock::default();
        let first = lock.try_take().expect("free");
        let waiters: Vec<_> = (0..3).map(|_| enqueue(&mut lock)).collect();
        let mut holder = first;
        for (ticket, completion) in waiters {
            assert!(!completion.finished());
            lock.give_up(holder).wake();
            assert!(completion.succeeded() && lock.is_holder(ticket));
            holder = ticket;
        }
        lock.give_up(holder).wake();
        assert!(!lock.is_held());
    }

    #[test]
    fn no_writer_overtakes_the_queue() {
        let mut lock = WriteLock::default();
        let first = lock.try_take().expect("free");
        let (second, _completion) = enqueue(&mut lock);
        lock.give_up(first).wake();
        assert!(lock.is_holder(second));
        assert_eq!(lock.try_take(), None);
    }

    #[test]
    fn waiter_that_leaves_is_skipped() {
        let mut lock = WriteLock::default();
        let first = lock.try_take().expect("free");
        let (second, _) = enqueue(&mut lock);
        let (third, completion) = enqueue(&mut lock);
        lock.give_up(second).wake();
        lock.give_up(first).wake();
        assert!(lock.is_holder(third) && completion.succeeded());
    }

    #[test]
    fn waiter_that_leaves_after_the_grant_passes_the_lock_on() {
        let mut lock = WriteLock::default();
        let first = lock.try_take().expect("free");
        let (second, _) = enqueue(&mut lock);
        let (third, completion) = enqueue(&mut lock);
        lock.give_up(first).wake();
        lock.give_up(second).wake();
        assert!(lock.is_holder(third) && completion.succeeded());
    }

    #[test]
    fn reader_does_not_wait_for_a_holder_that_waits_for_it() {
        let reader = |mark| Waiter::Reader(Snapshot { state: FileState::EMPTY, mark, reads_log: true });
        let mut lock = WriteLock::default();
        let first = lock.try_take().expect("free");
        let (_, early) = lock.enqueue(reader(4)).expect("no holder waits for readers yet");
        let (second, newer) = lock.enqueue(reader(5)).expect("no holder waits for readers yet");
        let (third, turn) = enqueue(&mut lock);
        lock.await_readers(Obstacle::Before(5)).wake();
        assert!(early.succeeded() && !newer.finished() && !turn.finished(), "it is refused, and no other");
        assert!(lock.enqueue(reader(4)).is_none() && lock.enqueue(reader(5)).is_some());
        lock.await_readers(Obstacle::InLog).wake();
        assert!(newer.succeeded() && !turn.finished());
        lock.go_on();
        assert!(lock.enqueue(reader(4)).is_some(), "the holder has what it waited for");
        lock.await_readers(Obstacle::InLog).wake();
        lock.give_up(second).wake();
        lock.give_up(first).wake();
        assert!(lock.is_holder(third));
        assert!(lock.enqueue(reader(4)).is_some(), "the next holder does not wait for readers");
    }
}
