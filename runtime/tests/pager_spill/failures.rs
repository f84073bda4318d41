//! Transactions that have spilled and end otherwise than well.

use super::*;

/// Frames get their places and numbers again. A write of the old ones that lands late would be in the new ones' place.
#[test]
fn dropped_transaction_ends_the_run_and_the_next_commit_waits_for_its_frames() {
    let (disk, pager) = prepare(2);
    drop(suspended(&disk, &pager));
    let mut writer = pager.try_begin_write().expect("the write lock is free");
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
fn write_lock_is_kept_until_the_commit_is_acknowledged_even_without_a_waiter() {
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
    assert!(writer.page_mut(4).expect("it continues").is_io());
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
    let mut writer = pager.try_begin_write().expect("the write lock is free");
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
