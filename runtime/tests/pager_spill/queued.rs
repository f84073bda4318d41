//! Transactions that have spilled and whose commit waits in the log's queue, behind others.

use tenterhook_runtime::pager::{BeginWrite, CheckpointMode};

use super::*;

/// Commits 9 and later, of page 9, on a disk that holds: the first is being written, the others wait. The
/// last has spilled pages 2 and 3, and has page 4 in memory. The next writer waits for the write lock, which the
/// last has kept.
struct Queued {
    disk: Disk,
    pager: Arc<Pager>,
    earlier: Vec<Commit>,
    spilled: Commit,
    next: BeginWrite,
}

fn queue(durability: Durability, earlier: u8) -> Queued {
    let disk = Disk::new();
    let pager = open(&disk, PagerOptions { durability, ..spilling(2) }).expect("open");
    (2..10).for_each(|page| assert_eq!(add_page(&disk, &pager, 1), page));
    disk.hold(true);
    let earlier = (0..earlier).map(|number| submit(write(&pager, &[9], 10 + number))).collect();
    let mut writer = write(&pager, &[2, 3], 7);
    assert!(writer.page_mut(4).expect("no fault").is_io());
    assert_eq!(kinds(&disk), [Write, Write], "the first commit, and the frames of pages 2 and 3");
    disk.release(1);
    change(&mut writer, 4, 7);
    let spilled = submit(writer);
    assert_eq!(kinds(&disk), [Write], "its last frame waits");
    let mut next = pager.begin_write();
    assert!(next.step().expect("no fault").is_io());
    Queued { disk, pager, earlier, spilled, next }
}

fn change(writer: &mut WriteTransaction, page: u32, fill: u8) {
    let Ok(IOResult::Done(bytes)) = writer.page_mut(page) else { panic!("page {page} is not at hand") };
    bytes.fill(fill);
}

fn write(pager: &Arc<Pager>, pages: &[u32], fill: u8) -> WriteTransaction {
    let mut writer = pager.try_begin_write().expect("the write lock is free");
    pages.iter().for_each(|page| change(&mut writer, *page, fill));
    writer
}

fn submit(writer: WriteTransaction) -> Commit {
    let mut commit = writer.commit();
    assert!(ended(&mut commit).is_none() && commit.is_submitted());
    commit
}

/// The next writer has the write lock, upon this commit.
fn assert_next_begins(next: &mut BeginWrite, sequence: u64) -> WriteTransaction {
    let Ok(IOResult::Done(writer)) = next.step() else { panic!("the write lock is free") };
    assert_eq!(writer.commit_sequence(), sequence);
    writer
}

/// The next writer fails at once, and the write lock is free.
fn assert_poisoned(pager: &Arc<Pager>, next: &mut BeginWrite) {
    let refused = PagerError::Poisoned { cause: FAULT };
    assert_eq!(next.step().map(|_| ()), Err(refused.clone()));
    assert_eq!(pager.try_begin_write().map(|_| ()), Err(refused));
    assert_idle(pager);
}

#[test]
fn sync_of_the_commit_before_fails_and_takes_the_queued_one_with_its_right() {
    let Queued { disk, pager, mut earlier, mut spilled, mut next } = queue(Durability::Full, 1);
    disk.release(0);
    assert_eq!(kinds(&disk), [Sync]);
    disk.fail(0, FAULT);
    assert!(matches!(ended(&mut earlier[0]), Some(Err(PagerError::Io { error: FAULT, .. }))));
    assert_eq!(ended(&mut spilled), Some(Err(PagerError::Poisoned { cause: FAULT })));
    assert_eq!(kinds(&disk), [], "its last frame is not written any more");
    assert_poisoned(&pager, &mut next);
    // What a power loss leaves is whole.
    for keeps in [true, false] {
        let disk = disk.after_power_loss(|| keeps);
        let pager = open(&disk, spilling(2)).expect("recover");
        assert_eq!([2, 3, 4].map(|page| read_fill(&disk, &pager, page)), [Ok(1), Ok(1), Ok(1)]);
        assert_sound(&disk, &pager);
    }
}

#[test]
fn sync_of_a_checkpoint_fails_and_takes_the_queued_one_with_its_right() {
    let Queued { disk, pager, mut earlier, mut spilled, mut next } = queue(Durability::Normal, 1);
    let mut checkpoint = pager.checkpoint(CheckpointMode::Passive);
    assert!(checkpoint.step().expect("no fault").is_io());
    assert_eq!(kinds(&disk), [Write, Sync]);
    disk.fail(1, FAULT);
    for commit in [&mut earlier[0], &mut spilled] {
        assert_eq!(ended(commit), Some(Err(PagerError::Poisoned { cause: FAULT })));
    }
    assert!(matches!(checkpoint.step(), Err(PagerError::Io { error: FAULT, .. })));
    assert!(!pager.audit().writer_held && pager.audit().log_writes == 1);
    disk.release(0);
    assert_eq!(kinds(&disk), [], "its last frame is not written any more");
    assert_poisoned(&pager, &mut next);
}

#[test]
fn write_of_the_commit_before_fails_and_the_right_of_the_queued_one_is_the_next_writers() {
    for durability in [Durability::Full, Durability::Normal] {
        let Queued { disk, pager, mut earlier, mut spilled, mut next } = queue(durability, 1);
        disk.fail(0, FAULT);
        assert!(matches!(ended(&mut earlier[0]), Some(Err(PagerError::Io { error: FAULT, .. }))));
        assert_eq!(ended(&mut spilled), Some(Err(PagerError::EarlierCommitFailed { sequence: 9 })));
        assert_eq!(kinds(&disk), [], "its last frame is not written any more");
        let mut writer = assert_next_begins(&mut next, 8);
        disk.hold(false);
        fill(&disk, &mut writer, 2, 9);
        assert_eq!(commit(&disk, writer), Ok(9));
        assert_idle(&pager);
        let reopened = disk.copy();
        for (disk, pager) in [(&disk, pager), (&reopened, open(&reopened, spilling(2)).expect("recover"))] {
            assert_eq!([2, 3, 4, 9].map(|page| read_fill(disk, &pager, page)), [Ok(9), Ok(1), Ok(1), Ok(1)]);
            assert_sound(disk, &pager);
        }
    }
}

/// Lets the first of two commits end: from there on the second and the queued one share a write, in two
/// pieces, because the frames that were spilled are between theirs.
fn share_a_write(durability: Durability) -> Queued {
    let mut queued = queue(durability, 2);
    queued.disk.release(0);
    if durability == Durability::Full {
        assert_eq!(kinds(&queued.disk), [Sync]);
        queued.disk.release(0);
    }
    assert_eq!(ended(&mut queued.earlier[0]), Some(Ok(9)));
    assert_eq!(kinds(&queued.disk), [Write, Write]);
    queued
}

#[test]
fn queued_one_shares_a_write_and_a_sync_with_the_commit_before_and_gives_its_right_up_then() {
    for durability in [Durability::Full, Durability::Normal] {
        let Queued { disk, pager, mut earlier, mut spilled, mut next } = share_a_write(durability);
        let syncs = pager.audit().log_syncs;
        disk.release(1);
        let mut is_on_its_way = |spilled: &mut Commit| {
            assert_eq!((ended(&mut earlier[1]), ended(spilled)), (None, None));
            assert!(next.step().expect("no fault").is_io() && pager.audit().commits_pending == 2);
        };
        is_on_its_way(&mut spilled);
        disk.release(0);
        if durability == Durability::Full {
            is_on_its_way(&mut spilled);
            assert_eq!(kinds(&disk), [Sync]);
            disk.release(0);
        }
        assert_eq!((ended(&mut earlier[1]), ended(&mut spilled)), (Some(Ok(10)), Some(Ok(11))));
        assert_eq!(pager.audit().log_syncs - syncs, u64::from(durability == Durability::Full));
        drop(assert_next_begins(&mut next, 11));
        assert_idle(&pager);
        disk.hold(false);
        let left = if durability == Durability::Full { disk.after_power_loss(|| false) } else { disk.copy() };
        for (disk, pager) in [(&disk, pager), (&left, open(&left, spilling(2)).expect("recover"))] {
            assert_eq!([2, 3, 4, 9].map(|page| read_fill(disk, &pager, page)), [Ok(7), Ok(7), Ok(7), Ok(11)]);
            assert_sound(disk, &pager);
        }
    }
}

#[test]
fn write_or_sync_that_it_shares_fails_and_its_right_is_given_up() {
    for fails in [Write, Sync] {
        let Queued { disk, pager, mut earlier, mut spilled, mut next } = share_a_write(Durability::Full);
        disk.release(1);
        if fails == Sync {
            disk.release(0);
        }
        assert_eq!(kinds(&disk), [fails]);
        disk.fail(0, FAULT);
        let failed = ended(&mut earlier[1]);
        assert!(matches!(failed, Some(Err(PagerError::Io { error: FAULT, .. }))));
        if fails == Sync {
            assert_eq!(ended(&mut spilled), failed, "it was covered, too");
            assert_poisoned(&pager, &mut next);
        } else {
            assert_eq!(ended(&mut spilled), Some(Err(PagerError::EarlierCommitFailed { sequence: 10 })));
            drop(assert_next_begins(&mut next, 9));
            assert_idle(&pager);
        }
    }
}
