//! Which cases there are.

use super::case::{Case, Fallen};
use super::golden_run::GoldenRun;
use super::pair::TO_THE_END;
use super::report::OperationReport;
use crate::disk::{Fate, SimDisk, Unsynced};
use crate::violation::Violation;

/// Up to so many yields of another operation it is run to each of them, and to its end.
const PARTNERS_YIELDS: u32 = 16;

/// Where exhaustive would be too much.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Operations of up to so many I/Os are run with every subset of them pending; of larger ones with each one, each
    /// two, and all.
    pub subsets: u32,
    /// Power losses spare, take and tear each of up to so many sectors of a file by itself.
    pub sectors: u32,
}

impl Default for Bounds {
    fn default() -> Self {
        Bounds { subsets: 10, sectors: 256 }
    }
}

/// Every case that does not need the power to fail.
pub(super) fn cases(golden: &GoldenRun<'_>, bounds: Bounds, report: &mut OperationReport) -> Vec<Case> {
    let extent = golden.extent();
    let mut cases = pending(extent.ios, bounds, report);
    cases.extend((0..extent.ios).map(Case::Disturbed));
    for (io, &kind) in (0..).zip(&extent.pending) {
        cases.extend(golden.faults(kind).map(|(fault, effect)| Case::Fault(io, fault, effect)));
    }
    for at in 0..extent.yields {
        cases.extend([Case::Dropped(at), Case::DroppedLate(at)]);
        cases.extend((0..3).map(|effect| Case::Cancelled(at, effect)));
        cases.extend((0..2).map(|effect| Case::GivenUp(at, effect)));
        for other in 0..golden.partners() {
            cases
                .extend((0..PARTNERS_YIELDS).chain([TO_THE_END]).map(|until| Case::Paired(at, other, until)));
        }
    }
    cases
}

fn pending(ios: u32, bounds: Bounds, report: &mut OperationReport) -> Vec<Case> {
    let chosen = |subset: u64| (0..ios).filter(|io| subset >> io & 1 == 1).collect();
    if ios <= bounds.subsets {
        return (1..1_u64 << ios).map(|subset| Case::Pending(chosen(subset))).collect();
    }
    report.cut(format!("subsets of up to 2 of {ios} I/Os pending, and all of them"));
    let singles = (0..ios).map(|io| vec![io]);
    let pairs = (0..ios).flat_map(|first| (first + 1..ios).map(move |second| vec![first, second]));
    singles.chain(pairs).chain([(0..ios).collect()]).map(Case::Pending).collect()
}

/// Every way in which the power can fail after `delivered` I/Os.
pub(super) fn crashes(
    golden: &GoldenRun<'_>,
    delivered: u32,
    bounds: Bounds,
    report: &mut OperationReport,
) -> Result<Vec<Case>, Box<Violation>> {
    let at_stake = golden.at_stake(delivered)?;
    let mut falls = together(&at_stake);
    for (file, unsynced) in at_stake.iter().enumerate() {
        let sectors = unsynced.sectors.min(bounds.sectors);
        if sectors < unsynced.sectors {
            report.cut(format!("the first {sectors} of {} sectors at stake", unsynced.sectors));
        }
        for sector in 0..sectors {
            for fate in [Fate::AllBut(sector), Fate::Only(sector), Fate::Torn(sector)] {
                for others in [Fate::Nothing, Fate::Everything] {
                    let mut fates = vec![others; at_stake.len()];
                    fates[file] = fate;
                    falls.push(fates);
                    if at_stake.len() == 1 {
                        break;
                    }
                }
            }
        }
    }
    let case = |fates: Vec<Fate>| Case::Crash(delivered, fates.into_iter().map(Fallen).collect());
    Ok(falls.into_iter().map(case).collect())
}

/// Every combination of whole changes up to some point of each file.
pub(super) fn together(at_stake: &[Unsynced]) -> Vec<Vec<Fate>> {
    combined(at_stake, |unsynced| (1..unsynced.changes).map(Fate::UpTo).collect())
}

/// Nothing or everything of each file.
pub(super) fn ends(at_stake: &[Unsynced]) -> Vec<Vec<Fate>> {
    combined(at_stake, |_| Vec::new())
}

/// The same, and of each write that is at stake the head, with nothing else of what is at stake.
pub(super) fn ends_and_heads(disk: &SimDisk) -> Vec<Vec<Fate>> {
    let at_stake = disk.unsynced();
    let mut falls = ends(&at_stake);
    for (file, starts) in disk.unsynced_starts().into_iter().enumerate() {
        falls.extend(starts.into_iter().map(|start| {
            let mut fates = vec![Fate::Nothing; at_stake.len()];
            fates[file] = Fate::Head(start);
            fates
        }));
    }
    falls
}

fn combined(at_stake: &[Unsynced], between: impl Fn(&Unsynced) -> Vec<Fate>) -> Vec<Vec<Fate>> {
    at_stake.iter().fold(vec![Vec::new()], |falls, unsynced| {
        let fates = [vec![Fate::Nothing, Fate::Everything], between(unsynced)].concat();
        let with = |fall: Vec<Fate>| {
            fates.iter().map(move |&fate| [fall.as_slice(), &[fate]].concat()).collect::<Vec<_>>()
        };
        falls.into_iter().flat_map(with).collect()
    })
}
