//! Trees of tasks.

use std::convert::Infallible;
use std::future::pending;

use tenterhook_runtime::executor::Executor;
use tenterhook_runtime::{Completer, Completion, CompletionError, CompletionGroup, IOCompletions, IOResult};
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::contender::{Contender, Evidence};
use crate::workloads::progress::Progress;

static MACHINES: Progress = Progress::new();
static DROPPED: Progress = Progress::new();
static WAITING: Progress = Progress::new();

/// Machines on one worker, each waiting for a leaf of a tree of groups. A cancelled leaf wakes its machine.
pub(super) struct Machines {
    branches: u64,
    executor: Executor,
    trees: Vec<Completion>,
    completers: Vec<Completer>,
}

impl Machines {
    pub(super) fn new(branches: u64) -> Self {
        Self { branches, executor: Executor::new(1), trees: Vec::new(), completers: Vec::new() }
    }

    fn leaf(&mut self) -> Completion {
        let (leaf, completer) = Completion::new(|_| {});
        self.completers.push(completer);
        let (event, mut waits) = (leaf.clone(), false);
        let step = move || {
            if !waits {
                waits = true;
                MACHINES.arrive();
                return Ok::<_, Infallible>(IOResult::IO(IOCompletions::Single(event.clone())));
            }
            MACHINES.end(u64::from(event.get_error() == Some(CompletionError::Cancelled)));
            Ok(IOResult::Done(()))
        };
        self.executor.spawn(step).detach();
        leaf
    }
}

impl Contender for Machines {
    fn prepare(&mut self, tasks: u64) {
        for _ in 0..tasks / (self.branches * self.branches) {
            let mut root = CompletionGroup::new(|_| {});
            for _ in 0..self.branches {
                let mut branch = CompletionGroup::new(|_| {});
                (0..self.branches).for_each(|_| branch.adopt(self.leaf()));
                root.adopt(branch.build());
            }
            self.trees.push(root.build());
        }
        while !MACHINES.have_arrived(tasks) {
            std::thread::yield_now();
        }
        // The worker goes to its queue again after its hand, so a machine that was served there finds all parked.
        let _ = self.executor.spawn(|| Ok::<_, Infallible>(IOResult::Done(()))).join();
    }

    fn run(&mut self, tasks: u64) -> Evidence {
        self.trees.drain(..).for_each(|tree| tree.cancel());
        while !MACHINES.has_ended(tasks) {
            std::thread::yield_now();
        }
        self.completers.clear();
        Evidence::results(MACHINES.take())
    }
}

fn runtime() -> Runtime {
    Builder::new_current_thread().build().expect("a runtime without drivers")
}

/// Spawns tasks and lets each run up to its wait.
fn spawn<T: Send + 'static>(
    runtime: &Runtime,
    set: &mut JoinSet<T>,
    tasks: impl Iterator<Item = impl Future<Output = T> + Send + 'static>,
) {
    runtime.block_on(async {
        let mut spawned = 0;
        for task in tasks {
            set.spawn(task);
            spawned += 1;
        }
        while !WAITING.have_arrived(spawned) {
            tokio::task::yield_now().await;
        }
        WAITING.take();
    });
}

async fn wait_for_ever() -> u64 {
    WAITING.arrive();
    pending().await
}

/// [`JoinSet::abort_all`], and `join_next` until the set is empty: what the docs of `JoinSet::shutdown` say that it does.
pub(super) struct Aborted {
    runtime: Runtime,
    set: JoinSet<u64>,
}

impl Aborted {
    pub(super) fn new() -> Self {
        Self { runtime: runtime(), set: JoinSet::new() }
    }
}

impl Contender for Aborted {
    fn prepare(&mut self, tasks: u64) {
        spawn(&self.runtime, &mut self.set, (0..tasks).map(|_| wait_for_ever()));
    }

    fn run(&mut self, _: u64) -> Evidence {
        let set = &mut self.set;
        Evidence::results(self.runtime.block_on(async {
            let mut cancelled = 0;
            set.abort_all();
            while let Some(ended) = set.join_next().await {
                cancelled += u64::from(ended.is_err_and(|error| error.is_cancelled()));
            }
            cancelled
        }))
    }
}

/// A token for each task below one for each branch, and tasks that run until theirs is cancelled: the token of tokio's guide
/// to graceful shutdown, with the tree and the wait that tokio-util gives.
pub(super) struct Tokens {
    branches: u64,
    runtime: Runtime,
    set: JoinSet<u64>,
    roots: Vec<CancellationToken>,
}

impl Tokens {
    pub(super) fn new(branches: u64) -> Self {
        Self { branches, runtime: runtime(), set: JoinSet::new(), roots: Vec::new() }
    }
}

async fn wait_for_token(token: CancellationToken) -> u64 {
    WAITING.arrive();
    let ended = token.run_until_cancelled(pending::<()>()).await;
    u64::from(ended.is_none())
}

impl Contender for Tokens {
    fn prepare(&mut self, tasks: u64) {
        let each = self.branches * self.branches;
        let branches: Vec<CancellationToken> = (0..tasks / each)
            .flat_map(|_| {
                let root = CancellationToken::new();
                self.roots.push(root.clone());
                (0..self.branches).map(move |_| root.child_token())
            })
            .collect();
        let tokens = branches.iter().flat_map(|branch| (0..self.branches).map(|_| branch.child_token()));
        spawn(&self.runtime, &mut self.set, tokens.map(wait_for_token));
    }

    fn run(&mut self, _: u64) -> Evidence {
        let (set, roots) = (&mut self.set, &mut self.roots);
        Evidence::results(self.runtime.block_on(async {
            roots.drain(..).for_each(|root| root.cancel());
            let mut cancelled = 0;
            while let Some(ended) = set.join_next().await {
                cancelled += ended.unwrap_or(0);
            }
            cancelled
        }))
    }
}

/// A set that is dropped, which aborts its tasks. The drop of what a task owns is the only sign of its end.
pub(super) struct DroppedSet {
    runtime: Runtime,
    set: JoinSet<u64>,
}

impl DroppedSet {
    pub(super) fn new() -> Self {
        Self { runtime: runtime(), set: JoinSet::new() }
    }
}

struct CountsItsDrop;

impl Drop for CountsItsDrop {
    fn drop(&mut self) {
        DROPPED.end(1);
    }
}

impl Contender for DroppedSet {
    fn prepare(&mut self, tasks: u64) {
        let task = |_| {
            let counts = CountsItsDrop;
            async move {
                let _counts = counts;
                wait_for_ever().await
            }
        };
        spawn(&self.runtime, &mut self.set, (0..tasks).map(task));
    }

    fn run(&mut self, tasks: u64) -> Evidence {
        drop(std::mem::take(&mut self.set));
        self.runtime.block_on(async {
            while !DROPPED.has_ended(tasks) {
                tokio::task::yield_now().await;
            }
        });
        Evidence::results(DROPPED.take())
    }
}
