//! The trace: every event of a run, folded into one number.
//!
//! Two runs of one seed must give the same number; if they do not, something other than the tape decided. To find
//! what, a trace can also keep its events, and [`Trace::first_difference`] names the first that differs.

use xxhash_rust::xxh3::Xxh3;

use crate::tape::Actor;

/// What happened. The numbers enter the hash, so they are written out.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum EventKind {
    /// A fiber was stepped; `value` is the digest of its stream after the step.
    Step = 1,
    /// A fiber waits for a completion.
    Wait = 2,
    /// A fiber's operation ended; `detail` says which and how.
    Ended = 3,
    /// An operation reached the disk; `detail` is its kind and file, `value` its place.
    Submitted = 4,
    /// An operation left the disk; `detail` is what was done to it, `value` its outcome.
    Delivered = 5,
    /// Power was lost, or the process killed.
    Crashed = 6,
    /// Faults stopped and everything is to come to rest, or rest is over.
    Calm = 7,
    /// The system under test saw something worth an oracle's eye.
    Observed = 8,
    /// The scheduler chose; `value` is the digest of its stream.
    Picked = 9,
    /// The run ended.
    Finished = 10,
    /// A thread was stopped in the middle of a step or a delivery; `detail` says why, `value` before which of its synchronisation
    /// operations.
    Stopped = 11,
}

/// One event.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Who did it, or to whom it was done.
    pub actor: Actor,
    /// What it was.
    pub kind: EventKind,
    /// Small print, by kind.
    pub detail: u32,
    /// A number, by kind.
    pub value: u64,
}

impl std::fmt::Display for Event {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Event { actor, kind, detail, value } = self;
        match kind {
            EventKind::Submitted | EventKind::Delivered => {
                write!(f, "{actor:<12} {kind:?} {}", crate::disk::describe_event(*detail, *value))
            }
            _ => write!(f, "{actor:<12} {kind:?} {detail} {value:#x}"),
        }
    }
}

/// Bytes of one event as they enter the hash.
const EVENT_BYTES: usize = 20;
/// Events are hashed some hundred at a time: xxh3 is made for long inputs.
const BATCH_BYTES: usize = EVENT_BYTES * 128;

/// The running hash of all events, and the events themselves if asked for.
pub struct Trace {
    hasher: Box<Xxh3>,
    batch: Vec<u8>,
    events: u64,
    kept: Option<Vec<Event>>,
}

impl std::fmt::Debug for Trace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Trace").field("events", &self.events).finish_non_exhaustive()
    }
}

impl Trace {
    /// An empty trace. With `keep` it holds on to every event, at 24 bytes each.
    pub fn new(keep: bool) -> Trace {
        Trace {
            hasher: Box::new(Xxh3::new()),
            batch: Vec::with_capacity(BATCH_BYTES),
            events: 0,
            kept: keep.then(Vec::new),
        }
    }

    /// Appends an event.
    #[inline]
    pub fn push(&mut self, event: Event) {
        let mut bytes = [0; EVENT_BYTES];
        bytes[0..4].copy_from_slice(&event.actor.code().to_le_bytes());
        bytes[4..8].copy_from_slice(&(event.kind as u32).to_le_bytes());
        bytes[8..12].copy_from_slice(&event.detail.to_le_bytes());
        bytes[12..20].copy_from_slice(&event.value.to_le_bytes());
        self.batch.extend_from_slice(&bytes);
        self.events += 1;
        if self.batch.len() >= BATCH_BYTES {
            self.hasher.update(&self.batch);
            self.batch.clear();
        }
        if let Some(kept) = &mut self.kept {
            kept.push(event);
        }
    }

    /// Takes the events out that were kept so far.
    #[cfg(tenterhook_shuttle)]
    pub(crate) fn take_events(&mut self) -> Vec<Event> {
        self.kept.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// How many events there were.
    pub fn len(&self) -> u64 {
        self.events
    }

    /// Whether nothing has happened yet.
    pub fn is_empty(&self) -> bool {
        self.events == 0
    }

    /// The hash of everything so far.
    pub fn hash(&mut self) -> u64 {
        self.hasher.update(&self.batch);
        self.batch.clear();
        self.hasher.digest()
    }

    /// The events, if they were kept.
    pub fn events(&self) -> Option<&[Event]> {
        self.kept.as_deref()
    }

    /// Index of the first event in which two kept traces differ, with both events; a trace that ended has none.
    pub fn first_difference(&self, other: &Trace) -> Option<(usize, Option<Event>, Option<Event>)> {
        let (ours, theirs) = (self.events()?, other.events()?);
        let common = ours.len().min(theirs.len());
        let index = (0..common).find(|&index| ours[index] != theirs[index]);
        let index = index.or((ours.len() != theirs.len()).then_some(common))?;
        Some((index, ours.get(index).copied(), theirs.get(index).copied()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trace(values: impl IntoIterator<Item = u64>) -> Trace {
        let mut trace = Trace::new(true);
        for value in values {
            trace.push(Event { actor: Actor::DISK, kind: EventKind::Delivered, detail: 0, value });
        }
        trace
    }

    #[test]
    fn hash_is_the_same_for_the_same_events_and_differs_for_one_changed_in_any_batch() {
        let reference = trace(0..1000).hash();
        assert_eq!(trace(0..1000).hash(), reference);
        for changed in [0, 127, 128, 500, 999] {
            assert_ne!(trace((0..1000).map(|n| if n == changed { 5000 } else { n })).hash(), reference);
        }
    }

    #[test]
    fn hash_can_be_asked_for_midway_without_changing_the_end() {
        let mut asked = trace(0..10);
        asked.hash();
        asked.push(Event { actor: Actor::DISK, kind: EventKind::Delivered, detail: 0, value: 10 });
        assert_eq!(asked.hash(), trace(0..11).hash());
    }

    #[test]
    fn first_difference_names_the_event_or_the_end_of_the_shorter() {
        let (index, ours, theirs) = trace([1, 2, 3]).first_difference(&trace([1, 5, 3])).unwrap();
        assert_eq!((index, ours.unwrap().value, theirs.unwrap().value), (1, 2, 5));
        let (index, ours, theirs) = trace([1, 2, 3]).first_difference(&trace([1, 2])).unwrap();
        assert_eq!((index, ours.unwrap().value, theirs), (2, 3, None));
        assert!(trace([1, 2]).first_difference(&trace([1, 2])).is_none());
    }
}
