use std::collections::BTreeMap;

use super::{History, Observation, Oracle, TransactionId, Verdict};
use tenterhook_stress::violation::Violation;

/// The write lock goes to those who wait for it in the order in which they asked.
///
/// The exception are writers with a snapshot for which the holder waits: they are refused. No other writer is refused, and none at another time.
///
/// Starvation is a matter of luck and of load: the end of a run finishes every starved writer. The order can be checked.
#[derive(Debug, Default)]
pub struct Fairness {
    asked: u64,
    /// By when they asked.
    waiting: BTreeMap<u64, Waiter>,
    /// When each of them asked.
    turns: BTreeMap<TransactionId, u64>,
    /// Whether the holder waits for readers.
    awaits_readers: bool,
}

#[derive(Debug)]
struct Waiter {
    id: TransactionId,
    /// How many had been told to wait when it asked.
    since: u64,
    reads: bool,
}

impl Oracle for Fairness {
    fn judge(&mut self, _: &History, seen: &Observation<'_>) -> Verdict {
        match *seen {
            Observation::TurnAwaited { id, asked, reads } => {
                self.asked += 1;
                self.waiting.insert(self.asked, Waiter { id, since: asked, reads });
                self.turns.insert(id, self.asked);
            }
            // Which of them are in its way it knows better: those are passed over, the others keep their place.
            Observation::ReadersAwaited => {
                self.awaits_readers = true;
                self.waiting.retain(|_, waiter| !waiter.reads);
            }
            Observation::ReadersAwaitedNoMore => self.awaits_readers = false,
            Observation::TurnRefused { id } => return self.refused(id),
            Observation::TurnCame { id, asked } => return self.comes(id, asked),
            Observation::TurnLeft { id } => self.leave(id),
            Observation::Crashed(_) => {
                *self = Fairness::after(self.asked);
            }
            _ => {}
        }
        Ok(())
    }
}

impl Fairness {
    /// Of a pager in whose earlier lives so many transactions had been told to wait.
    pub(super) fn after(asked: u64) -> Fairness {
        Fairness { asked, ..Fairness::default() }
    }

    /// `asked` is how many had been told to wait when it asked. Threads may ask at the same time: only those that had been told
    /// before have waited longer for certain.
    fn comes(&mut self, id: TransactionId, asked: u64) -> Verdict {
        let own = self.turns.get(&id).and_then(|turn| self.waiting.get(turn)).map(|waiter| waiter.since);
        let asked = own.unwrap_or(asked);
        let first =
            self.waiting.first_key_value().filter(|&(&turn, _)| turn <= asked).map(|(_, first)| first.id);
        let may_be_passed_over = self.may_be_sent_away(id);
        self.leave(id);
        if may_be_passed_over {
            return Ok(());
        }
        match first {
            Some(first) if first != id => {
                let expected = format!("the write lock for transaction {first:#x}, who has waited longest");
                Err(Violation::safety("fairness", expected, format!("transaction {id:#x} got it")))
            }
            _ => Ok(()),
        }
    }

    /// Whether a checkpoint has begun to wait for readers since it asked.
    fn may_be_sent_away(&self, id: TransactionId) -> bool {
        self.turns.get(&id).is_some_and(|turn| !self.waiting.contains_key(turn))
    }

    fn refused(&mut self, id: TransactionId) -> Verdict {
        let explained = self.awaits_readers || self.may_be_sent_away(id);
        self.leave(id);
        if explained {
            return Ok(());
        }
        let expected = "no writer is refused while no checkpoint waits for readers".to_owned();
        Err(Violation::safety("fairness", expected, format!("transaction {id:#x} was")))
    }

    fn leave(&mut self, id: TransactionId) {
        if let Some(turn) = self.turns.remove(&id) {
            self.waiting.remove(&turn);
        }
    }
}
