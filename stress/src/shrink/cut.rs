//! The past is cut off: the run begins with the disk of a later life, and with what the oracles knew then.
//!
//! A cut must not turn one failure into another, and must not bake it in. A run that begins with a fixture is taken only if:
//!
//! - it fails in the same way, twice with the same trace;
//! - without operations and without choices it fails in no way. Otherwise what broke the promise may be in the past, and a test that
//!   begins with the broken files would stay red whatever is mended.
//!
//! The second is asked again of every later edit of a run's setup and options: with other options the same files may mean nothing.

use super::Replay;
use super::search::{Search, State};
use crate::tape::{Actor, Beginning, Place, Source, Tape};
use crate::world::{Keep, RunOutcome};

/// A past with so many choices and operations stays: people read it more easily than files.
const SHORT: usize = 8;
/// So many lives are tried, the last one first.
const LIVES: usize = 12;

impl<R: Replay> Search<'_, R> {
    /// Cuts the past off, and goes through all passes once more. If nothing can be cut off this run, which is small already, for
    /// instance because it has one long life, it may be possible in the run that was `found`. The smaller one counts.
    pub(super) fn cut_and_exhaust(&mut self, found: State<R>) {
        if !self.has_beginnings || !self.is_long() {
            return;
        }
        if self.cut_past() {
            return self.exhaust_part(2);
        }
        let small = self.state();
        self.kept = Some(small.measure());
        self.return_to(found);
        if self.cut_past() {
            self.exhaust_part(2);
        }
        self.kept = None;
        if !self.measure().replaces(small.measure()) {
            self.return_to(small);
        }
    }

    fn is_long(&self) -> bool {
        size(&self.tape) > SHORT
    }

    /// Begins with the last life with which the run fails in the same way, if much was before it. Returns whether there is one.
    pub(super) fn cut_past(&mut self) -> bool {
        if self.left == 0 || !self.is_long() {
            return false;
        }
        let run = self.setup.play(&self.played, Keep::Beginnings);
        self.count(&run);
        if !self.is_same(&run) {
            return false;
        }
        run.beginnings.iter().rev().take(LIVES).any(|beginning| self.begin_with(beginning))
    }

    fn begin_with(&mut self, beginning: &Beginning) -> bool {
        if self.left == 0 || past(&self.tape, beginning.life) <= SHORT {
            return false;
        }
        let since = self.tape.since(beginning);
        self.take_twice(since, &|now, then| now < then)
    }

    /// Whether a run that fails does not begin with a fixture, or does not fail with that alone.
    pub(super) fn is_made_by_choices(&mut self, setup: &R, source: &Source) -> bool {
        let Some(tape) = source.tape().filter(|tape| tape.fixture().is_some()) else { return true };
        let setup_of = |setup: &R| setup.file(&Source::Seed(0), None).setup;
        let is_known = tape.fixture() == self.tape.fixture() && options(tape) == options(&self.tape);
        if is_known && setup_of(setup) == setup_of(&self.setup) {
            return true;
        }
        let dull: RunOutcome = setup.play(&Source::from(tape.dull()), Keep::Hash);
        self.count(&dull);
        dull.violation.is_none()
    }
}

/// Choices and operations of a run, without its options.
pub(super) fn size(tape: &Tape) -> usize {
    past(tape, u32::MAX)
}

/// Choices and operations before a life.
fn past(tape: &Tape, life: u32) -> usize {
    let is_past = |life_of: u32, actor: Actor| life_of < life && actor != Actor::OPTIONS;
    let choices = tape.choices().filter(|(Place { address, .. }, _)| is_past(address.life, address.actor));
    let operations = tape.connection_operations();
    choices.count() + operations.iter().filter(|id| is_past(id.life, id.actor)).count()
}

/// What the options were drawn as.
fn options(tape: &Tape) -> Vec<(Place, u32)> {
    tape.choices().filter(|(place, _)| place.address.actor == Actor::OPTIONS).collect()
}
