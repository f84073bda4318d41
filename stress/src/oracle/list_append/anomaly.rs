//! Cycles of dependencies, by what isolation forbids.

use super::super::Verdict;
use super::dependencies::Dependencies;
use super::graph::Kind;
use super::{Level, Operation, Transaction};
use crate::violation::Violation;

/// Looks for the cycles that `level` forbids, those that fewer levels allow first.
///
/// # Errors
///
/// A violation of "isolation" with the cycle.
pub(super) fn look_for_cycles(
    transactions: &[Transaction],
    dependencies: &Dependencies,
    level: Level,
) -> Verdict {
    let Dependencies { graph } = dependencies;
    let flow = [Kind::Write, Kind::Read];
    let all = [Kind::Write, Kind::Read, Kind::Anti];
    let in_time = [Kind::Write, Kind::Read, Kind::Anti, Kind::Time];
    let broken = |name: &str, cycle: Vec<(usize, Kind)>| Err(broken(name, &cycle, transactions, level));
    if let Some(cycle) = graph.cycle(&[Kind::Write]) {
        return broken("dirty writes (G0)", cycle);
    }
    if let Some(cycle) = graph.cycle(&flow) {
        return broken("circular information flow (G1c)", cycle);
    }
    if level >= Level::Snapshot
        && let Some(cycle) = graph.cycle_with(Kind::Anti, &flow)
    {
        return broken("read skew or a lost update (G-single)", cycle);
    }
    if level >= Level::Serializable
        && let Some(cycle) = graph.cycle(&all)
    {
        return broken("write skew (G2)", cycle);
    }
    if level == Level::StrictSerializable
        && let Some(cycle) = graph.cycle(&in_time)
    {
        return broken("an order against real time", cycle);
    }
    Ok(())
}

fn broken(name: &str, cycle: &[(usize, Kind)], transactions: &[Transaction], level: Level) -> Box<Violation> {
    let why = |kind| match kind {
        Kind::Write => "appended before",
        Kind::Read => "was read by",
        Kind::Anti => "did not see",
        Kind::Time => "had ended before",
    };
    let links: Vec<String> = cycle.iter().map(|&(from, kind)| format!("T{from} {}", why(kind))).collect();
    let first = cycle.first().map_or(0, |&(from, _)| from);
    let seen = format!("{name}: {} T{first}", links.join(" "));
    let expected = match level {
        Level::ReadCommitted => "read committed",
        Level::Snapshot => "snapshot isolation",
        Level::Serializable => "a serial order",
        Level::StrictSerializable => "a serial order that agrees with real time",
    };
    let told = cycle.iter().map(|&(index, _)| describe(index, &transactions[index]));
    told.fold(Violation::safety("isolation", expected, seen), Violation::note)
}

fn describe(index: usize, transaction: &Transaction) -> String {
    let operations = transaction.operations.iter().map(|operation| match operation {
        Operation::Append { list, element } => format!("appends {element} to list {list}"),
        Operation::Read { list, seen: Some(seen) } => format!("reads list {list} as {seen:?}"),
        Operation::Read { list, seen: None } => format!("reads list {list}"),
    });
    let operations: Vec<String> = operations.collect();
    format!("T{index} of process {}: {}", transaction.process, operations.join(", "))
}
