//! Where one run of an operation is played.

use tenterhook_runtime::io::OperationKind;
use tenterhook_runtime::{Completion, IOCompletions, IOResult};

use super::operation::{Ending, Operation, Stage};
use super::pair::Moment;
use crate::disk::{SimDisk, Wreck};
use crate::trace::{EventKind, Trace};
use crate::violation::Violation;

/// How a run of the operation went.
pub(super) enum Run {
    Ended(Ending),
    /// It was dropped.
    Gone,
    /// Its I/O is let go of with this.
    PowerLost(#[expect(dead_code, reason = "kept for its drop")] Wreck),
}

/// What is done at a yield.
#[derive(Copy, Clone, PartialEq, Eq)]
pub(super) enum Perturbation {
    Disturb,
    Drop,
    DropLate,
    Cancel,
    GiveUp,
    /// What the call waits for is cancelled besides.
    GiveUpCancelled,
}

/// Steps after which an operation that does not end is said never to end.
const PATIENCE: u32 = 100_000;

/// A disk, and the operation on its stage.
pub(super) struct Harness {
    pub(super) stage: Box<dyn Stage>,
    pub(super) disk: SimDisk,
    trace: Trace,
    now: u64,
    pub(super) yields: u32,
    delivered: u32,
    /// How the operation and its partner have ended while the other's turn was.
    pub(super) endings: [Option<Ending>; 2],
    /// Whether they have ended well by then.
    pub(super) acknowledged: [bool; 2],
    pub(super) was_refused: bool,
    /// Moments at which the power may fail, and whether each one is to be remembered.
    pub(super) moments: Vec<Moment>,
    pub(super) remembers: bool,
    /// Whether a call was given up where that is more than dropping the operation.
    pub(super) has_given_up: bool,
}

impl Harness {
    pub(super) fn prepare(subject: &dyn Operation) -> Result<Harness, Box<Violation>> {
        let disk = SimDisk::obliging();
        let stage = subject.prepare(&disk.io());
        let stage =
            stage.map_err(|problem| Violation::safety("preparation", "a subject that works", problem))?;
        let mut harness = Harness {
            stage,
            disk,
            trace: Trace::new(true),
            now: 0,
            yields: 0,
            delivered: 0,
            endings: [None, None],
            acknowledged: [false; 2],
            was_refused: false,
            moments: Vec::new(),
            remembers: false,
            has_given_up: false,
        };
        // What the preparation did is not counted.
        harness.disk.begin_step(0, &mut Trace::new(false));
        harness.trace = Trace::new(true);
        Ok(harness)
    }

    /// Runs the operation; at one of its yields something may be done to it, and the power may last only so long.
    pub(super) fn run(
        &mut self,
        perturbation: Option<(u32, Perturbation)>,
        power: u32,
    ) -> Result<Run, Box<Violation>> {
        for _ in 0..PATIENCE {
            let io = match self.stage.step() {
                IOResult::Done(ending) => return Ok(Run::Ended(ending)),
                IOResult::IO(io) => io,
            };
            let perturbation =
                perturbation.filter(|&(at, _)| at == self.yields).map(|(_, perturbation)| perturbation);
            self.yields += 1;
            match perturbation {
                Some(Perturbation::Disturb) => self.stage.disturb(),
                Some(Perturbation::Drop) => return Ok(self.drop_operation()),
                Some(Perturbation::Cancel) => io.completion().into_iter().for_each(Completion::cancel),
                Some(Perturbation::GiveUp | Perturbation::GiveUpCancelled) => {
                    self.has_given_up = self.stage.give_up();
                    if perturbation == Some(Perturbation::GiveUpCancelled) && self.has_given_up {
                        io.completion().into_iter().for_each(Completion::cancel);
                    }
                    continue;
                }
                Some(Perturbation::DropLate) | None => {}
            }
            if let IOCompletions::Single(completion) = io {
                while !completion.finished() {
                    if self.delivered >= power {
                        return Ok(Run::PowerLost(self.disk.cut_power()));
                    }
                    self.deliver()?;
                }
            }
            if perturbation == Some(Perturbation::DropLate) {
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

    /// Ends the I/O that was submitted last; false when there is none.
    pub(super) fn deliver_newest(&mut self) -> bool {
        // Nothing takes longer than one moment, so all is due. Otherwise the newest that is due may be an old one.
        self.now += 1;
        let mut status = self.disk.begin_step(self.now, &mut self.trace);
        while let Some(moment) = status.next_due {
            self.now = moment;
            status = self.disk.begin_step(self.now, &mut self.trace);
        }
        self.disk.deliver_newest()
    }

    /// Whether anything but reads was cancelled.
    pub(super) fn change_was_cancelled(&mut self) -> bool {
        self.disk.begin_step(self.now, &mut self.trace);
        let events = self.trace.events().unwrap_or_default().iter();
        let mut cancelled = events.filter(|event| crate::disk::is_cancelled(event));
        cancelled.any(|event| crate::disk::operation_kind(event.detail) != Some(OperationKind::Read))
    }

    /// The state after the operation, when all I/O has ended.
    pub(super) fn state(&mut self) -> Result<String, Box<Violation>> {
        while self.disk.load().0 > 0 {
            self.deliver()?;
        }
        self.disk.oblige();
        self.stage.state().map_err(|problem| Violation::safety("leaks", "nothing left behind", problem))
    }

    /// The I/Os that the operation has submitted.
    pub(super) fn submitted(&mut self) -> Vec<OperationKind> {
        submitted(&self.disk, std::mem::replace(&mut self.trace, Trace::new(true)))
    }

    /// The disk that is left when the system is gone.
    pub(super) fn close(self) -> SimDisk {
        self.disk
    }

    /// The disk after the power has gone. What it has kept of what was not synced is still open.
    pub(super) fn cut_power(self) -> SimDisk {
        let wreck = self.disk.cut_power();
        let disk = self.close();
        drop(wreck);
        disk
    }
}

/// What has been submitted to `disk`, if `trace` has all of it but what it has not been told yet.
pub(super) fn submitted(disk: &SimDisk, mut trace: Trace) -> Vec<OperationKind> {
    disk.begin_step(0, &mut trace);
    let events = trace.events().unwrap_or_default().iter();
    events
        .filter(|event| event.kind == EventKind::Submitted)
        .filter_map(|event| crate::disk::operation_kind(event.detail))
        .collect()
}
