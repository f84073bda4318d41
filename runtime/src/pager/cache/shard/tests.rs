//! What the cache keeps, and what it lets go.

use super::*;
use crate::io::Buffer;
use crate::pager::format::page::{PageKind, Seal};

fn key(page: PageNo) -> Key {
    Key { page, frame: IN_DATABASE }
}

fn page(number: PageNo) -> Arc<Page> {
    Arc::new(Page { number, seal: Seal { kind: PageKind::Data, sequence: 1 }, bytes: Buffer::default() })
}

fn insert(cache: &mut Cache, number: PageNo) {
    drop(cache.insert(key(number), page(number)));
}

/// A use as a reader does it; a miss is loaded.
fn touch(cache: &mut Cache, number: PageNo) -> bool {
    match cache.find(key(number)) {
        Found::Page(_) => true,
        Found::Loading(_) => false,
        Found::Missing(load) => {
            drop(cache.end_load(key(number), &load, Some(&page(number))));
            false
        }
    }
}

#[test]
fn cache_never_exceeds_its_capacity_while_nothing_is_pinned() {
    for capacity in [1, 2, 10, 33] {
        let mut cache = Cache::new(capacity);
        for number in 0..200 {
            touch(&mut cache, number * 7 % 50);
            assert!(cache.len() <= capacity);
        }
        assert_eq!(cache.len(), capacity);
    }
}

#[test]
fn pinned_pages_stay_and_go_once_they_are_let_go() {
    let mut cache = Cache::new(4);
    for number in 0..10 {
        insert(&mut cache, number);
    }
    let pins: Vec<_> = (0..10).filter_map(|number| cache.peek(key(number))).collect();
    assert_eq!((pins.len(), cache.pins()), (4, 4));
    for number in 20..30 {
        insert(&mut cache, number);
        assert!(pins.iter().all(|page| cache.peek(key(page.number)).is_some()));
        assert!(cache.len() <= 5, "only pinned pages may stay beyond the capacity");
    }
    drop(pins);
    insert(&mut cache, 30);
    assert_eq!((cache.len(), cache.pins()), (4, 0));
}

#[test]
fn scan_does_not_wash_out_what_is_in_use() {
    let mut cache = Cache::new(100);
    for _ in 0..4 {
        for number in 0..50 {
            touch(&mut cache, number);
        }
    }
    for number in 1000..3000 {
        touch(&mut cache, number);
    }
    let hits = (0..50).filter(|number| touch(&mut cache, *number)).count();
    assert_eq!(hits, 50);
}

#[test]
fn page_that_comes_back_soon_goes_to_the_main_queue() {
    let mut cache = Cache::new(20);
    for number in 0..25 {
        touch(&mut cache, number);
    }
    assert!(!touch(&mut cache, 0), "it fell out");
    for number in 100..140 {
        touch(&mut cache, number);
    }
    assert!(touch(&mut cache, 0), "its ghost put it beside those that are passed through once");
}

#[test]
fn second_miss_joins_the_first_ones_read() {
    let mut cache = Cache::new(4);
    let Found::Missing(load) = cache.find(key(3)) else { panic!("it was not read") };
    let Found::Loading(joined) = cache.find(key(3)) else { panic!("it is being read") };
    assert!(Arc::ptr_eq(&load, &joined));
    assert_eq!(cache.loading(), 1);
    drop(cache.end_load(key(3), &load, Some(&page(3))));
    assert_eq!((cache.loading(), cache.len()), (0, 1));
}

#[test]
fn read_that_was_forgotten_meanwhile_is_not_kept() {
    let mut cache = Cache::new(4);
    let Found::Missing(stale) = cache.find(key(3)) else { panic!("it was not read") };
    assert!(cache.forget(key(3)).is_none());
    let Found::Missing(fresh) = cache.find(key(3)) else { panic!("the first read does not count any more") };
    drop(cache.end_load(key(3), &stale, Some(&page(3))));
    assert_eq!((cache.loading(), cache.len()), (1, 0));
    drop(cache.end_load(key(3), &fresh, Some(&page(3))));
    assert_eq!((cache.loading(), cache.len()), (0, 1));
}

#[test]
fn newest_frames_become_the_database_files_versions() {
    let mut cache = Cache::new(9);
    let mut index = LogIndex::default();
    for (number, frame) in [(2, 1), (2, 2), (3, 3), (4, 4)] {
        index.insert(number, frame);
        drop(cache.insert(Key { page: number, frame }, page(number)));
    }
    let (old, newest) = (Key { page: 2, frame: 1 }, Key { page: 2, frame: 2 });
    insert(&mut cache, 4);
    let kept = cache.peek(newest).expect("just put there");
    drop(cache.move_to_database(&index));
    assert!(cache.peek(old).is_none() && cache.peek(newest).is_none());
    assert!(Arc::ptr_eq(&kept, &cache.peek(key(2)).expect("moved")));
    assert!(cache.peek(key(3)).is_some() && cache.peek(key(4)).is_some());
    assert_eq!(cache.len(), 3);
    // The next version of each takes over the place of what is left, also where two became one.
    (2..5).for_each(|number| {
        assert_eq!(cache.newest.get(&number), cache.slots.get(&key(number)), "page {number}")
    });
}

/// Versions of one page, each read once and then replaced: what a writer does.
fn change(cache: &mut Cache, number: PageNo, frame: FrameNo) {
    drop(cache.insert(Key { page: number, frame }, page(number)));
}

#[test]
fn page_that_changes_keeps_its_place_and_the_older_version_makes_room() {
    let mut cache = Cache::new(100);
    let mut frames: Vec<FrameNo> = vec![IN_DATABASE; 70];
    let mut misses_after = [0; 2];
    for newest in 1..4000 {
        // In an order in which a page now and then waits longer than the cache has places.
        let number = (newest * newest * 7 + newest / 3) as PageNo % 70;
        let frame = &mut frames[number as usize];
        let key = Key { page: number, frame: *frame };
        if let Found::Missing(load) = cache.find(key) {
            drop(cache.end_load(key, &load, Some(&page(number))));
        }
        *frame = newest;
        change(&mut cache, number, newest);
        misses_after[usize::from(newest > 1000)] = cache.counters().misses;
    }
    let [first, all] = misses_after;
    assert!(all - first < 10, "{first} misses, and later {}: there is room for all of them", all - first);
}

#[test]
fn older_version_is_there_for_older_snapshots_until_it_is_pushed_out() {
    let mut cache = Cache::new(20);
    for _ in 0..3 {
        touch(&mut cache, 7);
    }
    change(&mut cache, 7, 1);
    assert!(cache.peek(key(7)).is_some());
    // An older one that is read after the newest does not take its place.
    change(&mut cache, 8, 3);
    change(&mut cache, 8, 2);
    let newest = cache.newest[&8];
    assert_eq!(cache.slab.0[newest as usize].key.frame, 3);
    (100..140).for_each(|number| insert(&mut cache, number));
    assert!(cache.peek(key(7)).is_none(), "it has given its uses away");
    assert!(cache.peek(Key { page: 7, frame: 1 }).is_some(), "which keep the newest");
    let is_there = |(page, slot): (&PageNo, &Slot)| {
        let entry = &cache.slab.0[*slot as usize];
        entry.page.is_some() && entry.key.page == *page
    };
    assert!(cache.newest.iter().all(is_there));
}
