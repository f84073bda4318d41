//! One connection: an operation after the other, each on what the others use, too.

use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::task::{Wake, Waker};

use tenterhook_runtime::{Completer, CompletionError};
use tenterhook_stress::race::Connection;
use tenterhook_stress::system::{Context, Step};
use tenterhook_stress::tape::{ChoicePoint, Stream};
use tenterhook_stress::violation::Violation;

use crate::board::{Board, Watched, judge_group};
use crate::machines::Spawned;

const WHAT: ChoicePoint = ChoicePoint::new(0, "operation");
const LEAVES: ChoicePoint = ChoicePoint::new(1, "leaves");
const READS: ChoicePoint = ChoicePoint::new(2, "reads");
const SHARED: ChoicePoint = ChoicePoint::new(3, "children of others");
const WHICH: ChoicePoint = ChoicePoint::new(4, "which");
const END: ChoicePoint = ChoicePoint::new(5, "how a completer ends");
const KIND: ChoicePoint = ChoicePoint::new(6, "kind of group");
const CANCEL: ChoicePoint = ChoicePoint::new(7, "cancel");
const EARLY: ChoicePoint = ChoicePoint::new(8, "ended before the build");

/// A connection between two operations, or what its operation waits for.
pub(crate) struct Actor {
    board: Rc<Board>,
    waits: Waits,
}

enum Waits {
    Nothing,
    /// A group with its children.
    Group {
        group: Watched,
        children: Vec<Watched>,
        drains: bool,
        cancelled: bool,
    },
    /// A completion of another connection, with wakers that were there before.
    Known(Watched, Arc<Woken>),
    Tasks(Spawned),
}

/// Counts its wakes.
#[derive(Default)]
pub(crate) struct Woken(AtomicU32);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        // ORDERING: all threads of a run are coroutines of one thread.
        self.0.fetch_add(1, Relaxed);
    }
}

impl Actor {
    pub(crate) fn new(board: &Rc<Board>) -> Actor {
        Actor { board: Rc::clone(board), waits: Waits::Nothing }
    }

    fn begin(&mut self, stream: &mut Stream) -> Result<Step, Box<Violation>> {
        match stream.weighted(WHAT, &[3, 6, 4, 4]) {
            0 => {
                for _ in 0..=stream.choose(LEAVES, 4) {
                    self.end_one(stream);
                }
                Ok(Step::Ended)
            }
            1 => self.build(stream),
            2 => self.look(stream),
            _ => {
                let spawned = Spawned::new(&self.board, stream)?;
                self.end_all(stream);
                self.board.tasks.set(self.board.tasks.get() + 1);
                self.waits = Waits::Tasks(spawned);
                Ok(Step::Continue)
            }
        }
    }

    /// Builds a group of own and foreign children while others end them.
    fn build(&mut self, stream: &mut Stream) -> Result<Step, Box<Violation>> {
        let mut children = Vec::new();
        for _ in 0..stream.choose(LEAVES, 5) {
            let (leaf, completer) = Watched::leaf();
            self.board.put(completer);
            self.board.remember(&leaf);
            children.push(leaf);
        }
        let file = self.board.file();
        for _ in 0..stream.choose(READS, 3) {
            children.extend(file.as_ref().map(|file| Watched::read(&**file, 0)));
        }
        for _ in 0..stream.choose(SHARED, 3) {
            children.extend(self.board.recall(|count| stream.choose(WHICH, count)));
        }
        if stream.choose(EARLY, 4) == 1 {
            self.end_one(stream);
        }
        let drains = stream.choose(KIND, 2) == 1;
        let nested = stream.choose(KIND, 3) == 1 && children.len() > 1;
        if nested {
            let inner: Vec<Watched> = children.split_off(children.len() / 2);
            let (builder, told) = Watched::group(&inner, drains);
            children.push(Watched { completion: builder.build(), told });
        }
        let (mut builder, told) = Watched::group(&children, drains);
        let cancels = stream.choose(CANCEL, 8);
        if cancels == 1 {
            builder.cancel();
        }
        if cancels == 2 {
            // Half built, and dropped: its children are not harmed.
            drop(builder);
            self.end_all(stream);
            return Ok(Step::Ended);
        }
        let group = Watched { completion: builder.build(), told };
        self.board.remember(&group);
        self.board.groups.set(self.board.groups.get() + 1);
        match cancels {
            3 => group.completion.cancel(),
            4 => children.first().into_iter().for_each(|child| child.completion.cancel()),
            _ => {}
        }
        self.end_all(stream);
        let wait = Step::Wait(group.completion.clone());
        // Others may cancel what they have in common.
        self.waits = Waits::Group { group, children, drains, cancelled: true };
        Ok(wait)
    }

    /// Polls what another connection waits for, and lets go of it or stays.
    fn look(&mut self, stream: &mut Stream) -> Result<Step, Box<Violation>> {
        let Some(known) = self.board.recall(|count| stream.choose(WHICH, count)) else {
            return Ok(Step::Ended);
        };
        let woken = Arc::new(Woken::default());
        let waker = Waker::from(Arc::clone(&woken));
        let mut waiter = known.completion.clone();
        let first = Pin::new(&mut waiter).poll(&mut std::task::Context::from_waker(&waker));
        if first.is_ready() {
            known.judge()?;
            return Ok(Step::Ended);
        }
        if stream.choose(CANCEL, 4) == 1 {
            known.completion.cancel();
        }
        if stream.choose(EARLY, 2) == 1 {
            drop(waiter);
            return Ok(Step::Ended);
        }
        let other = Waker::from(Arc::new(Woken::default()));
        if Pin::new(&mut waiter).poll(&mut std::task::Context::from_waker(&other)).is_ready() {
            known.judge()?;
            return Ok(Step::Ended);
        }
        self.board.waits.set(self.board.waits.get() + 1);
        let wait = Step::Wait(waiter);
        self.waits = Waits::Known(known, woken);
        Ok(wait)
    }

    /// Ends one of the open completers, also those of other connections.
    fn end_one(&self, stream: &mut Stream) -> bool {
        let Some(completer) = self.board.take(|count| stream.choose(WHICH, count)) else { return false };
        self.board.ended.set(self.board.ended.get() + 1);
        end(completer, stream.choose(END, 8));
        true
    }

    /// Nothing that this connection has made stays open.
    fn end_all(&self, stream: &mut Stream) {
        while self.end_one(stream) {}
    }

    fn resume(&mut self, stream: &mut Stream) -> Result<Step, Box<Violation>> {
        match std::mem::replace(&mut self.waits, Waits::Nothing) {
            Waits::Nothing => self.begin(stream),
            Waits::Group { group, children, drains, cancelled } => {
                group.judge()?;
                let Some(outcome) = group.completion.result() else {
                    let expected = "a waiter is woken after its completion has finished";
                    return Err(Violation::safety("wake", expected, "it is pending"));
                };
                judge_group(outcome, &children, drains, cancelled)?;
                Ok(Step::Ended)
            }
            Waits::Known(known, _woken) => {
                known.judge()?;
                Ok(Step::Ended)
            }
            Waits::Tasks(mut spawned) => {
                if let Some(step) = spawned.step(stream)? {
                    self.waits = Waits::Tasks(spawned);
                    return Ok(step);
                }
                Ok(Step::Ended)
            }
        }
    }
}

impl Connection for Actor {
    fn step(&mut self, context: &mut Context<'_>) -> Result<Step, Box<Violation>> {
        self.resume(context.stream)
    }

    fn describe(&self) -> String {
        match &self.waits {
            Waits::Nothing => "between two operations",
            Waits::Group { .. } => "a group",
            Waits::Known(..) => "a completion of another connection",
            Waits::Tasks(_) => "tasks of the executor",
        }
        .into()
    }
}

fn end(mut completer: Completer, how: u32) {
    match how {
        1 => drop(completer.fail(CompletionError::NoSpace)),
        2 => drop(completer),
        3 | 4 if completer.start() => {
            let cancelled = completer.cancel_requested();
            let _ = completer.finish(if cancelled { Err(CompletionError::Cancelled) } else { Ok(1) });
        }
        _ => {
            let _ = completer.complete(1);
        }
    }
}
