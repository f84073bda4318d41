//! The tape: every decision of a run that is drawn and not computed.
//!
//! A choice is named by who makes it (an [`Actor`]), where in the code (a [`ChoicePoint`]) and how often that actor has
//! been there (the occurrence). It has a bound, and 0 is always the default choice: no fault, no preemption, no delay,
//! the smallest number. A run with an empty tape is the dullest run there is.
//!
//! Each actor holds its own [`Stream`], so drawing takes no lock, and an edit to one stream moves nothing in another:
//! that is what a shrinker needs. A stream draws either from the seed or from a recorded [`Tape`].

mod file;
mod record;

pub use self::file::{TapeError, TapeFile};
pub use self::record::{Slot, StreamRecord, Tape};
use crate::rng;

/// Choice points per actor. A stream counts each one's occurrences in place, so the number is fixed.
pub const CHOICE_POINTS: usize = 32;

/// Who makes a choice.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Actor(u32);

impl Actor {
    /// Draws the options of the run before it begins.
    pub const OPTIONS: Actor = Actor(0);
    /// Draws who goes next.
    pub const SCHEDULER: Actor = Actor(1);
    /// Draws delays, faults, and what survives a power loss.
    pub const DISK: Actor = Actor(2);
    /// Draws when power is lost and when the run rests.
    pub const NEMESIS: Actor = Actor(3);
    /// Boots the system and looks it over. No fiber's number, so that it stays who it is with fewer connections.
    pub const CONTROL: Actor = Actor(4);

    /// The fiber `index`, counted from 0.
    pub const fn fiber(index: u32) -> Actor {
        Actor(16 + index)
    }

    /// The fiber's index, if it is one.
    pub const fn as_fiber(self) -> Option<u32> {
        self.0.checked_sub(16)
    }

    /// The actor that [`Actor::code`] stands for.
    pub const fn from_code(code: u32) -> Actor {
        Actor(code)
    }

    /// The number that stands for this actor in traces and keys.
    pub const fn code(self) -> u32 {
        self.0
    }
}

impl std::fmt::Display for Actor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match *self {
            Actor::OPTIONS => f.pad("options"),
            Actor::SCHEDULER => f.pad("scheduler"),
            Actor::DISK => f.pad("disk"),
            Actor::NEMESIS => f.pad("nemesis"),
            Actor::CONTROL => f.pad("control"),
            Actor(code) => f.pad(&format!("fiber {}", code.saturating_sub(16))),
        }
    }
}

/// Where a choice is made. Numbers are an actor's own: the disk's choice point 0 and a fiber's choice point 0 have nothing in
/// common.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ChoicePoint {
    index: u8,
    name: &'static str,
}

impl ChoicePoint {
    /// Choice point number `index` of its actor, below [`CHOICE_POINTS`].
    pub const fn new(index: u8, name: &'static str) -> ChoicePoint {
        assert!((index as usize) < CHOICE_POINTS, "a stream has room for CHOICE_POINTS choice_points");
        ChoicePoint { index, name }
    }

    /// Its number, from 0.
    pub const fn index(self) -> u8 {
        self.index
    }

    /// The name that people read.
    pub const fn name(self) -> &'static str {
        self.name
    }
}

/// A probability in parts per million.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Chance(u32);

impl Chance {
    /// It never happens, and the tape is not asked.
    pub const NEVER: Chance = Chance(0);

    /// `parts` in a million; more than a million is always.
    pub const fn per_million(parts: u32) -> Chance {
        Chance(if parts > 1_000_000 { 1_000_000 } else { parts })
    }

    /// `parts` in a thousand.
    pub const fn per_mille(parts: u32) -> Chance {
        Chance::per_million(parts.saturating_mul(1000))
    }

    /// Parts per million.
    pub const fn parts(self) -> u32 {
        self.0
    }

    /// Whether it can happen at all.
    pub const fn is_possible(self) -> bool {
        self.0 > 0
    }
}

impl std::fmt::Display for Chance {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.0.is_multiple_of(10_000) {
            write!(f, "{}%", self.0 / 10_000)
        } else {
            write!(f, "{:.3}%", f64::from(self.0) / 10_000.0)
        }
    }
}

/// Where a run's choices come from.
#[derive(Clone, Debug)]
pub enum Source {
    /// A function of the seed.
    Seed(u64),
    /// What an earlier run drew; past its end every choice is 0.
    Recorded(Tape),
}

impl Source {
    /// The stream of `actor`. With `record` the stream remembers what it draws.
    pub fn stream(&self, actor: Actor, record: bool) -> Stream {
        let (key, replay) = match self {
            Source::Seed(seed) => (rng::derive(rng::derive(0, *seed), u64::from(actor.code())), None),
            Source::Recorded(tape) => (0, Some(tape.stream(actor))),
        };
        let memory = (record || replay.is_some())
            .then(|| Box::new(Memory { replay, record: record.then(StreamRecord::default) }));
        Stream { key, digest: u64::from(actor.code()), counts: [0; CHOICE_POINTS], memory }
    }
}

/// Kept apart from the stream so that a stream that only draws from its seed stays small: there is one per fiber.
#[derive(Clone, Debug)]
struct Memory {
    replay: Option<StreamRecord>,
    record: Option<StreamRecord>,
}

/// One actor's choices.
///
/// Aligned, so that a draw of one of the first ten choice points touches one cache line: with ten thousand fibers each line
/// is a miss.
#[derive(Clone, Debug)]
#[repr(align(64))]
pub struct Stream {
    key: u64,
    digest: u64,
    counts: [u32; CHOICE_POINTS],
    memory: Option<Box<Memory>>,
}

impl Stream {
    /// A choice in `0..bound`, each as likely as the next. A bound of 0 or 1 leaves nothing to draw.
    #[inline]
    pub fn choose(&mut self, choice_point: ChoicePoint, bound: u32) -> u32 {
        if bound <= 1 {
            return 0;
        }
        self.draw(choice_point, bound, |number| rng::below(number, u64::from(bound)) as u32)
    }

    /// Whether something that happens with `chance` happens now. The tape holds 0 or 1.
    #[inline]
    pub fn happens(&mut self, choice_point: ChoicePoint, chance: Chance) -> bool {
        if !chance.is_possible() {
            return false;
        }
        self.draw(choice_point, 2, |number| {
            u32::from(rng::below(number, 1_000_000) < u64::from(chance.parts()))
        }) == 1
    }

    /// An index into `weights`, drawn in proportion to them; 0 if they are all zero.
    pub fn weighted(&mut self, choice_point: ChoicePoint, weights: &[u32]) -> usize {
        let total: u64 = weights.iter().map(|&weight| u64::from(weight)).sum();
        if total == 0 {
            return 0;
        }
        let pick = |number| {
            let mut left = rng::below(number, total);
            let hit = weights.iter().position(|&weight| match left.checked_sub(u64::from(weight)) {
                Some(rest) => {
                    left = rest;
                    false
                }
                None => true,
            });
            hit.unwrap_or(0) as u32
        };
        self.draw(choice_point, weights.len() as u32, pick) as usize
    }

    /// Like [`Stream::weighted`], with the weight of "none of them" ahead of the others: the tape's 0 is `None`.
    #[inline]
    pub fn maybe_weighted(&mut self, choice_point: ChoicePoint, none: u32, weights: &[u32]) -> Option<usize> {
        let total = u64::from(none) + weights.iter().map(|&weight| u64::from(weight)).sum::<u64>();
        let pick = |number| {
            let mut left = rng::below(number, total.max(1));
            // By far the most likely, and decided without a loop.
            if left < u64::from(none) {
                return 0;
            }
            left -= u64::from(none);
            for (index, &weight) in weights.iter().enumerate() {
                if left < u64::from(weight) {
                    return index as u32 + 1;
                }
                left -= u64::from(weight);
            }
            0
        };
        (self.draw(choice_point, weights.len() as u32 + 1, pick) as usize).checked_sub(1)
    }

    /// A number in `0..bound` that is small most of the time: half of the draws fall below a sixteenth of the bound.
    #[inline]
    pub fn mostly_small(&mut self, choice_point: ChoicePoint, bound: u32) -> u32 {
        if bound <= 1 {
            return 0;
        }
        self.draw(choice_point, bound, |number| {
            // Squaring twice: P(value < x * bound) is the fourth root of x.
            let part = number >> 32;
            let squared = (part * part) >> 32;
            let fourth = (squared * squared) >> 32;
            rng::below(fourth << 32, u64::from(bound)) as u32
        })
    }

    /// Whether the recorded tape has nothing more for `choice_point`. A stream that draws from its seed never ends.
    pub fn is_spent(&self, choice_point: ChoicePoint) -> bool {
        let replay = self.memory.as_ref().and_then(|memory| memory.replay.as_ref());
        replay.is_some_and(|replay| {
            replay.len(choice_point) <= self.counts[usize::from(choice_point.index)] as usize
        })
    }

    /// What this stream drew, if it was recorded.
    pub fn take_record(&mut self) -> Option<StreamRecord> {
        self.memory.as_mut().and_then(|memory| memory.record.take())
    }

    /// A number that stands for everything drawn so far.
    #[inline]
    pub fn digest(&self) -> u64 {
        self.digest
    }

    #[inline]
    fn draw(&mut self, choice_point: ChoicePoint, bound: u32, pick: impl FnOnce(u64) -> u32) -> u32 {
        let count = &mut self.counts[usize::from(choice_point.index)];
        let occurrence = *count;
        *count = occurrence.wrapping_add(1);
        let key = self.key ^ u64::from(choice_point.index).wrapping_mul(0xd6e8_feb8_6659_fd93);
        let value = match &mut self.memory {
            None => pick(rng::at(rng::scramble(key), u64::from(occurrence))),
            Some(memory) => {
                let value = match &memory.replay {
                    // An edited tape may hold what no longer fits its bound.
                    Some(replay) => replay.get(choice_point, occurrence).min(bound - 1),
                    None => pick(rng::at(rng::scramble(key), u64::from(occurrence))),
                };
                if let Some(record) = &mut memory.record {
                    record.push(choice_point, value);
                }
                value
            }
        };
        debug_assert!(value < bound);
        let entry = u64::from(value) << 8 | u64::from(choice_point.index);
        self.digest = (self.digest.rotate_left(5) ^ entry).wrapping_mul(0x9fb2_1c65_1e98_df25);
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COIN: ChoicePoint = ChoicePoint::new(0, "coin");
    const DIE: ChoicePoint = ChoicePoint::new(1, "die");

    fn throw(stream: &mut Stream, choice_point: ChoicePoint, bound: u32, times: usize) -> Vec<u32> {
        (0..times).map(|_| stream.choose(choice_point, bound)).collect()
    }

    #[test]
    fn a_site_draws_the_same_whatever_other_sites_and_actors_draw() {
        let source = Source::Seed(1);
        let mut alone = source.stream(Actor::fiber(3), false);
        let mut mixed = source.stream(Actor::fiber(3), false);
        throw(&mut mixed, COIN, 2, 17);
        assert_eq!(throw(&mut alone, DIE, 6, 20), throw(&mut mixed, DIE, 6, 20));
        let mut other = source.stream(Actor::fiber(4), false);
        assert_ne!(throw(&mut alone, DIE, 6, 20), throw(&mut other, DIE, 6, 20));
    }

    #[test]
    fn another_seed_draws_otherwise() {
        let drawn = |seed| throw(&mut Source::Seed(seed).stream(Actor::DISK, false), DIE, 1000, 8);
        assert_eq!(drawn(5), drawn(5));
        assert_ne!(drawn(5), drawn(6));
    }

    #[test]
    fn a_recorded_lane_replays_without_the_seed_and_is_dull_past_its_end() {
        let mut stream = Source::Seed(9).stream(Actor::DISK, true);
        let drawn = throw(&mut stream, DIE, 6, 10);
        let mut tape = Tape::default();
        tape.insert(Actor::DISK, &mut stream);
        let mut replayed = Source::Recorded(tape).stream(Actor::DISK, false);
        assert_eq!(throw(&mut replayed, DIE, 6, 10), drawn);
        assert_eq!(stream.digest(), replayed.digest());
        assert_eq!(throw(&mut replayed, DIE, 6, 3), [0, 0, 0]);
    }

    #[test]
    fn a_replayed_choice_is_cut_to_its_bound() {
        let mut stream = Source::Seed(2).stream(Actor::DISK, true);
        throw(&mut stream, DIE, 1_000_000, 4);
        let mut tape = Tape::default();
        tape.insert(Actor::DISK, &mut stream);
        let mut replayed = Source::Recorded(tape).stream(Actor::DISK, false);
        assert!(throw(&mut replayed, DIE, 3, 4).iter().all(|&value| value < 3));
    }

    #[test]
    fn weights_are_kept_and_a_zero_weight_is_never_drawn() {
        let mut stream = Source::Seed(3).stream(Actor::DISK, false);
        let mut hits = [0; 3];
        for _ in 0..3000 {
            hits[stream.weighted(DIE, &[2, 0, 1])] += 1;
        }
        assert_eq!(hits[1], 0);
        assert!((1850..2150).contains(&hits[0]), "{hits:?}");
    }

    #[test]
    fn mostly_small_is_small_and_sometimes_large() {
        let mut stream = Source::Seed(4).stream(Actor::DISK, false);
        let drawn: Vec<u32> = (0..4000).map(|_| stream.mostly_small(DIE, 1600)).collect();
        let small = drawn.iter().filter(|&&value| value < 100).count();
        assert!((1800..2200).contains(&small), "{small}");
        assert!(drawn.iter().any(|&value| value > 1400));
    }

    #[test]
    fn what_never_happens_leaves_no_mark_on_the_tape() {
        let mut stream = Source::Seed(4).stream(Actor::DISK, true);
        let before = stream.digest();
        assert!(!stream.happens(COIN, Chance::NEVER));
        assert_eq!(stream.choose(COIN, 1), 0);
        assert_eq!(stream.digest(), before);
        assert!(stream.happens(COIN, Chance::per_million(1_000_000)));
    }
}
