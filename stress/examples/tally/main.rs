//! An engine with a tester of its own. `--hasty true` plants a bug:
//! `cargo run -p tenterhook-stress --features cli --example tally -- sim --duration 10s`

mod engine;
mod killed;
mod workload;

use std::path::Path;
use std::sync::Arc;

use engine::{Load, Store, load, open};
use tenterhook_runtime::IOResult;
use tenterhook_runtime::io::IO;
use tenterhook_stress::disk::FaultKind::{self, *};
use tenterhook_stress::real::killed::Killable;
use tenterhook_stress::real::threads::{Connection as _, Workload};
use tenterhook_stress::subject::{Drawn, Fixed, Options, Subject};
use tenterhook_stress::sweep::{Operation, operation};
use tenterhook_stress::system::{Context, Crash, Step, System};
use tenterhook_stress::tape::Stream;
use workload::{Adder, Told, Verdict};

const FAULTS: [FaultKind; 6] = [PowerLoss, ProcessKilled, ReadError, SectorTorn, SyncFailed, WriteError];

/// All connections, simulated.
#[derive(Default)]
pub(crate) struct Tally {
    told: Told,
    hasty: bool,
    load: Option<Load>,
    adders: Vec<Adder>,
}

impl System for Tally {
    fn connections(&self) -> u32 {
        self.told.connections() as u32
    }

    fn boot(&mut self, io: &Arc<dyn IO>, _: &mut Context<'_>) -> Verdict<Step> {
        let Ok(file) = open(&**io, Path::new("tally")) else { return Ok(Step::Yield) };
        let connections = self.told.connections();
        match self.load.get_or_insert_with(|| Load::new(&file, connections)).step() {
            Ok(IOResult::IO(io)) => return Ok(Step::from(io)),
            Ok(IOResult::Done(found)) => self.told.judge(&found)?,
            Err(_) => {
                self.load = None;
                return Ok(Step::Yield);
            }
        }
        let (told, hasty) = (&self.told, self.hasty);
        let adder = |number| Adder::new(&file, told, number, hasty);
        self.adders = (0..connections).map(adder).collect();
        Ok(Step::Ended)
    }

    fn step(&mut self, context: &mut Context<'_>) -> Verdict<Step> {
        self.adders[context.fiber as usize].step()
    }

    fn crash(&mut self, _: Crash) -> Verdict<()> {
        *self = Tally { told: self.told.clone(), hasty: self.hasty, ..Tally::default() };
        Ok(())
    }

    fn describe(&self, fiber: u32) -> String {
        if fiber < self.connections() { "store a count" } else { "load" }.into()
    }
}

#[derive(Copy, Clone, Debug)]
pub(crate) struct TallySubject;

#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize, clap::Args)]
pub(crate) struct Habits {
    /// Acknowledge a count before it is synced.
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    hasty: Option<bool>,
}

impl Options for Habits {}

impl Subject for TallySubject {
    const NAME: &'static str = "tally";
    type Options = Habits;
    type Plan = bool;
    type System = Tally;

    fn draw(stream: &mut Stream, seed: u64, fixed: &Fixed<Habits>) -> Drawn<bool> {
        Drawn::common(stream, seed, fixed, &FAULTS, fixed.own.hasty == Some(true))
    }

    fn system(drawn: &Drawn<bool>) -> Tally {
        let told = Told::new(drawn.connections.into());
        Tally { told, hasty: drawn.plan, ..Tally::default() }
    }

    fn operations() -> Vec<Box<dyn Operation>> {
        let begin = |io: &Arc<dyn IO>| {
            let mut store =
                Store::new(&open(&**io, Path::new("tally")).map_err(|e| e.to_string())?, 0, 1, false);
            Ok(move || store.step())
        };
        vec![operation("store a count", begin, |io| load(&**io, Path::new("tally"), 1))]
    }

    fn threads(connections: u64) -> Option<Box<dyn Workload>> {
        Some(Box::new(Told::new(connections)))
    }

    fn killed() -> Option<Killable> {
        Some(Killable::Recorded(Box::new(killed::Processes)))
    }
}

fn main() -> std::process::ExitCode {
    tenterhook_stress::cli::main::<TallySubject>().into()
}
