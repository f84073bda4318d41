use super::liveness::{self, Waiting};
use super::{Phase, World};
use crate::schedule::FiberId;
use crate::system::System;
use crate::violation::Violation;

/// Why a world does not move, for the oracle of liveness and for people.
impl<S: System> World<S> {
    /// No fiber can run and no I/O will come: allowed while all fibers are idle and the phase is about to change.
    pub(super) fn nothing_left_to_wait_for(&self) -> bool {
        if !self.threads_rest() {
            return false;
        }
        match self.phase {
            Phase::Draining(_) => self.fibers.busy() == 0,
            Phase::Running => self.fibers.are_all_idle(),
            Phase::Booting(_) | Phase::Quiescing(_) | Phase::Over => false,
        }
    }

    pub(super) fn deadlock(&self) -> Box<Violation> {
        self.who_waits(liveness::deadlock(self.steps, &self.waiting()))
    }

    pub(super) fn too_late(&self, what: &str) -> Box<Violation> {
        self.who_waits(liveness::too_late(self.steps, &self.waiting(), what, self.options.patience))
    }

    /// What was in the way may be an error that it is told each time, and not a wait.
    pub(super) fn not_booted(&self, what: &str) -> Box<Violation> {
        let boot = self.system.describe(self.fibers.control());
        self.too_late(what).note(format!("the last attempt: {boot}"))
    }

    fn waiting(&self) -> Waiting {
        let waiting = self.fibers.waiting();
        let doing = waiting.iter().map(|&(fiber, _)| self.doing(fiber)).collect();
        Waiting { count: waiting.len(), phase: self.phase.name(), doing }
    }

    fn doing(&self, fiber: FiberId) -> String {
        self.raced.describe(fiber).unwrap_or_else(|| self.system.describe(fiber))
    }

    /// Adds who is still waiting for what.
    fn who_waits(&self, mut violation: Box<Violation>) -> Box<Violation> {
        const SHOWN: usize = 20;
        let waiting = self.fibers.waiting();
        for &(fiber, how) in waiting.iter().take(SHOWN) {
            let who = if fiber == self.fibers.control() {
                "control fiber".into()
            } else {
                format!("fiber {fiber}")
            };
            let doing = self.doing(fiber);
            let how = if self.raced.is_in_step(fiber) { "is in the middle of a step" } else { how };
            violation = violation.note(format!("{who}: {doing}; {how}"));
        }
        if waiting.len() > SHOWN {
            violation = violation.note(format!("and {} more", waiting.len() - SHOWN));
        }
        for thread in self.raced.under_way().into_iter().take(SHOWN) {
            violation = violation.note(thread);
        }
        for operation in self.disk.describe().into_iter().take(SHOWN) {
            violation = violation.note(format!("in flight: {operation}"));
        }
        violation
    }
}
