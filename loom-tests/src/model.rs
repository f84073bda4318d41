//! One model and what exploring it came to.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Instant;

use tenterhook_loom_tests::explored::Explored;

use crate::panics::{self, Stop};

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
    /// What a canary has to fail with.
    caught_by: Option<&'static str>,
}

impl Model {
    pub(crate) fn new(
        name: impl Into<String>,
        bound: Bound,
        body: impl Fn() + Send + Sync + 'static,
    ) -> Self {
        Self { name: name.into(), bound, body: Arc::new(body), verdict: Box::new(|| None), caught_by: None }
    }

    /// Has `verdict` look at what the executions left, when all have run.
    pub(crate) fn judged_by(self, verdict: impl Fn() -> Option<String> + Send + Sync + 'static) -> Self {
        Self { verdict: Box::new(verdict), ..self }
    }

    /// A model that is wrong on purpose: it passes when exploring it fails with `report`.
    pub(crate) fn canary(name: &str, report: &'static str, body: impl Fn() + Send + Sync + 'static) -> Self {
        Self { caught_by: Some(report), ..Self::new(name, Bound::Exhaustive, body) }
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
        panics::begin(self.caught_by.is_some());
        let result = catch_unwind(AssertUnwindSafe(move || {
            builder.check(move || {
                panics::stop_if_raised();
                count.fetch_add(1, Relaxed);
                body();
            });
        }));
        let executions = executions.load(Relaxed);
        let raised = panics::first();
        let failure = match result {
            Err(payload) if payload.is::<Stop>() => raised.map(|first| format!("caught on the way: {first}")),
            Err(payload) => Some(raised.unwrap_or_else(|| message(&*payload))),
            Ok(()) if raised.is_some() => raised.map(|first| format!("caught on the way: {first}")),
            Ok(()) if executions < 2 => Some("explored one execution: nothing in it races".into()),
            Ok(()) => (self.verdict)(),
        };
        Explored {
            executions,
            seconds: started.elapsed().as_secs_f64(),
            failure: self.judge(failure),
            places: Vec::new(),
        }
    }

    /// A canary has to fail, and in the way that it is there for.
    fn judge(&self, failure: Option<String>) -> Option<String> {
        match (self.caught_by, failure) {
            (None, failure) => failure,
            (Some(report), None) => Some(format!("a canary that lives: nothing reported {report:?}")),
            (Some(report), Some(failure)) if failure.contains(report) => None,
            (Some(report), Some(other)) => Some(format!("a canary: not {report:?} but {other}")),
        }
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
