//! Transactions that append to lists and read them whole: a history from which their isolation can be judged.
//!
//! A list remembers the order of its appends, so that reads tell which transaction came before which. A cycle of such
//! dependencies is an anomaly, named as by Adya ("Weak consistency", 1999); the method is that of Elle (Kingsbury and Alvaro, VLDB
//! 2020). The judge is for histories of some thousand transactions. [`crate::history`] hands one to other checkers.

mod anomaly;
mod dependencies;
mod graph;
mod recorded;

use super::Verdict;
pub use crate::history::Outcome;

/// What isolation is demanded.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// No dirty writes, no reads of aborted or half-done transactions, no circular information flow (PL-2). An append must not lose
    /// elements that others have appended: a list that is read, changed and written back may do so at this level, and is told as G1c.
    ReadCommitted,
    /// Also no cycle with a single anti-dependency: read skew and lost updates (part of PL-SI).
    Snapshot,
    /// No cycle (PL-3).
    Serializable,
    /// No cycle that includes real time: what has ended comes before what begins later.
    StrictSerializable,
}

/// What a transaction does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Appends to a list. No two appends to one list have the same element.
    Append {
        /// The list.
        list: u64,
        /// What is appended.
        element: u64,
    },
    /// Reads a list.
    Read {
        /// The list.
        list: u64,
        /// All its elements; none as long as the read has not ended.
        seen: Option<Vec<u64>>,
    },
}

/// A transaction of a history.
#[derive(Clone, Debug)]
pub(super) struct Transaction {
    process: u32,
    operations: Vec<Operation>,
    begun: u64,
    ended: Option<(u64, Outcome)>,
}

/// Which transaction of a history.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TransactionId(usize);

/// What processes did, in the order in which it began and ended.
#[derive(Clone, Debug, Default)]
pub struct History {
    transactions: Vec<Transaction>,
    elements: u64,
    now: u64,
}

impl History {
    /// An element that no append has.
    pub fn element(&mut self) -> u64 {
        self.elements += 1;
        self.elements
    }

    /// A transaction of `process` begins. It is going to do `operations`; its reads have seen nothing yet.
    pub fn begin(&mut self, process: u32, operations: Vec<Operation>) -> TransactionId {
        let begun = self.tick();
        self.transactions.push(Transaction { process, operations, begun, ended: None });
        TransactionId(self.transactions.len() - 1)
    }

    /// It was acknowledged, and has done `operations`: those with which it began, and what its reads have seen.
    pub fn committed(&mut self, id: TransactionId, operations: Vec<Operation>) {
        self.transactions[id.0].operations = operations;
        self.end(id, Outcome::Committed);
    }

    /// It was refused, and nothing of it may be seen.
    pub fn aborted(&mut self, id: TransactionId) {
        self.end(id, Outcome::Aborted);
    }

    /// Nothing is known of its outcome: an error that does not tell, or a crash.
    pub fn unknown(&mut self, id: TransactionId) {
        self.end(id, Outcome::Unknown);
    }

    /// A life has ended: of transactions that are under way nothing is known.
    pub fn crashed(&mut self) {
        let now = self.tick();
        let under_way = self.transactions.iter_mut().filter(|transaction| transaction.ended.is_none());
        under_way.for_each(|transaction| transaction.ended = Some((now, Outcome::Unknown)));
    }

    /// How many transactions have begun.
    pub fn len(&self) -> usize {
        self.transactions.len()
    }

    /// Whether none has begun.
    pub fn is_empty(&self) -> bool {
        self.transactions.is_empty()
    }

    /// Whether the history may be one of a store with isolation `level`.
    ///
    /// # Errors
    ///
    /// A violation of "isolation", which names the anomaly and the transactions.
    pub fn check(&self, level: Level) -> Verdict {
        let dependencies = dependencies::Dependencies::of(&self.transactions, level)?;
        anomaly::look_for_cycles(&self.transactions, &dependencies, level)
    }

    fn end(&mut self, id: TransactionId, outcome: Outcome) {
        let now = self.tick();
        self.transactions[id.0].ended = Some((now, outcome));
    }

    fn tick(&mut self) -> u64 {
        self.now += 1;
        self.now
    }
}

impl Transaction {
    fn outcome(&self) -> Outcome {
        self.ended.map_or(Outcome::Unknown, |(_, outcome)| outcome)
    }

    fn appends(&self) -> impl Iterator<Item = (u64, u64)> {
        self.operations.iter().filter_map(|operation| match *operation {
            Operation::Append { list, element } => Some((list, element)),
            Operation::Read { .. } => None,
        })
    }
}

#[cfg(test)]
mod tests;
