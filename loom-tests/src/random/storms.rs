//! Trees of a hundred completions, storms of cancels, crowds of waiters.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::task::{Context, Poll, Wake, Waker};

use shuttle::rand::{Rng, thread_rng};
use shuttle::thread;
use tenterhook_runtime::{Completer, Completion, CompletionError, CompletionGroup};

use super::Model;

pub(super) fn models() -> Vec<Model> {
    macro_rules! models {
        ($($body:ident),+ $(,)?) => { vec![$(Model { name: stringify!($body), body: $body }),+] };
    }
    models![
        tree_of_a_hundred_ended_by_four_threads,
        tree_under_a_storm_of_cancels,
        crowd_of_waiters_comes_and_goes,
        shared_children_of_groups_built_in_four_threads,
        chain_built_while_its_leaf_ends,
        callbacks_pass_the_baton_across_threads,
    ]
}

/// Runs `bodies` in a thread each and waits for all.
fn in_threads(bodies: Vec<Box<dyn FnOnce() + Send>>) {
    let threads: Vec<_> = bodies.into_iter().map(thread::spawn).collect();
    for thread in threads {
        thread.join().unwrap();
    }
}

/// What a tree is made of: its root, its inner groups, its leaves' completers, and how often callbacks ran.
struct Tree {
    root: Completion,
    inner: Vec<Completion>,
    leaves: Vec<Completion>,
    completers: Vec<Completer>,
    callbacks: Arc<AtomicUsize>,
}

/// Ten groups of nine leaves and one shared leaf.
fn tree(new: fn(Box<dyn FnOnce(tenterhook_runtime::Outcome) + Send>) -> CompletionGroup) -> Tree {
    let callbacks = Arc::new(AtomicUsize::new(0));
    let count = || {
        let callbacks = Arc::clone(&callbacks);
        Box::new(move |_| {
            callbacks.fetch_add(1, SeqCst);
        })
    };
    let (shared, finish_shared) = Completion::new(count());
    let (mut leaves, mut completers) = (vec![shared.clone()], vec![finish_shared]);
    let mut root = new(count());
    let mut inner = Vec::new();
    for _ in 0..10 {
        let mut group = new(count());
        group.add(&shared);
        for _ in 0..9 {
            let (leaf, completer) = Completion::new(count());
            group.add(&leaf);
            leaves.push(leaf);
            completers.push(completer);
        }
        let group = group.build();
        root.add(&group);
        inner.push(group);
    }
    Tree { root: root.build(), inner, leaves, completers, callbacks }
}

impl Tree {
    /// The completers dealt out to `hands` threads.
    fn deal(&mut self, hands: usize) -> Vec<Vec<Completer>> {
        let mut dealt: Vec<Vec<Completer>> = (0..hands).map(|_| Vec::new()).collect();
        for (number, completer) in std::mem::take(&mut self.completers).into_iter().enumerate() {
            dealt[number % hands].push(completer);
        }
        dealt
    }

    /// Everything has ended, and every callback ran once.
    fn assert_ended(&self) {
        let all = [std::slice::from_ref(&self.root), &self.inner, &self.leaves].concat();
        assert!(all.iter().all(Completion::finished));
        assert_eq!(self.callbacks.load(SeqCst), all.len());
    }
}

fn tree_of_a_hundred_ended_by_four_threads() {
    let mut tree = tree(CompletionGroup::new);
    let mut bodies: Vec<Box<dyn FnOnce() + Send>> = Vec::new();
    for hand in tree.deal(4) {
        bodies.push(Box::new(move || {
            for completer in hand {
                let _ = completer.complete(1);
            }
        }));
    }
    for _ in 0..2 {
        let root = tree.root.clone();
        bodies.push(Box::new(move || assert_eq!(root.wait(), Ok(0))));
    }
    in_threads(bodies);
    tree.assert_ended();
}

fn tree_under_a_storm_of_cancels() {
    let mut tree = tree(CompletionGroup::drain);
    let mut bodies: Vec<Box<dyn FnOnce() + Send>> = Vec::new();
    for hand in tree.deal(3) {
        bodies.push(Box::new(move || {
            for mut completer in hand {
                match thread_rng().gen_range(0..4) {
                    0 => drop(completer),
                    1 if completer.start() => {
                        let cancelled = completer.cancel_requested();
                        let _ =
                            completer.finish(if cancelled { Err(CompletionError::Cancelled) } else { Ok(1) });
                    }
                    _ => {
                        let _ = completer.complete(1);
                    }
                }
            }
        }));
    }
    let targets = [tree.root.clone(), tree.inner[3].clone(), tree.leaves[0].clone(), tree.inner[7].clone()];
    for target in targets {
        bodies.push(Box::new(move || target.cancel()));
    }
    in_threads(bodies);
    tree.assert_ended();
}

/// Counts wake-ups that are owed and given.
#[derive(Default)]
struct Woken(AtomicUsize);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, SeqCst);
    }
}

fn crowd_of_waiters_comes_and_goes() {
    let (completion, completer) = Completion::new(|_| {});
    let mut bodies: Vec<Box<dyn FnOnce() + Send>> = Vec::new();
    for _ in 0..4 {
        let completion = completion.clone();
        bodies.push(Box::new(move || {
            for _ in 0..4 {
                let mut waiter = completion.clone();
                let woken = Arc::new(Woken::default());
                let waker = Waker::from(Arc::clone(&woken));
                let first = Pin::new(&mut waiter).poll(&mut Context::from_waker(&waker));
                thread::yield_now();
                let second = Pin::new(&mut waiter).poll(&mut Context::from_waker(&waker));
                assert!(!(first.is_ready() && second.is_pending()), "finished for good");
                if thread_rng().gen_range(0..2) == 0 && second == Poll::Pending {
                    assert_eq!(completion.wait(), Ok(5));
                    assert!(Pin::new(&mut waiter).poll(&mut Context::from_waker(&waker)).is_ready());
                }
            }
        }));
    }
    bodies.push(Box::new(move || {
        thread::yield_now();
        let _ = completer.complete(5);
    }));
    in_threads(bodies);
}

fn shared_children_of_groups_built_in_four_threads() {
    let (children, completers): (Vec<_>, Vec<_>) = (0..8).map(|_| Completion::new(|_| {})).unzip();
    let callbacks = Arc::new(AtomicUsize::new(0));
    let mut bodies: Vec<Box<dyn FnOnce() + Send>> = Vec::new();
    for number in 0..4 {
        let (children, callbacks) = (children.clone(), Arc::clone(&callbacks));
        bodies.push(Box::new(move || {
            let count = move |_| {
                callbacks.fetch_add(1, SeqCst);
            };
            let mut group =
                if number % 2 == 0 { CompletionGroup::new(count) } else { CompletionGroup::drain(count) };
            children.iter().for_each(|child| group.add(child));
            assert_eq!(group.build().wait(), Err(CompletionError::NoSpace));
        }));
    }
    for (number, completer) in completers.into_iter().enumerate() {
        if number == 5 {
            bodies.push(Box::new(move || {
                let _ = completer.fail(CompletionError::NoSpace);
            }));
        } else {
            let _ = completer.complete(1);
        }
    }
    in_threads(bodies);
    assert_eq!(callbacks.load(SeqCst), 4);
}

fn chain_built_while_its_leaf_ends() {
    let (leaf, completer) = Completion::new(|_| {});
    let mut bodies: Vec<Box<dyn FnOnce() + Send>> = Vec::new();
    for _ in 0..3 {
        let leaf = leaf.clone();
        bodies.push(Box::new(move || {
            let mut top = leaf;
            for _ in 0..10 {
                let mut group = CompletionGroup::new(|_| {});
                group.add(&top);
                top = group.build();
            }
            assert_eq!(top.wait(), Ok(0));
        }));
    }
    bodies.push(Box::new(move || {
        let _ = completer.complete(1);
    }));
    in_threads(bodies);
}

/// Each callback completes the next completion; another thread cancels one in the middle.
fn callbacks_pass_the_baton_across_threads() {
    let mut next: Option<Completer> = None;
    let mut all = Vec::new();
    for _ in 0..20 {
        let passes = next.take();
        let (completion, completer) = Completion::new(move |outcome| {
            if let Some(completer) = passes {
                let _ = completer.finish(outcome);
            }
        });
        all.push(completion);
        next = Some(completer);
    }
    let first = next.expect("twenty were made");
    let middle = all[10].clone();
    let mut bodies: Vec<Box<dyn FnOnce() + Send>> = Vec::new();
    bodies.push(Box::new(move || {
        let _ = first.complete(1);
    }));
    bodies.push(Box::new(move || middle.cancel()));
    for waiter in [all[0].clone(), all[5].clone()] {
        bodies.push(Box::new(move || {
            let outcome = waiter.wait();
            assert!(outcome == Ok(1) || outcome == Err(CompletionError::Cancelled));
        }));
    }
    in_threads(bodies);
    assert!(all.iter().all(Completion::finished));
}
