use std::collections::BTreeMap;

use super::{Replay, Search};
use crate::tape::{Actor, Slot, Tape};

impl<R: Replay> Search<R> {
    /// Goes through all passes until none of them finds anything or the budget is spent.
    pub(super) fn exhaust(&mut self) {
        loop {
            let before = (self.steps, self.tape.choices());
            self.shrink_setup();
            self.drop_actors();
            self.renumber();
            self.cut_tails();
            self.make_dull();
            self.come_earlier();
            self.delete();
            self.lower_values();
            if self.left == 0 || (self.steps, self.tape.choices()) == before {
                return;
            }
        }
    }

    fn shrink_setup(&mut self) {
        loop {
            let source = crate::tape::Source::Recorded(self.tape.clone());
            let candidates = self.setup.smaller(&source, self.steps);
            let accepted = candidates.into_iter().any(|setup| {
                let tape = self.tape.clone();
                self.accepts(&setup, tape)
            });
            if !accepted {
                return;
            }
        }
    }

    /// Whole streams: a connection without choices has nothing to do.
    fn drop_actors(&mut self) {
        let actors: Vec<Actor> = self.tape.streams().map(|(actor, _)| actor).collect();
        for actor in actors.into_iter().rev() {
            if self.tape.stream(actor).is_empty() {
                continue;
            }
            self.try_edit(|tape| drop(tape.remove(actor)));
        }
    }

    /// Connections that do something get the lowest numbers, so that those behind them can go.
    fn renumber(&mut self) {
        let mut free = 0;
        loop {
            let busy = self.tape.streams().filter(|(_, stream)| !stream.is_empty());
            let fibers: Vec<u32> = busy.filter_map(|(actor, _)| actor.as_fiber()).collect();
            while fibers.contains(&free) {
                free += 1;
            }
            let Some(&last) = fibers.last().filter(|&&last| last > free) else { return };
            self.try_edit(|tape| {
                if let Some(stream) = tape.remove(Actor::fiber(last)) {
                    tape.put(Actor::fiber(free), stream);
                }
            });
            free += 1;
        }
    }

    /// Shorter lists of choices at each choice point; of a connection's operations that means fewer of them.
    fn cut_tails(&mut self) {
        for slot in self.tape.slots() {
            // Not the length of what the run recorded: past the cut it records default choices.
            let (mut low, mut high) = (0, self.tape.values(slot).len());
            while low < high {
                let cut = low + (high - low) / 2;
                if self.try_edit(|tape| tape.values_mut(slot).truncate(cut)) {
                    high = cut;
                } else {
                    low = cut + 1;
                }
            }
        }
    }

    /// Zeroes in chunks that halve, over everything that is not default.
    fn make_dull(&mut self) {
        let mut chunk = self.eventful().len().div_ceil(2).max(1);
        loop {
            let mut start = 0;
            loop {
                let eventful = self.eventful();
                if start >= eventful.len() || self.left == 0 {
                    break;
                }
                // From the end: what happens late disturbs least.
                let end = eventful.len() - start;
                let edits = &eventful[end.saturating_sub(chunk)..end];
                let dulled = self.try_edit(|tape| {
                    for &(slot, index) in edits {
                        tape.values_mut(slot)[index] = 0;
                    }
                });
                if !dulled {
                    start += chunk;
                }
            }
            if chunk == 1 {
                return;
            }
            chunk = chunk.div_ceil(2);
        }
    }

    /// What is not default happens sooner: as many as possible of the default choices before it go.
    fn come_earlier(&mut self) {
        for slot in self.tape.slots() {
            let mut index = 0;
            loop {
                let values = self.tape.values(slot);
                let default =
                    values[index.min(values.len())..].iter().take_while(|&&value| value == 0).count();
                if index + default >= values.len() || self.left == 0 {
                    break;
                }
                let mut chunk = default;
                let mut left = default;
                while chunk > 0 {
                    let gone = left >= chunk
                        && self.try_shorter(|tape| {
                            tape.values_mut(slot).drain(index..index + chunk);
                        });
                    if gone {
                        left -= chunk;
                    } else {
                        chunk /= 2;
                    }
                }
                index += left + 1;
            }
        }
    }

    /// Choices go, whatever they are, in chunks that halve, and what comes later at their choice point moves up: an operation less, a
    /// delivery less. Dulling them would leave them in the way.
    fn delete(&mut self) {
        for slot in self.tape.slots() {
            let mut chunk = self.tape.values(slot).len().div_ceil(2);
            while chunk > 0 && self.left > 0 {
                let mut end = self.tape.values(slot).len();
                while end > 0 && self.left > 0 {
                    let start = end.saturating_sub(chunk);
                    if self.tape.values(slot)[start..end].iter().any(|&value| value != 0) {
                        self.try_shorter(|tape| drop(tape.values_mut(slot).drain(start..end)));
                    }
                    end = start.min(self.tape.values(slot).len());
                }
                chunk /= 2;
            }
        }
    }

    /// Smaller numbers where zero would not do.
    fn lower_values(&mut self) {
        for (slot, index) in self.eventful() {
            while let Some(&value) = self.tape.values(slot).get(index) {
                let candidates = [1, value / 2, value.saturating_sub(1)];
                let mut lowered = false;
                for candidate in
                    candidates.into_iter().filter(|&candidate| candidate > 0 && candidate < value)
                {
                    if self.try_edit(|tape| tape.values_mut(slot)[index] = candidate) {
                        lowered = true;
                        break;
                    }
                }
                if !lowered {
                    break;
                }
            }
        }
    }

    fn try_edit(&mut self, edit: impl FnOnce(&mut Tape)) -> bool {
        let mut tape = self.tape.clone();
        edit(&mut tape);
        let setup = self.setup.clone();
        self.accepts(&setup, tape)
    }

    /// The same for an edit that is worth nothing if the run does not get shorter.
    fn try_shorter(&mut self, edit: impl FnOnce(&mut Tape)) -> bool {
        let mut tape = self.tape.clone();
        edit(&mut tape);
        let (setup, limit) = (self.setup.clone(), self.steps);
        self.accepts_within(&setup, tape, limit.saturating_sub(1))
    }

    /// Every choice that is not default, actor by actor, choice point by choice point.
    fn eventful(&self) -> Vec<(Slot, usize)> {
        let mut found: BTreeMap<(Slot, usize), ()> = BTreeMap::new();
        for slot in self.tape.slots() {
            for (index, &value) in self.tape.values(slot).iter().enumerate() {
                if value != 0 {
                    found.insert((slot, index), ());
                }
            }
        }
        found.into_keys().collect()
    }
}
