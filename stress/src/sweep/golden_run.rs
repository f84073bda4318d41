//! One operation, run again and again.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use tenterhook_runtime::io::OperationKind;

use super::aftermath::Aftermath;
use super::case::{Case, Fallen};
use super::harness::{Harness, Perturbation, Run};
use super::operation::Operation;
use crate::disk::{Fate, FaultKind, Script, Unsynced, effects, honest_faults};
use crate::panics;
use crate::violation::Violation;

/// How much there is to an operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Extent {
    /// I/Os when each ends inside `submit`.
    pub(super) ios: u32,
    /// Kinds of the I/Os when each is pending, in the order of submission.
    pub(super) pending: Vec<OperationKind>,
    /// Yields when each I/O is pending.
    pub(super) yields: u32,
}

/// The state of a system that has not had the operation's effects, and of one that has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct CaseOutcome {
    pub(super) before: String,
    pub(super) after: String,
}

/// What a case may lead to.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Injected {
    /// Nothing: the case must have no visible effect.
    None,
    /// The operation may fail, and nothing else.
    Errors,
    /// A sync has failed. The system may refuse from here on until it is restarted, because it is unknown what is durable.
    Refusals,
}

/// An operation, and what it does when nothing is in its way.
pub(super) struct GoldenRun<'a> {
    pub(super) subject: &'a dyn Operation,
    extent: Extent,
    /// What it comes to.
    ending: String,
    /// The state when it is over.
    pub(super) now: CaseOutcome,
    /// The state after the next change, for each way of making it.
    later: Vec<CaseOutcome>,
    /// The states when the operation and a partner are over, by partner and by whether the operation was refused.
    pub(super) pairs: RefCell<BTreeMap<(u32, bool), CaseOutcome>>,
    /// Runs of the operation and recoveries so far.
    runs: Cell<u64>,
}

/// Stands where an oracle's name stands when the operation has no such case.
pub(super) const NO_SUCH_CASE: &str = "case";

/// I/Os of other connections beyond the operation's own that end inside `submit`.
const AMPLE: u32 = 1024;

impl<'a> GoldenRun<'a> {
    /// Runs the operation without any fault, to know what it does.
    pub(super) fn of(subject: &'a dyn Operation) -> Result<GoldenRun<'a>, Box<Violation>> {
        caught(|| GoldenRun::undisturbed(subject))
    }

    fn undisturbed(subject: &'a dyn Operation) -> Result<GoldenRun<'a>, Box<Violation>> {
        let mut smooth = Harness::prepare(subject)?;
        let ending = ended_well(smooth.run(None, u32::MAX)?)?;
        let ios = smooth.submitted().len() as u32;
        let now = CaseOutcome { before: without(subject)?.state()?, after: smooth.state()? };
        let mut halting = Harness::prepare(subject)?;
        halting.disk.follow(Script::default());
        ended_well(halting.run(None, u32::MAX)?)?;
        let extent = Extent { ios, pending: halting.submitted(), yields: halting.yields };
        let later = (0..subject.ways_on()).map(|way| {
            let mut with = Harness::prepare(subject)?;
            ended_well(with.run(None, u32::MAX)?)?;
            Ok(CaseOutcome { before: gone_on(without(subject)?, way)?, after: gone_on(with, way)? })
        });
        let later = later.collect::<Result<Vec<_>, Box<Violation>>>()?;
        let (pairs, runs) = (RefCell::default(), Cell::new(0));
        Ok(GoldenRun { subject, extent, ending, now, later, pairs, runs })
    }

    pub(super) fn extent(&self) -> &Extent {
        &self.extent
    }

    /// The faults of an operation of `kind`, with each of their effects. Not every system can notice a flipped bit.
    pub(super) fn faults(&self, kind: OperationKind) -> impl Iterator<Item = (FaultKind, u32)> {
        let notices = self.subject.notices_bit_flips();
        let faults = honest_faults(kind).filter(move |&fault| fault != FaultKind::BitFlip || notices);
        faults.flat_map(|fault| (0..effects(fault)).map(move |effect| (fault, effect)))
    }

    /// Runs of the operation and recoveries so far, those of this golden run left out.
    pub(super) fn runs(&self) -> u64 {
        self.runs.get()
    }

    /// The states after the next change in this way.
    pub(super) fn later(&self, way: u32) -> &CaseOutcome {
        &self.later[way as usize]
    }

    pub(super) fn partners(&self) -> u32 {
        self.subject.partners()
    }

    pub(super) fn ways_on(&self) -> u32 {
        self.later.len() as u32
    }

    pub(super) fn count_run(&self) {
        self.runs.set(self.runs.get() + 1);
    }

    /// Runs one case with each of its aftermaths and holds it against the promise. Whether there was any fault in it: a fault
    /// for which the operation gives no occasion is none.
    pub(super) fn judge(&self, case: &Case) -> Result<bool, Box<Violation>> {
        if let Case::Crash(delivered, fates) = case {
            return caught(|| self.crash(*delivered, fates)).map(|()| true);
        }
        if let Case::Paired(at, other, until) = *case {
            return self.judge_pair(at, other, until);
        }
        let mut has_struck = false;
        for aftermath in Aftermath::all(self.ways_on(), case) {
            let judged = caught(|| {
                let (mut harness, run) = self.perform(case)?;
                has_struck = strikes(case, &harness);
                let injected = self.injected(case, &mut harness);
                let is_whole = self.judge_ending(run, injected)?;
                self.judge_aftermath(harness, aftermath, is_whole, injected)
            });
            judged.map_err(|violation| violation.note(aftermath.to_string()))?;
        }
        Ok(has_struck)
    }

    /// What a power loss after `delivered` I/Os would decide about, file by file.
    pub(super) fn at_stake(&self, delivered: u32) -> Result<Vec<Unsynced>, Box<Violation>> {
        caught(|| {
            let (harness, run) = self.until_power_fails(delivered)?;
            drop(run);
            Ok(harness.disk.unsynced())
        })
    }

    /// What may come of what has struck.
    fn injected(&self, case: &Case, harness: &mut Harness) -> Injected {
        match *case {
            _ if !strikes(case, harness) => Injected::None,
            // It takes long, and that is all.
            Case::Fault(_, FaultKind::Stuck, _) => Injected::None,
            Case::Fault(io, ..) if self.extent.pending[io as usize] == OperationKind::Sync => {
                Injected::Refusals
            }
            // A read that was given up concerns no one; a write concerns the transaction.
            Case::GivenUp(..) if harness.change_was_cancelled() => Injected::Refusals,
            // It may have been a sync.
            Case::Cancelled(..) if delivered(FaultKind::Cancelled, harness) => Injected::Refusals,
            Case::Fault(..) | Case::Cancelled(..) => Injected::Errors,
            _ => Injected::None,
        }
    }

    /// Runs the operation as the case will have it.
    fn perform(&self, case: &Case) -> Result<(Harness, Run), Box<Violation>> {
        self.count_run();
        let mut harness = Harness::prepare(self.subject)?;
        let mut script = Script::default();
        let mut perturbation = None;
        match *case {
            Case::Undisturbed | Case::Crash(..) | Case::Paired(..) => {
                (0..self.extent.ios).for_each(|io| script.at_once(io))
            }
            Case::Pending(ref ios) => {
                (0..self.extent.ios).filter(|io| !ios.contains(io)).for_each(|io| script.at_once(io));
            }
            Case::Disturbed(io) => {
                (0..self.extent.ios + AMPLE).filter(|&other| other != io).for_each(|io| script.at_once(io));
                // The only yield, unless others' I/O has to be waited for.
                perturbation = Some((0, Perturbation::Disturb));
            }
            Case::Fault(io, fault, effect) => {
                self.script_fault(&mut script, io, fault, effect)?;
            }
            Case::Dropped(at) => perturbation = Some((at, Perturbation::Drop)),
            Case::DroppedLate(at) => perturbation = Some((at, Perturbation::DropLate)),
            Case::GivenUp(at, 0) => perturbation = Some((at, Perturbation::GiveUp)),
            Case::GivenUp(at, _) => {
                script.honour_cancel(0);
                perturbation = Some((at, Perturbation::GiveUpCancelled));
            }
            Case::Cancelled(at, effect) => {
                script.honour_cancel(effect);
                perturbation = Some((at, Perturbation::Cancel));
            }
        }
        harness.disk.follow(script);
        let run = harness.run(perturbation, u32::MAX)?;
        if perturbation.is_some_and(|(at, _)| at >= harness.yields) {
            return Err(no_such_case(format!("it yields {} times", harness.yields)));
        }
        Ok((harness, run))
    }

    fn script_fault(
        &self,
        script: &mut Script,
        io: u32,
        fault: FaultKind,
        effect: u32,
    ) -> Result<(), Box<Violation>> {
        let Some(&kind) = self.extent.pending.get(io as usize) else {
            return Err(no_such_case(format!("it does {} I/Os", self.extent.pending.len())));
        };
        let is_known = self.faults(kind).any(|known| known == (fault, effect));
        if is_known && script.fault(io, kind, fault, effect) {
            return Ok(());
        }
        let case = |(fault, effect)| Case::Fault(io, fault, effect).to_string();
        let known: Vec<String> = self.faults(kind).map(case).collect();
        Err(no_such_case(format!("its I/O {io} is a {kind:?}, for which there are {}", known.join(" "))))
    }

    fn crash(&self, delivered: u32, fates: &[Fallen]) -> Result<(), Box<Violation>> {
        let (harness, run) = self.until_power_fails(delivered)?;
        let is_whole = matches!(run, Run::Ended(Ok(_)));
        let disk = harness.close();
        drop(run);
        let fates: Vec<Fate> = fates.iter().map(|fallen| fallen.0).collect();
        disk.fall(&fates);
        disk.oblige();
        let Some(found) = self.judge_restarts(&disk, is_whole)? else { return Ok(()) };
        // All that is there is durable: however often it is tried, a restart finds the same.
        self.judge_broken_restarts(&disk, &CaseOutcome::only(&found), true)
    }

    /// Runs the operation until so many I/Os have ended, or to its end, and cuts the power.
    fn until_power_fails(&self, delivered: u32) -> Result<(Harness, Run), Box<Violation>> {
        self.count_run();
        let mut harness = Harness::prepare(self.subject)?;
        harness.disk.follow(Script::default());
        let run = match harness.run(None, delivered)? {
            // It has ended before, so this is a moment after its end.
            Run::Ended(ending) => {
                drop(harness.disk.cut_power());
                Run::Ended(ending)
            }
            run => run,
        };
        Ok((harness, run))
    }

    /// Whether the operation has to have had its effects.
    fn judge_ending(&self, run: Run, injected: Injected) -> Result<bool, Box<Violation>> {
        match run {
            Run::Ended(Ok(ending)) if ending == self.ending => Ok(true),
            Run::Ended(Ok(ending)) => Err(Violation::safety("re-entrancy", self.ending.clone(), ending)),
            Run::Ended(Err(_)) if injected != Injected::None => Ok(false),
            Run::Ended(Err(error)) => {
                Err(Violation::safety("re-entrancy", self.ending.clone(), format!("the error: {error}")))
            }
            Run::Gone | Run::PowerLost(_) => Ok(false),
        }
    }
}

impl CaseOutcome {
    /// `state`, and nothing else.
    pub(super) fn only(state: &str) -> CaseOutcome {
        CaseOutcome { before: state.to_owned(), after: state.to_owned() }
    }

    /// One or the other.
    pub(super) fn either(one: String, other: String) -> CaseOutcome {
        CaseOutcome { before: one, after: other }
    }

    /// All of the effects, or, unless the operation `is_whole`, none.
    pub(super) fn judge(&self, oracle: &str, state: &str, is_whole: bool) -> Result<(), Box<Violation>> {
        if state == self.after || (!is_whole && state == self.before) {
            return Ok(());
        }
        let expected = match is_whole {
            true => format!("all effects: {}", self.after),
            false => format!("all effects or none: {} or {}", self.after, self.before),
        };
        Err(Violation::safety(oracle, expected, state))
    }
}

/// A panic of the subject is a violation like any other.
pub(super) fn caught<T>(run: impl FnOnce() -> Result<T, Box<Violation>>) -> Result<T, Box<Violation>> {
    panics::catch(run).unwrap_or_else(|panic| Err(Violation::panic(panic)))
}

/// Whether the fault of a case came about: not every write can find the disk full.
fn strikes(case: &Case, harness: &Harness) -> bool {
    match *case {
        Case::Fault(_, kind, _) => delivered(kind, harness),
        Case::GivenUp(..) => harness.has_given_up,
        _ => true,
    }
}

fn delivered(kind: FaultKind, harness: &Harness) -> bool {
    harness.disk.fault_counts().delivered(kind) > 0
}

/// The stage as it is without the operation.
fn without(subject: &dyn Operation) -> Result<Harness, Box<Violation>> {
    let mut harness = Harness::prepare(subject)?;
    harness.stage.drop_operation();
    Ok(harness)
}

/// The state after the next change.
fn gone_on(mut harness: Harness, way: u32) -> Result<String, Box<Violation>> {
    harness.state()?;
    let refused =
        |refusal| Violation::safety("preparation", "a system that works after the restart", refusal);
    harness.stage.go_on(way).map_err(refused)?;
    harness.state()
}

/// The case can't be had; no promise of the operation.
pub(super) fn no_such_case(seen: String) -> Box<Violation> {
    Violation::safety(NO_SUCH_CASE, "a case of this operation", seen)
}

fn ended_well(run: Run) -> Result<String, Box<Violation>> {
    match run {
        Run::Ended(Ok(ending)) => Ok(ending),
        Run::Ended(Err(error)) => {
            Err(Violation::safety("re-entrancy", "no error without a fault", format!("the error: {error}")))
        }
        Run::Gone | Run::PowerLost(_) => unreachable!("no fault was injected"),
    }
}
