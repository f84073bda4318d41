//! Which transaction depends on which, as reads tell it, and what reads alone show to be wrong.

use std::collections::{BTreeMap, BTreeSet};

use super::super::Verdict;
use super::graph::{Graph, Kind};
use super::{Level, Operation, Outcome, Transaction};
use crate::violation::Violation;

/// Who appended an element.
#[derive(Copy, Clone, Debug)]
struct Writer {
    transaction: usize,
    /// Whether it is the last append of that transaction to that list.
    is_last: bool,
}

/// A read by a committed transaction, without what the transaction itself had appended before.
struct Read<'a> {
    transaction: usize,
    list: u64,
    seen: &'a [u64],
}

/// What is known of the order of transactions.
pub(super) struct Dependencies {
    pub(super) graph: Graph,
}

impl Dependencies {
    /// # Errors
    ///
    /// A violation of "isolation" that needs no cycle: a read of what was never appended, of an aborted or a half-done transaction, two
    /// reads that disagree on an order.
    pub(super) fn of(transactions: &[Transaction], level: Level) -> Verdict<Dependencies> {
        let writers = writers(transactions)?;
        let mut reads = Vec::new();
        for (index, transaction) in transactions.iter().enumerate() {
            if transaction.outcome() == Outcome::Committed {
                reads.append(&mut outward(index, transaction, level)?);
            }
        }
        for read in &reads {
            judge(read, &writers, transactions)?;
        }
        if level >= Level::Snapshot {
            no_lost_update(&reads, transactions)?;
        }
        let orders = orders(&reads)?;
        let mut graph = Graph::new(transactions.len());
        for (&list, order) in &orders {
            for pair in order.windows(2) {
                graph.add(
                    writers[&(list, pair[0])].transaction,
                    writers[&(list, pair[1])].transaction,
                    Kind::Write,
                );
            }
        }
        let unread = unread(transactions, &orders);
        for (list, writer) in &unread {
            if let Some(last) = orders.get(list).and_then(|order| order.last()) {
                graph.add(writers[&(*list, *last)].transaction, *writer, Kind::Write);
            }
        }
        for read in &reads {
            let order = &orders[&read.list];
            if let Some(last) = read.seen.last() {
                graph.add(writers[&(read.list, *last)].transaction, read.transaction, Kind::Read);
            }
            match order.get(read.seen.len()) {
                Some(next) => {
                    graph.add(read.transaction, writers[&(read.list, *next)].transaction, Kind::Anti);
                }
                None => unread.iter().filter(|(list, _)| *list == read.list).for_each(|&(_, writer)| {
                    graph.add(read.transaction, writer, Kind::Anti);
                }),
            }
        }
        if level == Level::StrictSerializable {
            graph.add_real_time(transactions.iter().map(|transaction| {
                let ended = transaction.ended.filter(|(_, outcome)| *outcome == Outcome::Committed);
                (transaction.begun, ended.map(|(at, _)| at))
            }));
        }
        Ok(Dependencies { graph })
    }
}

fn writers(transactions: &[Transaction]) -> Verdict<BTreeMap<(u64, u64), Writer>> {
    let mut writers = BTreeMap::new();
    for (index, transaction) in transactions.iter().enumerate() {
        let mut last = BTreeMap::new();
        for (list, element) in transaction.appends() {
            last.insert(list, element);
            let writer = Writer { transaction: index, is_last: false };
            if writers.insert((list, element), writer).is_some() {
                let seen = format!("element {element} is appended twice to list {list}");
                return Err(violation("a history whose appends differ", seen));
            }
        }
        for place in last {
            writers.entry(place).and_modify(|writer: &mut Writer| writer.is_last = true);
        }
    }
    Ok(writers)
}

/// The reads of a transaction, each without the transaction's own appends, which must be at its end.
fn outward<'a>(index: usize, transaction: &'a Transaction, level: Level) -> Verdict<Vec<Read<'a>>> {
    let mut own: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
    let mut first: BTreeMap<u64, &[u64]> = BTreeMap::new();
    let mut reads = Vec::new();
    for operation in &transaction.operations {
        match operation {
            Operation::Append { list, element } => own.entry(*list).or_default().push(*element),
            Operation::Read { seen: None, .. } => {}
            Operation::Read { list, seen: Some(seen) } => {
                let own = own.get(list).map_or(&[][..], |own| own);
                let Some(others) = seen.strip_suffix(own) else {
                    let expected =
                        format!("list {list} with {own:?} at its end, which T{index} has appended");
                    return Err(violation(&expected, format!("{seen:?}")));
                };
                let before = *first.entry(*list).or_insert(others);
                if level >= Level::Snapshot && before != others {
                    let seen = format!("T{index} reads list {list} twice, as {before:?} and as {others:?}");
                    return Err(violation("one snapshot", seen));
                }
                reads.push(Read { transaction: index, list: *list, seen: others });
            }
        }
    }
    Ok(reads)
}

fn judge(read: &Read<'_>, writers: &BTreeMap<(u64, u64), Writer>, transactions: &[Transaction]) -> Verdict {
    let Read { transaction: reader, list, seen } = *read;
    let mut known = BTreeSet::new();
    for &element in seen {
        let Some(writer) = writers.get(&(list, element)) else {
            let seen = format!("T{reader} reads {element} in list {list}");
            return Err(violation("elements that were appended", seen));
        };
        if !known.insert(element) {
            let seen = format!("T{reader} reads {element} twice in list {list}");
            return Err(violation("each element once", seen));
        }
        if writer.transaction == reader {
            let seen = format!("T{reader} reads {element} in list {list}, which it appends later");
            return Err(violation("nothing of the future", seen));
        }
        if transactions[writer.transaction].outcome() == Outcome::Aborted {
            let seen =
                format!("T{reader} reads {element} of list {list}, which T{} appended", writer.transaction);
            return Err(violation("nothing of an aborted transaction (G1a)", seen));
        }
    }
    let Some(&last) = seen.last() else { return Ok(()) };
    let writer = writers[&(list, last)];
    if !writer.is_last {
        let seen =
            format!("T{reader} reads list {list} up to {last}, T{} appends more to it", writer.transaction);
        return Err(violation("nothing of a transaction that is half done (G1b)", seen));
    }
    Ok(())
}

/// The order of each list that was read: the longest one that was seen.
fn orders<'a>(reads: &[Read<'a>]) -> Verdict<BTreeMap<u64, &'a [u64]>> {
    let mut orders: BTreeMap<u64, &[u64]> = BTreeMap::new();
    for read in reads {
        let order = orders.entry(read.list).or_insert(read.seen);
        let (short, long) =
            if order.len() < read.seen.len() { (*order, read.seen) } else { (read.seen, *order) };
        if !long.starts_with(short) {
            let seen = format!("list {} is read as {short:?} and as {long:?}", read.list);
            return Err(violation("reads that agree on the order of a list", seen));
        }
        *order = long;
    }
    Ok(orders)
}

/// Two transactions that read the same of a list and both append to it: whichever came first, the other one did not see it.
fn no_lost_update(reads: &[Read<'_>], transactions: &[Transaction]) -> Verdict {
    let mut updated: BTreeMap<(u64, &[u64]), usize> = BTreeMap::new();
    for read in reads {
        if !transactions[read.transaction].appends().any(|(list, _)| list == read.list) {
            continue;
        }
        let first = *updated.entry((read.list, read.seen)).or_insert(read.transaction);
        if first != read.transaction {
            let (second, list, prefix) = (read.transaction, read.list, read.seen);
            let seen =
                format!("T{first} and T{second} both read list {list} as {prefix:?}, and append to it");
            return Err(violation("no lost update (G-single)", seen));
        }
    }
    Ok(())
}

/// Appends that no read has: they come behind all that was read. Each with its list and its transaction, which has committed, or has
/// happened because another append of it was read.
fn unread(transactions: &[Transaction], orders: &BTreeMap<u64, &[u64]>) -> Vec<(u64, usize)> {
    let read: BTreeSet<(u64, u64)> =
        orders.iter().flat_map(|(&list, order)| order.iter().map(move |&element| (list, element))).collect();
    let happened = transactions.iter().enumerate().filter(|(_, transaction)| match transaction.outcome() {
        Outcome::Committed => true,
        Outcome::Unknown => transaction.appends().any(|place| read.contains(&place)),
        Outcome::Aborted => false,
    });
    let unread = happened.flat_map(|(index, transaction)| {
        let appends = transaction.appends().filter(|place| !read.contains(place));
        appends.map(move |(list, _)| (list, index))
    });
    unread.collect()
}

fn violation(expected: &str, seen: String) -> Box<Violation> {
    Violation::safety("isolation", expected.to_owned(), seen)
}
