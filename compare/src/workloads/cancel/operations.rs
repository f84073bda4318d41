//! Trees of operations alone.

use futures::future::{JoinAll, join_all};
use tenterhook_runtime::{Completer, Completion, CompletionError, CompletionGroup};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use crate::contender::{Contender, Evidence, Tally};

/// Groups of groups of completions that no backend has started.
pub(super) struct Groups {
    branches: u64,
    cancelled: &'static Tally,
    trees: Vec<Completion>,
    completers: Vec<Completer>,
}

impl Groups {
    pub(super) fn new(branches: u64) -> Self {
        Self { branches, cancelled: Tally::leak(), trees: Vec::new(), completers: Vec::new() }
    }

    fn tree(&mut self) -> Completion {
        let cancelled = self.cancelled;
        let mut root = CompletionGroup::new(|_| {});
        for _ in 0..self.branches {
            let mut branch = CompletionGroup::new(|_| {});
            for _ in 0..self.branches {
                let (leaf, completer) = Completion::new(move |outcome| {
                    cancelled.add(u64::from(outcome == Err(CompletionError::Cancelled)));
                });
                branch.adopt(leaf);
                self.completers.push(completer);
            }
            root.adopt(branch.build());
        }
        root.build()
    }
}

impl Contender for Groups {
    fn prepare(&mut self, operations: u64) {
        for _ in 0..operations / (self.branches * self.branches) {
            let tree = self.tree();
            self.trees.push(tree);
        }
    }

    fn run(&mut self, _: u64) -> Evidence {
        let mut results = 0;
        for tree in self.trees.drain(..) {
            tree.cancel();
            let ended = tree.get_error() == Some(CompletionError::Cancelled);
            results += u64::from(ended) * self.branches * self.branches;
        }
        self.completers.clear();
        Evidence { results, callbacks: [Some(self.cancelled.take()), None] }
    }
}

type Tree = JoinAll<JoinAll<oneshot::Receiver<u64>>>;

/// Futures that are dropped, which is how a future is cancelled. Each sender sees that its receiver is gone.
pub(super) struct Dropped {
    branches: u64,
    trees: Vec<Tree>,
    senders: Vec<oneshot::Sender<u64>>,
}

impl Dropped {
    pub(super) fn new(branches: u64) -> Self {
        Self { branches, trees: Vec::new(), senders: Vec::new() }
    }
}

impl Contender for Dropped {
    fn prepare(&mut self, operations: u64) {
        for _ in 0..operations / (self.branches * self.branches) {
            let senders = &mut self.senders;
            let mut leaf = || {
                let (sender, receiver) = oneshot::channel();
                senders.push(sender);
                receiver
            };
            let branch = |_| join_all((0..self.branches).map(|_| leaf()).collect::<Vec<_>>());
            let mut tree = join_all((0..self.branches).map(branch).collect::<Vec<_>>());
            // Polled once, as a tree that waits has been.
            let _ = super::super::group::poll_once(&mut tree);
            self.trees.push(tree);
        }
    }

    fn run(&mut self, _: u64) -> Evidence {
        self.trees.clear();
        let told = self.senders.drain(..).filter(|sender| sender.is_closed()).count();
        Evidence::results(told as u64)
    }
}

/// A token for each operation, below one for each branch: `child_token` is what tokio-util's docs give for a tree.
pub(super) struct Tokens {
    branches: u64,
    roots: Vec<CancellationToken>,
    leaves: Vec<CancellationToken>,
}

impl Tokens {
    pub(super) fn new(branches: u64) -> Self {
        Self { branches, roots: Vec::new(), leaves: Vec::new() }
    }
}

impl Contender for Tokens {
    fn prepare(&mut self, operations: u64) {
        for _ in 0..operations / (self.branches * self.branches) {
            let root = CancellationToken::new();
            for _ in 0..self.branches {
                let branch = root.child_token();
                self.leaves.extend((0..self.branches).map(|_| branch.child_token()));
            }
            self.roots.push(root);
        }
    }

    fn run(&mut self, _: u64) -> Evidence {
        self.roots.drain(..).for_each(|root| root.cancel());
        let told = self.leaves.drain(..).filter(CancellationToken::is_cancelled).count();
        Evidence::results(told as u64)
    }
}
