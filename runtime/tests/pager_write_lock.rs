//! Who gets the write lock, and when.

mod pager_support;

use pager_support::*;
use tenterhook_runtime::Completion;
use tenterhook_runtime::pager::{BeginWrite, PagerError};

#[test]
fn write_lock_goes_round_in_the_order_of_asking() {
    let disk = Disk::new();
    let pager = open(&disk, options()).expect("open");
    let mut writer = begin(&disk, &pager);
    assert_eq!(pager.try_begin_write().unwrap_err(), PagerError::Busy);
    let mut queue: Vec<(BeginWrite, Completion)> = (0..5)
        .map(|_| {
            let mut begin = pager.begin_write();
            let turn = waits_for(begin.step());
            (begin, turn)
        })
        .collect();
    assert_eq!(pager.audit().writers_waiting, 5);
    // Stepping early keeps the place; a waiter that leaves is skipped.
    assert!(queue[0].0.step().is_ok_and(|step| step.is_io()));
    drop(queue.remove(1));
    while !queue.is_empty() {
        assert!(queue.iter().all(|(_, turn)| !turn.finished()));
        drop(writer);
        let (mut next, turn) = queue.remove(0);
        assert!(turn.succeeded(), "the first in the queue");
        writer = run(&disk, || next.step()).expect("its turn");
    }
    drop(writer);
    assert_idle(&pager);
}

#[test]
fn grant_to_a_waiter_that_goes_passes_on() {
    let disk = Disk::new();
    let pager = open(&disk, options()).expect("open");
    let writer = begin(&disk, &pager);
    let (mut second, mut third) = (pager.begin_write(), pager.begin_write());
    let (granted, turn) = (waits_for(second.step()), waits_for(third.step()));
    drop(writer);
    assert!(granted.succeeded() && !turn.finished());
    drop(second);
    assert!(turn.succeeded());
    drop(run(&disk, || third.step()).expect("its turn"));
    assert_idle(&pager);
}

#[test]
fn cancelled_wait_leaves_the_queue_and_disturbs_no_one() {
    let disk = Disk::new();
    let pager = open(&disk, options()).expect("open");
    let writer = begin(&disk, &pager);
    let (mut second, mut third) = (pager.begin_write(), pager.begin_write());
    waits_for(second.step()).cancel();
    let turn = waits_for(third.step());
    assert!(matches!(second.step(), Err(PagerError::Io { .. })));
    assert_eq!(pager.audit().writers_waiting, 1);
    drop(writer);
    assert!(turn.succeeded());
}
