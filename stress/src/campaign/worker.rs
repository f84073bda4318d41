use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crossbeam_channel::Sender;
use std::time::Instant;

use super::heartbeat::STALLED;
use super::{Failure, Finding};
use crate::disk::{FaultCounts, FaultKind};
use crate::options::Fixed;
use crate::panics;
use crate::rng;
use crate::sim;
use crate::subject::{self, Drawn, Subject, enabled_faults};
use crate::tape::Source;
use crate::violation::Violation;
use crate::watch::Watch;
use crate::world::{Keep, RunOutcome};

/// What one seed came to.
#[derive(Debug)]
pub(crate) struct SeedResult {
    /// Its place in the campaign, from 0.
    pub(crate) index: u64,
    pub(crate) seed: u64,
    pub(crate) rechecked: bool,
    pub(crate) interrupted: bool,
    pub(crate) steps: u64,
    pub(crate) points: u64,
    pub(crate) crashes: u64,
    pub(crate) busy_nanos: u64,
    pub(crate) trace_hash: u64,
    pub(crate) counters: Vec<(&'static str, u64)>,
    pub(crate) reached: BTreeMap<&'static str, u64>,
    pub(crate) faults: FaultCounts,
    pub(crate) enabled: Vec<FaultKind>,
    pub(crate) failures: Vec<Failure>,
}

/// What the workers share.
#[derive(Debug)]
pub(super) struct Shared<S: Subject> {
    pub(super) first_seed: u64,
    /// Index of the next seed.
    pub(super) next: AtomicU64,
    /// Index at which the campaign ends.
    pub(super) end: u64,
    /// No new seeds.
    pub(super) enough: AtomicBool,
    pub(super) runner: SeedRunner<S>,
    /// One for each worker.
    pub(super) watches: Vec<Watch>,
}

/// What decides the run of a seed.
#[derive(Clone, Debug)]
pub(crate) struct SeedRunner<S: Subject> {
    /// One in how many seeds is run twice; 0 for none.
    pub(crate) recheck: u64,
    pub(crate) fixed: Fixed<S::Options>,
}

/// A run with more steps than this does not keep its events for comparison: they would take gigabytes.
const KEPT_STEPS: u64 = 2_000_000;

impl<S: Subject> Shared<S> {
    /// Runs seeds until there are no more.
    pub(super) fn work(&self, worker: usize, results: &Sender<SeedResult>) {
        let watch = &self.watches[worker];
        while !self.enough.load(Ordering::Relaxed) && !watch.is_stopped() {
            let index = self.next.fetch_add(1, Ordering::Relaxed);
            if index >= self.end {
                break;
            }
            let seed = self.first_seed.wrapping_add(index);
            if results.send(self.runner.run(index, seed, watch)).is_err() {
                break;
            }
        }
    }
}

impl<S: Subject> SeedRunner<S> {
    /// Runs a seed, which `watch` shows meanwhile.
    pub(crate) fn run(&self, index: u64, seed: u64, watch: &Watch) -> SeedResult {
        watch.begin(seed);
        // A run catches its own panics. What is left is the subject's: drawing, making and describing a run.
        let result = panics::catch(|| self.run_seed(index, seed, watch));
        let result = result.unwrap_or_else(|panic| self.panicked(index, seed, panic));
        watch.end();
        result
    }

    /// Runs a seed; a share of them, and all that fail, a second time for comparison.
    fn run_seed(&self, index: u64, seed: u64, watch: &Watch) -> SeedResult {
        let began = Instant::now();
        let drawn = subject::draw::<S>(&Source::Seed(seed), seed, &self.fixed);
        let chosen = self.recheck > 0 && rng::below(rng::derive(1, seed), self.recheck) == 0;
        let keep = if chosen && drawn.world.steps <= KEPT_STEPS { Keep::Events } else { Keep::Hash };
        let first = sim::run::<S>(&drawn, keep, watch);
        let busy_nanos = u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX);
        let mut failures = Vec::new();
        let mut rechecked = false;
        let mut interrupted = first.interrupted;
        if (chosen || first.violation.is_some()) && !interrupted {
            let second = sim::run::<S>(&drawn, keep, watch);
            interrupted = second.interrupted && first.violation.is_none();
            rechecked = !second.interrupted;
            let differs =
                if rechecked { first_difference::<S>(&drawn, &first, &second, watch) } else { None };
            failures.extend(differs.map(|finding| self.failure(&drawn, &first, finding)));
        }
        if let Some(violation) = first.violation.clone() {
            failures.push(self.failure(&drawn, &first, Finding::Violation(violation)));
        }
        SeedResult {
            index,
            seed,
            rechecked,
            interrupted,
            steps: first.steps,
            points: first.points,
            crashes: first.faults.delivered(FaultKind::PowerLoss)
                + first.faults.delivered(FaultKind::ProcessKilled),
            busy_nanos,
            trace_hash: first.trace_hash,
            enabled: enabled_faults(&drawn.world),
            counters: first.counters,
            reached: first.reached,
            faults: first.faults,
            failures,
        }
    }

    /// A seed whose run could not be made.
    fn panicked(&self, index: u64, seed: u64, panic: String) -> SeedResult {
        let failure = Failure {
            seed,
            options: Vec::new(),
            steps: 0,
            trace_hash: 0,
            finding: Finding::Violation(*Violation::panic(panic)),
            command: command::<S>(seed, &self.fixed),
        };
        SeedResult {
            index,
            seed,
            rechecked: false,
            interrupted: false,
            steps: 0,
            points: 0,
            crashes: 0,
            busy_nanos: 0,
            trace_hash: 0,
            counters: Vec::new(),
            reached: BTreeMap::new(),
            faults: FaultCounts::default(),
            enabled: Vec::new(),
            failures: vec![failure],
        }
    }

    /// A seed of which a step does not return.
    pub(crate) fn stalled(&self, seed: u64) -> Failure {
        let drawn = subject::draw::<S>(&Source::Seed(seed), seed, &self.fixed);
        let seen =
            format!("a step has not returned for {} s: the fiber neither yields nor ends", STALLED.as_secs());
        let words = S::describe(&drawn).into_iter().map(|(name, value)| (name.to_owned(), value));
        Failure {
            seed,
            options: words.collect(),
            steps: 0,
            trace_hash: 0,
            finding: Finding::Violation(*Violation::liveness("liveness", "every step returns", seen)),
            command: command::<S>(seed, &self.fixed),
        }
    }

    fn failure(&self, drawn: &Drawn<S::Plan>, run: &RunOutcome, finding: Finding) -> Failure {
        let words = S::describe(drawn).into_iter().map(|(name, value)| (name.to_owned(), value));
        Failure {
            seed: drawn.seed,
            options: words.collect(),
            steps: run.steps,
            trace_hash: run.trace_hash,
            finding,
            command: command::<S>(drawn.seed, &self.fixed),
        }
    }
}

/// The command that repeats a seed.
pub(crate) fn command<S: Subject>(seed: u64, fixed: &Fixed<S::Options>) -> String {
    format!("{} sim --seed {seed:#x}{}", S::PROGRAM, fixed.flags())
}

/// What differs between two runs of one seed, to the event if they are short enough to be run once more with events.
fn first_difference<S: Subject>(
    drawn: &Drawn<S::Plan>,
    first: &RunOutcome,
    second: &RunOutcome,
    watch: &Watch,
) -> Option<Finding> {
    let finding = difference(first, second)?;
    let has_no_event = matches!(finding, Finding::Nondeterminism { event: None, .. });
    if has_no_event && drawn.world.steps <= KEPT_STEPS {
        let again = || sim::run::<S>(drawn, Keep::Events, watch);
        return difference(&again(), &again()).or(Some(finding));
    }
    Some(finding)
}

/// What differs between two runs of one seed; nothing may.
pub(super) fn difference(first: &RunOutcome, second: &RunOutcome) -> Option<Finding> {
    if first.trace_hash == second.trace_hash {
        return None;
    }
    let words = |event: Option<crate::trace::Event>| {
        event.map_or_else(|| "the end of the run".into(), |e| e.to_string())
    };
    Some(match first.trace.first_difference(&second.trace) {
        Some((index, ours, theirs)) => {
            Finding::Nondeterminism { event: Some(index as u64), first: words(ours), second: words(theirs) }
        }
        None => Finding::Nondeterminism {
            event: None,
            first: format!("trace {:#018x} after {} steps", first.trace_hash, first.steps),
            second: format!("trace {:#018x} after {} steps", second.trace_hash, second.steps),
        },
    })
}
