//! What transactions see, wait for, and leave behind.

mod pager_support;

use std::sync::Arc;

use pager_support::*;
use tenterhook_runtime::IOResult;
use tenterhook_runtime::io::{MemoryIO, OperationKind, drive};
use tenterhook_runtime::pager::{Audit, CheckpointMode, Pager, PagerError, PagerOptions, WriteTransaction};

#[test]
fn pager_and_its_machines_can_go_to_any_thread() {
    fn is_send<T: Send>() {}
    fn is_sync<T: Sync>() {}
    use tenterhook_runtime::pager::*;
    is_sync::<Pager>();
    is_send::<(Pager, Open, ReadTransaction, BeginWrite, WriteTransaction, Commit, Checkpoint, IntegrityCheck)>(
    );
    is_sync::<(PageRef, PagerError, ReadTransaction)>();
    is_send::<PageRef>();
}

#[test]
fn snapshot_stays_as_it_is_across_commits_and_checkpoints() {
    let disk = Disk::new();
    let pager = open(&disk, PagerOptions { cache_pages: 1, ..options() }).expect("open");
    let (first, second) = (add_page(&disk, &pager, 1), add_page(&disk, &pager, 2));
    let mut readers = Vec::new();
    for round in 3..20 {
        readers.push((round - 1, pager.begin_read().expect("begin")));
        fill_pages(&disk, &pager, &[first, second], round).expect("commit");
        checkpoint(&disk, &pager);
    }
    for (expected, reader) in &mut readers {
        let expected = if *expected == 2 { [1, 2] } else { [*expected; 2] };
        for (page, expected) in [first, second].into_iter().zip(expected) {
            let bytes = run(&disk, || reader.page(page)).expect("read");
            assert!(bytes.iter().all(|byte| *byte == expected));
        }
    }
    drop(readers);
    checkpoint(&disk, &pager);
    assert_eq!(read_fill(&disk, &pager, first), Ok(19));
    assert_sound(&disk, &pager);
    assert_idle(&pager);
}

#[test]
fn changes_are_the_writers_own_until_the_commit() {
    let disk = Disk::new();
    let pager = open(&disk, options()).expect("open");
    let page = add_page(&disk, &pager, 1);
    let mut writer = begin(&disk, &pager);
    fill(&disk, &mut writer, page, 2);
    assert_eq!(run(&disk, || writer.page(page)).expect("read")[0], 2);
    assert_eq!(read_fill(&disk, &pager, page), Ok(1));
    let mut commit = writer.commit();
    assert_eq!(run(&disk, || commit.step()), Ok(2));
    assert_eq!(read_fill(&disk, &pager, page), Ok(2));
}

#[test]
fn reference_to_a_changed_page_does_not_see_later_changes() {
    let disk = Disk::new();
    let pager = open(&disk, options()).expect("open");
    let page = add_page(&disk, &pager, 1);
    let mut writer = begin(&disk, &pager);
    fill(&disk, &mut writer, page, 2);
    let before = run(&disk, || writer.page(page)).expect("read");
    fill(&disk, &mut writer, page, 3);
    let mut commit = writer.commit();
    run(&disk, || commit.step()).expect("commit");
    assert_eq!((before[0], read_fill(&disk, &pager, page)), (2, Ok(3)));
}

#[test]
fn rollback_takes_back_changes_allocations_and_frees() {
    let disk = Disk::new();
    let pager = open(&disk, options()).expect("open");
    let pages: Vec<u32> = (1..6).map(|fill| add_page(&disk, &pager, fill)).collect();
    let before = pager.audit();
    for end in [WriteTransaction::rollback as fn(WriteTransaction), drop] {
        let mut writer = begin(&disk, &pager);
        run(&disk, || writer.free(pages[1])).expect("free");
        run(&disk, || writer.free(pages[3])).expect("free");
        assert_eq!(run(&disk, || writer.allocate()), Ok(pages[3]), "what was freed last comes back first");
        let new = [(); 2].map(|()| run(&disk, || writer.allocate()).expect("allocate"));
        assert_eq!(new, [pages[1], 7]);
        fill(&disk, &mut writer, pages[0], 9);
        end(writer);
        assert_eq!((pager.page_count(), read_fill(&disk, &pager, pages[0])), (6, Ok(1)));
        assert_eq!(read_fill(&disk, &pager, pages[3]), Ok(4));
        assert_sound(&disk, &pager);
    }
    let after = pager.audit();
    assert_eq!(Audit { cached: 0, ..after }, Audit { cached: 0, ..before });
}

#[test]
fn freed_pages_are_used_again_and_their_old_readers_keep_them() {
    let disk = Disk::new();
    let pager = open(&disk, options()).expect("open");
    let pages: Vec<u32> = (1..6).map(|fill| add_page(&disk, &pager, fill)).collect();
    let mut old = pager.begin_read().expect("begin");
    let mut writer = begin(&disk, &pager);
    for page in &pages[1..4] {
        run(&disk, || writer.free(*page)).expect("free");
    }
    let mut commit = writer.commit();
    run(&disk, || commit.step()).expect("commit");
    assert_eq!(read_fill(&disk, &pager, pages[2]), Err(PagerError::PageNotAllocated { page: pages[2] }));
    assert_sound(&disk, &pager);
    let again: Vec<u32> = (11..15).map(|fill| add_page(&disk, &pager, fill)).collect();
    assert_eq!(again, [pages[3], pages[2], pages[1], 7]);
    for (page, expected) in pages.iter().zip(1..) {
        assert_eq!(run(&disk, || old.page(*page)).expect("read")[0], expected);
    }
    drop(old);
    checkpoint(&disk, &pager);
    drop(pager);
    let pager = open(&disk, options()).expect("open again");
    for (page, expected) in again.iter().zip(11..) {
        assert_eq!(read_fill(&disk, &pager, *page), Ok(expected));
    }
    assert_sound(&disk, &pager);
}

#[test]
fn misuse_of_pages_is_a_typed_error_and_changes_nothing() {
    let disk = Disk::new();
    let pager = open(&disk, PagerOptions { max_pages: 4, ..options() }).expect("open");
    let page = add_page(&disk, &pager, 1);
    let mut writer = begin(&disk, &pager);
    for no_page in [0, 1, page + 1, u32::MAX] {
        let error = PagerError::PageOutOfRange { page: no_page, page_count: 2 };
        assert_eq!(writer.page(no_page).unwrap_err(), error);
        assert_eq!(writer.page_mut(no_page).unwrap_err(), error);
        assert_eq!(writer.free(no_page).unwrap_err(), error);
    }
    run(&disk, || writer.free(page)).expect("free");
    let error = PagerError::PageNotAllocated { page };
    assert_eq!(run(&disk, || writer.free(page)), Err(PagerError::PageFreedTwice { page }));
    assert_eq!(writer.page(page).unwrap_err(), error);
    assert_eq!(writer.page_mut(page).unwrap_err(), error);
    let mut commit = writer.commit();
    run(&disk, || commit.step()).expect("commit");
    let mut writer = begin(&disk, &pager);
    assert_eq!(run(&disk, || writer.free(page)), Err(PagerError::PageFreedTwice { page }));
    let allocated: Vec<_> = (0..4).map(|_| run(&disk, || writer.allocate())).collect();
    assert_eq!(allocated, [Ok(2), Ok(3), Ok(4), Err(PagerError::NoSpace { max_pages: 4 })]);
    let mut commit = writer.commit();
    run(&disk, || commit.step()).expect("commit");
    assert_sound(&disk, &pager);
}

#[test]
fn two_readers_of_a_missing_page_share_one_read_and_its_failure() {
    let disk = Disk::new();
    let pager = open(&disk, options()).expect("open");
    let page = add_page(&disk, &pager, 7);
    drop(pager);
    let pager = open(&disk, options()).expect("open again, with an empty cache");
    disk.hold(true);
    let mut readers = [(); 3].map(|()| pager.begin_read().expect("begin"));
    for reader in &mut readers {
        assert!(!waits_for(reader.page(page)).finished());
    }
    assert_eq!((disk.waiting().len(), pager.audit().loading), (1, 1));
    // One goes, one cancels its wait: neither is the read's business.
    let [mut first, mut second, third] = readers;
    drop(third);
    waits_for(second.page(page)).cancel();
    assert!(matches!(second.page(page), Err(PagerError::Io { .. })), "cancelled, for this one only");
    disk.fail(0, FAULT);
    let failed = first.page(page).unwrap_err();
    assert!(matches!(failed, PagerError::Io { error: FAULT, .. }), "{failed}");
    assert_eq!((disk.waiting().len(), pager.audit().loading), (0, 0));
    assert!(!waits_for(first.page(page)).finished(), "asked again, it is read again");
    disk.release(0);
    assert!(matches!(first.page(page), Ok(IOResult::Done(bytes)) if bytes[0] == 7));
    drop((first, second));
    assert_idle(&pager);
}

#[test]
fn page_is_installed_when_its_reader_has_gone() {
    let disk = Disk::new();
    let pager = open(&disk, options()).expect("open");
    let page = add_page(&disk, &pager, 7);
    drop(pager);
    let pager = open(&disk, options()).expect("open again, with an empty cache");
    disk.hold(true);
    let mut reader = pager.begin_read().expect("begin");
    waits_for(reader.page(page));
    drop(reader);
    disk.release(0);
    assert_idle(&pager);
    let mut reader = pager.begin_read().expect("begin");
    assert!(matches!(reader.page(page), Ok(IOResult::Done(_))));
}

#[test]
fn cache_smaller_than_the_transaction_is_enough() {
    let disk = Disk::new();
    let pager = open(&disk, PagerOptions { cache_pages: 1, ..options() }).expect("open");
    let mut writer = begin(&disk, &pager);
    let pages: Vec<u32> = (0..300).map(|_| run(&disk, || writer.allocate()).expect("allocate")).collect();
    for page in &pages {
        fill(&disk, &mut writer, *page, *page as u8);
    }
    let mut commit = writer.commit();
    run(&disk, || commit.step()).expect("commit");
    assert_eq!(pager.audit().cached, 1);
    for page in &pages {
        assert_eq!(read_fill(&disk, &pager, *page), Ok(*page as u8));
    }
    assert!(pager.audit().cached <= 1);
    assert_sound(&disk, &pager);
}

/// Drops a commit at the given yield; whether it had been handed to the log by then. `None` when it ended before.
fn drop_commit_at_yield(disk: &Disk, pager: &Arc<Pager>, page: u32, at: usize) -> Option<bool> {
    let mut writer = begin(disk, pager);
    fill(disk, &mut writer, page, 200);
    disk.hold(true);
    let mut commit = writer.commit();
    for _ in 0..at {
        if let Ok(IOResult::Done(_)) = commit.step() {
            disk.hold(false);
            return None;
        }
        disk.release(0);
    }
    let suspended = commit.step().is_ok_and(|step| step.is_io());
    suspended.then(|| commit.is_submitted())
}

#[test]
fn commit_dropped_at_any_yield_rolls_back_or_continues_and_leaves_nothing() {
    let mut yields = 0;
    loop {
        let disk = Disk::new();
        let pager = open(&disk, options()).expect("open");
        let page = add_page(&disk, &pager, 1);
        let other = add_page(&disk, &pager, 1);
        // With all of the log checkpointed, the commit begins with a reset of the log.
        checkpoint(&disk, &pager);
        let Some(continues) = drop_commit_at_yield(&disk, &pager, page, yields) else { break };
        assert_eq!(continues, yields >= 2, "yield {yields}");
        let audit = pager.audit();
        assert_eq!((audit.readers, audit.writer_held, audit.pins), (0, false, 0), "yield {yields}");
        assert_eq!((audit.log_writes, audit.commits_pending), (disk.waiting().len(), usize::from(continues)));
        // The next writer does not overwrite what is in flight.
        let mut writer = pager.try_begin_write().expect("the write lock is free");
        drop(writer.page_mut(other).expect("cached"));
        let mut next = writer.commit();
        let left = disk.waiting();
        assert!(next.step().is_ok_and(|step| step.is_io()));
        assert_eq!((next.is_submitted(), disk.waiting()), (continues, left), "yield {yields}");
        if continues {
            (yields..4).for_each(|_| disk.release(0));
            let written = disk.waiting()[0];
            assert_eq!((written.kind, written.offset), (OperationKind::Write, 8192 + 64 + 512));
        }
        disk.hold(false);
        run(&disk, || next.step()).expect("commit");
        assert_eq!(read_fill(&disk, &pager, page), Ok(if continues { 200 } else { 1 }), "yield {yields}");
        assert_sound(&disk, &pager);
        assert_idle(&pager);
        yields += 1;
    }
    assert_eq!(yields, 4, "header, its sync, frames, their sync");
}

#[test]
fn failed_commit_shows_up_whole_after_a_crash_or_never_once_another_was_acknowledged() {
    for another in [false, true] {
        let disk = Disk::new();
        let pager = open(&disk, options()).expect("open");
        let (page, other) = (add_page(&disk, &pager, 1), add_page(&disk, &pager, 1));
        let mut writer = begin(&disk, &pager);
        for (page, byte) in [(page, 200), (other, 201)] {
            fill(&disk, &mut writer, page, byte);
        }
        for _ in 0..20 {
            let page = run(&disk, || writer.allocate()).expect("allocate");
            fill(&disk, &mut writer, page, 99);
        }
        disk.hold(true);
        let mut commit = writer.commit();
        waits_for(commit.step());
        disk.fail_late(0, FAULT);
        disk.hold(false);
        assert!(matches!(commit.step(), Err(PagerError::Io { error: FAULT, .. })));
        assert_eq!((pager.commit_sequence(), read_fill(&disk, &pager, page)), (2, Ok(1)));
        if another {
            // Shorter than the failed one: frames of that stay behind in the file.
            assert_eq!(fill_pages(&disk, &pager, &[page], 3), Ok(3));
        }
        let disk = disk.copy();
        let pager = open(&disk, options()).expect("recover");
        let expected = if another { (Ok(3), Ok(1), 3) } else { (Ok(200), Ok(201), 23) };
        let found = (read_fill(&disk, &pager, page), read_fill(&disk, &pager, other), pager.page_count());
        assert_eq!(found, expected);
        assert_eq!(pager.commit_sequence(), 3);
        assert_sound(&disk, &pager);
    }
}

#[test]
fn failed_write_fails_the_commit_and_the_next_one_takes_its_place() {
    let disk = Disk::new();
    let pager = open(&disk, options()).expect("open");
    let page = add_page(&disk, &pager, 1);
    let mut writer = begin(&disk, &pager);
    fill(&disk, &mut writer, page, 2);
    disk.hold(true);
    let mut commit = writer.commit();
    waits_for(commit.step());
    disk.fail(0, FAULT);
    disk.hold(false);
    assert!(matches!(commit.step(), Err(PagerError::Io { error: FAULT, .. })));
    // It has ended: nothing is held, although the machine still exists.
    assert_idle(&pager);
    assert_eq!(read_fill(&disk, &pager, page), Ok(1));
    assert_eq!(fill_pages(&disk, &pager, &[page], 3), Ok(2));
    let disk = disk.copy();
    assert_eq!(read_fill(&disk, &open(&disk, options()).expect("recover"), page), Ok(3));
}

#[test]
fn failed_sync_refuses_writes_until_the_file_is_opened_again() {
    for abandoned in [false, true] {
        let disk = Disk::new();
        let pager = open(&disk, options()).expect("open");
        let page = add_page(&disk, &pager, 1);
        let mut writer = begin(&disk, &pager);
        fill(&disk, &mut writer, page, 2);
        let mut waiting = pager.begin_write();
        let turn = waits_for(waiting.step());
        disk.hold(true);
        let mut commit = Some(writer.commit());
        waits_for(commit.as_mut().expect("there").step());
        disk.release(0);
        waits_for(commit.as_mut().expect("there").step());
        assert_eq!(disk.waiting()[0].kind, OperationKind::Sync);
        if abandoned {
            commit = None;
        }
        disk.fail(0, FAULT);
        disk.hold(false);
        let refused = PagerError::Poisoned { cause: FAULT };
        if let Some(mut commit) = commit {
            assert!(matches!(commit.step(), Err(PagerError::Io { error: FAULT, .. })));
        }
        assert!(turn.finished(), "who waits is told");
        assert_eq!(waiting.step().unwrap_err(), refused);
        assert_eq!(pager.try_begin_write().unwrap_err(), refused);
        assert_eq!(pager.begin_write().step().unwrap_err(), refused);
        assert_eq!(pager.checkpoint(CheckpointMode::Passive).step().unwrap_err(), refused);
        assert_eq!(pager.checkpoint_due(), None);
        // What was acknowledged is there to be read.
        assert_eq!(read_fill(&disk, &pager, page), Ok(1));
        drop((waiting, pager));
        let pager = open(&disk, options()).expect("open again");
        let recovered = read_fill(&disk, &pager, page).expect("read");
        assert!(recovered == 1 || recovered == 2);
        // The system took the failed sync's bytes for clean. What the recovery showed survives a power loss anyway.
        let disk = disk.after_power_loss(|| false);
        let pager = open(&disk, options()).expect("recover");
        assert_eq!(read_fill(&disk, &pager, page), Ok(recovered));
    }
}

#[test]
#[should_panic(expected = "a finished state machine was stepped again")]
fn commit_stepped_after_its_end_panics() {
    let disk = Disk::new();
    let pager = open(&disk, options()).expect("open");
    let mut commit = begin(&disk, &pager).commit();
    assert_eq!(run(&disk, || commit.step()), Ok(0));
    let _ = commit.step();
}

#[test]
fn connections_on_threads_share_a_pager() {
    let io = Arc::new(MemoryIO::new());
    let mut open = Pager::open(io.clone(), db_path(), options());
    let pager = drive(&*io, || open.step()).expect("open");
    let mut writer = pager.try_begin_write().expect("begin");
    let pages = [(); 8].map(|()| drive(&*io, || writer.allocate()).expect("allocate"));
    let mut commit = writer.commit();
    drive(&*io, || commit.step()).expect("commit");
    std::thread::scope(|scope| {
        for thread in 0..4u8 {
            let (pager, io) = (&pager, &io);
            scope.spawn(move || {
                for round in 0..50u8 {
                    let mut begin = pager.begin_write();
                    let mut writer = drive(&**io, || begin.step()).expect("begin");
                    for page in pages {
                        let stamp = [thread, round];
                        let change = || {
                            writer
                                .page_mut(page)
                                .map(|bytes| bytes.map(|bytes| bytes[..2].copy_from_slice(&stamp)))
                        };
                        drive(&**io, change).expect("change");
                    }
                    let mut commit = writer.commit();
                    drive(&**io, || commit.step()).expect("commit");
                    let mut reader = pager.begin_read().expect("begin");
                    let first = drive(&**io, || reader.page(pages[0])).expect("read");
                    for page in pages {
                        let bytes = drive(&**io, || reader.page(page)).expect("read");
                        assert_eq!(bytes[..2], first[..2]);
                    }
                    if round % 10 == 0 {
                        let mut checkpoint = pager.checkpoint(CheckpointMode::Passive);
                        drive(&**io, || checkpoint.step()).expect("checkpoint");
                    }
                }
            });
        }
    });
    assert_eq!(pager.commit_sequence(), 201);
    while tenterhook_runtime::io::IO::step(&*io).expect("step") > 0 {}
    assert_idle(&pager);
}
