//! Transactions that append to lists and read them whole, next to the bank: the library's checker judges their isolation.

use tenterhook_stress::oracle::Verdict;
use tenterhook_stress::oracle::list_append::{Level, Operation};
use tenterhook_stress::tape::{ChoicePoint, Stream};
use tenterhook_stress::violation::Violation;

use super::{Bank, Done, Stop};
use crate::db::Session;
use crate::plan::{Broken, Journal, Plan};
use crate::verdict;

const COUNT: ChoicePoint = ChoicePoint::new(12, "steps of a list transaction");
const STEP: ChoicePoint = ChoicePoint::new(13, "append or read");
const LIST: ChoicePoint = ChoicePoint::new(14, "list");
const IMMEDIATE: ChoicePoint = ChoicePoint::new(15, "list transaction begins immediate");

/// Lists that are in use at a time.
const LISTS: u32 = 3;
/// After so many transactions others are used: lists stay short.
const TRANSACTIONS: usize = 60;

/// What a transaction does with lists; which ones, and with which elements, is known when it begins.
#[derive(Debug)]
pub(crate) struct Lists {
    immediate: bool,
    /// Whether it appends, and to which list.
    steps: Vec<(bool, u32)>,
}

impl Lists {
    pub(super) fn draw(stream: &mut Stream) -> Lists {
        let immediate = stream.choose(IMMEDIATE, 2) == 1;
        let count = 1 + stream.choose(COUNT, 4);
        let steps = (0..count).map(|_| (stream.choose(STEP, 2) == 0, stream.choose(LIST, LISTS))).collect();
        Lists { immediate, steps }
    }
}

/// What the journal mode promises.
fn level(plan: &Plan) -> Level {
    match plan.journal {
        Journal::Wal => Level::StrictSerializable,
        Journal::Mvcc => Level::Snapshot,
    }
}

impl Bank {
    /// One transaction on lists.
    pub(super) async fn append(&self, session: &Session, fiber: usize, lists: &Lists) -> Done<()> {
        let operations = self.operations(lists);
        let id = self.history.borrow_mut().begin(fiber as u32, operations.clone());
        let done = match session.run(self.begin_to_write(lists.immediate)).await {
            Ok(_) => self.run(session, operations).await,
            Err(error) => Err(error.into()),
        };
        let operations = match done {
            Ok(operations) => operations,
            // It was never asked to commit.
            Err(stop) => {
                self.history.borrow_mut().aborted(id);
                return Err(stop);
            }
        };
        if let Err(error) = session.run("COMMIT").await {
            match verdict::is_refusal(&error.error) {
                true => self.history.borrow_mut().aborted(id),
                false => self.history.borrow_mut().unknown(id),
            }
            return Err(Stop::Refused(error));
        }
        self.history.borrow_mut().committed(id, operations);
        self.counts.borrow_mut().commits += 1;
        Ok(())
    }

    fn operations(&self, lists: &Lists) -> Vec<Operation> {
        let mut history = self.history.borrow_mut();
        let first = (history.len() / TRANSACTIONS) as u64 * u64::from(LISTS);
        let operation = |&(appends, list): &(bool, u32)| {
            let list = first + u64::from(list);
            match appends {
                true => Operation::Append { list, element: history.element() },
                false => Operation::Read { list, seen: None },
            }
        };
        lists.steps.iter().map(operation).collect()
    }

    /// Does what `operations` say, and returns them with what was read.
    async fn run(&self, session: &Session, mut operations: Vec<Operation>) -> Done<Vec<Operation>> {
        for operation in &mut operations {
            match operation {
                Operation::Append { list, element } if self.plan.broken == Some(Broken::Lists) => {
                    // It forgets what was in the list.
                    session
                        .run(&format!("INSERT OR REPLACE INTO lists VALUES ({list}, '{element}')"))
                        .await?;
                }
                Operation::Append { list, element } => {
                    let rows = session.run(&format!("SELECT count(*) FROM lists WHERE id={list}")).await?;
                    let sql = match super::number(&rows) {
                        Some(0) => format!("INSERT INTO lists VALUES ({list}, '{element}')"),
                        _ => format!("UPDATE lists SET items = items || ',{element}' WHERE id={list}"),
                    };
                    session.run(&sql).await?;
                }
                Operation::Read { list, seen } => {
                    let rows = session.run(&format!("SELECT items FROM lists WHERE id={list}")).await?;
                    let items = rows.first().and_then(|row| row.first()).map(ToString::to_string);
                    *seen = Some(elements(&items.unwrap_or_default())?);
                }
            }
        }
        Ok(operations)
    }

    /// Whether the history so far may be one of this database. Asked of a system at rest.
    pub(super) fn judge_lists(&self) -> Verdict {
        self.history.borrow().check(level(&self.plan))
    }
}

fn elements(items: &str) -> Result<Vec<u64>, Box<Violation>> {
    let parts = items.split(',').filter(|part| !part.is_empty());
    let read: Result<_, _> = parts.map(str::parse).collect();
    read.map_err(|_| Violation::safety("lists", "numbers with commas between them", items))
}
