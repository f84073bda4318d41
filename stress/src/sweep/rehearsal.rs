//! One operation, run again and again.

use tenterhook_runtime::io::OperationKind;
use tenterhook_runtime::{Completion, IOCompletions, IOResult};

use super::case::{Case, Fallen};
use super::subject::{Ending, Stage, Subject};
use crate::disk::{Script, SimDisk, Unsynced, Wreck};
use crate::panics;
use crate::trace::{EventKind, Trace};
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

/// An operation, and what it does when nothing is in its way.
pub(super) struct Rehearsal<'a> {
    subject: &'a dyn Subject,
    extent: Extent,
    /// What it comes to.
    ending: String,
    /// The state without it and with it.
    before: String,
    after: String,
}

/// How a run of the operation went.
enum Run {
    Ended(Ending),
    /// It was dropped.
    Gone,
    /// Its I/O is let go of with this.
    PowerLost(#[expect(dead_code, reason = "kept for its drop")] Wreck),
}

/// What is done at a yield.
#[derive(Copy, Clone, PartialEq, Eq)]
enum Deed {
    Disturb,
    Drop,
    DropLate,
    Cancel,
}

/// Stands where an oracle's name stands when the operation has no such case.
pub(super) const NO_SUCH_CASE: &str = "case";

/// Steps after which an operation that does not end is said never to end.
const PATIENCE: u32 = 100_000;

/// I/Os of other connections beyond the operation's own that end inside `submit`.
const AMPLE: u32 = 1024;

impl<'a> Rehearsal<'a> {
    /// Runs the operation without any harm, to know what it does.
    pub(super) fn of(subject: &'a dyn Subject) -> Result<Rehearsal<'a>, Box<Violation>> {
        let mut idle = Theatre::prepare(subject)?;
        idle.stage.drop_operation();
        let before = idle.state()?;
        let mut smooth = Theatre::prepare(subject)?;
        let ending = ended_well(smooth.run(None, u32::MAX)?)?;
        let ios = smooth.submitted().len() as u32;
        let after = smooth.state()?;
        let mut halting = Theatre::prepare(subject)?;
        halting.disk.follow(Script::default());
        ended_well(halting.run(None, u32::MAX)?)?;
        let extent = Extent { ios, pending: halting.submitted(), yields: halting.yields };
        Ok(Rehearsal { subject, extent, ending, before, after })
    }

    pub(super) fn extent(&self) -> &Extent {
        &self.extent
    }

    /// Whether a flipped bit is the subject's to notice.
    pub(super) fn notices_bit_flips(&self) -> bool {
        self.subject.notices_bit_flips()
    }

    /// Runs one case and holds it against the promise.
    pub(super) fn judge(&self, case: &Case) -> Result<(), Box<Violation>> {
        panics::catch(|| self.run(case)).unwrap_or_else(|panic| Err(Violation::panic(panic)))
    }

    /// What a power loss after `delivered` I/Os would decide about, file by file.
    pub(super) fn at_stake(&self, delivered: u32) -> Result<Vec<Unsynced>, Box<Violation>> {
        let (theatre, run) = self.until_power_fails(delivered)?;
        drop(run);
        Ok(theatre.disk.unsynced())
    }

    fn run(&self, case: &Case) -> Result<(), Box<Violation>> {
        let mut theatre = Theatre::prepare(self.subject)?;
        let mut script = Script::default();
        let mut deed = None;
        match *case {
            Case::Undisturbed => return Ok(()),
            Case::Crash(delivered, ref fates) => return self.crash(delivered, fates),
            Case::Pending(ref ios) => {
                (0..self.extent.ios).filter(|io| !ios.contains(io)).for_each(|io| script.at_once(io));
            }
            Case::Disturbed(io) => {
                (0..self.extent.ios + AMPLE).filter(|&other| other != io).for_each(|io| script.at_once(io));
                // The only yield, unless others' I/O has to be waited for.
                deed = Some((0, Deed::Disturb));
            }
            Case::Fault(io, fault) => {
                let Some(&kind) = self.extent.pending.get(io as usize) else {
                    return Err(no_such_case(format!("it does {} I/Os", self.extent.pending.len())));
                };
                if !script.fault(io, kind, fault) {
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
        let state = theatre.state()?;
        let harmed = matches!(case, Case::Fault(..) | Case::Cancelled(..));
        let is_whole = self.judge_ending(run, harmed)?;
        self.judge_state("state", &state, is_whole)?;
        let disk = theatre.close();
        drop(disk.kill_process());
        self.judge_recovery(&disk, is_whole)
    }

    fn crash(&self, delivered: u32, fates: &[Fallen]) -> Result<(), Box<Violation>> {
        let (theatre, run) = self.until_power_fails(delivered)?;
        let is_whole = matches!(run, Run::Ended(Ok(_)));
        let disk = theatre.close();
        drop(run);
        let fates: Vec<_> = fates.iter().map(|fallen| fallen.0).collect();
        disk.fall(&fates);
        disk.oblige();
        self.judge_recovery(&disk, is_whole)
    }

    /// Runs the operation until so many I/Os have ended, or to its end, and cuts the power.
    fn until_power_fails(&self, delivered: u32) -> Result<(Theatre, Run), Box<Violation>> {
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

    fn judge_state(&self, oracle: &str, state: &str, is_whole: bool) -> Result<(), Box<Violation>> {
        if state == self.after || (!is_whole && state == self.before) {
            return Ok(());
        }
        let expected = match is_whole {
            true => format!("all effects: {}", self.after),
            false => format!("all effects or none: {} or {}", self.after, self.before),
        };
        Err(Violation::safety(oracle, expected, state))
    }

    fn judge_recovery(&self, disk: &SimDisk, is_whole: bool) -> Result<(), Box<Violation>> {
        let recovered = self.subject.recover(&disk.io());
        let recovered =
            recovered.map_err(|problem| Violation::safety("recovery", "a usable file", problem))?;
        recovered.map_or(Ok(()), |state| self.judge_state("durability", &state, is_whole))
    }
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

/// A disk, and the operation on its stage.
struct Theatre {
    stage: Box<dyn Stage>,
    disk: SimDisk,
    trace: Trace,
    now: u64,
    yields: u32,
    delivered: u32,
}

impl Theatre {
    fn prepare(subject: &dyn Subject) -> Result<Theatre, Box<Violation>> {
        let disk = SimDisk::obliging();
        let stage = subject.prepare(&disk.io());
        let stage =
            stage.map_err(|problem| Violation::safety("preparation", "a subject that works", problem))?;
        let mut theatre = Theatre { stage, disk, trace: Trace::new(true), now: 0, yields: 0, delivered: 0 };
        // What the preparation did is nobody's concern.
        theatre.disk.begin_step(0, &mut Trace::new(false));
        theatre.trace = Trace::new(true);
        Ok(theatre)
    }

    /// Runs the operation; at one of its yields something may be done to it, and the power may last only so long.
    fn run(&mut self, deed: Option<(u32, Deed)>, power: u32) -> Result<Run, Box<Violation>> {
        for _ in 0..PATIENCE {
            let io = match self.stage.step() {
                IOResult::Done(ending) => return Ok(Run::Ended(ending)),
                IOResult::IO(io) => io,
            };
            let deed = deed.filter(|&(at, _)| at == self.yields).map(|(_, deed)| deed);
            self.yields += 1;
            match deed {
                Some(Deed::Disturb) => self.stage.disturb(),
                Some(Deed::Drop) => return Ok(self.drop_operation()),
                Some(Deed::Cancel) => io.completion().into_iter().for_each(Completion::cancel),
                Some(Deed::DropLate) | None => {}
            }
            if let IOCompletions::Single(completion) = io {
                while !completion.finished() {
                    if self.delivered >= power {
                        return Ok(Run::PowerLost(self.disk.cut_power()));
                    }
                    self.deliver()?;
                }
            }
            if deed == Some(Deed::DropLate) {
                return Ok(self.drop_operation());
            }
        }
        let seen = format!("{PATIENCE} steps and no end");
        Err(Violation::liveness("liveness", "an operation that ends", seen))
    }

    fn drop_operation(&mut self) -> Run {
        self.stage.drop_operation();
        Run::Gone
    }

    /// Ends the I/O that was submitted first.
    fn deliver(&mut self) -> Result<(), Box<Violation>> {
        let mut status = self.disk.begin_step(self.now, &mut self.trace);
        if let (0, Some(moment)) = (status.due, status.next_due) {
            self.now = moment;
            status = self.disk.begin_step(self.now, &mut self.trace);
        }
        if status.due == 0 {
            let expected = "to wait for something that will end";
            return Err(Violation::liveness("liveness", expected, "a wait with no I/O in flight"));
        }
        self.disk.deliver(0);
        self.delivered += 1;
        Ok(())
    }

    /// The state after the operation, when all I/O has ended.
    fn state(&mut self) -> Result<String, Box<Violation>> {
        while self.disk.load().0 > 0 {
            self.deliver()?;
        }
        self.disk.oblige();
        self.stage.state().map_err(|problem| Violation::safety("leaks", "nothing left behind", problem))
    }

    /// The I/Os that the operation has submitted.
    fn submitted(&mut self) -> Vec<OperationKind> {
        self.disk.begin_step(self.now, &mut self.trace);
        let events = self.trace.events().unwrap_or_default().iter();
        events
            .filter(|event| event.kind == EventKind::Submitted)
            .filter_map(|event| crate::disk::operation_kind(event.detail))
            .collect()
    }

    fn close(self) -> SimDisk {
        self.disk
    }
}
