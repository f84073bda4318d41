//! One operation, run again and again.

use std::cell::Cell;

use tenterhook_runtime::io::OperationKind;

use super::aftermath::Aftermath;
use super::case::{Case, Fallen};
use super::subject::Subject;
use super::theatre::{Deed, Run, Theatre};
use crate::disk::{Fate, Script, SimDisk, Unsynced};
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
pub(super) struct Course {
    before: String,
    after: String,
}

/// An operation, and what it does when nothing is in its way.
pub(super) struct Rehearsal<'a> {
    pub(super) subject: &'a dyn Subject,
    extent: Extent,
    /// What it comes to.
    ending: String,
    /// The state when it is over.
    pub(super) now: Course,
    /// The state when somebody has gone on, for each way of that.
    later: Vec<Course>,
    /// Runs of the operation and recoveries so far.
    runs: Cell<u64>,
}

/// Stands where an oracle's name stands when the operation has no such case.
pub(super) const NO_SUCH_CASE: &str = "case";

/// I/Os of other connections beyond the operation's own that end inside `submit`.
const AMPLE: u32 = 1024;

impl<'a> Rehearsal<'a> {
    /// Runs the operation without any harm, to know what it does.
    pub(super) fn of(subject: &'a dyn Subject) -> Result<Rehearsal<'a>, Box<Violation>> {
        caught(|| Rehearsal::undisturbed(subject))
    }

    fn undisturbed(subject: &'a dyn Subject) -> Result<Rehearsal<'a>, Box<Violation>> {
        let mut smooth = Theatre::prepare(subject)?;
        let ending = ended_well(smooth.run(None, u32::MAX)?)?;
        let ios = smooth.submitted().len() as u32;
        let now = Course { before: without(subject)?.state()?, after: smooth.state()? };
        let mut halting = Theatre::prepare(subject)?;
        halting.disk.follow(Script::default());
        ended_well(halting.run(None, u32::MAX)?)?;
        let extent = Extent { ios, pending: halting.submitted(), yields: halting.yields };
        let later = (0..subject.ways_on()).map(|way| {
            let mut with = Theatre::prepare(subject)?;
            ended_well(with.run(None, u32::MAX)?)?;
            Ok(Course { before: gone_on(without(subject)?, way)?, after: gone_on(with, way)? })
        });
        let later = later.collect::<Result<Vec<_>, Box<Violation>>>()?;
        Ok(Rehearsal { subject, extent, ending, now, later, runs: Cell::new(0) })
    }

    pub(super) fn extent(&self) -> &Extent {
        &self.extent
    }

    /// Whether a flipped bit is the subject's to notice.
    pub(super) fn notices_bit_flips(&self) -> bool {
        self.subject.notices_bit_flips()
    }

    /// Runs of the operation and recoveries so far, those of this rehearsal left out.
    pub(super) fn runs(&self) -> u64 {
        self.runs.get()
    }

    pub(super) fn count_run(&self) {
        self.runs.set(self.runs.get() + 1);
    }

    /// Runs one case with each of its aftermaths and holds it against the promise.
    pub(super) fn judge(&self, case: &Case) -> Result<(), Box<Violation>> {
        caught(|| match case {
            Case::Crash(delivered, fates) => self.crash(*delivered, fates),
            _ => Aftermath::all(self.later.len() as u32).try_for_each(|aftermath| {
                self.play(case, aftermath).map_err(|violation| violation.note(aftermath.to_string()))
            }),
        })
    }

    /// What a power loss after `delivered` I/Os would decide about, file by file.
    pub(super) fn at_stake(&self, delivered: u32) -> Result<Vec<Unsynced>, Box<Violation>> {
        caught(|| {
            let (theatre, run) = self.until_power_fails(delivered)?;
            drop(run);
            Ok(theatre.disk.unsynced())
        })
    }

    fn play(&self, case: &Case, aftermath: Aftermath) -> Result<(), Box<Violation>> {
        let (mut theatre, run) = self.perform(case)?;
        let harmed = matches!(case, Case::Fault(..) | Case::Cancelled(..));
        let is_whole = self.judge_ending(run, harmed)?;
        if aftermath == Aftermath::PowerLost {
            return self.judge_recovery(&theatre.lose_power(), &self.now, is_whole);
        }
        let state = theatre.state()?;
        self.now.judge("state", &state, is_whole)?;
        // What somebody may have read has happened.
        let is_whole = is_whole || state == self.now.after;
        let Aftermath::WentOn(way) = aftermath else {
            let disk = theatre.close();
            drop(disk.kill_process());
            return self.judge_recovery(&disk, &self.now, is_whole);
        };
        match theatre.stage.go_on(way) {
            Ok(()) => {
                let later = self.later[way as usize].once(is_whole);
                later.judge("state", &theatre.state()?, true)?;
                self.judge_recovery(&theatre.lose_power(), &later, true)
            }
            Err(_) if harmed => self.judge_recovery(&theatre.lose_power(), &self.now, is_whole),
            Err(refusal) => Err(Violation::safety(
                "leaks",
                "nothing in the way of who goes on",
                format!("the error: {refusal}"),
            )),
        }
    }

    /// Runs the operation as the case will have it.
    fn perform(&self, case: &Case) -> Result<(Theatre, Run), Box<Violation>> {
        self.count_run();
        let mut theatre = Theatre::prepare(self.subject)?;
        let mut script = Script::default();
        let mut deed = None;
        match *case {
            Case::Undisturbed | Case::Crash(..) => (0..self.extent.ios).for_each(|io| script.at_once(io)),
            Case::Pending(ref ios) => {
                (0..self.extent.ios).filter(|io| !ios.contains(io)).for_each(|io| script.at_once(io));
            }
            Case::Disturbed(io) => {
                (0..self.extent.ios + AMPLE).filter(|&other| other != io).for_each(|io| script.at_once(io));
                // The only yield, unless others' I/O has to be waited for.
                deed = Some((0, Deed::Disturb));
            }
            Case::Fault(io, fault, effect) => {
                let Some(&kind) = self.extent.pending.get(io as usize) else {
                    return Err(no_such_case(format!("it does {} I/Os", self.extent.pending.len())));
                };
                if !script.fault(io, kind, fault, effect) {
                    return Err(no_such_case(format!("its I/O {io} is a {kind:?}")));
                }
            }
            Case::Dropped(at) => deed = Some((at, Deed::Drop)),
            Case::DroppedLate(at) => deed = Some((at, Deed::DropLate)),
            Case::Cancelled(at, effect) => {
                script.honour_cancel(effect);
                deed = Some((at, Deed::Cancel));
            }
        }
        theatre.disk.follow(script);
        let run = theatre.run(deed, u32::MAX)?;
        if deed.is_some_and(|(at, _)| at >= theatre.yields) {
            return Err(no_such_case(format!("it yields {} times", theatre.yields)));
        }
        Ok((theatre, run))
    }

    fn crash(&self, delivered: u32, fates: &[Fallen]) -> Result<(), Box<Violation>> {
        let (theatre, run) = self.until_power_fails(delivered)?;
        let is_whole = matches!(run, Run::Ended(Ok(_)));
        let disk = theatre.close();
        drop(run);
        let fates: Vec<Fate> = fates.iter().map(|fallen| fallen.0).collect();
        disk.fall(&fates);
        disk.oblige();
        self.judge_broken_recoveries(&disk, is_whole)?;
        self.judge_recovery(&disk, &self.now, is_whole)
    }

    /// Runs the operation until so many I/Os have ended, or to its end, and cuts the power.
    fn until_power_fails(&self, delivered: u32) -> Result<(Theatre, Run), Box<Violation>> {
        self.count_run();
        let mut theatre = Theatre::prepare(self.subject)?;
        theatre.disk.follow(Script::default());
        let run = match theatre.run(None, delivered)? {
            // It has ended before, so this is a moment after its end.
            Run::Ended(ending) => {
                drop(theatre.disk.cut_power());
                Run::Ended(ending)
            }
            run => run,
        };
        Ok((theatre, run))
    }

    /// Whether the operation has to have had its effects.
    fn judge_ending(&self, run: Run, harmed: bool) -> Result<bool, Box<Violation>> {
        match run {
            Run::Ended(Ok(ending)) if ending == self.ending => Ok(true),
            Run::Ended(Ok(ending)) => Err(Violation::safety("re-entrancy", self.ending.clone(), ending)),
            Run::Ended(Err(_)) if harmed => Ok(false),
            Run::Ended(Err(error)) => {
                Err(Violation::safety("re-entrancy", self.ending.clone(), format!("the error: {error}")))
            }
            Run::Gone | Run::PowerLost(_) => Ok(false),
        }
    }

    /// What a restart finds on `disk`, where nothing is in flight.
    pub(super) fn judge_recovery(
        &self,
        disk: &SimDisk,
        course: &Course,
        is_whole: bool,
    ) -> Result<(), Box<Violation>> {
        self.count_run();
        let recovered = self.subject.recover(&disk.io());
        let recovered =
            recovered.map_err(|problem| Violation::safety("recovery", "a usable file", problem))?;
        recovered.map_or(Ok(()), |state| course.judge("durability", &state, is_whole))
    }
}

impl Course {
    /// All of the effects, or, unless the operation `is_whole`, none.
    fn judge(&self, oracle: &str, state: &str, is_whole: bool) -> Result<(), Box<Violation>> {
        if state == self.after || (!is_whole && state == self.before) {
            return Ok(());
        }
        let expected = match is_whole {
            true => format!("all effects: {}", self.after),
            false => format!("all effects or none: {} or {}", self.after, self.before),
        };
        Err(Violation::safety(oracle, expected, state))
    }

    /// The same, once it is known whether the effects are there.
    fn once(&self, is_whole: bool) -> Course {
        let state = if is_whole { &self.after } else { &self.before };
        Course { before: state.clone(), after: state.clone() }
    }
}

/// A panic of the subject is a violation like any other.
fn caught<T>(run: impl FnOnce() -> Result<T, Box<Violation>>) -> Result<T, Box<Violation>> {
    panics::catch(run).unwrap_or_else(|panic| Err(Violation::panic(panic)))
}

/// The stage as it is without the operation.
fn without(subject: &dyn Subject) -> Result<Theatre, Box<Violation>> {
    let mut theatre = Theatre::prepare(subject)?;
    theatre.stage.drop_operation();
    Ok(theatre)
}

/// The state when somebody has gone on.
fn gone_on(mut theatre: Theatre, way: u32) -> Result<String, Box<Violation>> {
    theatre.state()?;
    let refused = |refusal| Violation::safety("preparation", "a subject with which one can go on", refusal);
    theatre.stage.go_on(way).map_err(refused)?;
    theatre.state()
}

/// The case can't be had; no promise of the operation.
fn no_such_case(seen: String) -> Box<Violation> {
    Violation::safety(NO_SUCH_CASE, "a case of this operation", seen)
}

fn ended_well(run: Run) -> Result<String, Box<Violation>> {
    match run {
        Run::Ended(Ok(ending)) => Ok(ending),
        Run::Ended(Err(error)) => {
            Err(Violation::safety("re-entrancy", "no error without a fault", format!("the error: {error}")))
        }
        Run::Gone | Run::PowerLost(_) => unreachable!("nobody has harmed it"),
    }
}
