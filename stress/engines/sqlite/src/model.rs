//! What the database may contain: each transaction that writes leaves its number in it, and the state after it is known.

use std::collections::BTreeMap;

use tenterhook_stress::oracle::CommitLine;

use crate::plan::Plan;

/// A row of the tree: its value, and how long its text is.
pub(crate) type Row = (i64, i64);

/// All that the tables hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) balances: Vec<i64>,
    /// How many transactions each connection has committed.
    pub(crate) sequence: Vec<i64>,
    pub(crate) tree: BTreeMap<i64, Row>,
}

/// The commits. What is there before the first one is what the setup fills in.
pub(crate) type Model = CommitLine<State>;

impl State {
    /// What the setup fills in.
    pub(crate) fn initial(plan: &Plan, connections: u32) -> State {
        State {
            balances: vec![100; plan.accounts as usize],
            sequence: vec![0; connections as usize],
            tree: BTreeMap::new(),
        }
    }
}
