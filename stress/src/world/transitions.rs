//! When one phase of a run gives way to the next.

use super::nemesis::Cut;
use super::{Boot, Phase, Rest, World};
use crate::system::{Crash, System};
use crate::trace::EventKind;
use crate::violation::Violation;

impl<S: System> World<S> {
    /// Moves to the next phase when the present one is over.
    pub(super) fn turn_phase(&mut self) -> Result<(), Box<Violation>> {
        match self.phase {
            Phase::Booting(Boot::Struck) if self.steps >= self.deadline => {
                // Not a verdict yet: with enough faults nothing boots.
                self.move_to(Phase::Booting(Boot::Calm));
                self.deadline = self.steps + self.options.patience;
            }
            Phase::Booting(_) if self.steps >= self.deadline => return Err(self.not_booted("to boot")),
            Phase::Running if self.steps >= self.options.steps => self.interrupt(Rest::Final),
            Phase::Running
                if self.fibers.are_all_idle() && self.disk.load().0 == 0 && self.threads_rest() =>
            {
                self.run_dry()?;
            }
            Phase::Running if self.nemesis.quiesces_at(self.steps) => self.interrupt(Rest::Pause),
            Phase::Draining(rest) if self.fibers.busy() == 0 && self.threads_rest() => {
                self.enter(Phase::Quiescing(rest))
            }
            Phase::Draining(_) if self.steps >= self.deadline => {
                return Err(self.too_late("to end all operations"));
            }
            Phase::Quiescing(_) if self.steps >= self.deadline => {
                return Err(self.too_late("to look itself over"));
            }
            _ => {}
        }
        if !self.phase.is_calm()
            && let Some(crash) = self.nemesis.crashes_at(self.steps)
        {
            self.order.cut(self.nemesis.place_of(Cut::Crash), self.fibers.woken());
            self.crash(crash)?;
        }
        Ok(())
    }

    /// Changes the phase, and stops faults or lets them strike as the new one says.
    fn move_to(&mut self, phase: Phase) {
        let (was, is) = (self.phase.is_calm(), phase.is_calm());
        self.phase = phase;
        if was != is || phase == Phase::Running {
            self.disk.set_calm(is);
            if is {
                self.naps.end();
            }
            self.note(EventKind::Calm, u32::from(is), self.steps);
        }
    }

    /// Lets the operations under way end.
    pub(super) fn drain(&mut self, rest: Rest) {
        self.move_to(Phase::Draining(rest));
        self.deadline = self.steps + self.options.patience;
    }

    /// Starts the control fiber on a phase of its own.
    pub(super) fn enter(&mut self, phase: Phase) {
        self.move_to(phase);
        self.deadline = self.steps + self.options.patience;
        self.fibers.start(self.fibers.control(), &mut self.order);
    }

    /// The control fiber has finished what the phase was for.
    pub(super) fn control_ended(&mut self) -> Result<(), Box<Violation>> {
        self.fibers.control_ended();
        match self.phase {
            Phase::Booting(Boot::Struck | Boot::Calm) => {
                self.move_to(Phase::Running);
                self.nemesis.booted(self.steps);
                self.make_connections()?;
                self.fibers.start_connections(&mut self.order);
            }
            // The last life has come back: one more check, and the end.
            Phase::Booting(Boot::Final) => self.enter(Phase::Quiescing(Rest::Final)),
            Phase::Quiescing(Rest::Pause) if self.nemesis.reopens_after_quiesce() => {
                self.crash(Crash::ProcessKilled)?;
            }
            Phase::Quiescing(Rest::Pause) => {
                self.move_to(Phase::Running);
                self.nemesis.quiesced(self.steps);
                self.fibers.unseat(&mut self.order);
            }
            Phase::Quiescing(Rest::Final) if self.nemesis.is_last_life() => self.phase = Phase::Over,
            Phase::Quiescing(Rest::Final) => {
                self.nemesis.begin_last_life();
                let crash = self.nemesis.last_crash();
                self.crash(crash)?;
            }
            Phase::Running | Phase::Draining(_) | Phase::Over => {}
        }
        Ok(())
    }
}
