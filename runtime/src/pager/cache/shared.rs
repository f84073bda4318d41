//! The cache as connections share it: shards with a lock each.

use std::sync::Arc;

use super::counters::CacheCounters;
use super::shard::{Cache, Evicted, Found, Key, Load};
use crate::pager::format::page::Page;
use crate::pager::log::index::LogIndex;
use crate::sync::Mutex;

/// A shard has at least so many pages. Smaller caches have one shard: eviction stays one order of all pages.
const PAGES_OF_A_SHARD: usize = 128;
/// More shards than this gain nothing on the machines that there are.
const MOST_SHARDS: usize = 64;

/// The cache as connections share it. A page is in the shard that its number says, in whatever version, so two hits
/// meet at a lock only if their pages share a shard, and a page that changes its name stays where it is.
pub(in crate::pager) struct SharedCache {
    /// A power of two of them.
    shards: Box<[Shard]>,
}

/// On cache lines of its own, so that two shards' locks are not one to the processor; two, as they are fetched in pairs.
#[repr(align(128))]
struct Shard(Mutex<Cache>);

impl SharedCache {
    pub(in crate::pager) fn new(capacity: usize) -> Self {
        let wanted = (capacity / PAGES_OF_A_SHARD).clamp(1, MOST_SHARDS);
        let count = 1 << wanted.ilog2();
        let of_shard = |shard| capacity / count + usize::from(shard < capacity % count);
        Self { shards: (0..count).map(|shard| Shard(Mutex::new(Cache::new(of_shard(shard))))).collect() }
    }

    #[inline]
    fn shard(&self, key: Key) -> &Mutex<Cache> {
        // Neighbours are apart: a scan goes round. The shard's own map takes its bits elsewhere.
        let spread = u64::from(key.page).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32;
        &self.shards[spread as usize & (self.shards.len() - 1)].0
    }

    /// As [`Cache::find`].
    #[inline]
    pub(in crate::pager) fn find(&self, key: Key) -> Found {
        self.shard(key).lock().find(key)
    }

    /// As [`Cache::peek`].
    pub(in crate::pager) fn peek(&self, key: Key) -> Option<Arc<Page>> {
        self.shard(key).lock().peek(key)
    }

    /// As [`Cache::insert`].
    pub(in crate::pager) fn insert(&self, key: Key, page: Arc<Page>) -> Evicted {
        self.shard(key).lock().insert(key, page)
    }

    /// As [`Cache::end_load`].
    pub(in crate::pager) fn end_load(&self, key: Key, load: &Arc<Load>, page: Option<&Arc<Page>>) -> Evicted {
        self.shard(key).lock().end_load(key, load, page)
    }

    /// As [`Cache::forget`].
    pub(in crate::pager) fn forget(&self, key: Key) -> Option<Arc<Page>> {
        self.shard(key).lock().forget(key)
    }

    /// As [`Cache::move_to_database`], shard by shard. The caller holds the lock of the pager's state, so the frames'
    /// names mean the same until all are done.
    pub(in crate::pager) fn move_to_database(&self, index: &LogIndex) -> Evicted {
        let mut gone = Evicted::default();
        for Shard(shard) in &self.shards {
            gone.0.append(&mut shard.lock().move_to_database(index).0);
        }
        gone
    }

    /// Adds up what each shard says.
    fn sum(&self, of_shard: impl Fn(&Cache) -> usize) -> usize {
        self.shards.iter().map(|Shard(shard)| of_shard(&shard.lock())).sum()
    }

    pub(in crate::pager) fn len(&self) -> usize {
        self.sum(Cache::len)
    }

    pub(in crate::pager) fn loading(&self) -> usize {
        self.sum(Cache::loading)
    }

    /// References to cached pages beyond the cache's own.
    pub(in crate::pager) fn pins(&self) -> usize {
        self.sum(Cache::pins)
    }

    pub(in crate::pager) fn counters(&self) -> CacheCounters {
        let mut sum = CacheCounters::default();
        self.shards.iter().for_each(|Shard(shard)| sum.add(shard.lock().counters()));
        sum
    }
}

#[cfg(test)]
mod tests {
    use super::super::shard::IN_DATABASE;
    use super::*;
    use crate::io::Buffer;
    use crate::pager::format::page::{PageKind, Seal};

    fn key(page: u32) -> Key {
        Key { page, frame: IN_DATABASE }
    }

    fn insert(cache: &SharedCache, number: u32) {
        let seal = Seal { kind: PageKind::Data, sequence: 1 };
        drop(cache.insert(key(number), Arc::new(Page { number, seal, bytes: Buffer::default() })));
    }

    #[test]
    fn shards_together_have_the_capacity_and_small_caches_have_one() {
        for (capacity, shards) in [(1, 1), (63, 1), (255, 1), (256, 2), (1000, 4), (2048, 16), (1 << 16, 64)]
        {
            let cache = SharedCache::new(capacity);
            assert_eq!(cache.shards.len(), shards, "{capacity}");
            // Twice as many, so that every shard is full.
            (0..2 * capacity as u32).for_each(|number| insert(&cache, number));
            assert_eq!(cache.len(), capacity);
        }
    }

    #[test]
    fn pages_are_spread_over_the_shards_evenly() {
        let cache = SharedCache::new(2048);
        for stride in [1, 2, 16, 32, 1000] {
            let mut pages = vec![0_i64; 16];
            for number in 0..3200 {
                let shard = std::ptr::from_ref(cache.shard(key(number * stride)));
                let place = cache.shards.iter().position(|other| std::ptr::eq(&raw const other.0, shard));
                pages[place.expect("one of them")] += 1;
            }
            assert!(pages.iter().all(|pages| (150..=250).contains(pages)), "stride {stride}: {pages:?}");
        }
    }
}
