//! Several commits in flight at a time: what covers them, who sees them, what they take with them.

mod pager_support;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Wake, Waker};

use pager_support::*;
use tenterhook_runtime::IOResult;
use tenterhook_runtime::io::OperationKind::{self, Sync, Write};
use tenterhook_runtime::pager::{CheckpointMode, Commit, Pager, PagerError, WriteTransaction};

/// A pager with pages 2 to 5, filled with 1, all cached, on a disk that holds.
fn prepare() -> (Disk, Arc<Pager>) {
    let disk = Disk::new();
    let pager = open(&disk, options()).expect("open");
    (2..6).for_each(|page| assert_eq!(add_page(&disk, &pager, 1), page));
    disk.hold(true);
    (disk, pager)
}

fn write(pager: &Arc<Pager>, page: u32, fill: u8) -> WriteTransaction {
    let mut writer = pager.try_begin_write().expect("the write lock is free");
    let Ok(IOResult::Done(bytes)) = writer.page_mut(page) else { panic!("page {page} is not at hand") };
    bytes.fill(fill);
    writer
}

/// A commit whose frames wait in the disk's queue, or for what the log is busy with.
fn submit(pager: &Arc<Pager>, page: u32, fill: u8) -> Commit {
    let mut commit = write(pager, page, fill).commit();
    assert!(commit.step().is_ok_and(|step| step.is_io()) && commit.is_submitted());
    commit
}

fn kinds(disk: &Disk) -> Vec<OperationKind> {
    disk.waiting().iter().map(|op| op.kind).collect()
}

fn ended(commit: &mut Commit) -> Option<Result<u64, PagerError>> {
    match commit.step() {
        Ok(IOResult::IO(_)) => None,
        Ok(IOResult::Done(sequence)) => Some(Ok(sequence)),
        Err(error) => Some(Err(error)),
    }
}

fn finish(disk: &Disk) {
    while !disk.waiting().is_empty() {
        disk.release(0);
    }
}

/// Lets the operation that waits for the disk end.
fn release(disk: &Disk, kind: OperationKind) {
    assert_eq!(kinds(disk), [kind]);
    disk.release(0);
}

#[test]
fn what_comes_while_the_log_is_busy_shares_the_next_write_and_the_next_sync() {
    let (disk, pager) = prepare();
    let mut commits: Vec<Commit> = (10..14).map(|fill| submit(&pager, 2, fill)).collect();
    assert_eq!(disk.waiting()[0].len, 64 + 512, "the first goes alone");
    release(&disk, Write);
    assert!(commits.iter_mut().all(|commit| ended(commit).is_none()));
    release(&disk, Sync);
    assert_eq!((ended(&mut commits[0]), ended(&mut commits[1])), (Some(Ok(5)), None));
    assert_eq!((pager.commit_sequence(), disk.waiting()[0].len), (5, 3 * (64 + 512)));
    release(&disk, Write);
    assert!(commits[1..].iter_mut().all(|commit| ended(commit).is_none()));
    release(&disk, Sync);
    let rest: Vec<_> = commits[1..].iter_mut().map(ended).collect();
    assert_eq!(rest, [Some(Ok(6)), Some(Ok(7)), Some(Ok(8))]);
    let audit = pager.audit();
    assert_eq!((audit.commits_published, audit.log_syncs), (8, 6));
    assert!(audit.is_idle(), "{audit:?}");
    disk.hold(false);
    assert_eq!(read_fill(&disk, &pager, 2), Ok(13));
    let disk = disk.after_power_loss(|| false);
    assert_eq!(read_fill(&disk, &open(&disk, options()).expect("recover"), 2), Ok(13));
}

#[test]
fn commit_of_several_writes_is_synced_when_all_have_ended() {
    let (disk, pager) = prepare();
    let mut writer = pager.try_begin_write().expect("the write lock is free");
    for _ in 0..2000 {
        assert!(writer.allocate().is_ok_and(|step| !step.is_io()));
    }
    let mut commit = writer.commit();
    assert_eq!(ended(&mut commit), None);
    assert_eq!(kinds(&disk), [Write, Write]);
    disk.release(1);
    release(&disk, Write);
    release(&disk, Sync);
    assert_eq!(ended(&mut commit), Some(Ok(5)));
}

#[test]
fn writers_see_commits_on_their_way_and_readers_do_not() {
    let (disk, pager) = prepare();
    let _commit = submit(&pager, 2, 10);
    let mut writer = pager.try_begin_write().expect("free");
    assert_eq!((writer.commit_sequence(), pager.commit_sequence()), (5, 4));
    assert!(matches!(writer.page(2), Ok(IOResult::Done(page)) if page[0] == 10 && page.sequence() == 5));
    let mut reader = pager.begin_read().expect("begin");
    assert_eq!(reader.commit_sequence(), 4);
    assert!(matches!(reader.page(2), Ok(IOResult::Done(page)) if page[0] == 1));
    // Published while the writer is at work, it is the same to it, and to the reader.
    finish(&disk);
    assert_eq!(pager.commit_sequence(), 5);
    assert!(matches!(writer.page(2), Ok(IOResult::Done(page)) if page[0] == 10));
    assert!(matches!(reader.page(2), Ok(IOResult::Done(page)) if page[0] == 1));
}

#[test]
fn failed_write_fails_what_was_built_upon_it_and_nothing_else() {
    let (disk, pager) = prepare();
    let [mut first, mut second, mut third] = [10, 11, 12].map(|fill| submit(&pager, 2, fill));
    let mut doomed = write(&pager, 3, 13);
    release(&disk, Write);
    release(&disk, Sync);
    assert_eq!(ended(&mut first), Some(Ok(5)));
    // Of the second and the third all bytes get there.
    disk.fail_late(0, FAULT);
    let because = PagerError::EarlierCommitFailed { sequence: 6 };
    assert!(matches!(ended(&mut second), Some(Err(PagerError::Io { error: FAULT, .. }))));
    assert_eq!(ended(&mut third), Some(Err(because.clone())));
    assert_eq!(doomed.page(4).unwrap_err(), because);
    let mut doomed = doomed.commit();
    assert_eq!(ended(&mut doomed), Some(Err(because)));
    // The next writer starts from what is left, in another run.
    let mut next = write(&pager, 3, 14).commit();
    assert!(ended(&mut next).is_none() && next.is_submitted());
    assert_eq!(disk.waiting()[0].offset, 8192 + 5 * (64 + 512), "right behind the first");
    finish(&disk);
    assert_eq!(ended(&mut next), Some(Ok(6)));
    assert!(pager.audit().is_idle());
    disk.hold(false);
    assert_eq!((read_fill(&disk, &pager, 2), read_fill(&disk, &pager, 3)), (Ok(10), Ok(14)));
    // The third is whole in the file, where it would be in its turn. Its parent is another commit 6.
    let disk = disk.copy();
    let pager = open(&disk, options()).expect("recover");
    assert_eq!((pager.commit_sequence(), read_fill(&disk, &pager, 2)), (6, Ok(10)));
    assert_sound(&disk, &pager);
}

#[test]
fn failed_sync_fails_all_that_is_on_its_way() {
    let (disk, pager) = prepare();
    let [mut first, mut second] = [10, 11].map(|fill| submit(&pager, 2, fill));
    let mut writer = write(&pager, 3, 12);
    release(&disk, Write);
    assert_eq!(kinds(&disk), [Sync]);
    disk.fail(0, FAULT);
    let refused = PagerError::Poisoned { cause: FAULT };
    assert!(matches!(ended(&mut first), Some(Err(PagerError::Io { error: FAULT, .. }))));
    assert_eq!(ended(&mut second), Some(Err(refused.clone())));
    assert_eq!(writer.page(4).unwrap_err(), refused);
    drop(writer);
    assert_eq!(kinds(&disk), [], "the second one's frames are not written any more");
    assert!(pager.audit().is_idle());
    assert_eq!(pager.commit_sequence(), 4);
}

/// The log has lost nothing, so what is on its way there continues: its write and its sync are what an
/// acknowledgement says.
#[test]
fn failed_sync_of_the_database_file_takes_no_commit_that_is_on_its_way() {
    let (disk, pager) = prepare();
    let mut checkpoint = pager.checkpoint(CheckpointMode::Passive);
    while kinds(&disk) != [Sync] {
        assert!(checkpoint.step().expect("no fault").is_io());
        if kinds(&disk) != [Sync] {
            release(&disk, Write);
        }
    }
    let mut commits: Vec<Commit> = (10..13).map(|fill| submit(&pager, 2, fill)).collect();
    let late = write(&pager, 3, 20);
    assert_eq!(kinds(&disk), [Sync, Write], "the file's, and that of the first commit");
    disk.fail(0, FAULT);
    assert!(matches!(checkpoint.step(), Err(PagerError::Io { error: FAULT, .. })));
    // Who has handed over nothing comes too late.
    let refused = PagerError::Poisoned { cause: FAULT };
    assert_eq!(ended(&mut late.commit()), Some(Err(refused.clone())));
    assert_eq!(pager.try_begin_write().map(|_| ()), Err(refused));
    for (kind, acknowledged) in [(Write, 0), (Sync, 1), (Write, 1), (Sync, 3)] {
        release(&disk, kind);
        assert_eq!(pager.commit_sequence(), 4 + acknowledged);
        for keeps in [true, false] {
            let disk = disk.after_power_loss(|| keeps);
            let pager = open(&disk, options()).expect("recover");
            let sequence = pager.commit_sequence();
            assert!(sequence >= 4 + acknowledged, "{acknowledged} are acknowledged, and {sequence} is left");
            let newest = if sequence == 4 { 1 } else { sequence as u8 + 5 };
            assert_eq!(read_fill(&disk, &pager, 2), Ok(newest));
            (3..6).for_each(|page| assert_eq!(read_fill(&disk, &pager, page), Ok(1)));
            assert_sound(&disk, &pager);
        }
    }
    let outcomes: Vec<_> = commits.iter_mut().map(ended).collect();
    assert_eq!(outcomes, [Some(Ok(5)), Some(Ok(6)), Some(Ok(7))]);
    let audit = pager.audit();
    assert!(audit.is_idle() && audit.poisoned && audit.log_checkpointed == 0, "{audit:?}");
}

/// What a transaction has read may be in flight. If it changes nothing, its end still vouches for that.
#[test]
fn commit_without_changes_waits_for_what_it_may_have_read() {
    for fails in [false, true] {
        let (disk, pager) = prepare();
        let _commit = submit(&pager, 2, 10);
        let mut empty = pager.try_begin_write().expect("free").commit();
        assert_eq!(ended(&mut empty), None);
        drop(pager.try_begin_write().expect("the write lock is free: it has nothing to write"));
        if fails {
            disk.fail(0, FAULT);
            assert_eq!(ended(&mut empty), Some(Err(PagerError::EarlierCommitFailed { sequence: 5 })));
        } else {
            finish(&disk);
            assert_eq!(ended(&mut empty), Some(Ok(5)));
        }
    }
}

/// Panics when it is woken.
struct Grenade;

impl Wake for Grenade {
    fn wake(self: Arc<Self>) {
        panic!("a waker of the user's");
    }
}

#[test]
fn waker_that_panics_keeps_no_other_commit_from_its_acknowledgement() {
    let (disk, pager) = prepare();
    let [_, mut first, mut second] = [9, 10, 11].map(|fill| submit(&pager, 2, fill));
    let Ok(IOResult::IO(io)) = first.step() else { panic!("it waits") };
    let mut completion = io.completion().expect("for something").clone();
    let waker = Waker::from(Arc::new(Grenade));
    assert!(Pin::new(&mut completion).poll(&mut Context::from_waker(&waker)).is_pending());
    for kind in [Write, Sync, Write] {
        release(&disk, kind);
    }
    let thrown = catch_unwind(AssertUnwindSafe(|| release(&disk, Sync)));
    assert!(thrown.is_err(), "it continues in the thread that completed");
    assert_eq!((ended(&mut first), ended(&mut second)), (Some(Ok(6)), Some(Ok(7))));
    assert!(pager.audit().is_idle());
}

#[test]
fn cancelled_wait_leaves_the_commit_on_its_way() {
    let (disk, pager) = prepare();
    let mut commit = submit(&pager, 2, 10);
    let Ok(IOResult::IO(io)) = commit.step() else { panic!("it waits") };
    io.completion().expect("for something").cancel();
    assert_eq!(ended(&mut commit), Some(Err(PagerError::OutcomeUnknown { sequence: 5 })));
    finish(&disk);
    assert_eq!(pager.commit_sequence(), 5);
    assert!(pager.audit().is_idle());
}

/// Of several commits in flight a power loss keeps some of the first, whatever it keeps of their bytes.
#[test]
fn power_loss_keeps_a_prefix_of_what_was_on_its_way() {
    let mut random = Numbers(7);
    let mut found = [0; 5];
    for _ in 0..400 {
        let (disk, pager) = prepare();
        let _commits: Vec<Commit> = (10..14).map(|fill| submit(&pager, 2, fill)).collect();
        for _ in 0..random.below(7) {
            let waiting = kinds(&disk);
            if !waiting.is_empty() {
                disk.release(random.below(waiting.len()));
            }
        }
        let seen = pager.commit_sequence();
        let after = disk.after_power_loss(|| !random.one_in(5));
        let pager = open(&after, options()).expect("recover");
        let sequence = pager.commit_sequence();
        assert!(sequence >= seen, "{seen} was published, {sequence} is left");
        let expected = if sequence == 4 { 1 } else { sequence as u8 + 5 };
        assert_eq!(read_fill(&after, &pager, 2), Ok(expected), "commit {sequence}");
        found[sequence as usize - 4] += 1;
    }
    assert!(found.iter().all(|count| *count > 0), "{found:?}");
}
