//! What an engine asks the machine for beside files: random bytes, and the time. Both come from the tape.
//!
//! An engine without the context of a step at hand asks the disk: its own trait for I/O often has both.

use std::time::Duration;

use super::SimDisk;
use crate::rng;
use crate::tape::ChoicePoint;

const ENTROPY: ChoicePoint = ChoicePoint::new(23, "entropy");
const JITTER: ChoicePoint = ChoicePoint::new(24, "the clock's jitter");

/// The moment at which each run begins: 2026-01-01, in seconds since 1970.
const EPOCH: u64 = 1_767_225_600;
/// What a tick takes on the clock that an engine sees.
const MICROSECONDS_A_TICK: u64 = 100;
/// The jitter is below this.
const JITTER_MICROSECONDS: u32 = 1_000;

/// What the machine remembers of it.
#[derive(Debug, Default)]
pub(super) struct Machine {
    /// How often random bytes were asked for.
    entropies: u64,
    /// The newest time that was told, in microseconds since [`EPOCH`].
    told: u64,
}

impl SimDisk {
    /// Fills `bytes` with random ones. Two calls give different bytes also on a tape of default choices, since an engine may rely
    /// on that.
    pub fn entropy(&self, bytes: &mut [u8]) {
        let mut state = self.shared.lock();
        state.begin_call();
        let drawn = state.stream.choose(ENTROPY, u32::MAX);
        state.machine.entropies += 1;
        fill(rng::derive(rng::derive(2, state.machine.entropies), drawn.into()), bytes);
    }

    /// The time since 1970 as an engine is to see it: it follows the virtual clock, with a drawn jitter, and never goes back.
    pub fn now(&self) -> Duration {
        let mut state = self.shared.lock();
        state.begin_call();
        let jitter = state.stream.mostly_small(JITTER, JITTER_MICROSECONDS);
        let passed = state.now * MICROSECONDS_A_TICK + u64::from(jitter);
        state.machine.told = state.machine.told.max(passed);
        wall_clock(state.machine.told)
    }
}

/// The bytes that belong to `key`.
pub(crate) fn fill(key: u64, bytes: &mut [u8]) {
    for (index, chunk) in bytes.chunks_mut(8).enumerate() {
        chunk.copy_from_slice(&rng::at(key, index as u64).to_le_bytes()[..chunk.len()]);
    }
}

/// The time since 1970, so many microseconds after the begin of the run.
pub(crate) fn wall_clock(microseconds: u64) -> Duration {
    Duration::from_secs(EPOCH) + Duration::from_micros(microseconds)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::DiskOptions;
    use crate::tape::{Actor, Source, Tape};
    use crate::trace::Trace;

    fn disk(source: &Source) -> SimDisk {
        SimDisk::new(DiskOptions::default(), source.stream(Actor::DISK, false))
    }

    fn bytes(disk: &SimDisk) -> [u8; 11] {
        let mut bytes = [0; 11];
        disk.entropy(&mut bytes);
        bytes
    }

    #[test]
    fn entropy_is_the_seeds_and_differs_from_call_to_call_also_on_the_dull_tape() {
        let twice = |source: &Source| {
            let disk = disk(source);
            [bytes(&disk), bytes(&disk)]
        };
        assert_eq!(twice(&Source::Seed(1)), twice(&Source::Seed(1)));
        assert_ne!(twice(&Source::Seed(1)), twice(&Source::Seed(2)));
        let [first, second] = twice(&Source::from(Tape::default()));
        assert_ne!(first, second);
    }

    #[test]
    fn the_clock_follows_the_ticks_and_never_goes_back() {
        let disk = disk(&Source::Seed(3));
        let mut last = disk.now();
        for tick in 0..1_000 {
            disk.begin_step(tick, &mut Trace::new(false));
            let now = disk.now();
            assert!(now >= last, "{now:?} after {last:?}");
            last = now;
        }
        assert!(last >= wall_clock(999 * MICROSECONDS_A_TICK), "{last:?}");
        assert!(last < wall_clock(999 * MICROSECONDS_A_TICK + u64::from(JITTER_MICROSECONDS)), "{last:?}");
    }
}
