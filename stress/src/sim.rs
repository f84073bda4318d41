//! A subject as it is simulated: one seed or one tape at a time.

use serde::{Deserialize, Serialize};

use crate::disk::{DiskOptions, SimDisk};
use crate::history::Event;
use crate::options::Fixed;
use crate::race;
use crate::shrink::{self, Replay};
use crate::subject::{self, Drawn, Subject};
use crate::system::System;
use crate::tape::{Actor, Fixture, Source, Tape, TapeError, TapeFile};
use crate::watch::Watch;
use crate::world::{Keep, RunOutcome, World};

/// Runs the system of `drawn` until the end, a violation, or until `watch` says stop. The outcome has what `keep` says.
pub fn run<S: Subject>(drawn: &Drawn<S::Plan>, keep: Keep, watch: &Watch) -> RunOutcome {
    run_from::<S>(&Source::Seed(drawn.seed), drawn, keep, watch)
}

/// The same with choices from somewhere else than the seed.
pub fn run_from<S: Subject>(
    source: &Source,
    drawn: &Drawn<S::Plan>,
    keep: Keep,
    watch: &Watch,
) -> RunOutcome {
    let run = || World::new(S::system(drawn), drawn.world, source, keep).run(watch);
    let mut outcome = race::enter(run);
    if keep >= Keep::Tape {
        outcome.tape.insert(drawn.record.clone());
        outcome.names.extend(drawn.names.iter().map(|(&point, &name)| ((Actor::OPTIONS, point), name)));
    }
    outcome
}

/// The history of a run, for checkers of other people; `None` if the system records none. The run is that of [`run_from`].
pub fn history<S: Subject>(source: &Source, drawn: &Drawn<S::Plan>) -> Option<Vec<Event>> {
    let run = || {
        let mut system = S::system(drawn);
        let record = system.record()?;
        World::new(system, drawn.world, source, Keep::Hash).run(&Watch::default());
        let events = record.borrow().events();
        Some(events)
    };
    race::enter(run)
}

/// What a run is made of, next to its tape.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(bound = "")]
pub struct Setup<S: Subject> {
    /// The seed: without a tape it decides everything, with one it only gives the files their identity.
    pub seed: u64,
    /// What is not drawn.
    pub fixed: Fixed<S::Options>,
}

impl<S: Subject> Setup<S> {
    /// The setup of a tape of `S`.
    ///
    /// # Errors
    ///
    /// When the tape is another system's, or its setup is out of bounds.
    pub fn of(file: TapeFile) -> Result<(Setup<S>, Source), TapeError> {
        let file = file.of_system(S::NAME)?;
        let setup = Setup::<S>::read(&file.setup)
            .ok_or(TapeError::Malformed("the setup is not understood: another version made it"))?;
        if setup.fixed.validate().is_err() {
            return Err(TapeError::Malformed("the setup is out of bounds"));
        }
        let source = Source::from(file.tape);
        if let Some(fixture) = source.tape().and_then(Tape::fixture) {
            let mut system = S::system(&setup.draw(&source));
            check_fixture(&mut system, fixture)?;
        }
        Ok((setup, source))
    }

    fn read(text: &str) -> Option<Setup<S>> {
        let mut setup: serde_json::Value = serde_json::from_str(text).ok()?;
        let fixed = Fixed::read(setup.get_mut("fixed")?.take()).ok()?;
        Some(Setup { seed: setup.get("seed")?.as_u64()?, fixed })
    }

    /// The options of its run.
    pub fn draw(&self, source: &Source) -> Drawn<S::Plan> {
        subject::draw::<S>(source, self.seed, &self.fixed)
    }
}

impl<S: Subject> Replay for Setup<S> {
    fn play(&self, source: &Source, keep: Keep) -> RunOutcome {
        run_from::<S>(source, &self.draw(source), keep, &Watch::default())
    }

    fn smaller(&self, source: &Source, failed_at: u64) -> Vec<Setup<S>> {
        let drawn = self.draw(source);
        let with = |change: &dyn Fn(&mut Fixed<S::Options>)| {
            let mut setup = self.clone();
            change(&mut setup.fixed);
            setup
        };
        let mut smaller = Vec::new();
        let mut fewer = 1;
        while fewer < drawn.connections {
            smaller.push(with(&|fixed| fixed.world.connections = Some(fewer)));
            fewer *= 2;
        }
        if drawn.connections > 1 {
            smaller.push(with(&|fixed| fixed.world.connections = Some(drawn.connections - 1)));
        }
        for steps in shrink::earlier_ends(source, failed_at, drawn.world.steps) {
            smaller.push(with(&|fixed| fixed.world.steps = Some(steps)));
        }
        for own in S::smaller(&drawn, &self.fixed.own) {
            smaller.push(with(&|fixed| fixed.own = own.clone()));
        }
        smaller
    }

    fn file(&self, source: &Source, oracle: Option<String>) -> TapeFile {
        let tape = source.tape().cloned().unwrap_or_default();
        let setup = serde_json::to_string(self).unwrap_or_default();
        TapeFile { system: S::NAME.into(), oracle, setup, tape }
    }

    fn test(&self, tape: &str) -> String {
        let subject = std::any::type_name::<S>();
        format!("tenterhook_stress::sim::assert_replays_clean::<{subject}>(include_bytes!(\"{tape}\"));")
    }
}

/// Whether `system` takes up what `fixture` says.
///
/// # Errors
///
/// [`TapeError::Fixture`].
pub(crate) fn check_fixture(system: &mut impl System, fixture: &Fixture) -> Result<(), TapeError> {
    let stream = Source::Seed(0).stream(Actor::DISK, false);
    let disk = SimDisk::new(DiskOptions::default(), stream);
    disk.begin_with(fixture);
    system.resume(&disk, &fixture.knowledge).map_err(TapeError::Fixture)
}

/// Plays a tape of `S` that was saved: the whole of a regression test.
///
/// # Panics
///
/// When the tape cannot be played, or when a promise is broken again.
pub fn assert_replays_clean<S: Subject>(tape: &[u8]) {
    let played = TapeFile::decode(tape).and_then(Setup::<S>::of);
    let (setup, source) = played.unwrap_or_else(|error| panic!("the tape {error}"));
    if let Some(violation) = setup.play(&source, Keep::Hash).violation {
        panic!("{violation}");
    }
}
