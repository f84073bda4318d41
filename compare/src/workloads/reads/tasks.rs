//! Pages split among tokio tasks, as many as reads at a time.

use std::sync::Arc;

use tokio::runtime::Runtime;

use super::Walk;
use crate::contender::Latencies;

/// What a tokio task does with its share of the pages.
pub(super) trait Share: Send + Sync + 'static {
    /// Reads `pages` one after the other; takes the times if there is somewhere to put them.
    fn read(
        &self,
        pages: Vec<u64>,
        latencies: Option<Latencies>,
    ) -> impl Future<Output = Option<Latencies>> + Send;
}

/// As many tasks as reads at a time.
pub(super) struct Tasks<S> {
    runtime: Runtime,
    depth: usize,
    pub(super) share: Arc<S>,
}

impl<S: Share> Tasks<S> {
    pub(super) fn new(depth: usize, share: S) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_io().build();
        Self { runtime: runtime.expect("a runtime"), depth, share: Arc::new(share) }
    }

    /// A task that serves the others.
    pub(super) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.runtime.spawn(task);
    }

    pub(super) fn read(&self, operations: u64, latencies: Option<&Latencies>) -> Option<Latencies> {
        let mut shares = vec![Vec::new(); self.depth];
        for (number, page) in Walk::new().take(operations as usize).enumerate() {
            shares[number % self.depth].push(page);
        }
        self.runtime.block_on(async {
            let tasks: Vec<_> = shares
                .into_iter()
                .map(|pages| {
                    let (share, latencies) = (Arc::clone(&self.share), latencies.cloned());
                    tokio::spawn(async move { share.read(pages, latencies).await })
                })
                .collect();
            let mut all = latencies.cloned();
            for task in tasks {
                if let (Some(all), Some(latencies)) = (&mut all, task.await.expect("no page is missing")) {
                    all.add(&latencies);
                }
            }
            all
        })
    }
}
