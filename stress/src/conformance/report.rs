//! What the suite has to say.

use std::fmt;
use std::sync::Arc;

use tenterhook_runtime::io::IO;

use super::Adapter;
use super::behaviours::{Behaviour, all};
use super::rig::{Make, Rig, Seen};
use crate::disk::{FaultKind, SimDisk};
use crate::panics;

/// Each behaviour is run with so many seeds.
pub(super) const SEEDS: u64 = 64;

/// What became of one behaviour.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Finding {
    Kept,
    Absent,
    /// In this seed, or in all of them, the adapter did this.
    Wrong(Option<u64>, String),
}

/// All behaviours, and what the adapter did wrong. Its text has one line for each.
#[derive(Clone, Debug)]
pub struct Report {
    pub(super) findings: Vec<(&'static str, Finding)>,
}

/// Runs each behaviour with 64 seeds on adapters that `make` makes for a life of the disk. The same adapter gives the same report.
pub fn check<A: Adapter>(make: impl Fn(&SimDisk, &Arc<dyn IO>) -> A) -> Report {
    let findings = all::<A>().into_iter().map(|behaviour| (behaviour.name, examine(&behaviour, &make)));
    Report { findings: findings.collect() }
}

fn examine<A: Adapter>(behaviour: &Behaviour<A>, make: Make<'_, A>) -> Finding {
    let mut delivered = vec![0; behaviour.faults.len()];
    let mut kept = Seen::Kept;
    for seed in 0..SEEDS {
        let examined = panics::catch(|| {
            let mut rig = Rig::new(make, seed, behaviour.faults, behaviour.at_once);
            let verdict = (behaviour.body)(&mut rig);
            (verdict, rig.disk.fault_counts())
        });
        let (verdict, counts) = match examined {
            Ok(examined) => examined,
            Err(panic) => return Finding::Wrong(Some(seed), format!("it panics: {panic}")),
        };
        match verdict {
            Ok(seen) => kept = seen,
            Err(wrong) => return Finding::Wrong(Some(seed), wrong),
        }
        for (sum, &fault) in delivered.iter_mut().zip(behaviour.faults) {
            *sum += counts.delivered(fault);
        }
    }
    Finding::of(kept, &delivered, behaviour.faults)
}

impl Finding {
    /// What all seeds came to, none of which went wrong. `delivered` says how often each of `faults` has struck.
    pub(super) fn of(kept: Seen, delivered: &[u64], faults: &[FaultKind]) -> Finding {
        let undelivered = |(sum, &fault): (&u64, &FaultKind)| (*sum == 0).then_some(fault);
        match delivered.iter().zip(faults).find_map(undelivered) {
            _ if kept == Seen::Absent => Finding::Absent,
            None => Finding::Kept,
            Some(fault) => {
                let fault: &'static str = fault.into();
                let wrong = format!("the fault {fault} could never strike: the disk is not asked for it");
                Finding::Wrong(None, wrong)
            }
        }
    }
}

impl Report {
    /// Whether the adapter did nothing wrong.
    pub fn is_clean(&self) -> bool {
        self.wrong().next().is_none()
    }

    /// The behaviours that the adapter does not have: name, and what it did wrong.
    pub fn wrong(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.findings.iter().filter_map(|(name, finding)| match finding {
            Finding::Wrong(_, wrong) => Some((*name, wrong.as_str())),
            Finding::Kept | Finding::Absent => None,
        })
    }

    /// The behaviours that were not tested, because the engine's trait has no such operation.
    pub fn absent(&self) -> impl Iterator<Item = &'static str> {
        self.findings.iter().filter(|(_, finding)| *finding == Finding::Absent).map(|(name, _)| *name)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, finding) in &self.findings {
            match finding {
                Finding::Kept => writeln!(f, "ok      {name}")?,
                Finding::Absent => writeln!(f, "absent  {name}")?,
                Finding::Wrong(Some(seed), wrong) => writeln!(f, "WRONG   {name}: {wrong} (seed {seed})")?,
                Finding::Wrong(None, wrong) => writeln!(f, "WRONG   {name}: {wrong}")?,
            }
        }
        Ok(())
    }
}
