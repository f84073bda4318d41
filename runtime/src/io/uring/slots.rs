//! Operations in the kernel's hands, by the number that comes back with their completion.

/// Names one stay in a slot. What comes late, after the slot has been given to another operation, names nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Token(pub(super) u64);

/// A bounded table; places are reused, tokens are not (before four thousand million stays in one slot).
pub(super) struct Slots<T> {
    slots: Vec<Slot<T>>,
    vacant: Vec<u32>,
    most: usize,
}

struct Slot<T> {
    generation: u32,
    value: Option<T>,
}

impl Token {
    fn new(index: u32, generation: u32) -> Self {
        Self(u64::from(generation) << 32 | u64::from(index))
    }

    fn parts(self) -> (usize, u32) {
        ((self.0 & 0xffff_ffff) as usize, (self.0 >> 32) as u32)
    }
}

impl<T> Slots<T> {
    /// For at most `most` values at a time.
    pub(super) fn new(most: usize) -> Self {
        Self { slots: Vec::new(), vacant: Vec::new(), most }
    }

    pub(super) fn len(&self) -> usize {
        self.slots.len() - self.vacant.len()
    }

    pub(super) fn is_full(&self) -> bool {
        self.len() == self.most
    }

    /// The token that the next value gets.
    ///
    /// # Panics
    ///
    /// When full.
    pub(super) fn next(&mut self) -> Token {
        assert!(!self.is_full(), "the caller has looked");
        if self.vacant.is_empty() {
            let index = u32::try_from(self.slots.len()).expect("`most` is far below 2^32");
            self.slots.push(Slot { generation: 0, value: None });
            self.vacant.push(index);
        }
        let index = self.vacant[self.vacant.len() - 1];
        Token::new(index, self.slots[index as usize].generation)
    }

    /// Puts a value where [`Slots::next`] said.
    pub(super) fn insert(&mut self, token: Token, value: T) {
        let (index, generation) = token.parts();
        let vacant = self.vacant.pop();
        debug_assert_eq!(vacant, Some(index as u32), "`next` gave this token last");
        let slot = &mut self.slots[index];
        debug_assert_eq!(slot.generation, generation);
        slot.value = Some(value);
    }

    pub(super) fn get_mut(&mut self, token: Token) -> Option<&mut T> {
        let (index, generation) = token.parts();
        let slot = self.slots.get_mut(index)?;
        if slot.generation == generation { slot.value.as_mut() } else { None }
    }

    pub(super) fn remove(&mut self, token: Token) -> Option<T> {
        self.get_mut(token)?;
        let (index, _) = token.parts();
        let slot = &mut self.slots[index];
        // The generation of the two highest tokens is never reached by an index this high.
        slot.generation = slot.generation.wrapping_add(1);
        self.vacant.push(index as u32);
        slot.value.take()
    }

    /// Forgets all values without dropping them.
    pub(super) fn leak(&mut self) {
        self.slots.iter_mut().filter_map(|slot| slot.value.take()).for_each(std::mem::forget);
    }

    /// The tokens of all values.
    pub(super) fn tokens(&self) -> Vec<Token> {
        let taken = self.slots.iter().enumerate().filter(|(_, slot)| slot.value.is_some());
        taken.map(|(index, slot)| Token::new(index as u32, slot.generation)).collect()
    }
}

#[cfg(all(test, not(any(tenterhook_loom, tenterhook_shuttle))))]
mod tests {
    use super::*;

    #[test]
    fn a_token_outlives_its_slot_and_names_nothing_then() {
        let mut slots = Slots::new(2);
        let first = slots.next();
        slots.insert(first, 'a');
        assert_eq!(slots.remove(first), Some('a'));
        let second = slots.next();
        slots.insert(second, 'b');
        assert_ne!(first, second);
        assert_eq!((slots.remove(first), slots.get_mut(first)), (None, None));
        assert_eq!(slots.get_mut(second), Some(&mut 'b'));
    }

    #[test]
    fn it_is_full_when_as_many_are_in_as_may_be() {
        let mut slots = Slots::new(2);
        for value in 0..2 {
            let token = slots.next();
            slots.insert(token, value);
        }
        assert!(slots.is_full());
        assert_eq!(slots.tokens().len(), 2);
        slots.remove(slots.tokens()[0]);
        assert_eq!(slots.len(), 1);
    }
}
