//! A commit of four pages to the pager, a task each.

use std::sync::Arc;
use std::time::Instant;

use parking_lot::Mutex;

use super::arrivals::{Ends, Serve};
use crate::workloads::pages::connection::Writer;
use crate::workloads::pages::pager::{Ours, Steps, Store, Tokio};
use crate::workloads::pages::{Durable, Ledger};

/// A pager and who steps its connections.
pub(super) struct Commits<S> {
    store: Store<S>,
    ledger: Arc<Mutex<Ledger>>,
}

impl<S: Steps> Commits<S> {
    fn new(steps: S) -> Self {
        Self { store: Store::make(steps, Durable::Normal), ledger: Arc::default() }
    }
}

pub(super) fn ours() -> Commits<Ours> {
    Commits::new(Ours::start())
}

pub(super) fn tokio() -> Commits<Tokio> {
    Commits::new(Tokio::start())
}

impl<S: Steps + Send + Sync + 'static> Serve for Commits<S> {
    fn start(&self, number: u64, due: Instant, ends: &Arc<Ends>) {
        let mut writer = Writer::new(&self.store.pager, number, 1, None);
        let (ends, ledger, mut ended) = (Arc::clone(ends), Arc::clone(&self.ledger), false);
        self.store.steps.spawn(move || {
            let stepped = writer.step()?;
            // The client has its answer with the commit; a checkpoint may follow.
            if !ended && writer.has_committed() {
                ended = true;
                ledger.lock().add(1);
                ends.end(due, 1);
            }
            Ok(stepped)
        });
    }

    fn prepare(&self) {
        self.store.check(&self.ledger.lock());
    }
}
