//! Transactions that are larger than the memory they may have.

mod pager_support;

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

fn begin(disk: &Disk, pager: &Arc<Pager>) -> WriteTransaction {
    let mut begin = pager.begin_write();
    run(disk, || begin.step()).expect("begin")
}

fn fill(disk: &Disk, writer: &mut WriteTransaction, page: u32, fill: u8) {
    run(disk, || writer.page_mut(page).map(|bytes| bytes.map(|bytes| bytes.fill(fill)))).expect("change");
}

fn first_byte(disk: &Disk, writer: &mut WriteTransaction, page: u32) -> u8 {
    run(disk, || writer.page(page)).expect("read")[0]
}

fn commit(disk: &Disk, writer: WriteTransaction) -> Result<u64, PagerError> {
    let mut commit = writer.commit();
    run(disk, || commit.step())
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
    // Nobody sees it, and a power loss leaves nothing of it, whatever it lets through.
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

/// What is left in memory may be written at once, and synced, while the frames before it are on their way.
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

/// Frames get their places and numbers again. A write of the old ones that lands late would be in the new ones' place.
#[test]
fn dropped_transaction_ends_the_run_and_the_next_commit_waits_for_its_frames() {
    let (disk, pager) = prepare(2);
    drop(suspended(&disk, &pager));
    let mut writer = pager.try_begin_write().expect("the right is free");
    let Ok(IOResult::Done(bytes)) = writer.page_mut(5) else { panic!("page 5 is not at hand") };
    bytes.fill(8);
    let mut next = writer.commit();
    assert!(ended(&mut next).is_none() && !next.is_submitted());
    assert_eq!(kinds(&disk), [Write], "that of the frames of a transaction that is gone");
    disk.release(0);
    assert!(ended(&mut next).is_none() && next.is_submitted());
    finish(&disk);
    assert_eq!(ended(&mut next), Some(Ok(9)));
    assert!(pager.audit().is_idle());
    let disk = disk.after_power_loss(|| false);
    let pager = open(&disk, options()).expect("recover");
    let found = [2, 3, 5].map(|page| read_fill(&disk, &pager, page));
    assert_eq!((pager.commit_sequence(), found), (9, [Ok(1), Ok(1), Ok(8)]));
}

/// The frames of the transaction that is gone are whole behind the newest commit, and before it there is nothing wrong.
#[test]
fn frames_of_a_commit_that_never_came_are_passed_over_by_a_recovery() {
    let (disk, pager) = prepare(2);
    drop(suspended(&disk, &pager));
    finish(&disk);
    for keeps in [true, false] {
        let disk = disk.after_power_loss(|| keeps);
        let pager = open(&disk, spilling(2)).expect("recover");
        assert_eq!((pager.commit_sequence(), read_fill(&disk, &pager, 2)), (8, Ok(1)));
        fill_pages(&disk, &pager, &[2, 3, 4], 9).expect("commit");
        assert_sound(&disk, &pager);
    }
}

#[test]
fn right_is_kept_until_the_commit_is_acknowledged_also_when_nobody_waits_for_it() {
    let (disk, pager) = prepare(2);
    let mut commit = suspended(&disk, &pager).commit();
    while !commit.is_submitted() {
        finish(&disk);
        assert_eq!(ended(&mut commit), None);
    }
    drop(commit);
    let mut next = pager.begin_write();
    assert!(next.step().expect("no fault").is_io());
    assert!(pager.audit().writer_held && pager.audit().readers == 0);
    disk.release(0);
    assert!(next.step().expect("no fault").is_io(), "it is written and not synced");
    disk.release(0);
    let Ok(IOResult::Done(mut writer)) = next.step() else { panic!("it has been acknowledged") };
    assert_eq!(writer.commit_sequence(), 9);
    disk.hold(false);
    assert_eq!(first_byte(&disk, &mut writer, 2), 7);
    drop(writer);
    assert!(pager.audit().is_idle());
}

#[test]
fn right_is_given_up_when_the_commit_fails() {
    for (kind, is_poisoned) in [(Write, false), (Sync, true)] {
        let (disk, pager) = prepare(2);
        let mut commit = suspended(&disk, &pager).commit();
        while !(commit.is_submitted() && kinds(&disk) == [kind]) {
            finish(&disk);
            assert_eq!(ended(&mut commit), None);
            if commit.is_submitted() && kind == Sync {
                disk.release(0);
            }
        }
        assert!(pager.audit().writer_held);
        disk.fail(0, FAULT);
        assert!(matches!(ended(&mut commit), Some(Err(PagerError::Io { error: FAULT, .. }))));
        let audit = pager.audit();
        assert!(audit.is_idle() && audit.poisoned == is_poisoned, "{audit:?}");
        disk.hold(false);
        let pager = if is_poisoned { open(&disk, options()).expect("open") } else { pager };
        let found = read_fill(&disk, &pager, 2).expect("read");
        assert!(found == 1 || is_poisoned && found == 7, "{found}");
        fill_pages(&disk, &pager, &[3], 9).expect("commit");
    }
}

#[test]
fn transaction_whose_frames_could_not_be_written_fails_with_that_from_then_on() {
    let (disk, pager) = prepare(2);
    let mut writer = suspended(&disk, &pager);
    disk.fail(0, FAULT);
    let error = writer.page_mut(4).map(|_| ()).expect_err("they were not written");
    assert!(matches!(error, PagerError::Io { error: FAULT, .. }), "{error}");
    assert_eq!(writer.page(2).map(|_| ()), Err(error.clone()), "its image is nowhere");
    assert!(matches!(writer.page(5), Ok(IOResult::Done(page)) if page[0] == 1));
    assert_eq!(writer.page_mut(5).map(|_| ()), Err(error.clone()));
    assert_eq!(writer.allocate().map(|_| ()), Err(error.clone()));
    assert_eq!(writer.free(5).map(|_| ()), Err(error.clone()));
    let mut commit = writer.commit();
    assert_eq!(ended(&mut commit), Some(Err(error)));
    assert!(pager.audit().is_idle());
    disk.hold(false);
    assert_eq!(fill_pages(&disk, &pager, &[2, 3, 4], 9), Ok(9));
    assert_eq!(read_fill(&disk, &pager, 2), Ok(9));
}

#[test]
fn cancelled_wait_for_frames_changes_nothing() {
    let (disk, pager) = prepare(2);
    let mut writer = suspended(&disk, &pager);
    let Ok(IOResult::IO(io)) = writer.page_mut(4) else { panic!("it waits for a write") };
    io.completion().expect("no yield").cancel();
    assert!(matches!(writer.page_mut(4), Err(PagerError::Io { .. })), "told once");
    assert!(writer.page_mut(4).expect("it goes on").is_io());
    finish(&disk);
    disk.hold(false);
    fill(&disk, &mut writer, 4, 7);
    assert_eq!(commit(&disk, writer), Ok(9));
    assert_eq!(read_fill(&disk, &pager, 2), Ok(7));
}

#[test]
fn frame_that_does_not_have_what_was_written_is_refused() {
    let (disk, pager) = prepare(2);
    let mut writer = suspended(&disk, &pager);
    finish(&disk);
    disk.hold(false);
    let end = disk.bytes(log_path()).len();
    disk.damage(log_path(), end - 100);
    assert_eq!(first_byte(&disk, &mut writer, 2), 7);
    let error = run(&disk, || writer.page(3).map(|page| page.map(|_| ()))).expect_err("damaged");
    assert!(matches!(error, PagerError::Corrupt { page: 3, .. }), "{error}");
}

/// The disk has lost the write of a frame, and in its place there is an older one of the same page, whole.
#[test]
fn older_frame_of_the_same_page_is_refused() {
    const FRAME: usize = 64 + 512;
    let (disk, pager) = prepare(2);
    drop(suspended(&disk, &pager));
    finish(&disk);
    disk.hold(false);
    let end = disk.bytes(log_path()).len();
    let older = disk.bytes(log_path())[end - FRAME..].to_vec();
    fill_pages(&disk, &pager, &[5], 8).expect("commit");
    let mut writer = begin(&disk, &pager);
    [3, 4, 6].into_iter().for_each(|page| fill(&disk, &mut writer, page, 9));
    disk.overwrite(log_path(), end - FRAME, &older);
    let error =
        run(&disk, || writer.page(3).map(|page| page.map(|_| ()))).expect_err("it is of another commit");
    assert!(matches!(error, PagerError::Corrupt { page: 3, .. }), "{error}");
}

#[test]
fn transaction_upon_a_commit_that_fails_can_not_go_on_with_its_frames() {
    let (disk, pager) = prepare(2);
    let mut first = {
        let mut writer = begin(&disk, &pager);
        fill(&disk, &mut writer, 9, 5);
        disk.hold(true);
        writer.commit()
    };
    assert_eq!(ended(&mut first), None);
    let mut writer = pager.try_begin_write().expect("the right is free");
    for page in [2, 3] {
        let Ok(IOResult::Done(bytes)) = writer.page_mut(page) else { panic!("not at hand") };
        bytes.fill(7);
    }
    assert!(writer.page_mut(4).expect("no fault").is_io());
    disk.release(1);
    disk.fail(0, FAULT);
    let because = PagerError::EarlierCommitFailed { sequence: 9 };
    disk.hold(false);
    assert_eq!(run(&disk, || writer.page(2).map(|page| page.map(|_| ()))), Err(because.clone()));
    assert_eq!(commit(&disk, writer), Err(because));
    assert_eq!(fill_pages(&disk, &pager, &[2, 3, 4], 8), Ok(9));
    assert!(pager.audit().is_idle());
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

/// What the caller has in each page, and how many pages there are.
type Model = (BTreeMap<u32, u8>, u32);

fn act(disk: &Disk, writer: &mut WriteTransaction, model: &mut Model, random: &mut Numbers) {
    let page = 2 + random.below(model.1 as usize) as u32;
    let is_there = model.0.contains_key(&page);
    match random.below(10) {
        0..3 => {
            let page = run(disk, || writer.allocate()).expect("allocate");
            assert_eq!(model.0.insert(page, 0), None);
            model.1 = model.1.max(page);
        }
        3..5 if is_there => {
            run(disk, || writer.free(page)).expect("free");
            model.0.remove(&page);
        }
        5..7 if is_there => assert_eq!(first_byte(disk, writer, page), model.0[&page], "page {page}"),
        _ if is_there => {
            let value = random.next() as u8;
            fill(disk, writer, page, value);
            model.0.insert(page, value);
        }
        _ => {}
    }
    assert_eq!(writer.page_count(), model.1);
}

fn vacuum(disk: &Disk, writer: WriteTransaction, model: &mut Model) -> WriteTransaction {
    let mut vacuum = writer.vacuum();
    let (writer, _) = run(disk, || vacuum.step()).expect("vacuum");
    let last = model.0.last_key_value().map_or(1, |(page, _)| *page);
    model.1 = if model.1 > 1 { last.max(2) } else { 1 };
    writer
}

#[test]
fn random_transactions_that_spill_do_what_copies_of_a_model_do() {
    for seed in 0..80 {
        let mut random = Numbers(seed);
        let disk = Disk::new();
        let spill_pages = 1 + random.below(6);
        let pager = open(&disk, PagerOptions { cache_pages: 4, ..spilling(spill_pages) }).expect("open");
        let mut committed: Model = (BTreeMap::new(), 1);
        for _ in 0..12 {
            let (mut writer, mut model) = (begin(&disk, &pager), committed.clone());
            let mut marks: Vec<(Savepoint, Model)> = Vec::new();
            for _ in 0..random.below(60) {
                match random.below(16) {
                    0 => marks.push((writer.savepoint(), model.clone())),
                    1 | 2 if !marks.is_empty() => {
                        marks.truncate(1 + random.below(marks.len()));
                        let (mark, before) = marks.last().expect("one at least");
                        writer.rollback_to(mark).expect("its own");
                        model = before.clone();
                    }
                    3 if !marks.is_empty() => {
                        marks.truncate(1 + random.below(marks.len()));
                        let (mark, _) = marks.pop().expect("one at least");
                        writer.release(mark).expect("its own");
                    }
                    4 if random.one_in(3) => writer = vacuum(&disk, writer, &mut model),
                    _ => act(&disk, &mut writer, &mut model, &mut random),
                }
            }
            if random.one_in(4) {
                writer.rollback();
            } else {
                commit(&disk, writer).expect("commit");
                committed = model;
            }
            if random.one_in(4) {
                checkpoint(&disk, &pager);
            }
            assert_sound(&disk, &pager);
            let lost = disk.after_power_loss(|| false);
            let recovered = open(&lost, options()).expect("recover");
            for (disk, pager) in [(&disk, &pager), (&lost, &recovered)] {
                assert_eq!(pager.page_count(), committed.1, "seed {seed}");
                for (page, value) in &committed.0 {
                    assert_eq!(read_fill(disk, pager, *page), Ok(*value), "seed {seed}, page {page}");
                }
                assert!(pager.audit().is_idle());
            }
        }
    }
}

#[test]
fn whoever_goes_at_any_yield_leaves_nothing() {
    for yields in 0..60 {
        let (disk, pager) = prepare(2);
        let mut left = yields;
        let mut give_up = || {
            left -= 1;
            left < 0
        };
        // Steps until the machine is done; false when it was dropped instead.
        let mut writer = begin(&disk, &pager);
        disk.hold(true);
        let mut done = true;
        'changes: for page in [2, 3, 4, 5, 2, 6, 3] {
            while writer.page_mut(page).expect("no fault").is_io() {
                if give_up() {
                    done = false;
                    break 'changes;
                }
                disk.release(0);
            }
        }
        if done {
            let mut commit = writer.commit();
            while ended(&mut commit).is_none() && !give_up() {
                disk.release(0);
            }
        } else {
            drop(writer);
        }
        finish(&disk);
        assert!(!kinds(&disk).contains(&Truncate) && pager.audit().is_idle(), "{:?}", pager.audit());
        disk.hold(false);
        fill_pages(&disk, &pager, &[2, 3, 4, 5], 9).expect("commit");
        assert_sound(&disk, &pager);
    }
}
