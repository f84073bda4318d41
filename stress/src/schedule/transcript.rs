use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::turns::Rank;
use crate::tape::{GAVE_WAY, Place, RETRY, TURN};

/// What happened in a life, in order, to be written down as turns.
///
/// Whatever scheduler chose, the same steps and deliveries follow each other when the tape's turns are followed
/// ([`Turns`](super::Turns)), and numbers stand only where the order is not the default one. A step that yields very often in a
/// row has one place for all tries from the 255th on, and of these only the last one counts.
#[derive(Debug, Default)]
pub(crate) struct Transcript {
    events: Vec<Event>,
}

#[derive(Copy, Clone, Debug)]
enum Event {
    /// A step or a delivery is possible from here on. The place of its turn on the tape stands for it.
    Possible(Place),
    /// It happened.
    Happened(Place),
    /// It is not possible any more, and did not happen by its turn.
    Gone(Place),
    /// A crash, a rest or the last rest: before it, all that happened; after it, all the rest.
    Cut(Place),
}

/// A step or a delivery that is possible and has not happened.
#[derive(Copy, Clone, Debug)]
struct Candidate {
    rank: Rank,
    /// Its turn without a number.
    default: u32,
    /// It must not be the next before this turn.
    not_before: u32,
}

impl Transcript {
    /// A step or a delivery has become possible.
    pub(crate) fn possible(&mut self, place: Place) {
        self.events.push(Event::Possible(place));
    }

    /// It happens.
    pub(crate) fn happens(&mut self, place: Place) {
        self.events.push(Event::Happened(place));
    }

    /// It is not possible any more, since something else has done it.
    pub(crate) fn gone(&mut self, place: Place) {
        self.events.push(Event::Gone(place));
    }

    /// A crash or a rest.
    pub(crate) fn cut(&mut self, place: Place) {
        self.events.push(Event::Cut(place));
    }

    /// The life is over: its turns, each with its place on the tape. A number is a turn plus one.
    pub(crate) fn settle(&mut self) -> Vec<(Place, u32)> {
        let events = std::mem::take(&mut self.events);
        let tries = Tries::of(&events);
        let mut pass = Pass::default();
        for (index, event) in events.into_iter().enumerate() {
            match event {
                Event::Possible(place) => pass.possible(place),
                Event::Happened(place) if tries.counts(place, index) => pass.happens(place),
                Event::Happened(_) => {}
                Event::Gone(place) => pass.gone(place),
                Event::Cut(place) => pass.cut(place),
            }
        }
        pass.finish()
    }
}

/// Which try of a step was its last.
struct Tries {
    last: BTreeMap<Place, usize>,
}

impl Tries {
    fn of(events: &[Event]) -> Tries {
        let mut last = BTreeMap::new();
        for (index, event) in events.iter().enumerate() {
            match *event {
                Event::Happened(place) if place.choice_point == RETRY => drop(last.insert(place, index)),
                // It yielded once more, and waits for another try.
                Event::Possible(place) if place.choice_point == RETRY => drop(last.remove(&place)),
                _ => {}
            }
        }
        Tries { last }
    }

    fn counts(&self, place: Place, index: usize) -> bool {
        place.choice_point != RETRY || self.last.get(&place) == Some(&index)
    }
}

/// One pass over the events, turn by turn.
#[derive(Default)]
struct Pass {
    now: u32,
    arrivals: u64,
    candidates: BTreeMap<Place, Candidate>,
    numbers: Vec<(Place, u32)>,
}

impl Pass {
    fn possible(&mut self, place: Place) {
        self.arrivals += 1;
        let rank = match place.choice_point {
            RETRY | GAVE_WAY => Rank::Yielded(self.arrivals),
            // The rest of a delivery that has begun is a thread's.
            TURN if place.address.call > 0 => Rank::Delivery(self.arrivals),
            _ => Rank::Fiber(Reverse(self.arrivals)),
        };
        let candidate = Candidate { rank, default: self.now, not_before: 0 };
        // It may be said twice, of a fiber that sat out a rest for instance: it has been possible since the first time.
        self.candidates.entry(place).or_insert(candidate);
    }

    fn happens(&mut self, place: Place) {
        let Some(candidate) = self.candidates.remove(&place) else { return };
        let turn = self.now.max(candidate.not_before);
        let is_default = match candidate.rank {
            Rank::Yielded(_) => self.candidates.is_empty(),
            Rank::Fiber(_) | Rank::Delivery(_) => turn == candidate.default,
        };
        if !is_default {
            self.numbers.push((place, turn + 1));
        }
        self.now = turn;
        // These would win the tie.
        for other in self.candidates.values_mut().filter(|other| other.rank < candidate.rank) {
            other.not_before = other.not_before.max(turn + 1);
        }
    }

    /// The system has done it by itself, and not before the present turn.
    fn gone(&mut self, place: Place) {
        let Some(candidate) = self.candidates.remove(&place) else { return };
        if candidate.default < self.now {
            self.numbers.push((place, self.now + 1));
        }
    }

    fn cut(&mut self, place: Place) {
        self.now += 1;
        self.numbers.push((place, self.now + 1));
        for candidate in self.candidates.values_mut() {
            candidate.not_before = candidate.not_before.max(self.now);
        }
    }

    /// What was possible and did not happen comes behind all that did, also where the default order has it before something.
    fn finish(mut self) -> Vec<(Place, u32)> {
        let (now, behind) = (self.now, self.now + 2);
        let would_come = |candidate: &Candidate| {
            let by_default = !matches!(candidate.rank, Rank::Yielded(_));
            by_default && candidate.default < now.max(candidate.not_before)
        };
        let early = self.candidates.iter().filter(|(_, candidate)| would_come(candidate));
        self.numbers.extend(early.map(|(&place, _)| (place, behind)));
        self.numbers
    }
}

#[cfg(test)]
mod tests {
    use super::super::Turns;
    use super::*;
    use crate::schedule::Pick;
    use crate::tape::{Actor, Address};

    /// The turn of step `step` of the only operation of `fiber`.
    fn step(fiber: u32, step: u32) -> Place {
        let address = Address::operation(0, Actor::fiber(fiber), 0);
        Place { address, choice_point: TURN, occurrence: step }
    }

    /// Three fibers with so many steps each, in the order that `pick` gives, and the order in which the turns have them.
    fn both(steps: u32, mut pick: impl FnMut(usize) -> usize) -> (Vec<u32>, Vec<u32>, usize) {
        let mut transcript = Transcript::default();
        let mut left = vec![(0, 0), (1, 0), (2, 0)];
        left.iter().for_each(|&(fiber, _)| transcript.possible(step(fiber, 0)));
        let mut order = Vec::new();
        while !left.is_empty() {
            let index = pick(left.len());
            let (fiber, done) = left.remove(index);
            transcript.happens(step(fiber, done));
            order.push(fiber);
            if done + 1 < steps {
                transcript.possible(step(fiber, done + 1));
                left.push((fiber, done + 1));
            }
        }
        let numbers: BTreeMap<Place, u32> = transcript.settle().into_iter().collect();
        let number = |fiber, done| numbers.get(&step(fiber, done)).copied().unwrap_or(0);
        let (mut turns, mut done) = (Turns::default(), [0; 3]);
        (0..3).for_each(|fiber| turns.ready(fiber, false, number(fiber, 0)));
        let mut replayed = Vec::new();
        while let Some((turn, pick)) = turns.peek(None) {
            turns.take(turn, pick);
            let Pick::Fiber(fiber) = pick else { panic!("there is no delivery") };
            replayed.push(fiber);
            done[fiber as usize] += 1;
            if done[fiber as usize] < steps {
                turns.ready(fiber, false, number(fiber, done[fiber as usize]));
            }
        }
        (order, replayed, numbers.len())
    }

    /// The rest of a step that is resumed at once needs no number: without one its thread is not stopped. The rest of a delivery has the
    /// rank of a thread, although it belongs to a call.
    #[test]
    fn the_rest_of_a_step_has_a_number_if_something_else_comes_before_it() {
        let address = crate::tape::Address::operation(0, crate::tape::Actor::fiber(0), 0).call(1);
        let rest = Place { address, choice_point: crate::tape::SLICE, occurrence: 7 };
        let other = step(1, 0);
        let numbers = |first: Place, second: Place| {
            let mut transcript = Transcript::default();
            transcript.possible(other);
            transcript.possible(rest);
            transcript.happens(first);
            transcript.happens(second);
            transcript.settle()
        };
        assert_eq!(numbers(rest, other), []);
        assert!(numbers(other, rest).iter().any(|&(place, _)| place == rest));
    }

    #[test]
    fn the_turns_of_any_order_give_that_order() {
        for seed in 0..200_u64 {
            let mut draws = 0;
            let (order, replayed, _) = both(5, |candidates| {
                draws += 1;
                (crate::rng::at(seed, draws) % candidates as u64) as usize
            });
            assert_eq!(order, replayed, "{seed}");
        }
    }

    #[test]
    fn the_default_order_needs_no_numbers_and_one_preemption_one() {
        let (order, replayed, numbers) = both(3, |candidates| candidates - 1);
        assert_eq!((order, numbers), (replayed, 0));
        let mut picks = 0;
        let (order, replayed, numbers) = both(3, |candidates| {
            picks += 1;
            if picks == 2 { 0 } else { candidates - 1 }
        });
        assert_eq!(order[..2], [2, 0]);
        assert_eq!((order, numbers), (replayed, 2), "who is held back, and who was to go next");
    }
}
