use std::collections::BTreeMap;
use std::sync::Arc;

use super::record::Section;
use super::{Actor, Address, CHOICE_POINTS, Chance, ChoicePoint, Source, StreamRecord, Tape};
use crate::rng;

impl Source {
    /// The stream of `actor`. With `record` the stream remembers what it draws.
    pub fn stream(&self, actor: Actor, record: bool) -> Stream {
        let key_of = |seed: u64| rng::derive(rng::derive(0, seed), u64::from(actor.code()));
        let (key, replay) = match self {
            Source::Seed(seed) => (key_of(*seed), None),
            Source::Recorded(tape) => (0, Some(Arc::clone(tape))),
            Source::Branch { tape, seed, .. } => (key_of(*seed), Some(Arc::clone(tape))),
        };
        let memory = (record || replay.is_some()).then(|| {
            let mut memory = Memory {
                replay,
                record: record.then(StreamRecord::default),
                address: Address::default(),
                section: Section::default(),
                counts: [0; CHOICE_POINTS],
                names: BTreeMap::new(),
            };
            memory.enter(Address::operation(0, actor, 0));
            Box::new(memory)
        });
        Stream { key, digest: u64::from(actor.code()), counts: [0; CHOICE_POINTS], memory }
    }
}

/// Kept apart from the stream so that a stream that only draws from its seed stays small: there is one per fiber.
#[derive(Clone, Debug)]
struct Memory {
    replay: Option<Arc<Tape>>,
    record: Option<StreamRecord>,
    /// What the next draws belong to.
    address: Address,
    /// What is replayed there.
    section: Section,
    /// How often that address has been at each choice point.
    counts: [u32; CHOICE_POINTS],
    /// Names of the choice points at which something other than the default was drawn.
    names: BTreeMap<u8, &'static str>,
}

impl Memory {
    fn enter(&mut self, address: Address) {
        self.address = address;
        self.counts = [0; CHOICE_POINTS];
        let section = self.replay.as_ref().and_then(|tape| tape.section(address));
        self.section = section.cloned().unwrap_or_default();
    }
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
    /// What is drawn from here on belongs to `address`. Means nothing for what is drawn from a seed.
    #[inline]
    pub(crate) fn enter(&mut self, address: Address) {
        if let Some(memory) = &mut self.memory {
            memory.enter(address);
        }
    }

    /// The tape that is replayed ends here: from here on the stream draws.
    pub(crate) fn leave_tape(&mut self) {
        if let Some(memory) = &mut self.memory {
            memory.replay = None;
            memory.section = Section::default();
        }
    }

    /// The names of the choice points at which it has drawn, by number, if it is recorded or replayed.
    pub(crate) fn names(&self) -> BTreeMap<u8, &'static str> {
        self.memory.as_ref().map(|memory| memory.names.clone()).unwrap_or_default()
    }

    /// Whether it is recorded or replayed: draws belong to addresses then.
    #[inline]
    pub(crate) fn has_memory(&self) -> bool {
        self.memory.is_some()
    }

    /// What the present address has at `choice_point` for the `occurrence`-th time on the tape that is replayed.
    pub(crate) fn recorded(&self, choice_point: u8, occurrence: u32) -> u32 {
        self.memory.as_ref().map_or(0, |memory| memory.section.get(choice_point, occurrence))
    }

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
        let drawn = self.draw(choice_point, weights.len() as u32, pick) as usize;
        // An edited tape may hold what is excluded.
        if weights[drawn] > 0 { drawn } else { weights.iter().position(|&weight| weight > 0).unwrap_or(0) }
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
        let drawn = (self.draw(choice_point, weights.len() as u32 + 1, pick) as usize).checked_sub(1);
        // An edited tape may hold what is excluded.
        drawn.filter(|&index| weights[index] > 0)
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
                let count = &mut memory.counts[usize::from(choice_point.index)];
                let occurrence_there = *count;
                *count += 1;
                let value = match &memory.replay {
                    // An edited tape may hold what no longer fits its bound.
                    Some(_) => memory.section.get(choice_point.index, occurrence_there).min(bound - 1),
                    None => pick(rng::at(rng::scramble(key), u64::from(occurrence))),
                };
                if let Some(record) = &mut memory.record
                    && value > 0
                {
                    record.note(memory.address, choice_point, occurrence_there, value);
                    memory.names.insert(choice_point.index(), choice_point.name());
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
    use super::super::Place;
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
        tape.insert(stream.take_record().expect("it was recorded"));
        let mut replayed = Source::from(tape).stream(Actor::DISK, false);
        assert_eq!(throw(&mut replayed, DIE, 6, 10), drawn);
        assert_eq!(stream.digest(), replayed.digest());
        assert_eq!(throw(&mut replayed, DIE, 6, 3), [0, 0, 0]);
    }

    #[test]
    fn a_replayed_choice_is_cut_to_its_bound() {
        let mut stream = Source::Seed(2).stream(Actor::DISK, true);
        throw(&mut stream, DIE, 1_000_000, 4);
        let mut tape = Tape::default();
        tape.insert(stream.take_record().expect("it was recorded"));
        let mut replayed = Source::from(tape).stream(Actor::DISK, false);
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

    #[test]
    fn what_a_tape_says_of_one_operation_is_not_another_ones() {
        let mut tape = Tape::default();
        let address = |operation| Address::operation(0, Actor::fiber(0), operation);
        tape.set(Place { address: address(1), choice_point: DIE.index(), occurrence: 0 }, 5);
        let mut stream = Source::from(tape).stream(Actor::fiber(0), true);
        let mut drawn = Vec::new();
        for operation in [0, 1, 2] {
            stream.enter(address(operation));
            drawn.push(throw(&mut stream, DIE, 6, 2));
        }
        assert_eq!(drawn, [[0, 0], [5, 0], [0, 0]]);
    }

    #[test]
    fn a_tape_that_was_edited_does_not_bring_back_what_is_excluded() {
        let mut tape = Tape::default();
        let address = Address::operation(0, Actor::DISK, 0);
        for occurrence in 0..2 {
            tape.set(Place { address, choice_point: DIE.index(), occurrence }, 2);
        }
        let mut stream = Source::from(tape).stream(Actor::DISK, false);
        assert_eq!(stream.maybe_weighted(DIE, 10, &[3, 0]), None);
        assert_eq!(stream.weighted(DIE, &[0, 3, 0]), 1);
    }
}
