//! Groups of groups: a chain, where each level waits for one below, and a tree.

use std::future::Future;
use std::pin::Pin;
use std::task::Poll;

use futures::future::join_all;
use tenterhook_runtime::{Completer, Completion, CompletionGroup};
use tokio::sync::oneshot;

use super::group::{poll_once, receivers, send_all};
use super::names::OURS;
use crate::contender::{Contender, Entry, Evidence, Row, Tally, Workload};
use crate::goal::Goal;
use crate::signal::{Signal, Tenterhook};

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
    chain.contenders = vec![Entry::new(OURS, Chain { tally: Tally::leak() }), Entry::new(BOXED, BoxedChain)];
    chain.goals = vec![Goal::ratio(OURS, BOXED, 0.35)];

    let name = format!("tree {FAN_OUT}x{FAN_OUT}x{FAN_OUT}");
    let mut tree = Row::timed(name, "tree", JOIN_ALL);
    tree.about = "groups of groups of groups; create, await, complete the leaves, check";
    tree.expected = Box::new(|operations| operations * LEAVES);
    tree.contenders =
        vec![Entry::new(OURS, Tree::new()), Entry::new(JOIN_ALL, JoinAllTree { senders: Vec::new() })];
    tree.goals = vec![Goal::ratio(OURS, JOIN_ALL, 0.65)];
    vec![chain, tree]
}

/// Nested [`CompletionGroup`]s of one child.
struct Chain {
    tally: &'static Tally,
}

impl Chain {
    fn chain(&self) -> u64 {
        let tally = self.tally;
        let (mut top, leaf) = Completion::new(|_| {});
        for _ in 0..DEPTH {
            let mut group = CompletionGroup::new(move |outcome| tally.add(outcome.map_or(0, |_| 1)));
            group.add(&top);
            top = group.build();
        }
        if poll_once(&mut top).is_ready() {
            return 0;
        }
        leaf.complete(1);
        match poll_once(&mut top) {
            Poll::Ready(Ok(_)) => DEPTH,
            _ => 0,
        }
    }
}

impl Contender for Chain {
    fn run(&mut self, operations: u64) -> Evidence {
        let results = (0..operations / DEPTH).map(|_| self.chain()).sum();
        Evidence { results, callbacks: [Some(self.tally.take()), None] }
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

/// Three levels of [`CompletionGroup`]s.
struct Tree {
    leaves: &'static Tally,
    root: &'static Tally,
    completers: Vec<Completer>,
}

impl Tree {
    fn new() -> Self {
        Self { leaves: Tally::leak(), root: Tally::leak(), completers: Vec::new() }
    }

    /// A group over `FAN_OUT` of what `below` makes.
    fn branch(&mut self, below: impl Fn(&mut Self) -> Completion) -> Completion {
        let mut group = CompletionGroup::new(|_| {});
        for _ in 0..FAN_OUT {
            group.add(&below(self));
        }
        group.build()
    }

    fn leaf(&mut self) -> Completion {
        let (leaf, completer) = Tenterhook::pair(self.leaves);
        self.completers.push(completer);
        leaf
    }

    fn root(&mut self) -> Completion {
        let tally = self.root;
        let mut group = CompletionGroup::new(move |outcome| tally.add(outcome.map_or(0, |_| LEAVES)));
        for _ in 0..FAN_OUT {
            group.add(&self.branch(|this| this.branch(Self::leaf)));
        }
        group.build()
    }

    fn tree(&mut self) -> u64 {
        let mut root = self.root();
        if poll_once(&mut root).is_ready() {
            return 0;
        }
        for completer in self.completers.drain(..) {
            completer.complete(1);
        }
        match poll_once(&mut root) {
            Poll::Ready(Ok(_)) => LEAVES,
            _ => 0,
        }
    }
}

impl Contender for Tree {
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
