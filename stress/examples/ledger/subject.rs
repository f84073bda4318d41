//! The store under test: what connections do with it, and what must hold.

use std::collections::BTreeMap;
use std::path::Path;
use std::rc::Rc;

use tenterhook_stress::prelude::*;

use super::store::{Append, Open, Store};

/// What the disk and the machine may do to it.
const FAULTS: [FaultKind; 5] = [
    FaultKind::PowerLoss,
    FaultKind::ProcessKilled,
    FaultKind::SectorTorn,
    FaultKind::ReadError,
    FaultKind::WriteError,
];

/// One run of the store. `acknowledged` and `next` are the oracle's: they outlive a crash.
#[derive(Default)]
pub struct Ledger {
    connections: u32,
    opening: Option<Open>,
    store: Option<Rc<Store>>,
    appends: BTreeMap<u32, (u64, Append)>,
    acknowledged: BTreeMap<usize, u64>,
    next: u64,
    appended: u64,
}

impl System for Ledger {
    fn connections(&self) -> u32 {
        self.connections
    }

    /// Opens the store after each crash, and checks that no acknowledged value is lost.
    fn boot(&mut self, io: &std::sync::Arc<dyn IO>, _: &mut Context<'_>) -> Result<Step, Box<Violation>> {
        if self.opening.is_none() {
            // An error that a fault explains is no violation: try again.
            let Ok(open) = Open::new(&**io, Path::new("ledger")) else { return Ok(Step::Yield) };
            self.opening = Some(open);
        }
        match self.opening.as_mut().map(Open::step) {
            Some(Ok(IOResult::IO(io))) => return Ok(io.into()),
            Some(Ok(IOResult::Done((store, found)))) => {
                let found: BTreeMap<usize, u64> = found.into_iter().collect();
                for (slot, value) in &self.acknowledged {
                    if found.get(slot) != Some(value) {
                        let (expected, seen) =
                            (format!("{value} in slot {slot}"), format!("{:?}", found.get(slot)));
                        return Err(Violation::safety("durability", expected, seen));
                    }
                }
                self.store = Some(Rc::new(store));
            }
            Some(Err(_)) | None => {
                self.opening = None;
                return Ok(Step::Yield);
            }
        }
        Ok(Step::Ended)
    }

    /// A connection appends one value after the other.
    fn step(&mut self, context: &mut Context<'_>) -> Result<Step, Box<Violation>> {
        let Some(store) = &self.store else { return Ok(Step::Idle) };
        let (value, append) = self.appends.entry(context.fiber).or_insert_with(|| {
            self.next += 1;
            (self.next, Append::new(store, self.next))
        });
        match append.step() {
            Ok(IOResult::IO(io)) => return Ok(io.into()),
            Ok(IOResult::Done(slot)) => {
                self.appended += 1;
                if let Some(other) = self.acknowledged.insert(slot, *value) {
                    let seen = format!("{other} and {value} in slot {slot}");
                    return Err(Violation::safety("own slot", "one value in each slot", seen));
                }
            }
            // The value may be in the file or not: it was not acknowledged.
            Err(_) => {}
        }
        self.appends.remove(&context.fiber);
        Ok(Step::Ended)
    }

    /// What was in memory is gone. What the oracle knows stays.
    fn crash(&mut self, _: Crash) -> Result<(), Box<Violation>> {
        (self.opening, self.store) = (None, None);
        self.appends.clear();
        Ok(())
    }

    fn describe(&self, fiber: u32) -> String {
        self.appends.get(&fiber).map_or_else(|| "open".into(), |(value, _)| format!("append {value}"))
    }

    fn counters(&self) -> Vec<(&'static str, u64)> {
        vec![("values appended", self.appended)]
    }
}

/// How runs of it are drawn from a seed.
#[derive(Copy, Clone, Debug)]
pub struct LedgerSubject;

impl Subject for LedgerSubject {
    const NAME: &'static str = "ledger";
    type Options = NoOptions;
    type Plan = ();
    type System = Ledger;

    fn draw(stream: &mut Stream, seed: u64, fixed: &Fixed<NoOptions>) -> Drawn<()> {
        Drawn::common(stream, seed, fixed, &FAULTS, ())
    }

    fn system(drawn: &Drawn<()>) -> Ledger {
        Ledger { connections: drawn.connections, ..Ledger::default() }
    }
}
