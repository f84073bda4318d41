//! What a run begins with, and what a later life began with.

use super::World;
use crate::system::System;
use crate::violation::Violation;

/// More are not kept: the first ones have little past to be cut off.
const MANY: usize = 64;

impl<S: System> World<S> {
    /// Puts the tape's fixture in place of the empty disk, if it has one.
    pub(super) fn begin_with_fixture(&mut self) -> Result<(), Box<Violation>> {
        let Some(fixture) = self.begun_with.clone() else { return Ok(()) };
        self.disk.begin_with(&fixture);
        self.system.resume(&self.disk, &fixture.knowledge).map_err(|refusal| {
            Violation::safety("fixture", "a system that takes up what its oracles knew", refusal)
        })
    }

    /// Keeps what the life that begins now begins with.
    pub(super) fn keep_beginning(&mut self) {
        let (Some(beginnings), life) = (&mut self.beginnings, self.nemesis.life()) else { return };
        // Of the last life a boot and a check are all that is left, without faults.
        if life == 0 || self.phase.is_final() {
            return;
        }
        let base = self.begun_with.as_deref();
        let beginning =
            self.system.knowledge(&self.disk).and_then(|known| self.disk.beginning(life, known, base));
        beginnings.extend(beginning);
        if beginnings.len() > MANY {
            beginnings.remove(0);
        }
    }
}
