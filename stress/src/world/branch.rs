//! Where a run leaves the tape and draws the rest, and what its choices are called.

use std::collections::BTreeMap;

use super::World;
use crate::system::System;
use crate::tape::Actor;

/// The names of choice points, by the actor that draws there and their number. All connections share theirs.
pub type Names = BTreeMap<(Actor, u8), &'static str>;

impl<S: System> World<S> {
    /// Leaves the tape if so many steps have been taken as it was to be followed for.
    pub(super) fn leave_tape_in_time(&mut self) {
        if self.leaves_after.is_none_or(|after| self.steps < after) {
            return;
        }
        self.leaves_after = None;
        let scheduler = self.options.scheduler.build(self.options.delivery_weight, self.options.depth);
        self.disk.leave_tape();
        self.raced.leave_tape();
        self.order.leave_tape(scheduler);
        self.fibers.leave_tape(&mut self.order);
        self.nemesis.leave_tape(self.steps);
    }

    /// The names of the choice points at which this run has drawn something other than the default.
    pub(super) fn names(&self) -> Names {
        let mut names = Names::new();
        let mut add = |actor: Actor, known: BTreeMap<u8, &'static str>| {
            let actor = if actor.as_fiber().is_some() { Actor::fiber(0) } else { actor };
            names.extend(known.into_iter().map(|(index, name)| ((actor, index), name)));
        };
        self.fibers.names().for_each(|(actor, known)| add(actor, known));
        add(Actor::DISK, self.disk.with_stream(|stream| stream.names()));
        add(Actor::NEMESIS, self.nemesis.names());
        names
    }
}
