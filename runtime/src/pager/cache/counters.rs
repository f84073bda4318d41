//! What the cache has done.

/// What the shared cache has done since the file was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CacheCounters {
    /// Lookups that found the page.
    pub hits: u64,
    /// Lookups that began a read.
    pub misses: u64,
    /// Lookups that joined a read in flight.
    pub shared_reads: u64,
    /// Pages that left because the cache was full.
    pub evictions: u64,
}

impl CacheCounters {
    pub(super) fn add(&mut self, other: Self) {
        self.hits += other.hits;
        self.misses += other.misses;
        self.shared_reads += other.shared_reads;
        self.evictions += other.evictions;
    }
}
