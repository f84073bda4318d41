use super::Replay;
use super::search::Search;
use crate::tape::{Actor, OperationId, Place, TURN, Tape};

/// Choices that are tried together before each is tried alone.
const KINDS: [fn(&Place) -> bool; 4] = [is_schedule, is_disk, is_nemesis, |_| true];

/// So many connections change places pair by pair.
const FEW: usize = 8;

/// Of so many choices each pair is tried.
const FEW_CHOICES: usize = 24;

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
            self.drop_pairs();
            self.lower_values();
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

    /// Two choices of which neither can go alone: a rest, for instance, and the step that it let come later.
    fn drop_pairs(&mut self) {
        loop {
            let left = choices(&self.tape, |_| true);
            if left.len() > FEW_CHOICES {
                return;
            }
            let pairs = (0..left.len()).flat_map(|one| (0..one).map(move |other| (one, other)));
            let base = self.tape.clone();
            let tapes = pairs.map(|(one, other)| without_choices(&base, &[left[one], left[other]]));
            if self.try_tapes(tapes).is_none() {
                return;
            }
        }
    }

    /// Smaller numbers where zero would not do.
    fn lower_values(&mut self) {
        for place in choices(&self.tape, |place| !is_schedule(place)) {
            loop {
                let value = self.tape.get(place);
                let mut lower = vec![1, value / 2, value.saturating_sub(1)];
                lower.retain(|&candidate| candidate > 0 && candidate < value);
                lower.dedup();
                let base = self.tape.clone();
                let tapes = lower.into_iter().map(|candidate| {
                    let mut tape = base.clone();
                    tape.set(place, candidate);
                    tape
                });
                if self.try_tapes(tapes).is_none() {
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

fn without_choices(tape: &Tape, gone: &[Place]) -> Tape {
    let mut tape = tape.clone();
    gone.iter().for_each(|&place| tape.set(place, 0));
    tape
}
