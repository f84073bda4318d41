use std::collections::BTreeMap;

use super::Names;
use crate::disk::FaultCounts;
use crate::tape::{Beginning, Tape};
use crate::trace::Trace;
use crate::violation::Violation;

/// What became of one run.
#[derive(Debug)]
pub struct RunOutcome {
    /// The promise that was broken, if any; the run ended there.
    pub violation: Option<Violation>,
    /// Whether it was stopped from outside, or given up. An interrupted run proves nothing about determinism.
    pub interrupted: bool,
    /// Scheduling decisions: a fiber stepped or an operation delivered.
    pub steps: u64,
    /// How often the system came to life.
    pub lives: u64,
    /// Whether a life could end at any moment.
    pub may_crash: bool,
    /// Faults requested and delivered.
    pub faults: FaultCounts,
    /// The system's own counters.
    pub counters: Vec<(&'static str, u64)>,
    /// How often it reached each point of [`sometimes!`](crate::sometimes!).
    pub reached: BTreeMap<&'static str, u64>,
    /// Hash of every event.
    pub trace_hash: u64,
    /// The events themselves, if they were kept.
    pub trace: Trace,
    /// What a fiber was doing at an event, by the event's index, if the story was kept.
    pub captions: Vec<(usize, String)>,
    /// The choices, if they were recorded.
    pub tape: Tape,
    /// What each life after the first began with, if that was kept and the system offers to begin there.
    pub beginnings: Vec<Beginning>,
    /// Between how many each choice of the exhaustive scheduler was.
    pub branching: Vec<u32>,
    /// The names of its choice points, if the choices were recorded.
    pub names: Names,
    /// How many events there were when each step began, if the story was kept.
    pub steps_began: Vec<u64>,
    /// Synchronisation operations of threads, each of which was a scheduling point; 0 for a run without threads.
    pub points: u64,
}
