//! What is left of a run.

use super::{RunOutcome, World};
use crate::sometimes;
use crate::system::{Memory, System};
use crate::tape::{Schedule, Tape};
use crate::trace::EventKind;
use crate::violation::Violation;

impl<S: System> World<S> {
    /// What was drawn, if it was recorded.
    fn take_tape(&mut self) -> Tape {
        let mut tape = Tape::default();
        if self.order.follows_turns() {
            tape.schedule = Schedule::Turns;
        }
        if let Some(fixture) = self.begun_with.take() {
            tape.begin_with(fixture);
        }
        self.fibers.end_life();
        self.order.save(&mut tape);
        if let Some(record) = self.disk.with_stream(|stream| stream.take_record()) {
            tape.insert(record);
        }
        self.fibers.save(&mut tape);
        self.nemesis.save(&mut tape);
        tape
    }

    pub(super) fn finish(mut self, violation: Option<Violation>, interrupted: bool) -> RunOutcome {
        let digest = self.disk.with_stream(|stream| stream.digest());
        let told = self.trace.len() as usize;
        self.disk.begin_step(self.clock.now(), &mut self.trace);
        self.locate(told);
        // A step that broke a promise has no event: what was said in it goes to the run's end.
        let end = self.trace.len() as usize;
        if let Some(captions) = &mut self.captions {
            captions.extend(self.remarks.drain(..).map(|remark| (end, remark)));
        }
        self.note(EventKind::Finished, u32::from(violation.is_some()), digest);
        let names = self.names();
        let tape = self.take_tape();
        let outcome = RunOutcome {
            violation,
            interrupted,
            steps: self.steps,
            lives: self.nemesis.lives(),
            may_crash: self.nemesis.may_crash(),
            faults: self.disk.fault_counts(),
            counters: self.system.counters(),
            reached: sometimes::take(),
            trace_hash: self.trace.hash(),
            trace: self.trace,
            captions: self.captions.take().unwrap_or_default(),
            tape,
            beginnings: self.beginnings.take().unwrap_or_default(),
            branching: self.order.branching(),
            names,
            steps_began: self.steps_began.take().unwrap_or_default(),
            points: self.raced.points(),
        };
        // What they hold is never let go.
        if self.raced.dismiss() {
            std::mem::forget((self.fibers, self.system, self.disk, self.raced));
            return outcome;
        }
        // After a panic the pieces may panic again while they are dropped.
        let (system, disk, fibers, raced) = (self.system, self.disk, self.fibers, self.raced);
        if system.memory() == Memory::Vanish {
            std::mem::forget(disk.kill_process());
        }
        match crate::panics::catch(move || drop((raced, fibers, system, disk))) {
            Err(panic) if outcome.violation.is_none() => {
                RunOutcome { violation: Some(*Violation::panic(panic)), ..outcome }
            }
            _ => outcome,
        }
    }
}
