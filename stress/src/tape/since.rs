//! Tapes that begin with a fixture.

use std::sync::Arc;

use super::{Actor, Beginning, Fixture, Tape};

impl Tape {
    /// What the run begins with, if it does not begin with an empty disk.
    pub fn fixture(&self) -> Option<&Arc<Fixture>> {
        self.fixture.as_ref()
    }

    /// The run begins with `fixture`.
    pub fn begin_with(&mut self, fixture: Arc<Fixture>) {
        self.fixture = Some(fixture);
    }

    /// Without its choices but those of the options, and without operations: what it begins with is all that is left.
    #[must_use]
    pub fn dull(&self) -> Tape {
        let mut tape = self.relabelled(|life, actor| (actor == Actor::OPTIONS).then_some((life, actor)));
        tape.operations.clear();
        tape
    }

    /// What happened since `beginning`, as a run that begins with its fixture.
    #[must_use]
    pub fn since(&self, beginning: &Beginning) -> Tape {
        let mut tape = self.relabelled(|life, actor| match actor {
            Actor::OPTIONS | Actor::SCHEDULER => Some((life, actor)),
            _ => Some((life.checked_sub(beginning.life)?, actor)),
        });
        for &(from, to) in &beginning.moved {
            if let Some(section) = self.sections.get(&from) {
                tape.sections.insert(to, section.clone());
            }
        }
        tape.fixture = Some(Arc::clone(&beginning.fixture));
        tape
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tape::{Address, OperationId, Place};

    fn place(life: u32, fiber: u32, operation: u32) -> Place {
        let address = Address::operation(life, Actor::fiber(fiber), operation);
        Place { address, choice_point: 1, occurrence: 2 }
    }

    /// Two lives of two connections with three operations each; the value says which.
    fn tape() -> Tape {
        let mut tape = Tape::default();
        for (life, fiber) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
            tape.set_operations(life, Actor::fiber(fiber), 3);
            for operation in 0..3 {
                tape.set(place(life, fiber, operation), 100 * life + 10 * fiber + operation + 1);
            }
        }
        tape
    }

    #[test]
    fn what_is_edited_still_begins_with_its_fixture() {
        let mut tape = tape();
        tape.begin_with(Arc::new(Fixture { lives: 7, ..Fixture::default() }));
        let first = OperationId { life: 0, actor: Actor::fiber(0), operation: 0 };
        let edited = [
            tape.clone().in_turns(),
            tape.without_operations(&[first]),
            tape.without_life(0),
            tape.without_actor(Actor::fiber(0)),
            tape.renamed(|actor| actor),
            tape.dull(),
        ];
        assert!(edited.iter().all(|edited| edited.fixture() == tape.fixture()));
        assert_eq!((tape.dull().choices().count(), tape.dull().lives()), (0, 0));
    }

    #[test]
    fn a_tape_since_a_later_life_has_the_choices_of_later_lives_and_of_what_was_not_synced() {
        let mut tape = tape();
        let options =
            Place { address: Address::operation(0, Actor::OPTIONS, 0), choice_point: 1, occurrence: 0 };
        tape.set(options, 9);
        let (from, to) = (place(0, 1, 2).address, Address::operation(0, Actor::DISK, 1));
        let fixture = Arc::new(Fixture { lives: 1, ..Fixture::default() });
        let since =
            tape.since(&Beginning { life: 1, fixture: Arc::clone(&fixture), moved: vec![(from, to)] });
        assert_eq!((since.lives(), since.connection_operations().len()), (1, 6));
        assert_eq!((since.get(place(0, 1, 0)), since.get(options)), (111, 9));
        assert_eq!(since.get(Place { address: to, ..place(0, 0, 0) }), 13);
        assert_eq!(since.fixture(), Some(&fixture));
        assert_eq!(since.choices().count(), 6 + 2);
    }
}
