//! Transactions that are larger than the memory they may have.

mod failures;
mod given_up;
#[path = "../pager_support/mod.rs"]
mod pager_support;
mod queued;
mod random;

use std::collections::BTreeMap;
use std::sync::Arc;

use pager_support::*;
use tenterhook_runtime::IOResult;
use tenterhook_runtime::io::OperationKind::{Read, Sync, Truncate, Write};
use tenterhook_runtime::pager::{
    Commit, Durability, Pager, PagerError, PagerOptions, Savepoint, WriteTransaction,
};

fn spilling(spill_pages: usize) -> PagerOptions {
    PagerOptions { spill_pages, ..options() }
}

/// A pager with pages 2 to 9, filled with 1, all cached.
fn prepare(spill_pages: usize) -> (Disk, Arc<Pager>) {
    let disk = Disk::new();
    let pager = open(&disk, spilling(spill_pages)).expect("open");
    (2..10).for_each(|page| assert_eq!(add_page(&disk, &pager, 1), page));
    (disk, pager)
}

/// A transaction that has filled pages 2 and 3 and waits for their frames to be written, on a disk that holds from now on.
fn suspended(disk: &Disk, pager: &Arc<Pager>) -> WriteTransaction {
    let mut writer = begin(disk, pager);
    fill(disk, &mut writer, 2, 7);
    fill(disk, &mut writer, 3, 7);
    disk.hold(true);
    assert!(writer.page_mut(4).expect("no fault").is_io());
    assert_eq!(kinds(disk), [Write]);
    writer
}

fn kinds(disk: &Disk) -> Vec<tenterhook_runtime::io::OperationKind> {
    disk.waiting().iter().map(|op| op.kind).collect()
}

fn finish(disk: &Disk) {
    while !disk.waiting().is_empty() {
        disk.release(0);
    }
}

fn ended(commit: &mut Commit) -> Option<Result<u64, PagerError>> {
    match commit.step() {
        Ok(IOResult::IO(_)) => None,
        Ok(IOResult::Done(sequence)) => Some(Ok(sequence)),
        Err(error) => Some(Err(error)),
    }
}

fn stamp(page: u32) -> u8 {
    (page % 251) as u8 + 1
}

fn assert_stamped(disk: &Disk, pager: &Arc<Pager>, pages: u32) {
    assert_eq!(pager.page_count(), pages + 1);
    let mut reader = pager.begin_read().expect("begin");
    for page in 2..pages + 2 {
        let bytes = run(disk, || reader.page(page)).expect("read");
        assert!(bytes.iter().all(|byte| *byte == stamp(page)), "page {page}");
    }
}

#[test]
fn ten_thousand_pages_go_through_the_memory_of_sixteen() {
    const PAGES: u32 = 10_000;
    let disk = Disk::new();
    let pager = open(&disk, spilling(16)).expect("open");
    let mut writer = begin(&disk, &pager);
    for page in 2..PAGES + 2 {
        assert_eq!(run(&disk, || writer.allocate()), Ok(page));
        fill(&disk, &mut writer, page, stamp(page));
        assert!(writer.pages_in_memory() <= 16, "{} pages at page {page}", writer.pages_in_memory());
    }
    assert_eq!(writer.pages_spilled() + 16, PAGES as usize);
    for page in (2..PAGES + 2).step_by(97) {
        assert_eq!(first_byte(&disk, &mut writer, page), stamp(page));
        assert!(writer.pages_in_memory() <= 17);
    }
    // No reader sees it, and no power loss leaves anything of it.
    assert_eq!(pager.page_count(), 1);
    for keeps in [true, false] {
        let disk = disk.after_power_loss(|| keeps);
        let pager = open(&disk, spilling(16)).expect("recover");
        assert_eq!((pager.commit_sequence(), pager.page_count()), (0, 1));
    }
    commit(&disk, writer).expect("commit");
    assert!(pager.audit().is_idle() && pager.audit().cached <= 16);
    assert_stamped(&disk, &pager, PAGES);
    assert_sound(&disk, &pager);
    let lost = disk.after_power_loss(|| false);
    let recovered = open(&lost, spilling(16)).expect("recover");
    assert_stamped(&lost, &recovered, PAGES);
    assert_sound(&lost, &recovered);
    checkpoint(&disk, &pager);
    assert_stamped(&disk, &pager, PAGES);
}

#[test]
fn page_that_is_changed_again_after_it_was_spilled_ends_as_it_was_left() {
    let (disk, pager) = prepare(2);
    let mut writer = begin(&disk, &pager);
    for round in 10..14 {
        for page in 2..7 {
            fill(&disk, &mut writer, page, round);
            assert!(writer.pages_in_memory() <= 3);
        }
        let seen: Vec<u8> = (2..9).map(|page| first_byte(&disk, &mut writer, page)).collect();
        assert_eq!(seen, [round, round, round, round, round, 1, 1]);
    }
    assert_eq!(read_fill(&disk, &pager, 2), Ok(1), "readers see nothing of it");
    commit(&disk, writer).expect("commit");
    let recovered = disk.after_power_loss(|| false);
    for (disk, pager) in [(&disk, pager), (&recovered, open(&recovered, options()).expect("recover"))] {
        let found: Vec<_> = (2..9).map(|page| read_fill(disk, &pager, page)).collect();
        assert_eq!(found, [13, 13, 13, 13, 13, 1, 1].map(Ok));
        assert_sound(disk, &pager);
    }
}

#[test]
fn all_levels_of_durability_and_a_fresh_log_take_spilled_pages() {
    for durability in [Durability::Full, Durability::Normal, Durability::Off] {
        let disk = Disk::new();
        let pager = open(&disk, PagerOptions { durability, ..spilling(1) }).expect("open");
        (2..10).for_each(|page| assert_eq!(add_page(&disk, &pager, 1), page));
        for round in 2..6 {
            checkpoint(&disk, &pager);
            fill_pages(&disk, &pager, &[2, 5, 3, 2, 8], round).expect("commit");
            let found: Vec<_> = (2..9).map(|page| read_fill(&disk, &pager, page)).collect();
            assert_eq!(found, [round, round, 1, round, 1, 1, round].map(Ok));
        }
        assert!(pager.audit().is_idle());
        let reopened = disk.copy();
        let pager = open(&reopened, options()).expect("open");
        assert_eq!(read_fill(&reopened, &pager, 8), Ok(5));
    }
}

#[test]
fn commit_with_nothing_left_in_memory_gets_its_mark() {
    let (disk, pager) = prepare(2);
    let writer = suspended(&disk, &pager);
    assert_eq!((writer.pages_in_memory(), writer.pages_spilled()), (0, 2));
    finish(&disk);
    assert!(writer.has_changes());
    disk.hold(false);
    assert_eq!(commit(&disk, writer), Ok(9));
    let disk = disk.after_power_loss(|| false);
    let pager = open(&disk, options()).expect("recover");
    assert_eq!((2..5).map(|page| read_fill(&disk, &pager, page)).collect::<Vec<_>>(), [Ok(7), Ok(7), Ok(1)]);
}

#[test]
fn commit_waits_for_the_frames_that_are_being_written() {
    let (disk, pager) = prepare(2);
    let mut commit = suspended(&disk, &pager).commit();
    assert_eq!((ended(&mut commit), kinds(&disk), commit.is_submitted()), (None, vec![Write], false));
    disk.release(0);
    assert_eq!((ended(&mut commit), kinds(&disk)), (None, vec![Read]), "a page for the mark");
    disk.release(0);
    assert_eq!((ended(&mut commit), kinds(&disk), commit.is_submitted()), (None, vec![Write], true));
    disk.release(0);
    assert_eq!((ended(&mut commit), kinds(&disk)), (None, vec![Sync]));
    disk.release(0);
    assert_eq!(ended(&mut commit), Some(Ok(9)));
}

/// What is left in memory may be written at once, and synced, while the frames before it are in flight.
#[test]
fn commit_after_a_rollback_to_a_savepoint_waits_for_the_frames_that_are_being_written() {
    let (disk, pager) = prepare(2);
    let mut writer = begin(&disk, &pager);
    fill(&disk, &mut writer, 2, 7);
    fill(&disk, &mut writer, 3, 7);
    let savepoint = writer.savepoint();
    fill(&disk, &mut writer, 2, 8);
    disk.hold(true);
    assert!(writer.page_mut(4).expect("no fault").is_io());
    writer.rollback_to(&savepoint).expect("its own");
    assert!(matches!(writer.page(2), Ok(IOResult::Done(page)) if page[0] == 7));
    let mut commit = writer.commit();
    assert_eq!((ended(&mut commit), kinds(&disk), commit.is_submitted()), (None, vec![Write], false));
    disk.release(0);
    assert_eq!((ended(&mut commit), kinds(&disk), commit.is_submitted()), (None, vec![Write], true));
    finish(&disk);
    assert_eq!(ended(&mut commit), Some(Ok(9)));
    let disk = disk.after_power_loss(|| false);
    let pager = open(&disk, options()).expect("recover");
    assert_eq!([2, 3, 4].map(|page| read_fill(&disk, &pager, page)), [Ok(7), Ok(7), Ok(1)]);
}

/// What a power loss would bring back of it goes behind the end of the file, or comes with a change that makes it longer.
#[test]
fn pages_that_were_spilled_and_then_cut_off_are_no_part_of_the_commit() {
    let (disk, pager) = prepare(2);
    let mut writer = begin(&disk, &pager);
    for page in 10..16 {
        assert_eq!(run(&disk, || writer.allocate()), Ok(page));
        fill(&disk, &mut writer, page, 7);
    }
    (11..16).for_each(|page| run(&disk, || writer.free(page)).expect("free"));
    let mut vacuum = writer.vacuum();
    let (mut writer, less) = run(&disk, || vacuum.step()).expect("vacuum");
    assert_eq!((less, writer.page_count()), (5, 10));
    fill(&disk, &mut writer, 2, 7);
    assert_eq!(commit(&disk, writer), Ok(9));
    let recovered = disk.after_power_loss(|| false);
    for (disk, pager) in [(&disk, pager), (&recovered, open(&recovered, spilling(2)).expect("recover"))] {
        assert_eq!((pager.page_count(), read_fill(disk, &pager, 10)), (10, Ok(7)));
        assert_sound(disk, &pager);
        checkpoint(disk, &pager);
        assert_eq!(add_page(disk, &pager, 3), 11);
        assert_sound(disk, &pager);
    }
}

#[test]
fn vacuum_makes_room_before_it_changes_links() {
    let (disk, pager) = prepare(2);
    let mut writer = begin(&disk, &pager);
    [9, 4, 8].into_iter().for_each(|page| run(&disk, || writer.free(page)).expect("free"));
    commit(&disk, writer).expect("commit");
    let mut writer = begin(&disk, &pager);
    [2, 3].into_iter().for_each(|page| fill(&disk, &mut writer, page, 7));
    let mut vacuum = writer.vacuum();
    let (writer, less) = run(&disk, || vacuum.step()).expect("vacuum");
    assert_eq!(
        (less, writer.pages_in_memory(), writer.pages_spilled()),
        (2, 1, 2),
        "page 4 leads nowhere now"
    );
    commit(&disk, writer).expect("commit");
    assert_sound(&disk, &pager);
    assert_eq!([2, 3, 5].map(|page| read_fill(&disk, &pager, page)), [Ok(7), Ok(7), Ok(1)]);
}

#[test]
fn page_first_changed_since_a_savepoint_stays_in_memory_while_that_is_open() {
    let (disk, pager) = prepare(2);
    let mut writer = begin(&disk, &pager);
    (2..6).for_each(|page| fill(&disk, &mut writer, page, 7));
    let savepoint = writer.savepoint();
    (2..9).for_each(|page| fill(&disk, &mut writer, page, 8));
    assert_eq!(writer.pages_in_memory(), 7);
    writer.rollback_to(&savepoint).expect("its own");
    let seen: Vec<u8> = (2..9).map(|page| first_byte(&disk, &mut writer, page)).collect();
    assert_eq!(seen, [7, 7, 7, 7, 1, 1, 1]);
    (2..9).for_each(|page| fill(&disk, &mut writer, page, 9));
    writer.release(savepoint).expect("its own");
    fill(&disk, &mut writer, 9, 9);
    assert!(writer.pages_in_memory() <= 2, "what no savepoint keeps is spilled");
    commit(&disk, writer).expect("commit");
    assert!((2..10).all(|page| read_fill(&disk, &pager, page) == Ok(9)));
}
