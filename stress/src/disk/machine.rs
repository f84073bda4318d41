//! What an engine asks the machine for beside files: random bytes, and the time. Both come from the tape.
//!
//! An engine without the context of a step at hand asks the disk: its own trait for I/O often has both. What it is told depends on
//! the call that asks and on the steps so far. It does not depend on how long I/O takes: a run that a tape's turns tell has no
//! delays, and must be told the same.

use std::time::Duration;

use super::SimDisk;
use crate::rng;
use crate::tape::{Address, Chance, ChoicePoint, Fixture};

const ENTROPY: ChoicePoint = ChoicePoint::new(23, "entropy");
const JITTER: ChoicePoint = ChoicePoint::new(24, "the clock's jitter");
const LEAPS: ChoicePoint = ChoicePoint::new(25, "the clock leaps");
const LEAP: ChoicePoint = ChoicePoint::new(26, "by how much the clock leaps");

/// The moment at which each run begins: 2026-01-01, in seconds since 1970.
const EPOCH: u64 = 1_767_225_600;
/// What a step takes on the clock that an engine sees.
const MICROSECONDS_A_STEP: u64 = 100;
/// The jitter is below this.
const JITTER_MICROSECONDS: u32 = 1_000;
/// How often the clock leaps ahead when it is read, as one does that is set or whose machine was suspended.
const LEAP_CHANCE: Chance = Chance::per_mille(2);
/// A leap is below this.
const LEAP_MILLISECONDS: u32 = 30_000;

/// What the machine remembers of it.
#[derive(Debug, Default)]
pub(super) struct Machine {
    /// Steps of the run so far.
    pub(super) steps: u64,
    /// How often random bytes were asked for.
    entropies: u64,
    /// All leaps, in microseconds.
    leapt: u64,
    /// The newest time that was told, in microseconds since [`EPOCH`].
    pub(super) told: u64,
    /// Lives before the run began.
    lives: u32,
}

impl Machine {
    /// Time and random bytes go on where those of the lives before have ended.
    pub(super) fn begin(&mut self, fixture: &Fixture) {
        (self.told, self.leapt, self.lives) = (fixture.clock, fixture.clock, fixture.lives);
    }
}

impl SimDisk {
    /// Fills `bytes` with random ones. Two calls give different bytes also on a tape of default choices, since an engine may rely
    /// on that.
    pub fn entropy(&self, bytes: &mut [u8]) {
        let mut state = self.shared.lock();
        let call = state.begin_call();
        let drawn = state.stream.choose(ENTROPY, u32::MAX);
        state.machine.entropies += 1;
        let key = match drawn {
            // The default: the call alone tells it from others, or their number where calls have no address.
            0 if state.calls.is_none() => rng::derive(3, state.machine.entropies),
            0 => key_of(Address { life: call.life + state.machine.lives, ..call }),
            drawn => rng::derive(2, drawn.into()),
        };
        fill(key, bytes);
    }

    /// The time since 1970 as an engine is to see it: it follows the steps of the run, with a drawn jitter, and never goes back.
    /// Now and then it leaps ahead, by half a minute at most, but not while the run is calm.
    pub fn now(&self) -> Duration {
        let mut state = self.shared.lock();
        state.begin_call();
        let jitter = state.stream.mostly_small(JITTER, JITTER_MICROSECONDS);
        if !state.calm && state.stream.happens(LEAPS, LEAP_CHANCE) {
            let milliseconds = 1 + state.stream.mostly_small(LEAP, LEAP_MILLISECONDS - 1);
            state.machine.leapt += u64::from(milliseconds) * 1_000;
        }
        let machine = &mut state.machine;
        let passed = machine.steps * MICROSECONDS_A_STEP + machine.leapt + u64::from(jitter);
        machine.told = machine.told.max(passed);
        wall_clock(machine.told)
    }
}

fn key_of(call: Address) -> u64 {
    let Address { life, actor, operation, call, .. } = call;
    [life, actor.code(), operation, call].into_iter().fold(4, |key, part| rng::derive(key, part.into()))
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
    fn an_operation_that_is_taken_off_moves_no_other_ones_entropy() {
        let asked = |operations: &[u32]| {
            let disk = disk(&Source::from(Tape::default()));
            disk.keep_addresses(true);
            let ask = |&operation| {
                disk.serve(Address::operation(0, Actor::fiber(0), operation), 0);
                bytes(&disk)
            };
            operations.iter().map(ask).collect::<Vec<_>>()
        };
        let all = asked(&[0, 1, 2]);
        assert_eq!(asked(&[0, 2]), [all[0], all[2]]);
        assert_ne!(all[0], all[2]);
    }

    /// The files have what earlier lives drew: bytes that should be unique must not come again.
    #[test]
    fn a_run_that_begins_with_a_fixture_goes_on_with_other_entropy_and_a_later_time() {
        let asked = |lives: u32, life: u32| {
            let disk = disk(&Source::from(Tape::default()));
            disk.keep_addresses(true);
            disk.begin_with(&Fixture { lives, clock: 5_000_000, ..Fixture::default() });
            disk.serve(Address::operation(life, Actor::CONTROL, 0), 0);
            (bytes(&disk), disk.now())
        };
        assert_eq!(asked(3, 0).0, asked(0, 3).0, "the same life has the same bytes");
        assert_ne!(asked(3, 0).0, asked(0, 0).0);
        assert!(asked(3, 0).1 >= wall_clock(5_000_000));
    }

    /// What the clock says after each of so many steps.
    fn clock(disk: &SimDisk, steps: u64) -> Vec<Duration> {
        let mut read = |step| {
            disk.begin_step_of(step, 7 * step, &mut Trace::new(false));
            disk.now()
        };
        (0..steps).map(&mut read).collect()
    }

    #[test]
    fn the_clock_follows_the_steps_whatever_io_takes_and_never_goes_back() {
        let disk = disk(&Source::Seed(3));
        disk.set_calm(true);
        let read = clock(&disk, 1_000);
        assert!(read.is_sorted());
        let last = read[999];
        assert!(last >= wall_clock(999 * MICROSECONDS_A_STEP), "{last:?}");
        assert!(last < wall_clock(999 * MICROSECONDS_A_STEP + u64::from(JITTER_MICROSECONDS)), "{last:?}");
    }

    #[test]
    fn the_clock_leaps_now_and_then_unless_the_run_is_calm() {
        let read = clock(&disk(&Source::Seed(3)), 5_000);
        assert!(read.is_sorted());
        let is_leap = |pair: &&[Duration]| pair[1] - pair[0] > Duration::from_millis(5);
        let leaps = read.windows(2).filter(is_leap).count();
        assert!((1..30).contains(&leaps), "{leaps}");
    }
}
