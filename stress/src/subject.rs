//! The front door: what a system offers, so that every command can test it.
//!
//! A [`System`] is one run of something. A [`Subject`] says how runs of it are made: what a seed draws, what a person may
//! fix, how a failing setup gets smaller. With that, `cli::main` is a whole program: `sim`, `replay`,
//! `shrink`, `trace`, `sweep`, `threads` and `crash`, with campaigns, resumption, JSON, exit codes and the command that repeats a failure.
//! What a system does not offer, such as [`Subject::killed`], its program refuses in one line.

use std::collections::BTreeMap;
use std::fmt::Debug;

use crate::disk::FaultKind;
pub use crate::options::{Fixed, FixedWorld, Kinds, NoOptions, Options, OptionsError};
use crate::real::killed::Killable;
use crate::real::threads::Workload;
use crate::sweep::Operation;
use crate::system::System;
use crate::tape::{Actor, ChoicePoint, Source, Stream, StreamRecord};
use crate::world::{NemesisOptions, WorldOptions};

// Beyond those of `WorldOptions::draw`, which draws from the same stream.
const CONNECTIONS: ChoicePoint = ChoicePoint::new(20, "connections");

/// Everything that decides a run, next to the choices of its tape.
#[derive(Clone, Debug)]
pub struct Drawn<P> {
    /// The seed. It tells one run's files from another's, also where the choices come from a tape.
    pub seed: u64,
    /// How many connections there are.
    pub connections: u32,
    /// The world: steps, scheduler, disk, faults, crashes.
    pub world: WorldOptions,
    /// The system's own.
    pub plan: P,
    /// What was drawn for them.
    pub(crate) record: StreamRecord,
    /// The names of the choice points at which it was not the default.
    pub(crate) names: BTreeMap<u8, &'static str>,
}

impl<P> Drawn<P> {
    /// Options that were drawn; the stream's record is taken by [`draw`].
    pub fn new(seed: u64, connections: u32, world: WorldOptions, plan: P) -> Drawn<P> {
        Drawn { seed, connections, world, plan, record: StreamRecord::default(), names: BTreeMap::new() }
    }

    /// Draws what systems have in common, for one without wishes of its own: up to eight connections, and a world in which
    /// `faults` strike.
    pub fn common<O: Options>(
        stream: &mut Stream,
        seed: u64,
        fixed: &Fixed<O>,
        faults: &[FaultKind],
        plan: P,
    ) -> Drawn<P> {
        let drawn = [3, 2, 1, 4, 8][stream.choose(CONNECTIONS, 5) as usize];
        let connections = fixed.world.connections.unwrap_or(drawn);
        Drawn::new(seed, connections, WorldOptions::draw(stream, &fixed.world, faults), plan)
    }
}

/// A system under test, as the commands know it.
pub trait Subject: Copy + Debug + Send + Sync + 'static {
    /// What it is called: on tapes, and in help.
    const NAME: &'static str;
    /// The program that tests it: what a repeating command begins with.
    const PROGRAM: &'static str = Self::NAME;
    /// Its own version: `Some(env!("CARGO_PKG_VERSION"))`. `--version` prints it beside the tester's.
    const VERSION: Option<&'static str> = None;
    /// One line for `--help`.
    const ABOUT: &'static str = "Deterministic stress tester for re-entrant storage state machines";

    /// What a person may fix, beside the [`FixedWorld`].
    type Options: Options;
    /// What a run is made of, beside the world.
    type Plan: Clone + Debug;
    /// One run of it.
    type System: System;

    /// Draws a run from `stream`, as far as `fixed` leaves it open. Each choice is drawn whether or not it is fixed, so that
    /// fixing one moves no other.
    fn draw(stream: &mut Stream, seed: u64, fixed: &Fixed<Self::Options>) -> Drawn<Self::Plan>;

    /// Makes the system of a run.
    fn system(drawn: &Drawn<Self::Plan>) -> Self::System;

    /// Every option with its value, in words, for a person.
    fn describe(drawn: &Drawn<Self::Plan>) -> Vec<(&'static str, String)> {
        let connections = ("connections", drawn.connections.to_string());
        [vec![connections], drawn.world.describe()].concat()
    }

    /// Setups that are smaller in one way each; the shrinker tries them. Connections and steps are tried in any case.
    fn smaller(drawn: &Drawn<Self::Plan>, options: &Self::Options) -> Vec<Self::Options> {
        let _ = (drawn, options);
        Vec::new()
    }

    /// What so many connections do on real threads; none if they are only simulated. Fresh for each backend.
    fn threads(connections: u64) -> Option<Box<dyn Workload>> {
        let _ = connections;
        None
    }

    /// How it works in processes that are killed; none if it does not. The command `crash` and jobs kill them: see
    /// [`killed`](crate::real::killed).
    fn killed() -> Option<Killable> {
        None
    }

    /// Operations that are swept one by one; none means that there is nothing to sweep.
    fn operations() -> Vec<Box<dyn Operation>> {
        Vec::new()
    }
}

/// Draws the options of a run, from the seed or from a tape.
pub fn draw<S: Subject>(source: &Source, seed: u64, fixed: &Fixed<S::Options>) -> Drawn<S::Plan> {
    let mut stream = source.stream(Actor::OPTIONS, true);
    let fixed = &Fixed { world: fixed.world.with_threads(), own: fixed.own.clone() };
    let mut drawn = S::draw(&mut stream, seed, fixed);
    drawn.world.take_threads(&mut stream, &fixed.world);
    drawn.names = stream.names();
    drawn.record = stream.take_record().unwrap_or_default();
    drawn
}

/// The options as lines, the seed first.
pub fn describe<S: Subject>(drawn: &Drawn<S::Plan>) -> String {
    let lines = S::describe(drawn).into_iter().map(|(name, value)| format!("{name:<16} {value}\n"));
    format!("seed             {:#x}\n", drawn.seed) + &lines.collect::<String>()
}

/// Every kind of fault that can strike in `world`, those of the nemesis included.
pub fn enabled_faults(world: &WorldOptions) -> Vec<FaultKind> {
    let NemesisOptions { mean_life, killed, drained_only, early, .. } = world.nemesis;
    let dies = mean_life > 0;
    let drawn_elsewhere = [
        // The last life of every run ends by one.
        (FaultKind::PowerLoss, !drained_only),
        (FaultKind::SectorLost, !drained_only),
        (FaultKind::ProcessKilled, dies && killed.parts() > 0),
        (FaultKind::CrashInRecovery, dies && early.is_possible()),
    ];
    let elsewhere = drawn_elsewhere.into_iter().filter_map(|(kind, on)| on.then_some(kind));
    world.disk.faults.enabled().map(|(kind, _)| kind).chain(elsewhere).collect()
}
