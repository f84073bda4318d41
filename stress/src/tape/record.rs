use std::collections::BTreeMap;

use super::{Actor, Lane, Site};

/// What one lane drew, by site and occurrence.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LaneRecord {
    sites: Vec<Vec<u32>>,
}

impl LaneRecord {
    /// Appends what was drawn at `site`.
    pub fn push(&mut self, site: Site, value: u32) {
        self.site_mut(usize::from(site.index())).push(value);
    }

    /// What was drawn at `site` for the `occurrence`-th time, counted from 0; past the end everything is dull.
    pub fn get(&self, site: Site, occurrence: u32) -> u32 {
        let drawn = self.sites.get(usize::from(site.index()));
        drawn.and_then(|site| site.get(occurrence as usize)).copied().unwrap_or(0)
    }

    /// How often something was drawn at `site`.
    pub fn len(&self, site: Site) -> usize {
        self.sites.get(usize::from(site.index())).map_or(0, Vec::len)
    }

    /// Whether nothing was drawn at all.
    pub fn is_empty(&self) -> bool {
        self.sites.iter().all(Vec::is_empty)
    }

    /// The values by site.
    pub(super) fn sites(&self) -> &[Vec<u32>] {
        &self.sites
    }

    pub(super) fn site_mut(&mut self, index: usize) -> &mut Vec<u32> {
        if self.sites.len() <= index {
            self.sites.resize_with(index + 1, Vec::new);
        }
        &mut self.sites[index]
    }
}

/// One actor's choices at one site: what a shrinker edits.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Slot {
    /// Who.
    pub actor: Actor,
    /// The site's number.
    pub site: u8,
}

/// A whole run's choices, lane by lane.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tape {
    lanes: BTreeMap<Actor, LaneRecord>,
}

impl Tape {
    /// Puts what `actor`'s lane drew on the tape.
    pub fn insert(&mut self, actor: Actor, lane: &mut Lane) {
        if let Some(record) = lane.take_record() {
            self.put(actor, record);
        }
    }

    /// Puts a record on the tape in place of whatever `actor` had there.
    pub fn put(&mut self, actor: Actor, record: LaneRecord) {
        self.lanes.insert(actor, record);
    }

    /// Takes `actor` off the tape.
    pub fn remove(&mut self, actor: Actor) -> Option<LaneRecord> {
        self.lanes.remove(&actor)
    }

    /// A copy of what `actor` drew.
    pub fn lane(&self, actor: Actor) -> LaneRecord {
        self.lanes.get(&actor).cloned().unwrap_or_default()
    }

    /// Every lane with its actor.
    pub fn lanes(&self) -> impl Iterator<Item = (Actor, &LaneRecord)> {
        self.lanes.iter().map(|(&actor, lane)| (actor, lane))
    }

    /// Every site at which something was drawn.
    pub fn slots(&self) -> Vec<Slot> {
        let sites = |(&actor, lane): (&Actor, &LaneRecord)| {
            let drawn = lane.sites.iter().enumerate().filter(|(_, values)| !values.is_empty());
            drawn.map(|(site, _)| Slot { actor, site: site as u8 }).collect::<Vec<_>>()
        };
        self.lanes.iter().flat_map(sites).collect()
    }

    /// What was drawn at `slot`.
    pub fn values(&self, slot: Slot) -> &[u32] {
        let lane = self.lanes.get(&slot.actor);
        lane.and_then(|lane| lane.sites.get(usize::from(slot.site))).map_or(&[], Vec::as_slice)
    }

    /// What was drawn at `slot`, to be changed.
    pub fn values_mut(&mut self, slot: Slot) -> &mut Vec<u32> {
        self.lanes.entry(slot.actor).or_default().site_mut(usize::from(slot.site))
    }

    /// How many choices are on it, and how many of them are not dull.
    pub fn choices(&self) -> (usize, usize) {
        let values = || self.lanes.values().flat_map(|lane| lane.sites.iter().flatten());
        (values().count(), values().filter(|&&value| value != 0).count())
    }

    /// How many choices of `actor` are not dull.
    pub fn deviations(&self, actor: Actor) -> usize {
        let lane = self.lanes.get(&actor);
        lane.map_or(0, |lane| lane.sites.iter().flatten().filter(|&&value| value != 0).count())
    }
}
