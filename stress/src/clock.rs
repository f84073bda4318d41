//! Virtual time.

/// The only clock that a simulated run sees. A step takes one tick; when no fiber can run, time jumps to the next
/// moment at which something happens. No simulated thing may ask the machine for the time.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct Clock {
    now: u64,
}

impl Clock {
    /// Ticks since the run began.
    pub fn now(self) -> u64 {
        self.now
    }

    /// One step was taken.
    pub fn tick(&mut self) {
        self.now += 1;
    }

    /// Nothing can happen before `moment`. Time never goes back.
    pub fn jump_to(&mut self, moment: u64) {
        self.now = self.now.max(moment);
    }
}
