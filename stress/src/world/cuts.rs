//! Crashes and rests: where they come between steps, drawn or by their turn.

use super::nemesis::Cut;
use super::{Phase, Rest, World};
use crate::schedule::Pick;
use crate::system::System;
use crate::violation::Violation;

/// What comes next by its turn.
pub(super) enum Next {
    /// A crash or a rest, which has come.
    Cut,
    Pick(Option<Pick>),
}

impl<S: System> World<S> {
    /// What is next as the tape's turns have it. A crash or a rest whose turn it is comes first.
    pub(super) fn next_by_turn(&mut self) -> Result<Next, Box<Violation>> {
        let due = self.disk.next_delivery().filter(|_| self.raced.deliverable(1) > 0);
        let next = self.order.turns().and_then(|turns| turns.peek(due));
        let cut = self.cut_before(next.map_or(u32::MAX, |(turn, _)| turn));
        if let Some((turn, cut)) = cut {
            self.cut(turn, cut)?;
            return Ok(Next::Cut);
        }
        if let (Some(turns), Some((turn, pick))) = (self.order.turns(), next) {
            turns.take(turn, pick);
        }
        Ok(Next::Pick(next.map(|(_, pick)| pick)))
    }

    fn cut_before(&self, turn: u32) -> Option<(u32, Cut)> {
        self.nemesis.cut_before(turn, |cut| match cut {
            Cut::Crash => !self.phase.is_calm(),
            Cut::Rest | Cut::End => self.phase == Phase::Running,
        })
    }

    fn cut(&mut self, turn: u32, cut: Cut) -> Result<(), Box<Violation>> {
        if let Some(turns) = self.order.turns() {
            turns.advance(turn);
        }
        match cut {
            Cut::Rest => self.interrupt(Rest::Pause),
            Cut::End => self.interrupt(Rest::Final),
            Cut::Crash => {
                self.order.cut(self.nemesis.place_of(cut), self.fibers.woken());
                let crash = self.nemesis.draw_kind();
                self.crash(crash)?;
            }
        }
        Ok(())
    }

    /// No fiber has anything left to do: the next crash finds the same state now as in a thousand steps.
    pub(super) fn run_dry(&mut self) -> Result<(), Box<Violation>> {
        if let Some((turn, cut)) = self.cut_before(u32::MAX) {
            return self.cut(turn, cut);
        }
        if !self.nemesis.hasten_crash(self.steps) {
            self.drain(Rest::Final);
        }
        Ok(())
    }

    /// Brings the system to rest while it has something to do: at a moment that a tape has to know.
    pub(super) fn interrupt(&mut self, rest: Rest) {
        let cut = match rest {
            Rest::Pause => Cut::Rest,
            Rest::Final => Cut::End,
        };
        self.order.cut(self.nemesis.place_of(cut), self.fibers.woken());
        if rest == Rest::Pause {
            self.nemesis.rests();
        }
        self.drain(rest);
    }
}
