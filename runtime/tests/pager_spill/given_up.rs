//! Calls that their caller gives up while the transaction continues: what they waited for decides nothing any more.

use super::*;

fn allocate(disk: &Disk, writer: &mut WriteTransaction) -> u32 {
    run(disk, || writer.allocate()).expect("allocate")
}

/// Broke: the read of a spilled page was told from others by the page's number. Given up and left behind by a rollback to a
/// savepoint, it brought the page's first frame to who asked for its second. Fixed by asking for the frame, and by giving up
/// what a call waits for with the call.
#[test]
fn read_that_was_given_up_is_not_taken_for_one_after_a_rollback() {
    let disk = Disk::new();
    let pager = open(&disk, spilling(1)).expect("open");
    let mut writer = begin(&disk, &pager);
    let page = allocate(&disk, &mut writer);
    fill(&disk, &mut writer, page, 1);
    let savepoint = writer.savepoint();
    fill(&disk, &mut writer, page, 2);
    allocate(&disk, &mut writer);
    disk.hold(true);
    waits_for(writer.page(page));
    disk.hold(false);
    writer.rollback_to(&savepoint).expect("its own");
    allocate(&disk, &mut writer);
    assert_eq!(writer.pages_spilled(), 1, "as it was at the savepoint");
    run(&disk, || writer.page_mut(page).map(|bytes| bytes.map(|bytes| bytes[7] = 9))).expect("change");
    commit(&disk, writer).expect("commit");
    let mut reader = pager.begin_read().expect("begin");
    let bytes = run(&disk, || reader.page(page)).expect("read");
    assert_eq!((bytes[0], bytes[7], bytes[8]), (1, 9, 1));
}

/// Each of the reads that a call may wait for, given up, and then failed.
#[test]
fn error_of_a_read_that_was_given_up_is_not_reported() {
    for spill_pages in [1, 100] {
        let disk = Disk::new();
        let pager = open(&disk, PagerOptions { cache_pages: 1, ..spilling(spill_pages) }).expect("open");
        (2..6).for_each(|page| assert_eq!(add_page(&disk, &pager, page as u8), page));
        let mut writer = begin(&disk, &pager);
        (3..5).for_each(|page| fill(&disk, &mut writer, page, 7));
        if spill_pages == 1 {
            disk.hold(true);
            waits_for(writer.page(3));
            disk.fail(0, FAULT);
            disk.hold(false);
            assert_eq!(first_byte(&disk, &mut writer, 5), 5, "another call");
            assert_eq!(first_byte(&disk, &mut writer, 3), 7, "the same page again");
        }
        disk.hold(true);
        waits_for(writer.page(2));
        disk.fail(0, FAULT);
        disk.hold(false);
        fill(&disk, &mut writer, 2, 8);
        commit(&disk, writer).expect("commit");
        assert_eq!(read_fill(&disk, &pager, 2), Ok(8));
    }
}

/// A log that is about to be reset, with a transaction that waits for the new header: the call that asked for it is given
/// up, and the header's write fails. Broke: the commit was told, and was so rolled back.
#[test]
fn header_that_fails_for_a_call_that_was_given_up_does_not_fail_the_commit() {
    let (disk, pager) = prepare(1);
    checkpoint(&disk, &pager);
    let mut writer = begin(&disk, &pager);
    fill(&disk, &mut writer, 2, 7);
    disk.hold(true);
    waits_for(writer.page_mut(3));
    assert_eq!(kinds(&disk), [Write], "the header");
    disk.fail(0, FAULT);
    disk.hold(false);
    commit(&disk, writer).expect("commit");
    assert_eq!(read_fill(&disk, &pager, 2), Ok(7));
    assert_sound(&disk, &pager);
}

/// A wait that is cancelled belongs to the call that was given up, also when another call waits for the same write.
#[test]
fn cancel_of_a_wait_that_was_given_up_is_not_reported() {
    let (disk, pager) = prepare(2);
    let mut writer = suspended(&disk, &pager);
    let abandoned = waits_for(writer.page_mut(4));
    let waits = waits_for(writer.page_mut(5));
    abandoned.cancel();
    assert!(!waits.finished(), "it waits for the same write, by itself");
    disk.hold(false);
    fill(&disk, &mut writer, 5, 8);
    commit(&disk, writer).expect("commit");
    assert_eq!([2, 3, 4, 5].map(|page| read_fill(&disk, &pager, page)), [7, 7, 1, 8].map(Ok));
}

/// A vacuum is a call, too, and the transaction may be had back.
#[test]
fn vacuum_that_was_given_up_leaves_no_read_behind() {
    let disk = Disk::new();
    let pager = open(&disk, PagerOptions { cache_pages: 1, ..options() }).expect("open");
    (2..6).for_each(|page| assert_eq!(add_page(&disk, &pager, 1), page));
    let mut writer = begin(&disk, &pager);
    run(&disk, || writer.free(5)).expect("free");
    commit(&disk, writer).expect("commit");
    assert_eq!(read_fill(&disk, &pager, 2), Ok(1), "page 5 is in no memory");
    disk.hold(true);
    let mut vacuum = begin(&disk, &pager).vacuum();
    waits_for(vacuum.step().map(|step| step.map(drop)));
    let mut writer = vacuum.into_transaction().expect("not ended");
    disk.fail(0, FAULT);
    disk.hold(false);
    assert_eq!(run(&disk, || writer.allocate()), Ok(5));
    commit(&disk, writer).expect("commit");
    assert_sound(&disk, &pager);
}
