//! A storm of cancels: everything below one root ends, and each part of it notices.

mod operations;
mod tasks;

use crate::goal::Goal;
use crate::row::{Entry, Extent, Plan, Row, Series, Workload};

pub(crate) const WORKLOAD: Workload =
    Workload { name: "cancel", about: "cancel a tree of 100 to 250,000 pending operations or tasks", plans };

/// Children of the root, each with as many leaves, and what measures such a tree.
const BRANCHES: [(u64, Extent); 4] =
    [(10, Extent::Normal), (30, Extent::Full), (100, Extent::Quick), (500, Extent::Full)];

/// Bytes of a tokio task with its token, and some to spare; a repetition holds several trees.
const LEAF: u64 = 1_000;

fn plans() -> Vec<Plan> {
    let kinds: [Series; 2] = [("cancel, operations", operations), ("cancel, tasks", tasks)];
    let plans = kinds.into_iter().flat_map(|(series, row)| {
        BRANCHES.into_iter().map(move |(branches, extent)| {
            let leaves = branches * branches;
            let plan = Plan::new(format!("{series}, {leaves}"), move || row(branches));
            plan.each(series, "leaves", leaves).from(extent).needs((256 << 20) + leaves * LEAF)
        })
    });
    plans.collect()
}

fn operations(branches: u64) -> Row {
    const OURS: &str = "tenterhook group, cancel";
    const JOIN_ALL: &str = "join_all of join_all, dropped";
    let mut row = Row::timed("operation", JOIN_ALL);
    row.about = "a tree of pending operations without tasks ends at its root; each leaf is told";
    row.granule = branches * branches;
    row.contenders = vec![
        Entry::ours(OURS, operations::Groups::new(branches)),
        Entry::new(JOIN_ALL, operations::Dropped::new(branches)),
        Entry::new("CancellationToken tree", operations::Tokens::new(branches)),
    ];
    row.goals = vec![Goal::ratio(OURS, JOIN_ALL, 1.0)];
    row
}

fn tasks(branches: u64) -> Row {
    const OURS: &str = "tenterhook executor, group cancel";
    const ABORT_ALL: &str = "tokio JoinSet, abort_all";
    let mut row = Row::timed("task", ABORT_ALL);
    row.about = "tasks that wait, each for its own event, end by one call; each is seen to have ended";
    row.granule = branches * branches;
    row.contenders = vec![
        Entry::ours(OURS, tasks::Machines::new(branches)),
        Entry::new(ABORT_ALL, tasks::Aborted::new()),
        Entry::new("tokio CancellationToken tree", tasks::Tokens::new(branches)),
        Entry::new("tokio JoinSet, dropped", tasks::DroppedSet::new()),
    ];
    row.goals = vec![Goal::ratio(OURS, ABORT_ALL, 1.0)];
    row
}
