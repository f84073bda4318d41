//! Groups of groups: a chain, where each level waits for one below, and a tree.

use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::Poll;

use futures::future::join_all;
use tokio::sync::oneshot;

use super::group::{poll_once, receivers, send_all};
use super::names::OURS;
use crate::contender::{Contender, Evidence, Tally};
use crate::goal::Goal;
use crate::row::{Entry, Extent, Plan, Row, Workload};
use crate::signal::{Grouping, Tenterhook};

pub(crate) const WORKLOAD: Workload =
    Workload { name: "nested", about: "groups of groups: a chain 1,000 deep, a tree 8x8x8", plans };

const FAN_OUT: u64 = 8;
const LEAVES: u64 = FAN_OUT * FAN_OUT * FAN_OUT;

/// Levels of a chain. A boxed `join_all` overflows a stack of 2 MiB somewhat beyond the last.
const DEPTHS: [(u64, Extent); 4] =
    [(10, Extent::Full), (100, Extent::Full), (1_000, Extent::Quick), (8_000, Extent::Full)];

const BOXED: &str = "boxed join_all";
const JOIN_ALL: &str = "join_all of join_all";

fn plans() -> Vec<Plan> {
    let chain = |(depth, extent)| {
        Plan::new(format!("chain {depth} deep"), move || chain(depth))
            .each("chain", "levels", depth)
            .from(extent)
    };
    let tree = Plan::new(format!("tree {FAN_OUT}x{FAN_OUT}x{FAN_OUT}"), tree);
    DEPTHS.map(chain).into_iter().chain([tree]).collect()
}

fn chain(depth: u64) -> Row {
    let mut row = Row::timed("level", BOXED);
    row.about = "each group waits for the one below; create, await, complete the leaf, check";
    row.granule = depth;
    let ours = Chain::<Tenterhook>::new(depth);
    row.contenders = vec![Entry::ours(OURS, ours), Entry::new(BOXED, BoxedChain { depth })];
    row.goals = vec![Goal::ratio(OURS, BOXED, 0.35)];
    #[cfg(feature = "turso")]
    row.contenders.push(Entry::new("turso_core", Chain::<crate::turso::Turso>::new(depth)));
    row
}

fn tree() -> Row {
    let mut row = Row::timed("tree", JOIN_ALL);
    row.about = "groups of groups of groups; create, await, complete the leaves, check";
    row.expected = Box::new(|operations| operations * LEAVES);
    row.contenders = vec![
        Entry::ours(OURS, Tree::<Tenterhook>::new()),
        Entry::new(JOIN_ALL, JoinAllTree { senders: Vec::new() }),
    ];
    row.goals = vec![Goal::ratio(OURS, JOIN_ALL, 0.65)];
    #[cfg(feature = "turso")]
    row.contenders.push(Entry::new("turso_core", Tree::<crate::turso::Turso>::new()));
    row
}

/// Nested groups of one child.
struct Chain<G> {
    depth: u64,
    leaf: &'static Tally,
    levels: &'static Tally,
    grouping: PhantomData<G>,
}

impl<G: Grouping> Chain<G> {
    fn new(depth: u64) -> Self {
        Self { depth, leaf: Tally::leak(), levels: Tally::leak(), grouping: PhantomData }
    }

    fn chain(&self) -> u64 {
        let (mut top, leaf) = G::pair(self.leaf);
        for _ in 0..self.depth {
            let mut group = G::group(self.levels, 1);
            G::adopt(&mut group, top);
            top = G::build(group);
        }
        if poll_once(&mut top).is_ready() {
            return 0;
        }
        G::finish(leaf, 1);
        match poll_once(&mut top) {
            Poll::Ready(output) => G::value(output).map_or(0, |_| self.depth),
            Poll::Pending => 0,
        }
    }
}

impl<G: Grouping> Contender for Chain<G> {
    fn run(&mut self, operations: u64) -> Evidence {
        let results = (0..operations / self.depth).map(|_| self.chain()).sum();
        Evidence { results, callbacks: [Some(self.leaf.take() * self.depth), Some(self.levels.take())] }
    }
}

/// Nested boxed futures that each `join_all` the one below.
struct BoxedChain {
    depth: u64,
}

type Level = Pin<Box<dyn Future<Output = u64> + Send>>;

fn level(below: Level) -> Level {
    Box::pin(async move { join_all([below]).await.into_iter().sum::<u64>() + 1 })
}

impl BoxedChain {
    fn chain(&self) -> u64 {
        let (leaf, receiver) = oneshot::channel();
        // The leaf is no level; a leaf that was dropped makes the sum wrong by one.
        let mut top: Level = Box::pin(async move { receiver.await.unwrap_or(1) });
        for _ in 0..self.depth {
            top = level(top);
        }
        if poll_once(&mut top).is_ready() || leaf.send(0).is_err() {
            return 0;
        }
        match poll_once(&mut top) {
            Poll::Ready(levels) => levels,
            Poll::Pending => 0,
        }
    }
}

impl Contender for BoxedChain {
    fn run(&mut self, operations: u64) -> Evidence {
        Evidence::results((0..operations / self.depth).map(|_| self.chain()).sum())
    }
}

/// Three levels of groups.
struct Tree<G: Grouping> {
    leaves: &'static Tally,
    root: &'static Tally,
    finishers: Vec<G::Finisher>,
}

impl<G: Grouping> Tree<G> {
    fn new() -> Self {
        Self { leaves: Tally::leak(), root: Tally::leak(), finishers: Vec::new() }
    }

    /// A group over `FAN_OUT` of what `below` makes, whose callback adds `amount`.
    fn branch(&mut self, amount: u64, below: impl Fn(&mut Self) -> G::Observer) -> G::Observer {
        let mut group = G::group(self.root, amount);
        for _ in 0..FAN_OUT {
            G::adopt(&mut group, below(self));
        }
        G::build(group)
    }

    fn leaf(&mut self) -> G::Observer {
        let (leaf, finisher) = G::pair(self.leaves);
        self.finishers.push(finisher);
        leaf
    }

    fn tree(&mut self) -> u64 {
        let mut root = self.branch(LEAVES, |this| this.branch(0, |this| this.branch(0, Self::leaf)));
        if poll_once(&mut root).is_ready() {
            return 0;
        }
        for finisher in self.finishers.drain(..) {
            G::finish(finisher, 1);
        }
        match poll_once(&mut root) {
            Poll::Ready(output) => G::value(output).map_or(0, |_| LEAVES),
            Poll::Pending => 0,
        }
    }
}

impl<G: Grouping> Contender for Tree<G> {
    fn run(&mut self, operations: u64) -> Evidence {
        let results = (0..operations).map(|_| self.tree()).sum();
        Evidence { results, callbacks: [Some(self.leaves.take()), Some(self.root.take())] }
    }
}

/// `join_all` three levels deep, nothing boxed.
struct JoinAllTree {
    senders: Vec<oneshot::Sender<u64>>,
}

impl JoinAllTree {
    fn tree(&mut self) -> u64 {
        let senders = &mut self.senders;
        let mut root = join_all(
            (0..FAN_OUT).map(|_| join_all((0..FAN_OUT).map(|_| join_all(receivers(FAN_OUT, senders))))),
        );
        if poll_once(&mut root).is_ready() {
            return 0;
        }
        send_all(&mut self.senders);
        match poll_once(&mut root) {
            Poll::Ready(root) => root.into_iter().flatten().flatten().map(|value| value.unwrap_or(0)).sum(),
            Poll::Pending => 0,
        }
    }
}

impl Contender for JoinAllTree {
    fn run(&mut self, operations: u64) -> Evidence {
        Evidence::results((0..operations).map(|_| self.tree()).sum())
    }
}
