//! Doubly linked queues through the cache's slots.

/// A place in the slab.
pub(super) type Slot = u32;
/// No slot.
pub(super) const NIL: Slot = u32::MAX;

/// The links of a slot, in the one queue that it is in.
#[derive(Clone, Copy, Debug)]
pub(super) struct Links {
    newer: Slot,
    older: Slot,
}

impl Links {
    pub(super) const NONE: Self = Self { newer: NIL, older: NIL };
}

/// A slab whose entries have links.
pub(super) trait Linked {
    fn links(&mut self, slot: Slot) -> &mut Links;
}

/// A first-in, first-out queue from which any slot can be taken out.
#[derive(Debug)]
pub(super) struct Queue {
    newest: Slot,
    oldest: Slot,
    len: usize,
}

impl Queue {
    pub(super) const fn new() -> Self {
        Self { newest: NIL, oldest: NIL, len: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn oldest(&self) -> Option<Slot> {
        (self.oldest != NIL).then_some(self.oldest)
    }

    pub(super) fn push(&mut self, slab: &mut impl Linked, slot: Slot) {
        *slab.links(slot) = Links { newer: NIL, older: self.newest };
        match self.newest {
            NIL => self.oldest = slot,
            newest => slab.links(newest).newer = slot,
        }
        self.newest = slot;
        self.len += 1;
    }

    pub(super) fn remove(&mut self, slab: &mut impl Linked, slot: Slot) {
        let Links { newer, older } = std::mem::replace(slab.links(slot), Links::NONE);
        match newer {
            NIL => self.newest = older,
            newer => slab.links(newer).older = older,
        }
        match older {
            NIL => self.oldest = newer,
            older => slab.links(older).newer = newer,
        }
        self.len -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Slab(Vec<Links>);

    impl Linked for Slab {
        fn links(&mut self, slot: Slot) -> &mut Links {
            &mut self.0[slot as usize]
        }
    }

    fn drain(queue: &mut Queue, slab: &mut Slab) -> Vec<Slot> {
        std::iter::from_fn(|| {
            let slot = queue.oldest()?;
            queue.remove(slab, slot);
            Some(slot)
        })
        .collect()
    }

    #[test]
    fn slots_come_out_in_order_without_those_taken_from_the_middle() {
        for taken in 0..4 {
            let mut slab = Slab(vec![Links::NONE; 4]);
            let mut queue = Queue::new();
            for slot in 0..4 {
                queue.push(&mut slab, slot);
            }
            queue.remove(&mut slab, taken);
            assert_eq!(queue.len(), 3);
            let left: Vec<Slot> = (0..4).filter(|slot| *slot != taken).collect();
            assert_eq!(drain(&mut queue, &mut slab), left);
            assert_eq!(queue.len(), 0);
        }
    }
}
