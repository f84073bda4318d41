//! How far checkpoints go, and when the log is reset.

mod pager_support;

use pager_support::*;
use tenterhook_runtime::IOResult;
use tenterhook_runtime::io::OperationKind;
use tenterhook_runtime::pager::{
    CheckpointMode, CheckpointOutcome, CheckpointReport, PagerError, PagerOptions, ReadTransaction,
};

fn read(disk: &Disk, reader: &mut ReadTransaction, page: u32) -> u8 {
    run(disk, || reader.page(page)).expect("read")[0]
}

/// Steps a checkpoint on a held disk, up to the given number of released operations; `true` when it ended.
fn step_checkpoint(
    disk: &Disk,
    checkpoint: &mut tenterhook_runtime::pager::Checkpoint,
    releases: usize,
) -> bool {
    for _ in 0..releases {
        if !checkpoint.step().expect("checkpoint").is_io() {
            return true;
        }
        disk.release(0);
    }
    !checkpoint.step().expect("checkpoint").is_io()
}

#[test]
fn checkpoint_never_goes_past_the_oldest_reader() {
    let disk = Disk::new();
    let pager = open(&disk, PagerOptions { cache_pages: 1, ..options() }).expect("open");
    let page = add_page(&disk, &pager, 1);
    let other = add_page(&disk, &pager, 1);
    let mut old = pager.begin_read().expect("begin");
    fill_pages(&disk, &pager, &[page], 2).expect("commit");
    let mut newer = pager.begin_read().expect("begin");
    fill_pages(&disk, &pager, &[page, other], 3).expect("commit");

    let report = checkpoint(&disk, &pager);
    let expected = CheckpointReport { outcome: CheckpointOutcome::Partial, sequence: 2, frames: 2, pages: 2 };
    assert_eq!(report, expected);
    assert_eq!(
        checkpoint(&disk, &pager),
        CheckpointReport { frames: 0, pages: 0, ..expected },
        "nothing more to do"
    );
    assert_eq!((read(&disk, &mut old, page), read(&disk, &mut old, other)), (1, 1));
    drop(old);

    let report = checkpoint(&disk, &pager);
    assert_eq!(report, CheckpointReport { sequence: 3, frames: 1, pages: 1, ..expected });
    assert_eq!((read(&disk, &mut newer, page), read(&disk, &mut newer, other)), (2, 1));
    drop(newer);

    let report = checkpoint(&disk, &pager);
    assert_eq!(
        report,
        CheckpointReport { outcome: CheckpointOutcome::Complete, sequence: 4, frames: 2, pages: 2 }
    );
    assert_eq!(read_fill(&disk, &pager, page), Ok(3));
}

/// A reader that began when all was checkpointed reads the database file only. The log may be reset under it, but
/// nothing newer may get into the file.
#[test]
fn reader_of_the_database_file_is_not_overtaken_by_later_generations() {
    let disk = Disk::new();
    let pager = open(&disk, PagerOptions { cache_pages: 1, ..options() }).expect("open");
    let pages = [add_page(&disk, &pager, 1), add_page(&disk, &pager, 1)];
    checkpoint(&disk, &pager);
    let mut reader = pager.begin_read().expect("begin");
    for round in 2..6 {
        fill_pages(&disk, &pager, &pages, round).expect("commit");
        assert_eq!(checkpoint(&disk, &pager).outcome, CheckpointOutcome::Partial);
    }
    assert_eq!(pager.audit().log_frames, 8, "the first commit reset the log, and it grew from then on");
    for page in pages {
        assert_eq!(read(&disk, &mut reader, page), 1);
    }
    drop(reader);
    assert_eq!(checkpoint(&disk, &pager).outcome, CheckpointOutcome::Complete);
    fill_pages(&disk, &pager, &pages, 9).expect("commit");
    assert_eq!(pager.audit().log_frames, 2);
}

#[test]
fn log_is_not_reset_while_it_has_a_reader() {
    let disk = Disk::new();
    let pager = open(&disk, PagerOptions { cache_pages: 1, ..options() }).expect("open");
    let pages = [add_page(&disk, &pager, 1), add_page(&disk, &pager, 2)];
    let mut reader = pager.begin_read().expect("begin");
    assert_eq!(checkpoint(&disk, &pager).outcome, CheckpointOutcome::Complete);
    for fill in 10..14 {
        fill_pages(&disk, &pager, &pages, fill).expect("commit");
    }
    assert_eq!(pager.audit().log_frames, 10);
    assert_eq!(pages.map(|page| read(&disk, &mut reader, page)), [1, 2]);
}

/// There is a reader at any moment, but none lasts from one commit to the next but one.
#[test]
fn log_stays_in_bounds_although_there_is_always_a_reader() {
    let disk = Disk::new();
    let pager = open(&disk, PagerOptions { checkpoint_frames: 20, ..options() }).expect("open");
    let page = add_page(&disk, &pager, 0);
    let mut reader = pager.begin_read().expect("begin");
    for round in 0..200 {
        fill_pages(&disk, &pager, &[page], round).expect("commit");
        let successor = pager.begin_read().expect("begin");
        drop(std::mem::replace(&mut reader, successor));
        if pager.checkpoint_due().is_some() {
            checkpoint(&disk, &pager);
            let successor = pager.begin_read().expect("begin");
            drop(std::mem::replace(&mut reader, successor));
        }
        assert_eq!(pager.audit().readers, 1);
        assert!(pager.audit().log_frames <= 20, "{:?}", pager.audit());
        assert_eq!(read(&disk, &mut reader, page), round);
    }
}

#[test]
fn checkpoint_is_due_when_enough_can_be_copied() {
    let disk = Disk::new();
    let pager = open(&disk, PagerOptions { checkpoint_frames: 3, ..options() }).expect("open");
    let page = add_page(&disk, &pager, 1);
    let reader = pager.begin_read().expect("begin");
    for fill in 2..6 {
        fill_pages(&disk, &pager, &[page], fill).expect("commit");
    }
    assert_eq!(pager.checkpoint_due(), None, "the reader lets it copy one frame");
    drop(reader);
    assert_eq!(pager.checkpoint_due(), Some(CheckpointMode::Passive));
    disk.hold(true);
    let mut running = pager.checkpoint(CheckpointMode::Passive);
    assert!(running.step().expect("checkpoint").is_io());
    assert_eq!(pager.checkpoint_due(), None, "one is running");
    let Ok(IOResult::Done(second)) = pager.checkpoint(CheckpointMode::Passive).step() else {
        panic!("it has nothing to wait for")
    };
    assert_eq!(second.outcome, CheckpointOutcome::AlreadyRunning);
    drop(running);
    disk.hold(false);
    assert_eq!(pager.checkpoint_due(), Some(CheckpointMode::Passive));
    checkpoint(&disk, &pager);
    assert_eq!(pager.checkpoint_due(), None);
}

/// Everything that a checkpoint does to the disk, in order, is: pages, header, sync; and the log is touched only after.
#[test]
fn log_is_touched_only_after_the_database_file_was_synced() {
    let disk = Disk::new();
    let pager = open(&disk, options()).expect("open");
    let page = add_page(&disk, &pager, 1);
    disk.hold(true);
    let mut checkpoint = pager.checkpoint(CheckpointMode::Passive);
    let mut seen = Vec::new();
    while checkpoint.step().expect("checkpoint").is_io() {
        // A commit at any moment on the way does not reset the log.
        let mut writer = pager.try_begin_write().expect("free");
        assert!(matches!(writer.page_mut(page), Ok(IOResult::Done(_))));
        let mut commit = writer.commit();
        assert!(commit.step().expect("commit").is_io());
        drop(commit);
        let waiting = disk.waiting();
        seen.extend(waiting.iter().filter(|op| !op.on_log).copied());
        let mut writes = waiting.iter().filter(|op| op.on_log && op.kind == OperationKind::Write);
        assert!(writes.all(|op| op.offset > 8192), "frames after the old ones: {waiting:?}");
        for _ in waiting {
            disk.release(0);
        }
    }
    let kinds: Vec<_> = seen.iter().map(|op| (op.on_log, op.kind, op.offset)).collect();
    use OperationKind::{Sync, Write};
    assert_eq!(kinds, [(false, Write, 512), (false, Write, 0), (false, Sync, 0)]);
}

#[test]
fn checkpoint_dropped_at_any_yield_leaves_nothing_and_another_waits_for_its_writes() {
    for releases in 0.. {
        let disk = Disk::new();
        let pager = open(&disk, PagerOptions { cache_pages: 1, ..options() }).expect("open");
        let pages: Vec<u32> = (1..6).map(|fill| add_page(&disk, &pager, fill)).collect();
        disk.hold(true);
        let mut dropped = pager.checkpoint(CheckpointMode::Passive);
        if step_checkpoint(&disk, &mut dropped, releases) {
            assert_eq!(releases, 7, "four pages from the log, a write, the header, a sync");
            break;
        }
        drop(dropped);
        let audit = pager.audit();
        assert!(!audit.checkpoint_running && audit.pins == 0 && audit.readers == 0, "{audit:?}");
        let left: Vec<_> = disk.waiting();
        let writes = left.iter().filter(|op| op.kind != OperationKind::Read).count();
        assert_eq!(audit.database_writes, writes.min(1));
        let mut second = pager.checkpoint(CheckpointMode::Passive);
        assert!(second.step().expect("checkpoint").is_io());
        if writes > 0 {
            assert_eq!(disk.waiting(), left, "it waits, {releases} operations in");
        }
        disk.hold(false);
        let report = run(&disk, || second.step()).expect("checkpoint");
        assert_eq!((report.outcome, report.frames), (CheckpointOutcome::Complete, 5));
        for (page, fill) in pages.iter().zip(1..) {
            assert_eq!(read_fill(&disk, &pager, *page), Ok(fill));
        }
        assert_sound(&disk, &pager);
        assert!(pager.audit().is_idle());
    }
}

#[test]
fn failed_sync_of_the_database_file_refuses_writes_and_keeps_the_log() {
    let disk = Disk::new();
    let pager = open(&disk, options()).expect("open");
    let page = add_page(&disk, &pager, 1);
    disk.hold(true);
    let mut checkpoint = pager.checkpoint(CheckpointMode::Passive);
    assert!(!step_checkpoint(&disk, &mut checkpoint, 2));
    disk.fail(0, FAULT);
    assert!(matches!(checkpoint.step(), Err(PagerError::Io { error: FAULT, .. })));
    assert_eq!(pager.try_begin_write().unwrap_err(), PagerError::Poisoned { cause: FAULT });
    disk.hold(false);
    drop((checkpoint, pager));
    let disk = disk.after_power_loss(|| false);
    let pager = open(&disk, options()).expect("open again");
    assert_eq!(read_fill(&disk, &pager, page), Ok(1));
}

#[test]
fn failed_write_of_a_checkpoint_can_be_tried_again() {
    let disk = Disk::new();
    let pager = open(&disk, options()).expect("open");
    let page = add_page(&disk, &pager, 1);
    disk.hold(true);
    let mut first = pager.checkpoint(CheckpointMode::Passive);
    assert!(first.step().expect("checkpoint").is_io());
    disk.fail(0, FAULT);
    assert!(matches!(first.step(), Err(PagerError::Io { error: FAULT, .. })));
    assert!(pager.audit().is_idle(), "it has ended, although the machine still exists");
    disk.hold(false);
    assert_eq!(checkpoint(&disk, &pager).outcome, CheckpointOutcome::Complete);
    assert_eq!(read_fill(&disk, &pager, page), Ok(1));
}

#[test]
fn short_write_is_an_error_and_not_a_success() {
    let disk = Disk::new();
    let pager = open(&disk, options()).expect("open");
    let page = add_page(&disk, &pager, 1);
    disk.hold(true);
    let mut writer = pager.try_begin_write().expect("free");
    assert!(matches!(writer.page_mut(page), Ok(IOResult::Done(_))));
    let mut commit = writer.commit();
    assert!(commit.step().expect("commit").is_io());
    disk.shorten(0);
    let error = commit.step().expect_err("it wrote too little");
    assert!(matches!(
        error,
        PagerError::Io { error: tenterhook_runtime::CompletionError::ShortWrite { .. }, .. }
    ));
}

/// The cache keeps its pages when the log is reset: they become versions of the database file.
#[test]
fn pages_stay_cached_when_the_log_is_reset() {
    let disk = Disk::new();
    let pager = open(&disk, options()).expect("open");
    let pages = [add_page(&disk, &pager, 1), add_page(&disk, &pager, 2), add_page(&disk, &pager, 3)];
    fill_pages(&disk, &pager, &pages[..1], 4).expect("commit");
    checkpoint(&disk, &pager);
    fill_pages(&disk, &pager, &pages[2..], 5).expect("commit, resets the log");
    assert_eq!(pager.audit().log_frames, 1);
    disk.hold(true);
    let mut reader = pager.begin_read().expect("begin");
    for (page, expected) in pages.iter().zip([4, 2, 5]) {
        assert!(
            matches!(reader.page(*page), Ok(IOResult::Done(bytes)) if bytes[0] == expected),
            "page {page}"
        );
    }
}

/// A read of the database file for a reader who has gone may bring what was there before a checkpoint wrote the page.
/// It must not be kept then, nor shared with later readers.
#[test]
fn stale_read_is_not_kept_across_a_checkpoint() {
    stale_read_is_not_kept(false);
}

/// The same where the cache has no version of the page from the database file, beside the read that is under way.
#[test]
fn stale_read_is_not_kept_across_a_checkpoint_of_a_log_that_is_not_reset() {
    stale_read_is_not_kept(true);
}

fn stale_read_is_not_kept(is_log_kept: bool) {
    let disk = Disk::new();
    let pager = open(&disk, options()).expect("open");
    let page = add_page(&disk, &pager, 1);
    // This writer sees the page in the log, where the cache has it.
    let mut writer = pager.try_begin_write().expect("free");
    let in_log = is_log_kept.then(|| pager.begin_read().expect("begin"));
    checkpoint(&disk, &pager);
    // This reader sees it in the database file. Its read is slow, and has the old bytes already.
    disk.hold(true);
    let mut reader = pager.begin_read().expect("begin");
    assert!(reader.page(page).expect("read").is_io());
    drop(reader);
    let stale = disk.take(0);
    disk.hold(false);

    run(&disk, || writer.page_mut(page).map(|bytes| bytes.map(|bytes| bytes.fill(2)))).expect("change");
    let mut commit = writer.commit();
    run(&disk, || commit.step()).expect("commit");
    // A writer that commits no longer reads the log: without a reader it is reset.
    assert_eq!(pager.audit().log_frames, if is_log_kept { 2 } else { 1 });
    drop(in_log);
    assert_eq!(checkpoint(&disk, &pager).outcome, CheckpointOutcome::Complete);
    let mut reader = pager.begin_read().expect("begin");
    disk.hold(true);
    assert!(reader.page(page).expect("read").is_io());
    assert_eq!(disk.waiting().len(), 1, "a read of its own");
    stale.finish();
    disk.hold(false);
    assert_eq!(read(&disk, &mut reader, page), 2);
    assert_eq!(read_fill(&disk, &pager, page), Ok(2));
    drop(reader);
    assert!(pager.audit().is_idle());
}
