use std::collections::BTreeMap;

use super::{History, Observation, Oracle, TransactionId, Verdict};
use crate::violation::Violation;

/// The write right goes to those who wait for it in the order in which they asked.
///
/// Starvation is a matter of luck and of load: a run that ends finishes whoever starved in it. The order is a fact.
#[derive(Debug, Default)]
pub struct Fairness {
    asked: u64,
    /// By when they asked.
    waiting: BTreeMap<u64, TransactionId>,
    /// When each of them asked.
    turns: BTreeMap<TransactionId, u64>,
}

impl Oracle for Fairness {
    fn judge(&mut self, _: &History, seen: &Observation<'_>) -> Verdict {
        match *seen {
            Observation::TurnAwaited { id } => {
                self.asked += 1;
                self.waiting.insert(self.asked, id);
                self.turns.insert(id, self.asked);
            }
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
        let first = self.waiting.first_key_value().map(|(_, first)| *first);
        self.leave(id);
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
