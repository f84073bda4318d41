//! The events of a history, for other checkers.

use super::{History, Operation, Outcome, Transaction};
use crate::history::{self, Event, EventKind, Recorded};

impl Transaction {
    /// What reads have seen is known when the transaction has committed.
    fn event(&self, at: u64, kind: EventKind) -> Event {
        let is_known = kind == EventKind::Ok;
        let operations = self.operations.iter().map(|operation| match operation {
            &Operation::Append { list, element } => history::Operation::Append { list, element },
            Operation::Read { list, seen } => {
                let seen = seen.as_ref().filter(|_| is_known).cloned();
                history::Operation::ReadList { list: *list, seen }
            }
        });
        Event { at, process: self.process.into(), kind, operations: operations.collect() }
    }
}

impl Recorded for History {
    fn events(&self) -> Vec<Event> {
        let begun = self
            .transactions
            .iter()
            .map(|transaction| transaction.event(transaction.begun, EventKind::Invoke));
        let ended = self.transactions.iter().filter_map(|transaction| {
            let (at, outcome) = transaction.ended?;
            let kind = match outcome {
                Outcome::Committed => EventKind::Ok,
                Outcome::Aborted => EventKind::Fail,
                Outcome::Unknown => EventKind::Info,
            };
            Some(transaction.event(at, kind))
        });
        let mut events: Vec<Event> = begun.chain(ended).collect();
        events.sort_by_key(|event| event.at);
        events
    }
}
