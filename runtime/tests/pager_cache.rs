//! What the cache counts, as its users see it.

mod pager_support;

use pager_support::*;
use tenterhook_runtime::pager::{CacheCounters, PagerOptions};

/// What was counted during `action`.
fn counted(pager: &tenterhook_runtime::pager::Pager, action: impl FnOnce()) -> CacheCounters {
    let before = pager.cache_counters();
    action();
    let after = pager.cache_counters();
    CacheCounters {
        hits: after.hits - before.hits,
        misses: after.misses - before.misses,
        shared_reads: after.shared_reads - before.shared_reads,
        evictions: after.evictions - before.evictions,
    }
}

#[test]
fn hits_misses_and_shared_reads_are_counted_once_each() {
    let disk = Disk::new();
    let pager = open(&disk, options()).expect("open");
    let page = add_page(&disk, &pager, 7);
    drop(pager);
    let pager = open(&disk, options()).expect("open again, with an empty cache");
    disk.hold(true);
    let mut readers = [(); 3].map(|()| pager.begin_read().expect("begin"));
    let loading = counted(&pager, || {
        readers.iter_mut().for_each(|reader| assert!(reader.page(page).expect("read").is_io()));
    });
    assert_eq!(loading, CacheCounters { misses: 1, shared_reads: 2, ..CacheCounters::default() });
    let waiting = counted(&pager, || drop(readers[0].page(page).expect("read")));
    assert_eq!(waiting, CacheCounters::default(), "who waits already does not look again");
    disk.hold(false);
    let read = counted(&pager, || {
        readers.iter_mut().for_each(|reader| drop(run(&disk, || reader.page(page)).expect("read")));
    });
    assert_eq!(read, CacheCounters::default(), "the read brings it to those who wait for it");
    let again = counted(&pager, || {
        readers.iter_mut().for_each(|reader| drop(run(&disk, || reader.page(page)).expect("read")));
    });
    assert_eq!(again, CacheCounters { hits: 3, ..CacheCounters::default() });
}

#[test]
fn evictions_are_what_leaves_a_full_cache() {
    let disk = Disk::new();
    let pager = open(&disk, PagerOptions { cache_pages: 4, ..options() }).expect("open");
    let evicted = counted(&pager, || {
        for fill in 0..10 {
            add_page(&disk, &pager, fill);
        }
    });
    assert_eq!((evicted.evictions, pager.audit().cached), (6, 4));
    // What a checkpoint makes obsolete, or a reset of the log, has not been evicted.
    let reset = counted(&pager, || {
        checkpoint(&disk, &pager);
        fill_pages(&disk, &pager, &[11], 3).expect("commit");
    });
    assert!(reset.evictions <= 1, "{reset:?}");
}

#[test]
fn cache_of_many_shards_serves_like_one_of_one() {
    for cache_pages in [16, 1024] {
        let disk = Disk::new();
        let pager = open(&disk, PagerOptions { cache_pages, ..options() }).expect("open");
        (0..100).for_each(|fill| assert_eq!(add_page(&disk, &pager, fill), u32::from(fill) + 2));
        checkpoint(&disk, &pager);
        // The log is reset: every shard's newest images become the database file's.
        fill_pages(&disk, &pager, &[2], 200).expect("commit");
        let read = counted(&pager, || {
            (1..100).for_each(|fill| assert_eq!(read_fill(&disk, &pager, u32::from(fill) + 2), Ok(fill)));
        });
        assert_eq!(read_fill(&disk, &pager, 2), Ok(200));
        assert_eq!(read.misses == 0, cache_pages == 1024, "{read:?}");
        assert_sound(&disk, &pager);
    }
}
