//! What checkpoints wait for, whom they hold up, and that the log stays in bounds with them.

mod pager_support;

use std::collections::VecDeque;
use std::future::Future as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::{Context, Wake, Waker};

use pager_support::*;
use tenterhook_runtime::io::{IO as _, OperationKind};
use tenterhook_runtime::pager::{
    BeginWrite, Checkpoint, CheckpointMode, CheckpointOutcome, Commit, Pager, PagerError, PagerOptions,
    ReadTransaction,
};
use tenterhook_runtime::{IOCompletions, IOResult};

const HEADERS: usize = 8192;

/// Steps until it waits for readers, or has ended: then its outcome.
fn advance(disk: &Disk, checkpoint: &mut Checkpoint) -> Option<CheckpointOutcome> {
    loop {
        match checkpoint.step().expect("checkpoint") {
            IOResult::Done(report) => return Some(report.outcome),
            IOResult::IO(_) if checkpoint.waits_for_readers() => return None,
            IOResult::IO(_) => drop(disk.step().expect("step")),
        }
    }
}

fn see(disk: &Disk, reader: &mut ReadTransaction, page: u32) -> u8 {
    run(disk, || reader.page(page)).expect("read")[0]
}

#[test]
fn full_waits_for_old_readers_first_and_holds_up_writers_only_after_that() {
    let disk = Disk::new();
    let pager = open(&disk, options()).expect("open");
    let page = add_page(&disk, &pager, 1);
    let mut old = pager.begin_read().expect("begin");
    fill_pages(&disk, &pager, &[page], 2).expect("commit");
    let mut newer = pager.begin_read().expect("begin");

    let mut checkpoint = pager.checkpoint(CheckpointMode::Full);
    assert_eq!(advance(&disk, &mut checkpoint), None);
    assert!(!checkpoint.holds_up_writers());
    let audit = pager.audit();
    assert_eq!((audit.log_checkpointed, audit.log_frames), (1, 2), "as far as the old one lets it");
    fill_pages(&disk, &pager, &[page], 3).expect("writers go on");
    assert_eq!(see(&disk, &mut old, page), 1);
    drop(old);
    assert_eq!(advance(&disk, &mut checkpoint), None);
    assert!(checkpoint.holds_up_writers());
    assert_eq!(pager.audit().log_checkpointed, 2);
    assert_eq!(pager.try_begin_write().unwrap_err(), PagerError::Busy);
    let mut late = pager.begin_read().expect("readers begin anyway");
    assert_eq!([&mut newer, &mut late].map(|reader| see(&disk, reader, page)), [2, 3]);
    drop(newer);
    assert_eq!(advance(&disk, &mut checkpoint), Some(CheckpointOutcome::Complete));
    assert_eq!(pager.audit().log_checkpointed, 3);
    assert_eq!(see(&disk, &mut late, page), 3);
    drop(pager.try_begin_write().expect("the write lock is free again, although the machine still exists"));
}

#[test]
fn restart_waits_for_those_that_read_the_log_and_not_for_those_that_come_once_all_is_copied() {
    let disk = Disk::new();
    let pager = open(&disk, options()).expect("open");
    let page = add_page(&disk, &pager, 1);
    let mut in_log = pager.begin_read().expect("begin");
    let mut restart = pager.checkpoint(CheckpointMode::Restart);
    assert_eq!(advance(&disk, &mut restart), None);
    assert_eq!(pager.audit().log_checkpointed, 1, "it is of the newest commit");
    let mut in_file = pager.begin_read().expect("begin");
    assert_eq!([&mut in_log, &mut in_file].map(|reader| see(&disk, reader, page)), [1, 1]);
    drop(in_log);
    assert_eq!(advance(&disk, &mut restart), Some(CheckpointOutcome::Restarted));
    assert_eq!(pager.audit().log_frames, 0);
    let syncs = disk.syncs();
    fill_pages(&disk, &pager, &[page], 2).expect("commit");
    assert_eq!(disk.syncs() - syncs, 1, "the header is there already");
    assert_eq!(see(&disk, &mut in_file, page), 1);
    drop(in_file);
    assert_eq!(read_fill(&disk, &pager, page), Ok(2));
    drop(pager);
    let pager = open(&disk, options()).expect("open again");
    assert_eq!(read_fill(&disk, &pager, page), Ok(2));
}

/// A passive one does nothing then. One that was asked for more may not.
#[test]
fn checkpoint_that_is_not_passive_waits_for_the_one_that_is_under_way() {
    let disk = Disk::new();
    let pager = open(&disk, options()).expect("open");
    add_page(&disk, &pager, 1);
    disk.hold(true);
    let mut passive = pager.checkpoint(CheckpointMode::Passive);
    assert!(passive.step().expect("checkpoint").is_io());
    let mut truncate = pager.checkpoint(CheckpointMode::Truncate);
    assert!(truncate.step().expect("checkpoint").is_io());
    assert_eq!(disk.waiting().len(), 1, "of the passive one");
    disk.hold(false);
    run(&disk, || passive.step()).expect("checkpoint");
    assert_eq!(advance(&disk, &mut truncate), Some(CheckpointOutcome::Restarted));
}

#[test]
fn truncate_cuts_the_log_file_off_behind_its_headers() {
    let disk = Disk::new();
    let pager = open(&disk, options()).expect("open");
    let page = add_page(&disk, &pager, 1);
    fill_pages(&disk, &pager, &[page], 2).expect("commit");
    assert!(disk.bytes(log_path()).len() > HEADERS);
    for _ in 0..2 {
        let mut truncate = pager.checkpoint(CheckpointMode::Truncate);
        assert_eq!(advance(&disk, &mut truncate), Some(CheckpointOutcome::Restarted));
        assert_eq!(disk.bytes(log_path()).len(), HEADERS);
    }
    fill_pages(&disk, &pager, &[page], 3).expect("commit");
    let disk = disk.after_power_loss(|| false);
    let pager = open(&disk, options()).expect("open again");
    assert_eq!(read_fill(&disk, &pager, page), Ok(3));
}

/// There is no generation after the last, so the log keeps its frames.
#[test]
fn log_that_can_not_be_reset_is_not_cut_off() {
    let (database, log) = {
        let disk = Disk::new();
        drop(open(&disk, options()).expect("new"));
        (disk.bytes(db_path()), disk.bytes(log_path()))
    };
    let disk = Disk::with_files(&[(db_path(), &database), (log_path(), &in_generation(&log, u32::MAX - 1))]);
    let pager = open(&disk, options()).expect("it begins the last generation");
    let page = add_page(&disk, &pager, 1);
    fill_pages(&disk, &pager, &[page], 2).expect("commit");
    let mut truncate = pager.checkpoint(CheckpointMode::Truncate);
    assert_eq!(advance(&disk, &mut truncate), Some(CheckpointOutcome::Complete));
    fill_pages(&disk, &pager, &[page], 3).expect("commit");
    let disk = disk.after_power_loss(|| false);
    let pager = open(&disk, options()).expect("open again");
    assert_eq!(read_fill(&disk, &pager, page), Ok(3));
}

/// A log that says that it is of `generation`, the first slot's.
fn in_generation(log: &[u8], generation: u32) -> Vec<u8> {
    use xxhash_rust::xxh3::xxh3_64;
    let mut header = log[4096..4096 + 56].to_vec();
    header[40..44].copy_from_slice(&generation.to_le_bytes());
    let salt = xxh3_64(&[&header[16..32], &header[40..44]].concat());
    header[32..40].copy_from_slice(&salt.to_le_bytes());
    let checksum = xxh3_64(&header[..48]);
    header[48..].copy_from_slice(&checksum.to_le_bytes());
    [&header, &log[56..]].concat()
}

/// The machine is gone, but its completion still has a holder, whose waker panics.
#[test]
fn commit_that_waits_for_a_cut_is_woken_although_another_waiter_panics() {
    struct Fails;
    impl Wake for Fails {
        fn wake(self: Arc<Self>) {
            panic!("on purpose");
        }
    }
    let disk = Disk::new();
    let pager = open(&disk, options()).expect("open");
    let page = add_page(&disk, &pager, 1);
    let mut truncate = pager.checkpoint(CheckpointMode::Truncate);
    disk.hold(true);
    let cut = loop {
        let IOResult::IO(IOCompletions::Single(completion)) = truncate.step().expect("checkpoint") else {
            panic!("it waits for one thing")
        };
        if disk.waiting().iter().any(|op| op.kind == OperationKind::Truncate) {
            break completion;
        }
        disk.release(0);
    };
    drop(truncate);
    let mut polled = std::pin::pin!(cut);
    assert!(polled.as_mut().poll(&mut Context::from_waker(&Waker::from(Arc::new(Fails)))).is_pending());
    let mut writer = pager.try_begin_write().expect("the write lock is free");
    assert!(matches!(writer.page_mut(page), Ok(IOResult::Done(_))));
    let mut commit = writer.commit();
    assert!(commit.step().expect("commit").is_io());
    assert!(catch_unwind(AssertUnwindSafe(|| disk.release(0))).is_err());
    disk.hold(false);
    run(&disk, || commit.step()).expect("it was told");
}

/// Its owner is gone, and it would cut the frames off that are written behind its back.
#[test]
fn commit_waits_for_a_cut_without_a_waiter() {
    let disk = Disk::new();
    let pager = open(&disk, options()).expect("open");
    let page = add_page(&disk, &pager, 1);
    let mut truncate = pager.checkpoint(CheckpointMode::Truncate);
    disk.hold(true);
    let is_cut = |disk: &Disk| disk.waiting().iter().any(|op| op.kind == OperationKind::Truncate);
    while !is_cut(&disk) {
        assert!(truncate.step().expect("checkpoint").is_io());
        if !is_cut(&disk) {
            disk.release(0);
        }
    }
    drop(truncate);
    let mut writer = pager.try_begin_write().expect("the write lock is free");
    assert!(matches!(writer.page_mut(page), Ok(IOResult::Done(_))));
    let mut commit = writer.commit();
    assert!(commit.step().expect("commit").is_io());
    assert_eq!(disk.waiting().len(), 1, "nothing is written beside the cut: {:?}", disk.waiting());
    disk.hold(false);
    run(&disk, || commit.step()).expect("commit");
    let disk = disk.after_power_loss(|| false);
    let pager = open(&disk, options()).expect("open again");
    assert_eq!(pager.commit_sequence(), 2);
}

/// Each would wait for the other.
#[test]
fn reader_that_is_awaited_does_not_wait_for_the_write_lock() {
    let disk = Disk::new();
    let pager = open(&disk, options()).expect("open");
    add_page(&disk, &pager, 1);
    let [queued, late, idle] = [(); 3].map(|()| pager.begin_read().expect("begin"));
    let writer = pager.try_begin_write().expect("free");
    let mut restart = pager.checkpoint(CheckpointMode::Restart);
    while pager.audit().writers_waiting == 0 {
        assert!(restart.step().expect("checkpoint").is_io());
        disk.step().expect("step");
    }
    let mut queued = queued.upgrade();
    assert!(queued.step().expect("in the queue").is_io());
    let mut patient = pager.begin_write();
    assert!(patient.step().expect("in the queue").is_io());
    drop(writer);
    assert_eq!(advance(&disk, &mut restart), None);
    assert_eq!(queued.step().unwrap_err(), PagerError::AwaitedByCheckpoint, "it is sent away");
    let mut late = late.upgrade();
    assert_eq!(late.step().unwrap_err(), PagerError::AwaitedByCheckpoint, "it is not let in");
    let mut fresh = pager.begin_read().expect("begin").upgrade();
    assert!(fresh.step().expect("no holder waits for it, so it may wait").is_io());
    drop((queued, late, idle, fresh));
    assert_eq!(advance(&disk, &mut restart), Some(CheckpointOutcome::Restarted));
    assert!(matches!(patient.step(), Ok(IOResult::Done(_))), "a waiter that is no reader keeps its place");
    let mut upgrade = pager.begin_read().expect("begin").upgrade();
    assert!(
        matches!(upgrade.step(), Ok(IOResult::IO(_) | IOResult::Done(_))),
        "no checkpoint waits for readers now"
    );
}

#[test]
fn checkpoint_of_any_mode_dropped_at_any_yield_blocks_no_one() {
    use CheckpointMode::{Full, Restart, Truncate};
    for mode in [Full, Restart, Truncate] {
        for releases in 0.. {
            let disk = Disk::new();
            let pager = open(&disk, PagerOptions { cache_pages: 1, ..options() }).expect("open");
            let pages: Vec<u32> = (1..4).map(|fill| add_page(&disk, &pager, fill)).collect();
            disk.hold(true);
            let mut checkpoint = pager.checkpoint(mode);
            let ended = (0..=releases).any(|round| {
                let ended = !checkpoint.step().expect("checkpoint").is_io();
                if !ended && round < releases {
                    disk.release(0);
                }
                ended
            });
            drop(checkpoint);
            let audit = pager.audit();
            assert!(!audit.checkpoint_running && !audit.writer_held && audit.readers == 0, "{audit:?}");
            disk.hold(false);
            fill_pages(&disk, &pager, &pages[..1], 9).expect("commit");
            assert_sound(&disk, &pager);
            let disk = disk.after_power_loss(|| false);
            let pager = open(&disk, options()).expect("open again");
            let fills: Vec<u8> =
                pages.iter().map(|page| read_fill(&disk, &pager, *page).expect("read")).collect();
            assert_eq!(fills, [9, 2, 3], "{mode:?}, {releases} operations in");
            if ended {
                break;
            }
        }
    }
}

/// A connection that commits, again and again.
enum Writer {
    Begin(BeginWrite),
    Commit(Commit),
}

impl Writer {
    /// One step; `true` when a commit has been acknowledged.
    fn step(&mut self, disk: &Disk, pager: &Arc<Pager>, page: u32) -> bool {
        match self {
            Self::Begin(begin) => {
                if let IOResult::Done(mut writer) = begin.step().expect("begin") {
                    run(disk, || Ok(writer.page_mut(page)?.map(|bytes| bytes[0] = bytes[0].wrapping_add(1))))
                        .expect("change");
                    *self = Self::Commit(writer.commit());
                }
                false
            }
            Self::Commit(commit) => {
                let acknowledged = !commit.step().expect("commit").is_io();
                if acknowledged {
                    *self = Self::Begin(pager.begin_write());
                }
                acknowledged
            }
        }
    }
}

/// Four short readers overlap and two connections commit, without a gap. How long the log gets, and how many commits there
/// are.
fn longest_log(allowed: impl Fn(CheckpointMode) -> CheckpointMode) -> (u64, u32) {
    let disk = Disk::new();
    let options = PagerOptions { checkpoint_frames: 10, restart_frames: 40, ..options() };
    let pager = open(&disk, options).expect("open");
    let pages = [1, 2].map(|fill| add_page(&disk, &pager, fill));
    let mut readers: VecDeque<_> = (0..4).map(|_| pager.begin_read().expect("begin")).collect();
    let mut writers = pages.map(|_| Writer::Begin(pager.begin_write()));
    let mut checkpoint: Option<Checkpoint> = None;
    let (mut longest, mut commits) = (0, 0);
    for round in 0..4_000 {
        if round % 5 == 0 {
            readers.push_back(pager.begin_read().expect("begin"));
            let mut oldest = readers.pop_front().expect("there are four");
            see(&disk, &mut oldest, pages[0]);
        }
        for (writer, page) in writers.iter_mut().zip(pages) {
            commits += u32::from(writer.step(&disk, &pager, page));
        }
        let due = || pager.checkpoint_due().map(|mode| pager.checkpoint(allowed(mode)));
        checkpoint = checkpoint.or_else(due);
        checkpoint.take_if(|checkpoint| !checkpoint.step().expect("checkpoint").is_io());
        checkpoint.take_if(|checkpoint| !checkpoint.step().expect("checkpoint").is_io());
        disk.step().expect("step");
        let audit = pager.audit();
        assert!(audit.readers >= 4);
        longest = longest.max(audit.log_frames);
    }
    (longest, commits)
}

#[test]
fn log_stays_in_bounds_under_readers_and_writers_without_a_gap() {
    let (longest, commits) = longest_log(|mode| mode);
    assert!(commits > 300 && longest < 70, "{commits} commits, up to {longest} frames");
    let (longest, commits) = longest_log(|_| CheckpointMode::Passive);
    assert!(longest > 300, "without blocking writers it does not: {commits} commits, up to {longest} frames");
}
