//! Groups of groups: a chain, where each level waits for one below, and a tree.

use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::Poll;

use futures::future::join_all;
use tokio::sync::oneshot;

use super::group::{poll_once, receivers, send_all};
use super::names::OURS;
use crate::contender::{Contender, Entry, Evidence, Row, Tally, Workload};
use crate::goal::Goal;
use crate::signal::{Grouping, Tenterhook};

pub(crate) const WORKLOAD: Workload =
    Workload { name: "nested", about: "groups of groups: a chain 1,000 deep, a tree 8x8x8", rows };

const DEPTH: u64 = 1_000;
const FAN_OUT: u64 = 8;
const LEAVES: u64 = FAN_OUT * FAN_OUT * FAN_OUT;

const BOXED: &str = "boxed join_all";
const JOIN_ALL: &str = "join_all of join_all";

fn rows() -> Vec<Row> {
    let mut chain = Row::timed(format!("chain {DEPTH} deep"), "level", BOXED);
    chain.about = "each group waits for the one below; create, await, complete the leaf, check";
    chain.granule = DEPTH;
    chain.contenders = vec![Entry::new(OURS, Chain::<Tenterhook>::new()), Entry::new(BOXED, BoxedChain)];
    chain.goals = vec![Goal::ratio(OURS, BOXED, 0.35)];

    let name = format!("tree {FAN_OUT}x{FAN_OUT}x{FAN_OUT}");
    let mut tree = Row::timed(name, "tree", JOIN_ALL);
    tree.about = "groups of groups of groups; create, await, complete the leaves, check";
    tree.expected = Box::new(|operations| operations * LEAVES);
    tree.contenders = vec![
        Entry::new(OURS, Tree::<Tenterhook>::new()),
        Entry::new(JOIN_ALL, JoinAllTree { senders: Vec::new() }),
    ];
    tree.goals = vec![Goal::ratio(OURS, JOIN_ALL, 0.65)];
    #[cfg(feature = "turso")]
    {
        use crate::turso::Turso;
        chain.contenders.push(Entry::new("turso_core", Chain::<Turso>::new()));
        tree.contenders.push(Entry::new("turso_core", Tree::<Turso>::new()));
    }
    vec![chain, tree]
}

/// Nested groups of one child.
struct Chain<G> {
    leaf: &'static Tally,
    levels: &'static Tally,
    grouping: PhantomData<G>,
}

impl<G: Grouping> Chain<G> {
    fn new() -> Self {
        Self { leaf: Tally::leak(), levels: Tally::leak(), grouping: PhantomData }
    }

    fn chain(&self) -> u64 {
        let (mut top, leaf) = G::pair(self.leaf);
        for _ in 0..DEPTH {
            let mut group = G::group(self.levels, 1);
            G::adopt(&mut group, top);
            top = G::build(group);
        }
        if poll_once(&mut top).is_ready() {
            return 0;
        }
        G::finish(leaf, 1);
        match poll_once(&mut top) {
            Poll::Ready(output) => G::value(output).map_or(0, |_| DEPTH),
            Poll::Pending => 0,
        }
    }
}

impl<G: Grouping> Contender for Chain<G> {
    fn run(&mut self, operations: u64) -> Evidence {
        let results = (0..operations / DEPTH).map(|_| self.chain()).sum();
        Evidence { results, callbacks: [Some(self.leaf.take() * DEPTH), Some(self.levels.take())] }
    }
}

/// Nested boxed futures that each `join_all` the one below.
struct BoxedChain;

type Level = Pin<Box<dyn Future<Output = u64> + Send>>;

fn level(below: Level) -> Level {
    Box::pin(async move { join_all([below]).await.into_iter().sum::<u64>() + 1 })
}

impl BoxedChain {
    fn chain() -> u64 {
        let (leaf, receiver) = oneshot::channel();
        // The leaf is no level; a leaf that was dropped makes the sum wrong by one.
        let mut top: Level = Box::pin(async move { receiver.await.unwrap_or(1) });
        for _ in 0..DEPTH {
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
        Evidence::results((0..operations / DEPTH).map(|_| Self::chain()).sum())
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
