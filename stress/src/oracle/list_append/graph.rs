//! Transactions, and which must have come before which.

use std::collections::{BTreeMap, VecDeque};

/// Why one transaction came before another.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// Its append is before the other one's in a list.
    Write,
    /// The other one has read its append.
    Read,
    /// It has not read the other one's append.
    Anti,
    /// It had ended when the other one began.
    Time,
}

/// Transactions by number. Behind them are moments at which transactions ended: with them real time needs few edges.
#[derive(Debug)]
pub(super) struct Graph {
    transactions: usize,
    /// By where they lead from: where to, and why.
    edges: Vec<BTreeMap<usize, Vec<Kind>>>,
}

impl Graph {
    pub(super) fn new(transactions: usize) -> Graph {
        Graph { transactions, edges: vec![BTreeMap::new(); transactions] }
    }

    /// `from` came before `to`. What a transaction does to itself is no dependency.
    pub(super) fn add(&mut self, from: usize, to: usize, kind: Kind) {
        if from == to {
            return;
        }
        let kinds = self.edges[from].entry(to).or_default();
        if !kinds.contains(&kind) {
            kinds.push(kind);
        }
    }

    /// Adds real time. Each transaction has the moment of its begin, and that of its end if it is known to have happened by then.
    pub(super) fn add_real_time(&mut self, times: impl Iterator<Item = (u64, Option<u64>)>) {
        let times: Vec<(u64, Option<u64>)> = times.collect();
        let mut ends: Vec<(u64, usize)> =
            times.iter().enumerate().filter_map(|(index, &(_, end))| Some((end?, index))).collect();
        ends.sort_unstable();
        let first = self.edges.len();
        self.edges.resize(first + ends.len(), BTreeMap::new());
        for (nth, &(_, transaction)) in ends.iter().enumerate() {
            self.add(transaction, first + nth, Kind::Time);
            if nth > 0 {
                self.add(first + nth - 1, first + nth, Kind::Time);
            }
        }
        for (index, &(begun, _)) in times.iter().enumerate() {
            let before = ends.partition_point(|&(end, _)| end < begun);
            if before > 0 {
                self.add(first + before - 1, index, Kind::Time);
            }
        }
    }

    /// A shortest cycle among edges of `kinds`: each transaction of it with why it came before the next. Moments are left out.
    pub(super) fn cycle(&self, kinds: &[Kind]) -> Option<Vec<(usize, Kind)>> {
        let starts = self.in_cycles(kinds);
        let cycles = starts
            .into_iter()
            .filter(|&node| node < self.transactions)
            .filter_map(|start| self.path(start, start, kinds));
        cycles.min_by_key(Vec::len)
    }

    /// A cycle of one edge of kind `once` and otherwise edges of `kinds`.
    pub(super) fn cycle_with(&self, once: Kind, kinds: &[Kind]) -> Option<Vec<(usize, Kind)>> {
        let edges =
            self.edges.iter().enumerate().flat_map(|(from, to)| to.iter().map(move |edge| (from, edge)));
        let edges = edges.filter(|(_, (_, why))| why.contains(&once));
        let cycles = edges.filter_map(|(from, (&to, _))| {
            let mut path = self.path(to, from, kinds)?;
            path.push((from, once));
            Some(path)
        });
        cycles.min_by_key(Vec::len)
    }

    /// Nodes that are left when those are taken off, again and again, into which nothing leads.
    fn in_cycles(&self, kinds: &[Kind]) -> Vec<usize> {
        let mut degree = vec![0; self.edges.len()];
        for to in self.edges.iter().flat_map(|to| follow(to, kinds)) {
            degree[to.0] += 1;
        }
        let mut free: Vec<usize> = (0..degree.len()).filter(|&node| degree[node] == 0).collect();
        while let Some(node) = free.pop() {
            for (to, _) in follow(&self.edges[node], kinds) {
                degree[to] -= 1;
                if degree[to] == 0 {
                    free.push(to);
                }
            }
        }
        (0..degree.len()).filter(|&node| degree[node] > 0).collect()
    }

    /// A shortest path of at least one edge, breadth first.
    fn path(&self, from: usize, to: usize, kinds: &[Kind]) -> Option<Vec<(usize, Kind)>> {
        let mut came: BTreeMap<usize, (usize, Kind)> = BTreeMap::new();
        let mut queue = VecDeque::from([from]);
        while let Some(node) = queue.pop_front() {
            for (next, kind) in follow(&self.edges[node], kinds) {
                if next != from || next == to {
                    came.entry(next).or_insert_with(|| {
                        queue.push_back(next);
                        (node, kind)
                    });
                }
            }
            if came.contains_key(&to) {
                break;
            }
        }
        let mut path = Vec::new();
        let mut at = to;
        loop {
            let &(before, kind) = came.get(&at)?;
            if before < self.transactions {
                path.push((before, kind));
            }
            at = before;
            if at == from {
                path.reverse();
                return Some(path);
            }
        }
    }
}

/// Where edges of `kinds` lead, each with the strongest reason.
fn follow(edges: &BTreeMap<usize, Vec<Kind>>, kinds: &[Kind]) -> impl Iterator<Item = (usize, Kind)> {
    edges.iter().filter_map(move |(&to, why)| {
        let allowed = why.iter().copied().filter(|kind| kinds.contains(kind));
        allowed.min().map(|kind| (to, kind))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shortest_cycle_of_the_kinds_that_count_is_found() {
        let mut graph = Graph::new(6);
        for (from, to, kind) in [
            (0, 1, Kind::Write),
            (1, 2, Kind::Read),
            (2, 0, Kind::Anti),
            (2, 3, Kind::Read),
            (3, 1, Kind::Write),
        ] {
            graph.add(from, to, kind);
        }
        assert_eq!(graph.cycle(&[Kind::Write]), None);
        let found = graph.cycle(&[Kind::Write, Kind::Read]);
        assert_eq!(found, Some(vec![(1, Kind::Read), (2, Kind::Read), (3, Kind::Write)]));
        let once = graph.cycle_with(Kind::Anti, &[Kind::Write, Kind::Read]);
        assert_eq!(once, Some(vec![(0, Kind::Write), (1, Kind::Read), (2, Kind::Anti)]));
    }

    #[test]
    fn real_time_orders_what_has_ended_before_what_begins_later_only() {
        let mut graph = Graph::new(3);
        graph.add(1, 0, Kind::Anti);
        graph.add(2, 0, Kind::Anti);
        graph.add_real_time([(1, Some(2)), (3, Some(4)), (1, None)].into_iter());
        let found = graph.cycle(&[Kind::Anti, Kind::Time]).expect("1 began after 0 had ended");
        assert_eq!(found, [(0, Kind::Time), (1, Kind::Anti)]);
    }
}
