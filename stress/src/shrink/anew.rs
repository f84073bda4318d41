//! The failure is looked for anew, in short runs with fresh choices.
//!
//! Some failures need the state that a long run has come to: whatever is taken off, all that comes later is different, and it fails
//! no more. Then runs begin with what the disk has shortly before the failure, as if the process had been killed there, or at the
//! start. They have the options of the run, and a failure that comes early has little to be taken off.

use super::Replay;
use super::search::Search;
use crate::tape::{Beginning, Source, Tape};
use crate::world::Keep;

/// A run with so many operations and choices is looked for shortly before its end. A smaller one is easier to read than a fixture.
const LARGE: usize = 16;
/// A run with fewer is small enough.
const SMALL: usize = 8;
/// Of one that is not large, runs of so many lengths are tried.
const LENGTHS: u32 = 3;
/// Runs begin this part of the steps before the failure, then twice as many, and so on.
const NEAREST: u64 = 64;
/// And not fewer steps.
const FEWEST: u64 = 32;
/// A run may be so much longer than what it stands for.
const LONGER: u64 = 4;
/// So many are tried at once, on any number of cores.
const TOGETHER: u64 = 8;
/// Runs of one beginning and one length may cost this part of the budget that is left.
const SHARE: u64 = 8;

impl<R: Replay> Search<'_, R> {
    /// As long as the run is not small: looks for it anew, first near its end, and takes off what can be taken off.
    pub(super) fn look_anew(&mut self) {
        let mut near = FEWEST.max(self.steps / NEAREST);
        while self.has(LARGE) && near < self.steps && !self.fails_near_the_end(near) {
            near *= 2;
        }
        let mut until = FEWEST.max((2 * self.steps).min(self.found / NEAREST));
        let mut lengths = 0;
        while until < self.found && (self.has(LARGE) || self.has(SMALL) && lengths < LENGTHS) {
            while self.has(SMALL) && self.fails_anew(&self.tape.clone(), until) {}
            until *= 2;
            lengths += 1;
        }
    }

    /// Whether the run has so many operations and choices, and something is left to be spent.
    fn has(&self, parts: usize) -> bool {
        self.left > 0 && self.tape.choices().count() + self.tape.connection_operations().len() >= parts
    }

    /// Whether a smaller run begins with what the disk has so many steps before the failure.
    fn fails_near_the_end(&mut self, near: u64) -> bool {
        let before = Source::first_steps(self.tape.clone(), self.steps - near);
        let outcome = self.setup.play(&before, Keep::Beginnings);
        self.count(&outcome);
        let is_its_end = |last: &&Beginning| outcome.interrupted && u64::from(last.life) + 1 == outcome.lives;
        let beginning = outcome.beginnings.last().filter(is_its_end);
        beginning.is_some_and(|beginning| self.fails_anew(&self.tape.since(beginning), LONGER * near))
    }

    /// Looks for a smaller run that begins as `tape` does and has fresh choices, among those that fail within so many steps.
    fn fails_anew(&mut self, tape: &Tape, until: u64) -> bool {
        let keep = self.left - self.left / SHARE;
        let mut seed = 0;
        while self.left > keep {
            let before = self.state();
            let fresh = |seed| (self.setup.clone(), Source::fresh(tape, seed, until));
            let runs: Vec<(R, Source)> = (seed..seed + TOGETHER).map(fresh).collect();
            let Some((index, outcome)) = self.first(&runs, |_, _| true) else {
                seed += TOGETHER;
                continue;
            };
            seed += index as u64 + 1;
            if self.take_twice(outcome.tape.in_turns(), |_, _| true) {
                self.exhaust_part(2);
                if self.measure() < before.measure() {
                    return true;
                }
                self.return_to(before);
            }
        }
        false
    }
}
