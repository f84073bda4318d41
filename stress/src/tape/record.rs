use std::collections::BTreeMap;

use super::{Actor, ChoicePoint, Stream};

/// What one stream drew, by choice point and occurrence.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StreamRecord {
    choice_points: Vec<Vec<u32>>,
}

impl StreamRecord {
    /// Appends what was drawn at `choice_point`.
    pub fn push(&mut self, choice_point: ChoicePoint, value: u32) {
        self.site_mut(usize::from(choice_point.index())).push(value);
    }

    /// What was drawn at `choice_point` for the `occurrence`-th time, counted from 0; past the end everything is default.
    pub fn get(&self, choice_point: ChoicePoint, occurrence: u32) -> u32 {
        let drawn = self.choice_points.get(usize::from(choice_point.index()));
        drawn.and_then(|choice_point| choice_point.get(occurrence as usize)).copied().unwrap_or(0)
    }

    /// How often something was drawn at `choice_point`.
    pub fn len(&self, choice_point: ChoicePoint) -> usize {
        self.choice_points.get(usize::from(choice_point.index())).map_or(0, Vec::len)
    }

    /// Whether nothing was drawn at all.
    pub fn is_empty(&self) -> bool {
        self.choice_points.iter().all(Vec::is_empty)
    }

    /// The values by choice point.
    pub(super) fn choice_points(&self) -> &[Vec<u32>] {
        &self.choice_points
    }

    pub(super) fn site_mut(&mut self, index: usize) -> &mut Vec<u32> {
        if self.choice_points.len() <= index {
            self.choice_points.resize_with(index + 1, Vec::new);
        }
        &mut self.choice_points[index]
    }
}

/// One actor's choices at one choice point: what a shrinker edits.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Slot {
    /// Who.
    pub actor: Actor,
    /// The choice point's number.
    pub choice_point: u8,
}

/// A whole run's choices, stream by stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tape {
    streams: BTreeMap<Actor, StreamRecord>,
}

impl Tape {
    /// Puts what `actor`'s stream drew on the tape.
    pub fn insert(&mut self, actor: Actor, stream: &mut Stream) {
        if let Some(record) = stream.take_record() {
            self.put(actor, record);
        }
    }

    /// Puts a record on the tape in place of whatever `actor` had there.
    pub fn put(&mut self, actor: Actor, record: StreamRecord) {
        self.streams.insert(actor, record);
    }

    /// Takes `actor` off the tape.
    pub fn remove(&mut self, actor: Actor) -> Option<StreamRecord> {
        self.streams.remove(&actor)
    }

    /// A copy of what `actor` drew.
    pub fn stream(&self, actor: Actor) -> StreamRecord {
        self.streams.get(&actor).cloned().unwrap_or_default()
    }

    /// Every stream with its actor.
    pub fn streams(&self) -> impl Iterator<Item = (Actor, &StreamRecord)> {
        self.streams.iter().map(|(&actor, stream)| (actor, stream))
    }

    /// Every choice point at which something was drawn.
    pub fn slots(&self) -> Vec<Slot> {
        let choice_points = |(&actor, stream): (&Actor, &StreamRecord)| {
            let drawn = stream.choice_points.iter().enumerate().filter(|(_, values)| !values.is_empty());
            drawn
                .map(|(choice_point, _)| Slot { actor, choice_point: choice_point as u8 })
                .collect::<Vec<_>>()
        };
        self.streams.iter().flat_map(choice_points).collect()
    }

    /// What was drawn at `slot`.
    pub fn values(&self, slot: Slot) -> &[u32] {
        let stream = self.streams.get(&slot.actor);
        stream
            .and_then(|stream| stream.choice_points.get(usize::from(slot.choice_point)))
            .map_or(&[], Vec::as_slice)
    }

    /// What was drawn at `slot`, to be changed.
    pub fn values_mut(&mut self, slot: Slot) -> &mut Vec<u32> {
        self.streams.entry(slot.actor).or_default().site_mut(usize::from(slot.choice_point))
    }

    /// How many choices are on it, and how many of them are not default.
    pub fn choices(&self) -> (usize, usize) {
        let values = || self.streams.values().flat_map(|stream| stream.choice_points.iter().flatten());
        (values().count(), values().filter(|&&value| value != 0).count())
    }

    /// How many choices of `actor` are not default.
    pub fn deviations(&self, actor: Actor) -> usize {
        let stream = self.streams.get(&actor);
        stream.map_or(0, |stream| stream.choice_points.iter().flatten().filter(|&&value| value != 0).count())
    }
}
