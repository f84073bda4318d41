//! Where one life ends and the next begins.

use super::{Boot, Phase, World};
use crate::disk::FaultKind;
use crate::sometimes;
use crate::system::{Crash, System};
use crate::trace::EventKind;
use crate::violation::Violation;

impl<S: System> World<S> {
    /// The system asks for another life. Without faults it must not go on asking.
    pub(super) fn restart(&mut self) -> Result<(), Box<Violation>> {
        const STILLBORN: u32 = 50;
        self.stillborn = if self.phase == Phase::Booting(Boot::Calm) || self.phase.is_final() {
            self.stillborn + 1
        } else {
            0
        };
        if self.stillborn > STILLBORN {
            return Err(self.not_booted("to boot, however often it is restarted"));
        }
        self.crash(Crash::ProcessKilled)
    }

    /// Whether the system's panic is its way to die, after which [`World::restart`] follows.
    pub(super) fn judge_panic(&mut self, message: &str) -> Result<(), Box<Violation>> {
        let judged = match self.is_ending {
            true => Err(Violation::panic(message)),
            false => self.system.panicked(message),
        };
        let calls = crate::panics::take_calls();
        judged.map_err(|violation| {
            calls.into_iter().fold(violation, |violation, call| violation.note(format!("in {call}")))
        })
    }

    /// Ends this life and begins the next.
    pub(super) fn crash(&mut self, crash: Crash) -> Result<(), Box<Violation>> {
        let kind = match crash {
            Crash::PowerLoss => FaultKind::PowerLoss,
            Crash::ProcessKilled => FaultKind::ProcessKilled,
        };
        self.note(EventKind::Crashed, kind as u32, self.steps);
        sometimes!(self.disk.load().0 > 0, "a life ends with I/O in flight");
        let is_first = self.nemesis.lives() == 1 && self.begun_with.is_none();
        let in_recovery = matches!(self.phase, Phase::Booting(_)) && !is_first;
        self.disk.count(|counts| {
            counts.strike(kind);
            if in_recovery {
                counts.strike(FaultKind::CrashInRecovery);
            }
        });
        self.settle_threads()?;
        self.fibers.end_life();
        self.naps.end();
        let wreck = match crash {
            Crash::PowerLoss => {
                self.nemesis.power_lost(self.disk.sync_failed());
                self.disk.lose_power()
            }
            Crash::ProcessKilled => self.disk.kill_process(),
        };
        self.is_ending = true;
        self.end_connections();
        let memory = self.system.memory();
        // In a real crash nothing of this runs. Here both orders of the clean-up can show a bug.
        if self.nemesis.drops_operations_first() {
            memory.end(wreck);
            self.fibers.forget();
            self.system.crash(crash)?;
        } else {
            self.fibers.forget();
            self.system.crash(crash)?;
            memory.end(wreck);
        }
        self.fibers.forget();
        self.system.after_crash()?;
        self.order.clear();
        self.io = self.disk.io();
        self.is_ending = false;
        self.begin_life();
        Ok(())
    }

    pub(super) fn begin_life(&mut self) {
        // Faults that keep a system from booting would keep the run from ending.
        let boot = if self.phase.is_final() {
            Boot::Final
        } else if self.steps >= self.options.steps + self.options.patience {
            Boot::Calm
        } else {
            Boot::Struck
        };
        self.nemesis.begin_life(self.steps);
        self.fibers.begin_life(self.nemesis.life());
        self.keep_beginning();
        self.born = self.disk.fault_counts().struck();
        self.enter(Phase::Booting(boot));
    }
}
