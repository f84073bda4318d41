//! Many children, one outcome, and one task that awaits it.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use futures::future::join_all;
use futures::stream::{FuturesUnordered, StreamExt};
use tokio::runtime::Runtime;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use super::names::{FUTURES_UNORDERED, JOIN_ALL, JOIN_SET, OURS};
use crate::contender::{Contender, Evidence, Tally};
use crate::goal::Goal;
use crate::row::{Entry, Extent, Plan, Row, Workload};
use crate::signal::{Grouping, Tenterhook};

pub(crate) const WORKLOAD: Workload =
    Workload { name: "group", about: "create N children, group them, complete all, check", plans };

/// Children of a group, our time as a multiple of `join_all`'s where we have a goal, and what measures it.
const SIZES: [(u64, Option<f64>, Extent); 9] = [
    (1, None, Extent::Quick),
    (2, None, Extent::Full),
    (4, None, Extent::Full),
    (8, Some(0.75), Extent::Quick),
    (32, None, Extent::Full),
    (64, Some(0.35), Extent::Quick),
    (256, None, Extent::Full),
    (1_024, Some(0.35), Extent::Quick),
    (4_096, Some(0.35), Extent::Normal),
];

/// Allocations that a group may make beyond those of its children, whatever their number.
const OWN_ALLOCATIONS: u64 = 4;

fn plans() -> Vec<Plan> {
    let plan = |(children, goal, extent)| {
        let plan = Plan::new(format!("group of {children}"), move || row(children, goal));
        plan.whole("group", "children", children).from(extent)
    };
    SIZES.map(plan).into()
}

fn row(children: u64, goal: Option<f64>) -> Row {
    let mut row = Row::timed("group", JOIN_ALL);
    row.about = "create the children, group, await, complete all, check; one thread";
    row.expected = Box::new(move |operations| operations * children);
    row.contenders = vec![
        Entry::ours(OURS, Grouped::<Tenterhook>::new(children)),
        Entry::new(JOIN_ALL, JoinAll { children, senders: Vec::new() }),
        Entry::new(FUTURES_UNORDERED, Unordered { children, senders: Vec::new() }),
        Entry::new(JOIN_SET, Tasks::new(children)),
    ];
    row.goals = goal.map(|goal| Goal::ratio(OURS, JOIN_ALL, goal)).into_iter().collect();
    row.goals.push(Goal::allocations(OURS, (children + OWN_ALLOCATIONS) as f64));
    #[cfg(feature = "turso")]
    row.contenders.push(Entry::new("turso_core", Grouped::<crate::turso::Turso>::new(children)));
    row
}

/// A poll with a waker that costs nothing: the best case of those that clone it for each child.
pub(super) fn poll_once<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    pin!(future).poll(&mut Context::from_waker(Waker::noop()))
}

/// Completions in a group.
struct Grouped<G: Grouping> {
    children: u64,
    /// Of the children's callbacks.
    each: &'static Tally,
    /// Of the groups' callbacks.
    whole: &'static Tally,
    /// Kept from group to group, here and in the others: not the work that is compared.
    finishers: Vec<G::Finisher>,
}

impl<G: Grouping> Grouped<G> {
    fn new(children: u64) -> Self {
        Self { children, each: Tally::leak(), whole: Tally::leak(), finishers: Vec::new() }
    }

    fn group(&mut self) -> u64 {
        let mut group = G::group(self.whole, self.children);
        for _ in 0..self.children {
            let (child, finisher) = G::pair(self.each);
            G::adopt(&mut group, child);
            self.finishers.push(finisher);
        }
        let mut built = G::build(group);
        if poll_once(&mut built).is_ready() {
            return 0;
        }
        for finisher in self.finishers.drain(..) {
            G::finish(finisher, 1);
        }
        match poll_once(&mut built) {
            Poll::Ready(output) => G::value(output).map_or(0, |_| self.children),
            Poll::Pending => 0,
        }
    }
}

impl<G: Grouping> Contender for Grouped<G> {
    fn run(&mut self, operations: u64) -> Evidence {
        let results = (0..operations).map(|_| self.group()).sum();
        Evidence { results, callbacks: [Some(self.each.take()), Some(self.whole.take())] }
    }
}

type Senders = Vec<oneshot::Sender<u64>>;

/// The receivers of new channels, their senders put aside.
pub(super) fn receivers(
    children: u64,
    senders: &mut Senders,
) -> impl Iterator<Item = oneshot::Receiver<u64>> + '_ {
    (0..children).map(|_| {
        let (sender, receiver) = oneshot::channel();
        senders.push(sender);
        receiver
    })
}

pub(super) fn send_all(senders: &mut Senders) {
    for sender in senders.drain(..) {
        // A receiver that is gone shows as a wrong sum.
        let _ = sender.send(1);
    }
}

/// [`join_all`] over tokio's oneshot; above 30 children it is a `FuturesOrdered` inside.
struct JoinAll {
    children: u64,
    senders: Senders,
}

impl JoinAll {
    fn group(&mut self) -> u64 {
        let mut all = join_all(receivers(self.children, &mut self.senders));
        if poll_once(&mut all).is_ready() {
            return 0;
        }
        send_all(&mut self.senders);
        match poll_once(&mut all) {
            Poll::Ready(values) => values.into_iter().map(|value| value.unwrap_or(0)).sum(),
            Poll::Pending => 0,
        }
    }
}

impl Contender for JoinAll {
    fn run(&mut self, operations: u64) -> Evidence {
        Evidence::results((0..operations).map(|_| self.group()).sum())
    }
}

/// [`FuturesUnordered`] over tokio's oneshot.
struct Unordered {
    children: u64,
    senders: Senders,
}

impl Unordered {
    fn group(&mut self) -> u64 {
        let mut all: FuturesUnordered<_> = receivers(self.children, &mut self.senders).collect();
        let mut context = Context::from_waker(Waker::noop());
        if all.poll_next_unpin(&mut context).is_ready() {
            return 0;
        }
        send_all(&mut self.senders);
        let mut sum = 0;
        loop {
            match all.poll_next_unpin(&mut context) {
                Poll::Ready(Some(value)) => sum += value.unwrap_or(0),
                Poll::Ready(None) => return sum,
                // It stops now and then to be fair to other tasks, but there are none.
                Poll::Pending => {}
            }
        }
    }
}

impl Contender for Unordered {
    fn run(&mut self, operations: u64) -> Evidence {
        Evidence::results((0..operations).map(|_| self.group()).sum())
    }
}

/// A task a child, in a [`JoinSet`] on tokio's single-threaded runtime.
struct Tasks {
    children: u64,
    senders: Senders,
    runtime: Runtime,
}

impl Tasks {
    fn new(children: u64) -> Self {
        let runtime =
            tokio::runtime::Builder::new_current_thread().build().expect("a runtime without drivers");
        Self { children, senders: Vec::new(), runtime }
    }
}

async fn group_of_tasks(children: u64, senders: &mut Senders) -> u64 {
    let mut all = JoinSet::new();
    for receiver in receivers(children, senders) {
        all.spawn(receiver);
    }
    // Lets the tasks run up to their awaits.
    tokio::task::yield_now().await;
    send_all(senders);
    let mut sum = 0;
    while let Some(value) = all.join_next().await {
        sum += value.map_or(0, |value| value.unwrap_or(0));
    }
    sum
}

impl Contender for Tasks {
    fn run(&mut self, operations: u64) -> Evidence {
        let Self { children, senders, runtime } = self;
        Evidence::results(runtime.block_on(async {
            let mut sum = 0;
            for _ in 0..operations {
                sum += group_of_tasks(*children, senders).await;
            }
            sum
        }))
    }
}
