//! One model and what exploring it came to.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// How much of a model's executions is explored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bound {
    /// All of them.
    Exhaustive,
    /// Those in which threads are preempted at most this often; `--full` lifts it.
    Preemptions(usize),
}

/// A closure for loom, with a name that says which two (or three) parties race.
pub(crate) struct Model {
    pub(crate) name: String,
    pub(crate) bound: Bound,
    body: Arc<dyn Fn() + Send + Sync>,
    /// What is wrong with all executions together, if anything is.
    verdict: Box<dyn Fn() -> Option<String> + Send + Sync>,
}

/// What a model's exploration came to.
pub(crate) struct Explored {
    pub(crate) executions: u64,
    pub(crate) elapsed: Duration,
    pub(crate) failure: Option<String>,
}

impl Model {
    pub(crate) fn new(
        name: impl Into<String>,
        bound: Bound,
        body: impl Fn() + Send + Sync + 'static,
    ) -> Self {
        Self { name: name.into(), bound, body: Arc::new(body), verdict: Box::new(|| None) }
    }

    /// Has `verdict` look at what the executions left, when all have run.
    pub(crate) fn judged_by(self, verdict: impl Fn() -> Option<String> + Send + Sync + 'static) -> Self {
        Self { verdict: Box::new(verdict), ..self }
    }

    /// Runs every execution within the bound, until the first that fails.
    pub(crate) fn explore(&self, full: bool) -> Explored {
        let executions = Arc::new(AtomicU64::new(0));
        let mut builder = loom::model::Builder::new();
        builder.max_branches = 50_000;
        builder.preemption_bound = match self.bound {
            Bound::Preemptions(most) if !full => Some(most),
            _ => None,
        };
        let (body, count) = (Arc::clone(&self.body), Arc::clone(&executions));
        let started = Instant::now();
        let result = catch_unwind(AssertUnwindSafe(move || {
            builder.check(move || {
                count.fetch_add(1, Relaxed);
                body();
            });
        }));
        let executions = executions.load(Relaxed);
        let failure = match result {
            Err(payload) => Some(message(&*payload)),
            Ok(()) if executions < 2 => Some("explored one execution: nothing in it races".into()),
            Ok(()) => (self.verdict)(),
        };
        Explored { executions, elapsed: started.elapsed(), failure }
    }
}

/// The text of a panic.
fn message(payload: &(dyn std::any::Any + Send)) -> String {
    payload
        .downcast_ref::<String>()
        .cloned()
        .or_else(|| payload.downcast_ref::<&str>().map(|text| (*text).into()))
        .unwrap_or_else(|| "a panic without a text".into())
}

/// A list of models from functions: `models![EXHAUSTIVE => a, b; preemptions(2) => c]`.
macro_rules! models {
    ($($bound:expr => $($body:ident),+ $(,)?);+ $(;)?) => {
        vec![$($($crate::model::Model::new(stringify!($body), $bound, $body)),+),+]
    };
}
pub(crate) use models;

pub(crate) const EXHAUSTIVE: Bound = Bound::Exhaustive;

pub(crate) const fn preemptions(most: usize) -> Bound {
    Bound::Preemptions(most)
}
