//! A shrinker at a terminal: how far it is, and what ends it.
#![allow(
    clippy::disallowed_types,
    reason = "a person says how long the shrinker may take; no run sees the clock"
)]

use std::time::{Duration, Instant};

use crate::progress::Progress;
use crate::shrink::{self, Budget, Replay, Shrunk, SoFar, Symptom};
use crate::stop::Stop;
use crate::tape::Source;

/// What ends a shrinker that still finds something.
pub(super) struct Limits<'a> {
    pub(super) budget: Budget,
    pub(super) duration: Option<Duration>,
    pub(super) interrupted: &'a Stop,
}

/// Shrinks, with a bar if it `is_shown`. None if the run does not fail.
pub(super) fn shrink<R: Replay>(
    setup: &R,
    source: &Source,
    symptom: Symptom,
    limits: Limits<'_>,
    is_shown: bool,
) -> Option<Shrunk<R>> {
    let Limits { budget, duration, interrupted } = limits;
    let begun = Instant::now();
    let progress = Progress::new(is_shown, budget.steps, "steps of the shrinker's budget");
    let shrunk = shrink::shrink_while(setup, source, symptom, budget, |so_far| {
        let SoFar { steps, operations, choices, runs, spent } = so_far;
        progress.show(spent, || {
            format!("{runs} runs, now {steps} steps, {operations} operations, {choices} choices; Ctrl-C takes that")
        });
        !interrupted.is_told() && duration.is_none_or(|duration| begun.elapsed() < duration)
    });
    progress.clear();
    shrunk
}
