use super::Replay;
use super::search::Search;
use crate::tape::{Actor, OperationId, Place, TURN, Tape};

/// Choices that are tried together before each is tried alone.
const KINDS: [fn(&Place) -> bool; 4] = [is_schedule, is_disk, is_nemesis, |_| true];

/// So many connections change places pair by pair.
const FEW: usize = 8;

/// Parts that are tried together in each combination, at most.
const MOST_TOGETHER: usize = 4;

/// No more combinations of one size are tried: triples of 17 parts, or four of 13.
const MOST_COMBINATIONS: usize = 800;

/// No more pairs are tried: those of 100 parts. A rest or a failed sync and the step that it lets come later are one.
const MOST_PAIRS: usize = 5_000;

/// Below this value each smaller one is tried.
const SMALL_VALUE: u32 = 16;

/// What can be taken off a tape.
#[derive(Copy, Clone)]
enum Part {
    Choice(Place),
    Operation(OperationId),
}

fn is_schedule(place: &Place) -> bool {
    place.choice_point >= TURN
}

fn is_disk(place: &Place) -> bool {
    place.address.call > 0 || place.address.actor == Actor::DISK
}

fn is_nemesis(place: &Place) -> bool {
    place.address.actor == Actor::NEMESIS
}

impl<R: Replay> Search<'_, R> {
    /// Goes through all passes until none of them finds anything or the budget is spent.
    pub(super) fn exhaust(&mut self) {
        loop {
            let before = self.measure();
            self.shrink_setup();
            self.drop_lives();
            self.drop_connections();
            self.drop_operations();
            self.renumber();
            self.shrink_setup();
            for kind in KINDS {
                self.reduce(|tape| choices(tape, kind), without_choices);
            }
            self.lower_values();
            self.drop_combinations();
            if self.left == 0 || self.measure() >= before {
                return;
            }
        }
    }

    fn shrink_setup(&mut self) {
        loop {
            let source = crate::tape::Source::from(self.tape.clone());
            let setups = self.setup.smaller(&source, self.steps);
            if !self.try_setups(&setups) {
                return;
            }
        }
    }

    /// Whole lives, the first ones first: a failure in a late life seldom needs all that came before.
    fn drop_lives(&mut self) {
        self.reduce(
            |tape| (0..tape.lives()).rev().collect(),
            |tape, gone| {
                // Highest number first, so that the others keep theirs.
                gone.iter().fold(tape.clone(), |tape, &life| tape.without_life(life))
            },
        );
    }

    /// Whole connections.
    fn drop_connections(&mut self) {
        self.reduce(connections, |tape, gone| {
            gone.iter().fold(tape.clone(), |tape, &actor| tape.without_actor(actor))
        });
    }

    /// Operations, with all that belongs to them.
    fn drop_operations(&mut self) {
        self.reduce(Tape::connection_operations, |tape, gone: &[OperationId]| tape.without_operations(gone));
    }

    /// Connections that do something get the lowest numbers in their order, so that those behind them can go. Then they change
    /// places, if that brings the schedule nearer to the default one.
    fn renumber(&mut self) {
        let busy = connections(&self.tape);
        let lowest: Vec<Actor> = (0..busy.len() as u32).map(Actor::fiber).collect();
        if busy != lowest {
            self.try_equal(self.tape.renamed(|actor| exchange(actor, &busy, &lowest)));
        }
        let busy = connections(&self.tape);
        if busy.len() > FEW {
            return;
        }
        let pairs = (0..busy.len()).flat_map(|one| (0..one).map(move |other| (one, other)));
        let base = self.tape.clone();
        let swapped = pairs.map(|(one, other)| {
            let (from, to) = ([busy[one], busy[other]], [busy[other], busy[one]]);
            base.renamed(|actor| exchange(actor, &from, &to))
        });
        self.try_tapes(swapped);
    }

    /// Takes off what `list` has, in chunks that halve, as long as the run fails the same way. From the end of the list: what
    /// happens late disturbs least.
    fn reduce<T: Clone>(&mut self, list: impl Fn(&Tape) -> Vec<T>, without: impl Fn(&Tape, &[T]) -> Tape) {
        let mut chunk = list(&self.tape).len();
        while chunk > 0 && self.left > 0 {
            let mut end = usize::MAX;
            loop {
                let items = list(&self.tape);
                end = end.min(items.len());
                let base = self.tape.clone();
                // The last one may be shorter.
                let chunks: Vec<&[T]> = items[..end].rchunks(chunk).collect();
                match self.try_tapes(chunks.iter().map(|chunk| without(&base, chunk))) {
                    Some(index) => end = end.saturating_sub((index + 1) * chunk),
                    None => break,
                }
                if end == 0 {
                    break;
                }
            }
            chunk /= 2;
        }
    }

    /// Choices and operations of which none can go alone: a rest, for instance, and the step that it let come later.
    fn drop_combinations(&mut self) {
        if self.combined.as_ref() == Some(&self.tape) {
            return;
        }
        let (mut size, mut from) = (2, 0);
        while size <= MOST_TOGETHER {
            let base = self.tape.clone();
            let operations = base.connection_operations().into_iter().map(Part::Operation);
            let left: Vec<Part> =
                choices(&base, |_| true).into_iter().map(Part::Choice).chain(operations).collect();
            let most = if size == 2 { MOST_PAIRS } else { MOST_COMBINATIONS };
            let mut sets: Vec<Vec<Part>> = combinations(&left, size).take(most + 1).collect();
            if sets.len() > most {
                break;
            }
            // Those before the one that was taken could not go a moment ago: they come last.
            from = from.min(sets.len());
            sets.rotate_left(from);
            match self.try_tapes(sets.iter().map(|gone| without_parts(&base, gone))) {
                // What is smaller now has smaller combinations again.
                Some(taken) => (size, from) = (2, if size == 2 { (from + taken) % sets.len() } else { 0 }),
                None => (size, from) = (size + 1, 0),
            }
        }
        self.combined = (self.left > 0).then(|| self.tape.clone());
    }

    /// Smaller numbers where zero would not do.
    fn lower_values(&mut self) {
        for place in choices(&self.tape, |place| !is_schedule(place)) {
            loop {
                let value = self.tape.get(place);
                let lower = match value {
                    ..SMALL_VALUE => (1..value).collect(),
                    _ => vec![1, value / 2, value - 1],
                };
                let base = self.tape.clone();
                let tapes = lower.into_iter().map(|candidate| {
                    let mut tape = base.clone();
                    tape.set(place, candidate);
                    tape
                });
                // Of a small value all lower ones have been tried.
                if self.try_tapes(tapes).is_none() || value < SMALL_VALUE {
                    break;
                }
            }
        }
    }
}

/// Connections that begin an operation, in order.
fn connections(tape: &Tape) -> Vec<Actor> {
    let mut actors: Vec<Actor> = tape.connection_operations().iter().map(|id| id.actor).collect();
    actors.sort_unstable();
    actors.dedup();
    actors
}

/// Whom `to` has in the place that `actor` has in `from`.
fn exchange(actor: Actor, from: &[Actor], to: &[Actor]) -> Actor {
    from.iter().position(|&known| known == actor).map_or(actor, |index| to[index])
}

fn choices(tape: &Tape, kind: impl Fn(&Place) -> bool) -> Vec<Place> {
    tape.choices().map(|(place, _)| place).filter(kind).collect()
}

/// Each set of `size` of the items, in their order.
fn combinations<T: Copy>(items: &[T], size: usize) -> impl Iterator<Item = Vec<T>> + '_ {
    let mut next: Option<Vec<usize>> = (size <= items.len()).then(|| (0..size).collect());
    std::iter::from_fn(move || {
        let places = next.take()?;
        let set = places.iter().map(|&place| items[place]).collect();
        // The last place that can move up, and those behind it close to it.
        let last = |place: usize| items.len() - size + place;
        next = (0..size).rev().find(|&place| places[place] < last(place)).map(|moved| {
            let from = places[moved] + 1;
            places[..moved].iter().copied().chain(from..from + size - moved).collect()
        });
        Some(set)
    })
}

fn without_parts(tape: &Tape, gone: &[Part]) -> Tape {
    let (mut choices, mut operations) = (Vec::new(), Vec::new());
    for part in gone {
        match *part {
            Part::Choice(place) => choices.push(place),
            Part::Operation(id) => operations.push(id),
        }
    }
    without_choices(tape, &choices).without_operations(&operations)
}

fn without_choices(tape: &Tape, gone: &[Place]) -> Tape {
    let mut tape = tape.clone();
    gone.iter().for_each(|&place| tape.set(place, 0));
    tape
}

#[cfg(test)]
mod tests {
    use super::combinations;

    #[test]
    fn combinations_are_each_set_once_and_in_order() {
        let pairs: Vec<Vec<u8>> = combinations(&[1, 2, 3, 4], 2).collect();
        assert_eq!(pairs, [[1, 2], [1, 3], [1, 4], [2, 3], [2, 4], [3, 4]]);
        assert_eq!(combinations(&[1, 2, 3], 3).collect::<Vec<_>>(), [[1, 2, 3]]);
        assert_eq!(combinations(&[1, 2], 3).count(), 0);
        assert_eq!(combinations(&[0; 12], 4).count(), 495);
    }
}
