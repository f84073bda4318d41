//! Files that become shorter: the freelist, old readers, and power losses in between.

mod pager_support;

use std::collections::BTreeMap;
use std::sync::Arc;

use pager_support::*;
use tenterhook_runtime::IOResult;
use tenterhook_runtime::pager::{
    CheckpointMode, Pager, PagerError, PagerOptions, ReadTransaction, WriteTransaction,
};

fn vacuum(disk: &Disk, writer: WriteTransaction) -> (WriteTransaction, u32) {
    let mut vacuum = writer.vacuum();
    run(disk, || vacuum.step()).expect("vacuum")
}

fn commit(disk: &Disk, writer: WriteTransaction) {
    let mut commit = writer.commit();
    run(disk, || commit.step()).expect("commit");
}

/// A file with pages 2 to 9, of which `free` are free, all of it in the database file.
fn file_with_free_pages(options: PagerOptions, free: &[u32]) -> (Disk, Arc<Pager>) {
    let disk = Disk::new();
    let pager = open(&disk, options).expect("open");
    for fill in 2..10 {
        add_page(&disk, &pager, fill);
    }
    let mut writer = begin(&disk, &pager);
    free.iter().for_each(|page| run(&disk, || writer.free(*page)).expect("free"));
    commit(&disk, writer);
    checkpoint(&disk, &pager);
    (disk, pager)
}

fn pages_in_file(disk: &Disk) -> usize {
    disk.bytes(db_path()).len() / 512
}

fn every_page(disk: &Disk, reader: &mut ReadTransaction) -> BTreeMap<u32, u8> {
    let mut found = BTreeMap::new();
    for page in 2..=reader.page_count() {
        match run(disk, || reader.page(page)) {
            Ok(bytes) => drop(found.insert(page, bytes[0])),
            Err(PagerError::PageNotAllocated { .. }) => {}
            Err(error) => panic!("{error}"),
        }
    }
    found
}

#[test]
fn free_pages_at_the_end_go_and_those_before_stay_on_the_list() {
    // The order of freeing is the order of the list, backwards.
    let orders: [(&[u32], u32); 6] = [
        (&[9, 8, 4, 3], 7),
        (&[3, 9, 4, 8], 7),
        (&[9, 3, 8, 4], 7),
        (&[7, 8, 9], 6),
        (&[3, 4], 9),
        (&[9, 8, 7, 6, 5, 4, 3], 2),
    ];
    for (free, page_count) in orders {
        let (disk, pager) = file_with_free_pages(PagerOptions { cache_pages: 1, ..options() }, free);
        let (writer, less) = vacuum(&disk, begin(&disk, &pager));
        assert_eq!((less, writer.page_count()), (9 - page_count, page_count), "{free:?}");
        commit(&disk, writer);
        assert_sound(&disk, &pager);
        assert_eq!((pager.page_count(), pages_in_file(&disk)), (page_count, 9), "the file is cut later");
        checkpoint(&disk, &pager);
        assert_eq!(pages_in_file(&disk) as u32, page_count);
        assert_sound(&disk, &pager);
        drop(pager);
        let pager = open(&disk, options()).expect("open again");
        assert_sound(&disk, &pager);
        let mut writer = begin(&disk, &pager);
        let kept: Vec<u32> = free.iter().rev().filter(|page| **page <= page_count).copied().collect();
        for page in kept.into_iter().chain([page_count + 1]) {
            assert_eq!(run(&disk, || writer.allocate()), Ok(page), "{free:?}");
        }
        commit(&disk, writer);
        assert_sound(&disk, &pager);
        for page in (2..=page_count).filter(|page| !free.contains(page)) {
            assert_eq!(read_fill(&disk, &pager, page), Ok(page as u8));
        }
    }
}

#[test]
fn file_without_pages_in_use_keeps_one() {
    let (disk, pager) = file_with_free_pages(options(), &[2, 3, 4, 5, 6, 7, 8, 9]);
    let (writer, less) = vacuum(&disk, begin(&disk, &pager));
    assert_eq!((less, writer.page_count()), (7, 2));
    commit(&disk, writer);
    checkpoint(&disk, &pager);
    let (writer, less) = vacuum(&disk, begin(&disk, &pager));
    assert_eq!((less, writer.page_count(), pages_in_file(&disk)), (0, 2, 2));
    drop(writer);
    let empty = Disk::new();
    let pager = open(&empty, options()).expect("open");
    assert_eq!(vacuum(&empty, begin(&empty, &pager)).1, 0);
}

#[test]
fn vacuum_is_taken_back_like_any_other_change() {
    let (disk, pager) = file_with_free_pages(options(), &[3, 9, 8]);
    let mut writer = begin(&disk, &pager);
    run(&disk, || writer.free(7)).expect("free");
    let savepoint = writer.savepoint();
    let (mut writer, less) = vacuum(&disk, writer);
    assert_eq!((less, run(&disk, || writer.allocate()), run(&disk, || writer.allocate())), (3, Ok(3), Ok(7)));
    writer.rollback_to(&savepoint).expect("its own");
    let taken = [(); 5].map(|()| run(&disk, || writer.allocate()).expect("allocate"));
    assert_eq!(taken, [7, 8, 9, 3, 10]);
    drop(writer);
    assert_sound(&disk, &pager);
    assert_eq!(pager.page_count(), 9);
}

#[test]
fn pages_below_an_old_reader_stay_in_the_file_until_it_goes() {
    let (disk, pager) = file_with_free_pages(PagerOptions { cache_pages: 1, ..options() }, &[]);
    let mut old = pager.begin_read().expect("begin");
    let mut writer = begin(&disk, &pager);
    (5..10).for_each(|page| run(&disk, || writer.free(page)).expect("free"));
    let (writer, less) = vacuum(&disk, writer);
    assert_eq!(less, 5);
    commit(&disk, writer);
    checkpoint(&disk, &pager);
    assert_eq!(every_page(&disk, &mut old), (2..10).map(|page| (page, page as u8)).collect());
    drop(old);
    checkpoint(&disk, &pager);
    assert_eq!(pages_in_file(&disk), 4);
    // Pages that come back are not what they once were, in no cache and no file.
    assert_eq!([10, 11].map(|fill| add_page(&disk, &pager, fill)), [5, 6]);
    checkpoint(&disk, &pager);
    add_page(&disk, &pager, 12);
    assert_eq!([5, 6, 7].map(|page| read_fill(&disk, &pager, page)), [Ok(10), Ok(11), Ok(12)]);
    assert_sound(&disk, &pager);
}

#[test]
fn log_frames_of_pages_that_are_gone_are_not_copied() {
    let (disk, pager) = file_with_free_pages(options(), &[]);
    fill_pages(&disk, &pager, &[8, 9], 50).expect("commit");
    let mut writer = begin(&disk, &pager);
    [8, 9].into_iter().for_each(|page| run(&disk, || writer.free(page)).expect("free"));
    commit(&disk, vacuum(&disk, writer).0);
    let report = checkpoint(&disk, &pager);
    assert_eq!(
        (report.pages, pages_in_file(&disk)),
        (1, 7),
        "the frame of the commit is a page that is kept"
    );
}

#[test]
fn vacuum_given_up_at_any_yield_leaves_the_transaction_as_it_was() {
    for yields in 0..8 {
        let (disk, pager) = file_with_free_pages(PagerOptions { cache_pages: 1, ..options() }, &[9, 3, 8]);
        let writer = begin(&disk, &pager);
        disk.hold(true);
        let mut vacuum = writer.vacuum();
        for turn in 0..yields {
            assert!(vacuum.step().expect("vacuum").is_io());
            match turn % 2 {
                0 => disk.fail(0, FAULT),
                _ => disk.release(0),
            }
            if turn % 2 == 0 {
                assert!(matches!(vacuum.step(), Err(PagerError::Io { error: FAULT, .. })));
            }
        }
        let mut writer = vacuum.into_transaction().expect("it has not ended");
        disk.hold(false);
        assert_eq!(writer.page_count(), 9);
        let taken = [(); 4].map(|()| run(&disk, || writer.allocate()).expect("allocate"));
        assert_eq!(taken, [8, 3, 9, 10], "after {yields} yields");
        drop(writer);
        assert!(pager.audit().is_idle());
    }
}

/// Runs a checkpoint, and loses power after so many of its operations. `false` when it had ended before.
fn lose_power_in_checkpoint(
    disk: &mut Disk,
    pager: Arc<Pager>,
    releases: usize,
    random: &mut Numbers,
) -> bool {
    disk.hold(true);
    let mut checkpoint = pager.checkpoint(CheckpointMode::Passive);
    let mut ended = false;
    for _ in 0..releases {
        ended = matches!(checkpoint.step().expect("checkpoint"), IOResult::Done(_));
        if ended {
            break;
        }
        disk.release(0);
    }
    let often = 1 + random.next() % 3;
    let after = disk.after_power_loss(|| random.one_in(often));
    *disk = after;
    !ended
}

#[test]
fn power_loss_at_any_time_around_a_cut_loses_no_page() {
    for seed in 0..40 {
        let mut random = Numbers(seed);
        for releases in 0.. {
            let (mut disk, pager) = file_with_free_pages(options(), &[3]);
            let mut writer = begin(&disk, &pager);
            (6..10).for_each(|page| run(&disk, || writer.free(page)).expect("free"));
            commit(&disk, vacuum(&disk, writer).0);
            if random.one_in(2) {
                // It grows again behind the cut.
                add_page(&disk, &pager, 77);
                add_page(&disk, &pager, 78);
            }
            let expected = every_page(&disk, &mut pager.begin_read().expect("begin"));
            let count = pager.page_count();
            let interrupted = lose_power_in_checkpoint(&mut disk, pager, releases, &mut random);
            let pager = open(&disk, options()).expect("recover");
            assert_sound(&disk, &pager);
            assert_eq!(pager.page_count(), count);
            assert_eq!(
                every_page(&disk, &mut pager.begin_read().expect("begin")),
                expected,
                "{seed} {releases}"
            );
            checkpoint(&disk, &pager);
            drop(pager);
            let pager = open(&disk, options()).expect("open again");
            assert_eq!(every_page(&disk, &mut pager.begin_read().expect("begin")), expected);
            if !interrupted {
                break;
            }
        }
    }
}

#[test]
fn random_growth_and_shrinkage_keeps_what_is_in_use_for_every_reader() {
    for seed in 0..60 {
        let mut random = Numbers(seed);
        let mut disk = Disk::new();
        let options = PagerOptions { cache_pages: [1, 4, 100][seed as usize % 3], ..options() };
        let mut pager = open(&disk, options).expect("open");
        let mut model: BTreeMap<u32, u8> = BTreeMap::new();
        let mut readers: Vec<(ReadTransaction, BTreeMap<u32, u8>)> = Vec::new();
        for _ in 0..80 {
            match random.below(8) {
                0 => drop(checkpoint(&disk, &pager)),
                1 => readers.push((pager.begin_read().expect("begin"), model.clone())),
                2 if !readers.is_empty() => drop(readers.swap_remove(random.below(readers.len()))),
                3 if random.one_in(4) => {
                    readers.clear();
                    drop(pager);
                    disk = disk.after_power_loss(|| random.one_in(2));
                    pager = open(&disk, options).expect("recover");
                }
                _ => model = change(&disk, &pager, &mut random, model),
            }
            for (reader, expected) in &mut readers {
                assert_eq!(every_page(&disk, reader), *expected, "seed {seed}");
            }
        }
        assert_eq!(every_page(&disk, &mut pager.begin_read().expect("begin")), model, "seed {seed}");
        assert_sound(&disk, &pager);
    }
}

/// A transaction of random changes, mostly with a vacuum in the middle.
fn change(
    disk: &Disk,
    pager: &Arc<Pager>,
    random: &mut Numbers,
    mut model: BTreeMap<u32, u8>,
) -> BTreeMap<u32, u8> {
    let mut writer = begin(disk, pager);
    for _ in 0..2 {
        let grows = random.one_in(2);
        for _ in 0..random.below(8) {
            let last = model.keys().nth_back(random.below(2)).copied();
            if let (Some(page), false) = (last, grows) {
                run(disk, || writer.free(page)).expect("free");
                model.remove(&page);
                continue;
            }
            let (page, byte) = (run(disk, || writer.allocate()).expect("allocate"), random.next() as u8);
            run(disk, || writer.page_mut(page).map(|bytes| bytes.map(|bytes| bytes.fill(byte))))
                .expect("fill");
            assert!(model.insert(page, byte).is_none());
        }
        if !random.one_in(4) {
            let before = writer.page_count();
            let (shorter, less) = vacuum(disk, writer);
            writer = shorter;
            let needed = model.keys().next_back().map_or(before.min(2), |page| *page);
            assert_eq!((writer.page_count(), less), (needed, before - needed));
        }
    }
    commit(disk, writer);
    model
}
