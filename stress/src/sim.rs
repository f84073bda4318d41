//! The pager as it is simulated: one seed or one tape at a time.

use serde::{Deserialize, Serialize};

use crate::options::{Overrides, SimOptions};
use crate::pager::PagerSystem;
use crate::schedule::SchedulerKind;
use crate::shrink::Replay;
use crate::tape::{Actor, Source, TapeError, TapeFile};
use crate::watch::Watch;
use crate::world::{Keep, RunOutcome, World};

/// The name of the system on tapes.
pub const SYSTEM: &str = "pager";

/// Runs the pager under `options` until the end, a violation, or until `watch` says stop. The outcome has what
/// `keep` says.
pub fn run(options: &SimOptions, keep: Keep, watch: &Watch) -> RunOutcome {
    run_from(&Source::Seed(options.seed), options, keep, watch)
}

/// The same with choices from somewhere else than the seed.
pub fn run_from(source: &Source, options: &SimOptions, keep: Keep, watch: &Watch) -> RunOutcome {
    let mut outcome = World::new(PagerSystem::new(options.plan), options.world, source, keep).run(watch);
    if keep >= Keep::Tape {
        outcome.tape.put(Actor::OPTIONS, options.record.clone());
    }
    outcome
}

/// What a run of the pager is made of, next to its tape.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Setup {
    /// The seed: without a tape it decides everything, with one it only gives the files their identity.
    pub seed: u64,
    /// What is not drawn.
    pub overrides: Overrides,
}

impl Setup {
    /// The setup of a tape of the pager.
    ///
    /// # Errors
    ///
    /// When the tape is another system's, or its setup is out of bounds.
    pub fn of(file: TapeFile) -> Result<(Setup, Source), TapeError> {
        let file = file.of_system(SYSTEM)?;
        let setup: Setup = serde_json::from_str(&file.setup)
            .map_err(|_| TapeError::Malformed("the setup is not understood"))?;
        if setup.overrides.validate().is_err() {
            return Err(TapeError::Malformed("the setup is out of bounds"));
        }
        Ok((setup, Source::Recorded(file.tape)))
    }
}

impl Replay for Setup {
    fn play(&self, source: &Source, keep: Keep) -> RunOutcome {
        let options = SimOptions::draw_from(source, self.seed, &self.overrides);
        run_from(source, &options, keep, &Watch::default())
    }

    fn with_random_scheduler(&self) -> Setup {
        let mut setup = self.clone();
        setup.overrides.scheduler = Some(SchedulerKind::Random);
        setup
    }

    fn smaller(&self, source: &Source, failed_at: u64) -> Vec<Setup> {
        let drawn = SimOptions::draw_from(source, self.seed, &self.overrides);
        let with = |change: &dyn Fn(&mut Overrides)| {
            let mut setup = self.clone();
            change(&mut setup.overrides);
            setup
        };
        let mut smaller = Vec::new();
        let mut fewer = 1;
        while fewer < drawn.connections() {
            smaller.push(with(&|overrides| overrides.connections = Some(fewer)));
            fewer *= 2;
        }
        if drawn.connections() > 1 {
            smaller.push(with(&|overrides| overrides.connections = Some(drawn.connections() - 1)));
        }
        // A failure after the last life's end comes from the finale, which may come earlier.
        for steps in [failed_at / 4, failed_at / 2, failed_at * 3 / 4, failed_at] {
            if (1..drawn.steps()).contains(&steps) {
                smaller.push(with(&|overrides| overrides.steps = Some(steps)));
            }
        }
        if drawn.page_size() > 512 {
            smaller.push(with(&|overrides| overrides.page_size = Some(512)));
        }
        smaller
    }

    fn file(&self, source: &Source, oracle: Option<String>) -> TapeFile {
        let tape = match source {
            Source::Recorded(tape) => tape.clone(),
            Source::Seed(_) => Default::default(),
        };
        let setup = serde_json::to_string(self).unwrap_or_default();
        TapeFile { system: SYSTEM.into(), oracle, setup, tape }
    }
}

/// Plays a tape of the pager that was saved: the whole of a regression test.
///
/// # Panics
///
/// When the tape cannot be played, or when a promise is broken again.
pub fn assert_replays_clean(tape: &[u8]) {
    let played = TapeFile::decode(tape).and_then(Setup::of);
    let (setup, source) = played.unwrap_or_else(|error| panic!("the tape {error}"));
    if let Some(violation) = setup.play(&source, Keep::Hash).violation {
        panic!("{violation}");
    }
}
