use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::worker::SeedResult;
use crate::disk::FaultKind;
use crate::{rng, sometimes};

/// Everything counted over a number of seeds. Adding seeds in any order gives the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Seeds that came to their end.
    pub seeds: u64,
    /// Seeds that were cut short. What they counted is counted; their traces are not.
    pub cut_short: u64,
    /// Seeds among them that were run twice.
    pub rechecked: u64,
    /// Scheduling decisions.
    pub steps: u64,
    /// Synchronisation operations of threads, each of which was a scheduling point; 0 without threads.
    #[serde(default)]
    pub points: u64,
    /// Lives that ended before their run did.
    pub crashes: u64,
    /// Time that workers spent on seeds, in nanoseconds.
    pub busy_nanos: u64,
    /// A number that stands for the seeds and their traces.
    pub trace_digest: u64,
    /// The trace hash of the seed that was added last.
    pub last_trace: u64,
    /// The seed that took longest.
    #[serde(default)]
    pub slowest: Option<SlowestSeed>,
    /// The systems' counters, by name.
    pub counters: Vec<(String, u64)>,
    /// How often runs reached each point of [`sometimes!`](crate::sometimes!), all points of the program listed.
    pub reached: BTreeMap<String, u64>,
    /// Faults by kind.
    pub faults: Vec<FaultTotals>,
}

/// One kind of fault over a number of seeds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FaultTotals {
    /// The kind.
    pub kind: FaultKind,
    /// Seeds in which it could strike.
    pub seeds: u64,
    /// How often the tape asked for it.
    pub requested: u64,
    /// How often it had its effect.
    pub delivered: u64,
    /// How often an error was told that it accounts for.
    pub noticed: u64,
}

/// The seed that took longest: a tester that slows down with something shows it here first.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlowestSeed {
    /// The seed.
    pub seed: u64,
    /// Time that its run took, in nanoseconds.
    pub nanos: u64,
    /// Scheduling decisions of its run.
    pub steps: u64,
}

impl Default for Totals {
    fn default() -> Self {
        let fault = |kind| FaultTotals { kind, seeds: 0, requested: 0, delivered: 0, noticed: 0 };
        Totals {
            seeds: 0,
            cut_short: 0,
            rechecked: 0,
            steps: 0,
            points: 0,
            crashes: 0,
            busy_nanos: 0,
            trace_digest: 0,
            last_trace: 0,
            slowest: None,
            counters: Vec::new(),
            reached: sometimes::names().into_iter().map(|name| (name.to_owned(), 0)).collect(),
            faults: FaultKind::ALL.map(fault).to_vec(),
        }
    }
}

impl Totals {
    /// Adds one seed.
    pub(super) fn add(&mut self, result: &SeedResult) {
        if result.interrupted {
            self.cut_short += 1;
        } else {
            self.seeds += 1;
            self.trace_digest = self.trace_digest.wrapping_add(rng::derive(result.seed, result.trace_hash));
        }
        self.rechecked += u64::from(result.rechecked);
        self.steps += result.steps;
        self.points += result.points;
        self.crashes += result.crashes;
        self.busy_nanos += result.busy_nanos;
        self.last_trace = result.trace_hash;
        let taken = SlowestSeed { seed: result.seed, nanos: result.busy_nanos, steps: result.steps };
        if self.slowest.is_none_or(|slowest| slowest.nanos < taken.nanos) {
            self.slowest = Some(taken);
        }
        for &(name, value) in &result.counters {
            self.count(name, value);
        }
        for (&name, &count) in &result.reached {
            *self.reached.entry(name.to_owned()).or_default() += count;
        }
        for fault in &mut self.faults {
            fault.seeds += u64::from(result.enabled.contains(&fault.kind));
            fault.requested += result.faults.requested(fault.kind);
            fault.delivered += result.faults.delivered(fault.kind);
            fault.noticed += result.faults.noticed(fault.kind);
        }
    }

    /// The hash of a single run's trace, or a number that stands for those of many runs.
    pub fn trace_hash(&self, single: bool) -> u64 {
        if single { self.last_trace } else { self.trace_digest }
    }

    /// The counter `name`, 0 if there is none.
    pub fn counter(&self, name: &str) -> u64 {
        self.counters.iter().find(|(known, _)| known == name).map_or(0, |&(_, value)| value)
    }

    fn count(&mut self, name: &str, value: u64) {
        match self.counters.iter_mut().find(|(known, _)| known == name) {
            Some((_, total)) => *total += value,
            None => self.counters.push((name.into(), value)),
        }
    }
}
