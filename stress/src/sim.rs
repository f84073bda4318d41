//! One seed, run.

use crate::options::SimOptions;
use crate::pager::PagerSystem;
use crate::tape::Source;
use crate::watch::Watch;
use crate::world::{RunOutcome, World};

/// Runs the pager under `options` until the end, a violation, or until `watch` says stop. With `keep` the outcome has every event and
/// the whole tape.
pub fn run(options: &SimOptions, keep: bool, watch: &Watch) -> RunOutcome {
    run_from(&Source::Seed(options.seed), options, keep, watch)
}

/// The same with choices from somewhere else than the seed.
pub fn run_from(source: &Source, options: &SimOptions, keep: bool, watch: &Watch) -> RunOutcome {
    World::new(PagerSystem::new(options.plan), options.world, source, keep).run(watch)
}
