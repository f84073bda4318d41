use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Actor, Address, ChoicePoint, Fixture};

/// One choice: where in its section, and what was drawn.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Choice {
    /// The choice point's number.
    pub(super) choice_point: u8,
    /// How often its section had been there before.
    pub(super) occurrence: u32,
    /// What was drawn; never 0.
    pub(super) value: u32,
}

/// The choices of one address that are not default, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Section {
    choices: Vec<Choice>,
}

impl Section {
    /// What was drawn; whatever is not here is default.
    #[inline]
    pub(super) fn get(&self, choice_point: u8, occurrence: u32) -> u32 {
        // Most sections are empty, and hardly any has more than a few.
        match self.find(choice_point, occurrence) {
            Ok(index) => self.choices[index].value,
            Err(_) => 0,
        }
    }

    /// Sets a choice; 0 takes it off.
    pub(super) fn set(&mut self, choice_point: u8, occurrence: u32, value: u32) {
        match (self.find(choice_point, occurrence), value) {
            (Ok(index), 0) => drop(self.choices.remove(index)),
            (Ok(index), _) => self.choices[index].value = value,
            (Err(_), 0) => {}
            (Err(index), _) => self.choices.insert(index, Choice { choice_point, occurrence, value }),
        }
    }

    /// The choices.
    pub(super) fn choices(&self) -> &[Choice] {
        &self.choices
    }

    fn find(&self, choice_point: u8, occurrence: u32) -> Result<usize, usize> {
        let key = |choice: &Choice| (choice.choice_point, choice.occurrence);
        // Recording appends.
        match self.choices.last() {
            None => Err(0),
            Some(last) if key(last) < (choice_point, occurrence) => Err(self.choices.len()),
            Some(_) => self.choices.binary_search_by_key(&(choice_point, occurrence), key),
        }
    }
}

/// What one stream drew.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StreamRecord {
    sections: BTreeMap<Address, Section>,
}

impl StreamRecord {
    /// Notes a draw.
    #[inline]
    pub(super) fn note(&mut self, address: Address, choice_point: ChoicePoint, occurrence: u32, value: u32) {
        if value != 0 {
            self.sections.entry(address).or_default().set(choice_point.index(), occurrence, value);
        }
    }
}

/// Where one choice is on a tape.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// What it belongs to.
    pub address: Address,
    /// The choice point's number.
    pub choice_point: u8,
    /// How often its section had been there before.
    pub occurrence: u32,
}

/// An operation on a tape.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct OperationId {
    /// The life of the system.
    pub life: u32,
    /// Whose.
    pub actor: Actor,
    /// Which of the actor's in that life.
    pub operation: u32,
}

/// How a tape says who goes next.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Schedule {
    /// By what the scheduler drew.
    #[default]
    Drawn,
    /// By the turns of steps, deliveries, crashes and rests, see `schedule/turns.rs`.
    Turns,
}

/// A run's choices: those that are not default, and how many operations each actor began in each life.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tape {
    /// How it says who goes next.
    pub schedule: Schedule,
    pub(super) sections: BTreeMap<Address, Section>,
    pub(super) operations: BTreeMap<(u32, Actor), u32>,
    pub(super) fixture: Option<Arc<Fixture>>,
}

impl Tape {
    /// Adds what a stream drew.
    pub fn insert(&mut self, record: StreamRecord) {
        for (address, section) in record.sections {
            let there = self.sections.entry(address).or_default();
            for choice in section.choices {
                there.set(choice.choice_point, choice.occurrence, choice.value);
            }
        }
    }

    /// What was drawn at one place.
    pub fn get(&self, place: Place) -> u32 {
        self.section(place.address).map_or(0, |section| section.get(place.choice_point, place.occurrence))
    }

    /// The next occurrence from `from` on at which `choice_point` of `address` has a choice that is not default.
    #[cfg(tenterhook_shuttle)]
    pub(crate) fn next_choice(&self, address: Address, choice_point: u8, from: u32) -> Option<u32> {
        let choices = self.section(address)?.choices();
        let at =
            choices.partition_point(|choice| (choice.choice_point, choice.occurrence) < (choice_point, from));
        let found = choices.get(at).filter(|choice| choice.choice_point == choice_point)?;
        Some(found.occurrence)
    }

    /// Changes a choice.
    pub fn set(&mut self, place: Place, value: u32) {
        if value == 0 {
            let Some(section) = self.sections.get_mut(&place.address) else { return };
            section.set(place.choice_point, place.occurrence, 0);
            if section.choices.is_empty() {
                self.sections.remove(&place.address);
            }
        } else {
            let section = self.sections.entry(place.address).or_default();
            section.set(place.choice_point, place.occurrence, value);
        }
    }

    /// The choices of `address`, if any is not default.
    pub(super) fn section(&self, address: Address) -> Option<&Section> {
        self.sections.get(&address)
    }

    /// All sections in order.
    pub(super) fn sections(&self) -> impl Iterator<Item = (&Address, &Section)> {
        self.sections.iter()
    }

    /// Puts a section on the tape.
    pub(super) fn put_section(&mut self, address: Address, section: Section) {
        self.sections.insert(address, section);
    }

    /// Every choice that is not default.
    pub fn choices(&self) -> impl Iterator<Item = (Place, u32)> + '_ {
        self.sections.iter().flat_map(|(&address, section)| {
            section.choices.iter().map(move |&Choice { choice_point, occurrence, value }| {
                (Place { address, choice_point, occurrence }, value)
            })
        })
    }

    /// How many operations `actor` begins in `life`.
    pub fn operations(&self, life: u32, actor: Actor) -> u32 {
        self.operations.get(&(life, actor)).copied().unwrap_or(0)
    }

    /// Says how many operations `actor` begins in `life`.
    pub fn set_operations(&mut self, life: u32, actor: Actor, operations: u32) {
        if operations == 0 {
            self.operations.remove(&(life, actor));
        } else {
            self.operations.insert((life, actor), operations);
        }
    }

    /// How many operations each actor begins in each life.
    pub(super) fn counts(&self) -> impl Iterator<Item = ((u32, Actor), u32)> + '_ {
        self.operations.iter().map(|(&key, &count)| (key, count))
    }

    /// How many lives something was drawn in.
    pub fn lives(&self) -> u32 {
        let last = self.operations.keys().map(|&(life, _)| life);
        last.chain(self.sections.keys().map(|address| address.life)).max().map_or(0, |life| life + 1)
    }

    /// Every operation of a connection, in order.
    pub fn connection_operations(&self) -> Vec<OperationId> {
        let of_connections = self.operations.iter().filter(|((_, actor), _)| actor.as_fiber().is_some());
        of_connections
            .flat_map(|(&(life, actor), &count)| {
                (0..count).map(move |operation| OperationId { life, actor, operation })
            })
            .collect()
    }

    /// Takes operations off the tape: those behind them move up, with their choices.
    #[must_use]
    pub fn without_operations(&self, gone: &[OperationId]) -> Tape {
        let (schedule, fixture) = (self.schedule, self.fixture.clone());
        let mut tape = Tape { schedule, fixture, ..Tape::default() };
        let mut by_actor: BTreeMap<(u32, Actor), Vec<u32>> = BTreeMap::new();
        for id in gone {
            by_actor.entry((id.life, id.actor)).or_default().push(id.operation);
        }
        by_actor.values_mut().for_each(|operations| operations.sort_unstable());
        for (&key, &count) in &self.operations {
            let gone = by_actor.get(&key).map_or(0, Vec::len) as u32;
            tape.set_operations(key.0, key.1, count.saturating_sub(gone));
        }
        for (&address, section) in &self.sections {
            let gone = by_actor.get(&(address.life, address.actor)).map_or(&[][..], Vec::as_slice);
            if let Err(before) = gone.binary_search(&address.operation) {
                let operation = address.operation - before as u32;
                tape.sections.insert(Address { operation, ..address }, section.clone());
            }
        }
        tape
    }

    /// Leaves out what the scheduler drew: turns say who goes next.
    #[must_use]
    pub fn in_turns(mut self) -> Tape {
        self.schedule = Schedule::Turns;
        self.sections.retain(|address, _| address.actor != Actor::SCHEDULER);
        self
    }

    /// Takes a whole life off the tape: those after it come one earlier.
    #[must_use]
    pub fn without_life(&self, gone: u32) -> Tape {
        self.relabelled(|life, actor| match life {
            // What belongs to no life is told by its actor.
            _ if actor == Actor::OPTIONS || actor == Actor::SCHEDULER => Some((life, actor)),
            life if life == gone => None,
            life => Some((life - u32::from(life > gone), actor)),
        })
    }

    /// Takes an actor off the tape.
    #[must_use]
    pub fn without_actor(&self, gone: Actor) -> Tape {
        self.relabelled(|life, actor| (actor != gone).then_some((life, actor)))
    }

    /// Gives what is an actor's to another one; no two become the same.
    #[must_use]
    pub fn renamed(&self, name: impl Fn(Actor) -> Actor) -> Tape {
        self.relabelled(|life, actor| Some((life, name(actor))))
    }

    pub(super) fn relabelled(&self, label: impl Fn(u32, Actor) -> Option<(u32, Actor)>) -> Tape {
        let sections = self.sections.iter().filter_map(|(&address, section)| {
            let (life, actor) = label(address.life, address.actor)?;
            Some((Address { life, actor, ..address }, section.clone()))
        });
        let operations = self.operations.iter();
        let operations = operations.filter_map(|(&(life, actor), &count)| Some((label(life, actor)?, count)));
        let (sections, operations) = (sections.collect(), operations.collect());
        Tape { schedule: self.schedule, sections, operations, fixture: self.fixture.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(life: u32, fiber: u32, operation: u32) -> Place {
        let address = Address::operation(life, Actor::fiber(fiber), operation);
        Place { address, choice_point: 1, occurrence: 2 }
    }

    /// Two lives of two connections with three operations each; the value says which.
    fn tape() -> Tape {
        let mut tape = Tape::default();
        for life in 0..2 {
            for fiber in 0..2 {
                tape.set_operations(life, Actor::fiber(fiber), 3);
                for operation in 0..3 {
                    tape.set(place(life, fiber, operation), 100 * life + 10 * fiber + operation + 1);
                }
            }
        }
        tape
    }

    #[test]
    fn an_operation_takes_its_choices_along_and_moves_those_of_no_other_connection() {
        let gone = OperationId { life: 1, actor: Actor::fiber(0), operation: 1 };
        let tape = tape().without_operations(&[gone]);
        let values = |fiber| [0, 1, 2].map(|operation| tape.get(place(1, fiber, operation)));
        assert_eq!((values(0), values(1)), ([101, 103, 0], [111, 112, 113]));
        assert_eq!(tape.get(place(0, 0, 1)), 2);
        assert_eq!([0, 1].map(|fiber| tape.operations(1, Actor::fiber(fiber))), [2, 3]);
    }

    #[test]
    fn the_life_after_one_that_is_taken_off_comes_in_its_place() {
        let tape = tape().without_life(0);
        assert_eq!((tape.get(place(0, 1, 2)), tape.get(place(1, 1, 2)), tape.lives()), (113, 0, 1));
    }

    #[test]
    #[cfg(tenterhook_shuttle)]
    fn the_next_choice_of_an_address_is_found_and_no_other_address_s() {
        let mut tape = tape();
        let address = Address::operation(0, Actor::fiber(0), 1);
        for occurrence in [3, 9] {
            tape.set(Place { address, choice_point: crate::tape::SLICE, occurrence }, 4);
        }
        let next = |from| tape.next_choice(address, crate::tape::SLICE, from);
        assert_eq!([0, 3, 4, 10].map(next), [Some(3), Some(3), Some(9), None]);
        assert_eq!(tape.next_choice(Address { operation: 0, ..address }, crate::tape::SLICE, 0), None);
    }

    #[test]
    fn an_actor_can_be_taken_off_and_another_take_its_number() {
        let tape = tape()
            .without_actor(Actor::fiber(0))
            .renamed(|actor| if actor == Actor::fiber(1) { Actor::fiber(0) } else { actor });
        assert_eq!((tape.get(place(0, 0, 2)), tape.get(place(0, 1, 2))), (13, 0));
        assert_eq!(tape.connection_operations().len(), 6);
    }

    #[test]
    fn a_choice_that_becomes_default_leaves_nothing_on_the_tape() {
        let mut tape = tape();
        let choices: Vec<Place> = tape.choices().map(|(place, _)| place).collect();
        choices.into_iter().for_each(|place| tape.set(place, 0));
        assert_eq!((tape.choices().count(), tape.sections().count()), (0, 0));
    }
}
