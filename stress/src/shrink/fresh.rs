//! Short runs with fresh choices, for failures that edits don't make small.
//!
//! Some failures need the state that a long run has come to. Whatever is taken off, all that comes later is different, and the run
//! passes. Fresh runs have the options of the run that was found. They begin where that run begins, or with what the disk has
//! shortly before the failure, as if the process had been killed there. A failure that comes early has little to be taken off.

use super::cut::size;
use super::search::Search;
use super::{Replay, Symptom};
use crate::tape::{Beginning, Source, Tape};
use crate::violation::{Class, Violation};
use crate::world::{Keep, RunOutcome};

/// A smaller run is easier to read than a fixture.
const LARGE: usize = 16;
/// A smaller run is small enough.
const SMALL: usize = 6;
/// Fresh runs are tried with so many lengths if the run is not large.
const LENGTHS: u32 = 3;
/// The shortest length, and the nearest moment before the failure, in parts of the run's steps. The next ones are twice as long.
const NEAREST: u64 = 64;
/// No length is shorter than this, in steps.
const SHORTEST: u64 = 32;
/// The length of a run that begins near the end, in lengths of what it replaces.
const LONGER: u64 = 4;
/// So many runs are tried at once, on any number of cores.
const TOGETHER: u64 = 8;
/// Runs of one length may cost this part of the budget that is left.
const SHARE: u64 = 8;

impl<R: Replay> Search<'_, R> {
    /// Tries fresh runs from moments before the failure if the run is large, and from its beginning if it is not small then.
    pub(super) fn try_fresh_runs(&mut self) {
        let nearest = |search: &Self| SHORTEST.max(search.steps / NEAREST);
        let mut near = nearest(self);
        while self.may_crash && self.has(LARGE) && near < self.steps {
            near = if self.fails_near_the_end(near) { nearest(self) } else { 2 * near };
        }
        let mut length = SHORTEST.max((2 * self.steps).min(self.found / NEAREST));
        let mut lengths = 0;
        while length < self.found && (self.has(LARGE) || self.has(SMALL) && lengths < LENGTHS) {
            while self.has(SMALL) && self.fails_fresh(&self.tape.clone(), length) {}
            length *= 2;
            lengths += 1;
        }
    }

    /// Whether the run has so many operations and choices, and something is left to be spent.
    fn has(&self, parts: usize) -> bool {
        self.left > 0 && size(&self.tape) >= parts
    }

    /// Whether a smaller run begins with what the disk has so many steps before the failure.
    fn fails_near_the_end(&mut self, near: u64) -> bool {
        self.ask();
        let before = Source::first_steps(self.tape.clone(), self.steps - near);
        let outcome = self.setup.play(&before, Keep::Beginnings);
        self.count(&outcome);
        let is_its_end = |last: &&Beginning| outcome.interrupted && u64::from(last.life) + 1 == outcome.lives;
        let Some(beginning) = outcome.beginnings.last().filter(is_its_end) else { return false };
        let tape = self.tape.since(beginning);
        !self.fails_whatever_is_drawn(&tape, LONGER * near) && self.fails_fresh(&tape, LONGER * near)
    }

    /// Whether what broke the promise is on the disk already: then each fresh run fails, and goes on to fail after the bug is fixed.
    fn fails_whatever_is_drawn(&mut self, tape: &Tape, length: u64) -> bool {
        (0..TOGETHER).all(|seed| {
            let outcome = self.setup.play(&Source::fresh(tape, seed, length), Keep::Hash);
            self.count(&outcome);
            self.is_same(&outcome)
        })
    }

    /// Takes a smaller run that begins as `tape` does, has fresh choices, and fails within so many steps. A candidate goes through all
    /// passes, even if that costs more than the share.
    fn fails_fresh(&mut self, tape: &Tape, length: u64) -> bool {
        let keep = self.left - self.left / SHARE;
        let mut seed = 0;
        while self.left > keep {
            let before = self.state();
            let fresh = |seed| (self.setup.clone(), Source::fresh(tape, seed, length));
            let runs: Vec<(R, Source)> = (seed..seed + TOGETHER).map(fresh).collect();
            let Some((index, outcome)) = self.first(&runs, &|_, _| true) else {
                seed += TOGETHER;
                continue;
            };
            seed += index as u64 + 1;
            if self.is_alike(&outcome) && self.take_twice(outcome.tape.in_turns(), &|_, _| true) {
                self.kept = Some(before.measure());
                self.exhaust_part(2);
                self.kept = None;
                if self.measure().replaces(before.measure()) {
                    return true;
                }
                self.return_to(before);
            }
        }
        false
    }

    /// An edit seldom turns one hang into another. A fresh run may: it has to hang in the same phase, and the same ones have to wait.
    fn is_alike(&self, outcome: &RunOutcome) -> bool {
        let is_free = self.symptom == Symptom::Any;
        let is_alike =
            |seen: &Violation| is_free || seen.class != Class::Liveness || seen.is_alike(self.violation());
        outcome.violation.as_ref().is_some_and(is_alike)
    }
}
