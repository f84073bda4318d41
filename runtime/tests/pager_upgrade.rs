//! From reading to writing: who waits, who is refused, what is left behind.

mod pager_support;

use std::sync::Arc;

use pager_support::*;
use tenterhook_runtime::pager::{Pager, PagerError, Upgrade};
use tenterhook_runtime::{Completion, IOCompletions, IOResult};

fn waits(upgrade: &mut Upgrade) -> Completion {
    match upgrade.step() {
        Ok(IOResult::IO(IOCompletions::Single(completion))) => completion,
        other => panic!("it should have had to wait: {other:?}"),
    }
}

fn assert_idle(pager: &Arc<Pager>) {
    let audit = pager.audit();
    assert!(audit.is_idle(), "{audit:?}");
}

#[test]
fn reader_continues_as_the_writer_of_what_it_has_seen() {
    let disk = Disk::new();
    let pager = open(&disk, options()).expect("open");
    let page = add_page(&disk, &pager, 1);
    let mut reader = pager.begin_read().expect("begin");
    assert_eq!(run(&disk, || reader.page(page)).expect("read")[0], 1);
    let mut upgrade = reader.upgrade();
    let mut writer = run(&disk, || upgrade.step()).expect("there is no other writer");
    assert_eq!(upgrade.into_reader().commit_sequence(), 1);
    run(&disk, || writer.page_mut(page).map(|bytes| bytes.map(|bytes| bytes.fill(2)))).expect("change");
    let mut commit = writer.commit();
    assert_eq!(run(&disk, || commit.step()), Ok(2));
    assert_eq!(read_fill(&disk, &pager, page), Ok(2));
    assert_idle(&pager);
}

#[test]
fn stale_snapshot_is_refused_at_once_and_when_its_turn_comes() {
    let disk = Disk::new();
    let pager = open(&disk, options()).expect("open");
    let page = add_page(&disk, &pager, 1);
    let reader = pager.begin_read().expect("begin");
    let writer = pager.try_begin_write().expect("free");
    let mut upgrade = reader.upgrade();
    let turn = waits(&mut upgrade);
    assert_eq!(pager.audit().writers_waiting, 1);
    drop(writer);
    // The turn has come: the write lock is held for the upgrade, stepped or not.
    assert!(turn.succeeded());
    let mut late = pager.begin_write();
    assert!(late.step().is_ok_and(|step| step.is_io()), "the write lock is the upgrade's");
    drop(run(&disk, || upgrade.step()).expect("there was no commit"));
    drop((late, upgrade));

    let reader = pager.begin_read().expect("begin");
    let mut writer = pager.try_begin_write().expect("free");
    let mut upgrade = reader.upgrade();
    let turn = waits(&mut upgrade);
    run(&disk, || writer.page_mut(page).map(|bytes| bytes.map(|bytes| bytes.fill(2)))).expect("change");
    let mut commit = writer.commit();
    run(&disk, || commit.step()).expect("commit");
    assert!(turn.succeeded());
    let stale = PagerError::BusySnapshot { snapshot: 1, newest: 2 };
    assert_eq!(upgrade.step().unwrap_err(), stale);
    assert!(!pager.audit().writer_held, "the write lock has gone on, although the machine is still there");
    let mut reader = upgrade.into_reader();
    assert_eq!(run(&disk, || reader.page(page)).expect("its view is what it was")[0], 1);
    assert_eq!(reader.try_upgrade().unwrap_err(), stale);
    assert_eq!(reader.upgrade().step().unwrap_err(), stale);
    assert_idle(&pager);
}

#[test]
fn upgrade_that_is_asked_not_to_wait_does_not() {
    let disk = Disk::new();
    let pager = open(&disk, options()).expect("open");
    let reader = pager.begin_read().expect("begin");
    let writer = pager.try_begin_write().expect("free");
    assert_eq!(reader.try_upgrade().unwrap_err(), PagerError::Busy);
    drop(writer);
    let writer = reader.try_upgrade().expect("free");
    assert_eq!((writer.commit_sequence(), pager.audit().readers), (0, 2));
    drop((writer, reader));
    assert_idle(&pager);
}

#[test]
fn upgrade_dropped_anywhere_leaves_nothing() {
    for (steps, granted) in [(0, false), (1, false), (1, true), (2, true)] {
        let disk = Disk::new();
        let pager = open(&disk, options()).expect("open");
        let writer = pager.try_begin_write().expect("free");
        let mut upgrade = pager.begin_read().expect("begin").upgrade();
        let mut after = pager.begin_write();
        if steps > 0 {
            waits(&mut upgrade);
        }
        assert!(after.step().is_ok_and(|step| step.is_io()));
        let writer = Some(writer).filter(|_| !granted);
        let upgraded = (steps > 1).then(|| upgrade.step());
        drop((upgraded, upgrade, writer));
        drop(run(&disk, || after.step()).expect("its turn"));
        assert_idle(&pager);
    }
}

#[test]
#[should_panic(expected = "an upgrade that has not ended")]
fn upgrade_stepped_after_its_end_panics() {
    let disk = Disk::new();
    let pager = open(&disk, options()).expect("open");
    let mut upgrade = pager.begin_read().expect("begin").upgrade();
    drop(run(&disk, || upgrade.step()).expect("free"));
    let _ = upgrade.step();
}
