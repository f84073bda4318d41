//! One shard of the cache: pages, the queues through them, and the ghosts.

use std::collections::{HashMap, VecDeque};
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use super::counters::CacheCounters;
use super::hash::FixedState;
use super::queue::{Linked, Links, Queue, Slot};
use crate::pager::format::page::Page;
use crate::pager::latch::Latch;
use crate::pager::log::index::{FrameNo, LogIndex};
use crate::pager::{PageNo, PagerError};

/// The database file's version of a page, as a frame number.
pub(in crate::pager) const IN_DATABASE: FrameNo = 0;

/// The one read of a page that all who miss it wait for.
pub(in crate::pager) type Load = Latch<Result<Arc<Page>, PagerError>>;

/// A page in one version: the frame that has it, or [`IN_DATABASE`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::pager) struct Key {
    pub(in crate::pager) page: PageNo,
    pub(in crate::pager) frame: FrameNo,
}

impl Hash for Key {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.frame.rotate_left(32) ^ u64::from(self.page));
    }
}

/// What a look into the cache found.
pub(in crate::pager) enum Found {
    Page(Arc<Page>),
    /// It is being read.
    Loading(Arc<Load>),
    /// The caller has to read it, and to tell this load how that ended.
    Missing(Arc<Load>),
}

const MAX_USES: u8 = 3;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Home {
    Small,
    Main,
}

struct Entry {
    key: Key,
    page: Option<Arc<Page>>,
    uses: u8,
    home: Home,
    links: Links,
}

#[derive(Default)]
struct Slab(Vec<Entry>);

impl Linked for Slab {
    fn links(&mut self, slot: Slot) -> &mut Links {
        &mut self.0[slot as usize].links
    }
}

/// One shard of the cache. Not synchronised: [`SharedCache`] has it under a lock.
pub(super) struct Cache {
    capacity: usize,
    slots: HashMap<Key, Slot, FixedState>,
    /// Of each page the version whose place the next newer one takes over: the newest that is here. Once that
    /// is evicted there is none until another comes, although an older one may stay; then a newer one enters
    /// as a stranger.
    newest: HashMap<PageNo, Slot, FixedState>,
    slab: Slab,
    vacant: Vec<Slot>,
    small: Queue,
    main: Queue,
    ghosts: Ghosts,
    loading: HashMap<Key, Arc<Load>, FixedState>,
    counters: CacheCounters,
}

impl Cache {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            capacity,
            slots: HashMap::default(),
            newest: HashMap::default(),
            slab: Slab::default(),
            vacant: Vec::new(),
            small: Queue::new(),
            main: Queue::new(),
            ghosts: Ghosts::default(),
            loading: HashMap::default(),
            counters: CacheCounters::default(),
        }
    }

    /// Finds a page, or makes the caller the one who reads it.
    #[inline]
    pub(super) fn find(&mut self, key: Key) -> Found {
        if let Some(slot) = self.slots.get(&key) {
            let entry = &mut self.slab.0[*slot as usize];
            if let Some(page) = &entry.page {
                // Not written when nothing changes: other processors have the entry, too.
                if entry.uses < MAX_USES {
                    entry.uses += 1;
                }
                self.counters.hits += 1;
                return Found::Page(Arc::clone(page));
            }
        }
        if let Some(load) = self.loading.get(&key) {
            self.counters.shared_reads += 1;
            return Found::Loading(Arc::clone(load));
        }
        self.counters.misses += 1;
        let load = Latch::new();
        self.loading.insert(key, Arc::clone(&load));
        Found::Missing(load)
    }

    /// A page that is there, without counting that as use.
    pub(super) fn peek(&self, key: Key) -> Option<Arc<Page>> {
        let slot = self.slots.get(&key)?;
        self.slab.0[*slot as usize].page.clone()
    }

    /// `load` has ended. Keeps the page, unless the cache was told meanwhile to forget its key. What falls out is for
    /// the caller to drop once the lock is gone.
    pub(super) fn end_load(&mut self, key: Key, load: &Arc<Load>, page: Option<&Arc<Page>>) -> Evicted {
        let current = self.loading.get(&key).is_some_and(|loading| Arc::ptr_eq(loading, load));
        if !current {
            return Evicted::default();
        }
        self.loading.remove(&key);
        page.map(|page| self.insert(key, Arc::clone(page))).unwrap_or_default()
    }

    /// Keeps a page that the caller has at hand.
    pub(super) fn insert(&mut self, key: Key, page: Arc<Page>) -> Evicted {
        if self.slots.contains_key(&key) {
            return Evicted::default();
        }
        let newest = self.newest.get(&key.page).copied();
        let older = newest.filter(|slot| self.slab.0[*slot as usize].key.frame < key.frame);
        let (home, uses) = match older {
            Some(older) => self.supersede(older),
            None if self.ghosts.take(key.page) => (Home::Main, 0),
            None => (Home::Small, 0),
        };
        let slot = self.occupy(Entry { key, page: Some(page), uses, home, links: Links::NONE });
        self.slots.insert(key, slot);
        if newest.is_none() || older.is_some() {
            self.newest.insert(key.page, slot);
        }
        self.queue(home).push_to(slot);
        self.shrink()
    }

    /// A newer version of its page has come: where that belongs. The old one can be used by older snapshots only.
    fn supersede(&mut self, slot: Slot) -> (Home, u8) {
        let entry = &mut self.slab.0[slot as usize];
        let taken_over = (entry.home, std::mem::take(&mut entry.uses));
        if entry.home == Home::Main {
            entry.home = Home::Small;
            self.queue(Home::Main).take_out(slot);
            self.queue(Home::Small).push_to(slot);
        }
        taken_over
    }

    fn occupy(&mut self, entry: Entry) -> Slot {
        match self.vacant.pop() {
            Some(slot) => {
                self.slab.0[slot as usize] = entry;
                slot
            }
            None => {
                self.slab.0.push(entry);
                (self.slab.0.len() - 1) as Slot
            }
        }
    }

    /// Forgets `key`, also if it is being read: that read will not be kept.
    pub(super) fn forget(&mut self, key: Key) -> Option<Arc<Page>> {
        self.loading.remove(&key);
        let slot = self.slots.get(&key).copied()?;
        self.remove(slot)
    }

    /// The log is reset: the newest frame of each page is now the database file's version, older ones are gone.
    pub(super) fn move_to_database(&mut self, index: &LogIndex) -> Evicted {
        let mut gone = Evicted::default();
        for slot in 0..self.slab.0.len() {
            let entry = &self.slab.0[slot];
            let key = entry.key;
            if entry.page.is_none() || key.frame == IN_DATABASE {
                continue;
            }
            let moved = Key { frame: IN_DATABASE, ..key };
            let there = self.slots.get(&moved).copied();
            if index.newest(key.page) != Some(key.frame) || there.is_some() {
                gone.0.extend(self.remove(slot as Slot));
                self.newest.extend(there.map(|there| (key.page, there)));
                continue;
            }
            self.slots.remove(&key);
            self.slots.insert(moved, slot as Slot);
            self.slab.0[slot].key = moved;
        }
        gone
    }

    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    pub(super) fn counters(&self) -> CacheCounters {
        self.counters
    }

    pub(super) fn loading(&self) -> usize {
        self.loading.len()
    }

    /// References to cached pages beyond the cache's own.
    pub(super) fn pins(&self) -> usize {
        self.slab
            .0
            .iter()
            .filter_map(|entry| entry.page.as_ref())
            .map(|page| Arc::strong_count(page) - 1)
            .sum()
    }

    fn queue(&mut self, home: Home) -> QueueOf<'_> {
        let queue = match home {
            Home::Small => &mut self.small,
            Home::Main => &mut self.main,
        };
        QueueOf { queue, slab: &mut self.slab }
    }

    fn remove(&mut self, slot: Slot) -> Option<Arc<Page>> {
        let entry = &mut self.slab.0[slot as usize];
        let (key, home, page) = (entry.key, entry.home, entry.page.take());
        self.queue(home).take_out(slot);
        self.slots.remove(&key);
        if self.is_newest(slot) {
            self.newest.remove(&key.page);
        }
        self.vacant.push(slot);
        page
    }

    fn is_newest(&self, slot: Slot) -> bool {
        self.newest.get(&self.slab.0[slot as usize].key.page) == Some(&slot)
    }

    /// Evicts down to the capacity, as far as pins allow.
    fn shrink(&mut self) -> Evicted {
        let mut evicted = Evicted::default();
        // Each turn evicts, or moves a page on, or counts down a use: enough turns for everything to have lost all its
        // uses and still be pinned.
        let mut turns = self.len() * (usize::from(MAX_USES) + 2);
        while self.len() > self.capacity && turns > 0 {
            turns -= 1;
            evicted.0.extend(self.turn());
        }
        evicted
    }

    /// Looks at the oldest page of the queue whose turn it is.
    fn turn(&mut self) -> Option<Arc<Page>> {
        let from_small = self.small.len() > self.capacity / 10 || self.main.len() == 0;
        let home = if from_small { Home::Small } else { Home::Main };
        let slot = self.queue(home).queue.oldest()?;
        let entry = &mut self.slab.0[slot as usize];
        let pinned = entry.page.as_ref().is_some_and(|page| Arc::strong_count(page) > 1);
        let stays = match home {
            Home::Small => pinned || entry.uses > 1,
            Home::Main => pinned || entry.uses > 0,
        };
        if !stays {
            self.counters.evictions += 1;
            if home == Home::Small && self.is_newest(slot) {
                self.ghosts.remember(self.slab.0[slot as usize].key.page, self.capacity);
            }
            return self.remove(slot);
        }
        entry.uses = if from_small { 0 } else { entry.uses.saturating_sub(1) };
        entry.home = Home::Main;
        self.queue(home).take_out(slot);
        self.queue(Home::Main).push_to(slot);
        None
    }
}

struct QueueOf<'a> {
    queue: &'a mut Queue,
    slab: &'a mut Slab,
}

impl QueueOf<'_> {
    fn push_to(self, slot: Slot) {
        self.queue.push(self.slab, slot);
    }

    fn take_out(self, slot: Slot) {
        self.queue.remove(self.slab, slot);
    }
}

/// Pages that fell out. Freeing them is work that needs no lock.
#[must_use = "drop it after the cache's lock"]
#[derive(Default)]
pub(in crate::pager) struct Evicted(pub(in crate::pager) Vec<Arc<Page>>);

/// Numbers of pages that fell out of the small queue unused, as many as the cache has pages.
#[derive(Default)]
struct Ghosts {
    /// With the number of each page's newest place in `order`; older places count for nothing.
    places: HashMap<PageNo, u64, FixedState>,
    order: VecDeque<(PageNo, u64)>,
    last: u64,
}

impl Ghosts {
    fn remember(&mut self, page: PageNo, limit: usize) {
        self.last += 1;
        self.places.insert(page, self.last);
        self.order.push_back((page, self.last));
        while self.order.len() > limit {
            let Some((page, place)) = self.order.pop_front() else { break };
            if self.places.get(&page) == Some(&place) {
                self.places.remove(&page);
            }
        }
    }

    fn take(&mut self, page: PageNo) -> bool {
        self.places.remove(&page).is_some()
    }
}

#[cfg(test)]
mod tests;
