use std::collections::BTreeMap;

use super::{History, Observation, Oracle, TransactionId, Verdict};
use crate::violation::Violation;

/// The write right goes to those who wait for it in the order in which they asked.
///
/// But for those that are sent away, since the holder waits for them: they may not get it any more.
///
/// Starvation is a matter of luck and of load: a run that ends finishes whoever starved in it. The order is a fact.
#[derive(Debug, Default)]
pub struct Fairness {
    asked: u64,
    /// By when they asked.
    waiting: BTreeMap<u64, Waiter>,
    /// When each of them asked.
    turns: BTreeMap<TransactionId, u64>,
}

#[derive(Debug)]
struct Waiter {
    id: TransactionId,
    reads: bool,
}

impl Oracle for Fairness {
    fn judge(&mut self, _: &History, seen: &Observation<'_>) -> Verdict {
        match *seen {
            Observation::TurnAwaited { id, reads } => {
                self.asked += 1;
                self.waiting.insert(self.asked, Waiter { id, reads });
                self.turns.insert(id, self.asked);
            }
            Observation::ReadersAwaited => self.waiting.retain(|_, waiter| !waiter.reads),
            Observation::TurnCame { id } => return self.comes(id),
            Observation::TurnLeft { id } => self.leave(id),
            Observation::Crashed(_) => {
                self.waiting.clear();
                self.turns.clear();
            }
            _ => {}
        }
        Ok(())
    }
}

impl Fairness {
    fn comes(&mut self, id: TransactionId) -> Verdict {
        let first = self.waiting.first_key_value().map(|(_, first)| first.id);
        let sent_away = self.turns.get(&id).is_some_and(|turn| !self.waiting.contains_key(turn));
        self.leave(id);
        if sent_away {
            let expected = "no write right for a reader that was sent away".to_owned();
            return Err(Violation::safety("fairness", expected, format!("transaction {id:#x} got it")));
        }
        match first {
            Some(first) if first != id => {
                let expected = format!("the write right for transaction {first:#x}, who has waited longest");
                Err(Violation::safety("fairness", expected, format!("transaction {id:#x} got it")))
            }
            _ => Ok(()),
        }
    }

    fn leave(&mut self, id: TransactionId) {
        if let Some(turn) = self.turns.remove(&id) {
            self.waiting.remove(&turn);
        }
    }
}
