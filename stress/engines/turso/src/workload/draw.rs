//! What an operation is to do: drawn whole before it begins, since futures have no stream.

use tenterhook_stress::tape::{ChoicePoint, Stream};

use super::lists::Lists;
use crate::plan::{Journal, Mode, Plan};

/// What a connection may do next, in the order of their weights.
pub(crate) const OPERATIONS: [&str; 6] = ["write", "read", "checkpoint", "roll back", "check", "reopen"];
/// What a transaction may do, in the order of their weights.
pub(crate) const DEEDS: [&str; 5] =
    ["transfer", "put a row", "remove a row", "change the schema", "savepoint"];

const OPERATION: ChoicePoint = ChoicePoint::new(0, "operation");
const MODE: ChoicePoint = ChoicePoint::new(1, "mode");
const CLOSES: ChoicePoint = ChoicePoint::new(2, "closes after an error");
const WAITS: ChoicePoint = ChoicePoint::new(3, "waits");
const IMMEDIATE: ChoicePoint = ChoicePoint::new(4, "begins immediately");
const COUNT: ChoicePoint = ChoicePoint::new(5, "deeds");
const DEED: ChoicePoint = ChoicePoint::new(6, "deed");
const ACCOUNT: ChoicePoint = ChoicePoint::new(7, "account");
const KEY: ChoicePoint = ChoicePoint::new(8, "key");
const LENGTH: ChoicePoint = ChoicePoint::new(9, "length");
const TABLE: ChoicePoint = ChoicePoint::new(10, "table");
const IS_LISTS: ChoicePoint = ChoicePoint::new(16, "a transaction on lists");
const RELEASES: ChoicePoint = ChoicePoint::new(11, "releases");

/// Names of tables of a connection that come and go.
const TABLES: u32 = 3;

#[derive(Debug)]
pub(crate) struct Operation {
    pub(crate) what: What,
    /// Whether the connection is closed, without a word, if it fails.
    pub(crate) closes: bool,
}

#[derive(Debug)]
pub(crate) enum What {
    Write(Write),
    Lists(Lists),
    Read { waits: u32 },
    Checkpoint(Mode),
    Check,
    Reopen,
}

/// A transaction.
#[derive(Debug)]
pub(crate) struct Write {
    pub(crate) immediate: bool,
    pub(crate) deeds: Vec<Deed>,
    pub(crate) commits: bool,
    /// How often it lets others go between its deeds and its end.
    pub(crate) waits: u32,
}

#[derive(Debug)]
pub(crate) enum Deed {
    Transfer {
        from: usize,
        to: usize,
        amount: i64,
    },
    Put {
        key: i64,
        length: i64,
    },
    Remove {
        key: i64,
    },
    /// Makes the table if there is none, and removes it if there is. With an index or without.
    Schema {
        table: u32,
        with_index: bool,
    },
    /// What happens in a savepoint, which is released or rolled back to.
    Savepoint {
        deeds: Vec<Deed>,
        releases: bool,
    },
}

impl Operation {
    pub(crate) fn draw(stream: &mut Stream, plan: &Plan) -> Operation {
        let operation = stream.weighted(OPERATION, &plan.weights);
        let closes = stream.choose(CLOSES, 4) == 3;
        let what = match operation {
            0 if plan.lists && stream.choose(IS_LISTS, 2) == 1 => What::Lists(Lists::draw(stream)),
            0 | 3 => What::Write(Write::draw(stream, plan, operation == 0)),
            1 => What::Read { waits: [0, 1, 10, 100][stream.choose(WAITS, 4) as usize] },
            2 => {
                let drawn = Mode::ALL[stream.choose(MODE, 4) as usize];
                // With versions of rows a passive checkpoint is an experiment.
                let drawn = if plan.journal == Journal::Mvcc && drawn == Mode::Passive {
                    Mode::Truncate
                } else {
                    drawn
                };
                What::Checkpoint(plan.only_mode.unwrap_or(drawn))
            }
            4 => What::Check,
            _ => What::Reopen,
        };
        Operation { what, closes }
    }

    /// For people.
    pub(crate) fn name(&self) -> String {
        match &self.what {
            What::Write(write) if write.commits => "a transaction".into(),
            What::Write(_) => "a transaction that is given up".into(),
            What::Lists(_) => "a transaction on lists".into(),
            What::Read { .. } => "a snapshot".into(),
            What::Checkpoint(mode) => format!("a checkpoint, {mode:?}"),
            What::Check => "an integrity check".into(),
            What::Reopen => "a connection is closed".into(),
        }
    }
}

impl Write {
    fn draw(stream: &mut Stream, plan: &Plan, commits: bool) -> Write {
        let immediate = stream.choose(IMMEDIATE, 2) == 1;
        let count = 1 + stream.choose(COUNT, plan.deeds);
        let deeds = (0..count).map(|_| Deed::draw(stream, plan, true)).collect();
        let waits = [0, 0, 1, 10][stream.choose(WAITS, 4) as usize];
        Write { immediate, deeds, commits, waits }
    }
}

impl Deed {
    fn draw(stream: &mut Stream, plan: &Plan, may_nest: bool) -> Deed {
        let deed = stream.weighted(DEED, &plan.deed_weights);
        let mut account = || stream.choose(ACCOUNT, plan.accounts) as usize;
        match deed {
            1 => Deed::Put {
                key: i64::from(stream.choose(KEY, plan.keys)),
                length: i64::from(1 + stream.choose(LENGTH, plan.text)),
            },
            2 => Deed::Remove { key: i64::from(stream.choose(KEY, plan.keys)) },
            3 => {
                Deed::Schema { table: stream.choose(TABLE, TABLES), with_index: stream.choose(TABLE, 2) == 1 }
            }
            4 if may_nest => {
                let count = 1 + stream.choose(COUNT, 3);
                let deeds = (0..count).map(|_| Deed::draw(stream, plan, false)).collect();
                Deed::Savepoint { deeds, releases: stream.choose(RELEASES, 2) == 0 }
            }
            _ => Deed::Transfer {
                from: account(),
                to: account(),
                amount: i64::from(stream.choose(LENGTH, 9)) + 1,
            },
        }
    }
}
