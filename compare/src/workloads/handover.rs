//! Awaiting: tasks on one thread that hand over to each other by finishing what the other awaits.

use std::cell::Cell;
use std::marker::PhantomData;
use std::rc::Rc;

use super::names::{OURS, TOKIO_ONESHOT};
use super::poller::Poller;
use crate::contender::{Contender, Evidence, Tally};
use crate::goal::Goal;
use crate::row::{Entry, Extent, Plan, Row, Workload};
use crate::signal::{AsyncOneshot, Await, Futures, Signal, Tenterhook, Tokio};

pub(crate) const WORKLOAD: Workload =
    Workload { name: "await", about: "tasks on one thread that wake each other", plans };

/// Tasks woken a pass, in the rows of crowds.
const CROWDS: [(u64, Extent); 4] =
    [(16, Extent::Full), (256, Extent::Quick), (4_096, Extent::Full), (65_536, Extent::Full)];

fn plans() -> Vec<Plan> {
    let crowd = |(tasks, extent)| {
        Plan::new(format!("await, {tasks} tasks"), move || crowd(tasks))
            .each("await", "tasks", tasks)
            .from(extent)
    };
    let two = Plan::new("await, 2 tasks", two).each("await", "tasks", 2);
    std::iter::once(two).chain(CROWDS.map(crowd)).collect()
}

fn two() -> Row {
    let mut row = Row::timed("hand-over", TOKIO_ONESHOT);
    row.about = "two tasks that hand over to each other, one thread";
    row.granule = 2;
    row.contenders = vec![
        Entry::ours(OURS, Pair::<Tenterhook>::new()),
        Entry::new(TOKIO_ONESHOT, Pair::<Tokio>::new()),
        Entry::new(Futures::NAME, Pair::<Futures>::new()),
        Entry::new(AsyncOneshot::NAME, Pair::<AsyncOneshot>::new()),
    ];
    row.goals = vec![Goal::ratio(OURS, TOKIO_ONESHOT, 1.0)];
    #[cfg(feature = "turso")]
    {
        use crate::turso::Turso;
        row.contenders.push(Entry::new(Turso::NAME, Pair::<Turso>::new()));
    }
    row
}

fn crowd(tasks: u64) -> Row {
    let mut row = Row::timed("wake", TOKIO_ONESHOT);
    row.about = "all woken before any is polled, one thread";
    row.granule = tasks;
    row.contenders = vec![
        Entry::ours(OURS, Crowd::<Tenterhook>::new(tasks)),
        Entry::new(TOKIO_ONESHOT, Crowd::<Tokio>::new(tasks)),
        Entry::new(Futures::NAME, Crowd::<Futures>::new(tasks)),
        Entry::new(AsyncOneshot::NAME, Crowd::<AsyncOneshot>::new(tasks)),
    ];
    row.goals = vec![Goal::ratio(OURS, TOKIO_ONESHOT, 0.95)];
    #[cfg(feature = "turso")]
    {
        use crate::turso::Turso;
        row.contenders.push(Entry::new(Turso::NAME, Crowd::<Turso>::new(tasks)));
    }
    row
}

/// Where a task leaves the right to wake it.
type Mailbox<S> = Rc<Cell<Option<<S as Signal>::Finisher>>>;

/// Two tasks: each awaits a signal that the other finishes.
struct Pair<S> {
    tally: &'static Tally,
    signal: PhantomData<S>,
}

impl<S> Pair<S> {
    fn new() -> Self {
        Self { tally: Tally::leak(), signal: PhantomData }
    }
}

impl<S: Await> Contender for Pair<S> {
    fn run(&mut self, operations: u64) -> Evidence {
        let (left, right) = (Mailbox::<S>::default(), Mailbox::<S>::default());
        let sum = Rc::new(Cell::new(0));
        let mut poller = Poller::default();
        let turns = operations / 2;
        let hand_over = |mine: &Mailbox<S>, theirs: &Mailbox<S>| {
            hand_over::<S>(turns, mine.clone(), theirs.clone(), self.tally, sum.clone())
        };
        poller.spawn(hand_over(&left, &right));
        poller.spawn(hand_over(&right, &left));
        while poller.pass() {}
        Evidence { results: sum.get(), callbacks: [S::CALLS_BACK.then(|| self.tally.take()), None] }
    }
}

/// One of the two: wakes the other, then waits to be woken, `turns` times.
async fn hand_over<S: Await>(
    turns: u64,
    mine: Mailbox<S>,
    theirs: Mailbox<S>,
    tally: &'static Tally,
    sum: Rc<Cell<u64>>,
) {
    for _ in 0..turns {
        let (observer, finisher) = S::pair(tally);
        mine.set(Some(finisher));
        wake::<S>(&theirs);
        // Awaited before the sum is read: the others add to it in between.
        let value = S::value(observer.await).unwrap_or(0);
        sum.set(sum.get() + value);
    }
    wake::<S>(&theirs);
}

fn wake<S: Await>(mailbox: &Mailbox<S>) {
    if let Some(finisher) = mailbox.take() {
        S::finish(finisher, 1);
    }
}

/// Many tasks, all woken before any is polled.
struct Crowd<S> {
    tasks: u64,
    tally: &'static Tally,
    signal: PhantomData<S>,
}

impl<S> Crowd<S> {
    fn new(tasks: u64) -> Self {
        Self { tasks, tally: Tally::leak(), signal: PhantomData }
    }
}

impl<S: Await> Contender for Crowd<S> {
    fn run(&mut self, operations: u64) -> Evidence {
        let turns = operations / self.tasks;
        let sum = Rc::new(Cell::new(0));
        let mut poller = Poller::default();
        let mailboxes: Vec<Mailbox<S>> = (0..self.tasks).map(|_| Mailbox::<S>::default()).collect();
        for mailbox in &mailboxes {
            poller.spawn(listen::<S>(turns, mailbox.clone(), self.tally, sum.clone()));
        }
        while poller.pass() {
            for mailbox in &mailboxes {
                wake::<S>(mailbox);
            }
        }
        Evidence { results: sum.get(), callbacks: [S::CALLS_BACK.then(|| self.tally.take()), None] }
    }
}

/// One of the crowd: waits to be woken, `turns` times.
async fn listen<S: Await>(turns: u64, mailbox: Mailbox<S>, tally: &'static Tally, sum: Rc<Cell<u64>>) {
    for _ in 0..turns {
        let (observer, finisher) = S::pair(tally);
        mailbox.set(Some(finisher));
        // Awaited before the sum is read: the others add to it in between.
        let value = S::value(observer.await).unwrap_or(0);
        sum.set(sum.get() + value);
    }
}
