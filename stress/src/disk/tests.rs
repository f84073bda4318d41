//! The disk as the system under test sees it.

use std::sync::mpsc::{Receiver, channel};

use tenterhook_runtime::io::{Buffer, File, OpenOptions, Submission};
use tenterhook_runtime::{Completion, CompletionError, Outcome};

use super::*;
use crate::tape::{Actor, Chance, Source};

fn disk(seed: u64, faults: &[(FaultKind, u32)]) -> SimDisk {
    let mut plan = FaultPlan::NONE;
    for &(kind, per_mille) in faults {
        plan.set(kind, Chance::per_mille(per_mille));
    }
    let options = DiskOptions { max_delay: 50, max_sync_delay: 50, faults: plan, ..DiskOptions::default() };
    SimDisk::new(options, Source::Seed(seed).stream(Actor::DISK, false))
}

fn open(disk: &SimDisk) -> Arc<dyn File> {
    disk.io().open("file".as_ref(), OpenOptions::creating()).expect("opens")
}

fn write(file: &Arc<dyn File>, offset: u64, byte: u8, len: usize) -> Completion {
    file.start(Submission::write(offset, Buffer::copy_of(&vec![byte; len]), |_, _| {}))
}

fn read(file: &Arc<dyn File>, offset: u64, len: usize) -> (Completion, Receiver<Vec<u8>>) {
    let (sender, receiver) = channel();
    let done = move |outcome: Outcome, buffer: Buffer| {
        let length = outcome.unwrap_or(0) as usize;
        // The receiver is gone when a test ends with the read in flight.
        sender.send(buffer[..length].to_vec()).ok();
    };
    (file.start(Submission::read(offset, Buffer::zeroed(len), done)), receiver)
}

/// The whole buffer of a read, however much of it counts.
fn read_raw(file: &Arc<dyn File>, len: usize) -> Receiver<(Outcome, Vec<u8>)> {
    let (sender, receiver) = channel();
    let done = move |outcome, buffer: Buffer| drop(sender.send((outcome, buffer.to_vec())));
    file.start(Submission::read(0, Buffer::zeroed(len), done));
    receiver
}

fn sync(file: &Arc<dyn File>) -> Completion {
    file.start(Submission::sync(|_| {}))
}

/// Delivers everything, in order.
fn settle(disk: &SimDisk) {
    while disk.io().step().expect("steps") > 0 {}
}

#[test]
fn what_was_written_and_synced_survives_a_power_loss_and_what_was_not_may_vanish() {
    let (mut kept, mut lost) = (0, 0);
    for seed in 0..50 {
        let disk = disk(seed, &[]);
        let file = open(&disk);
        write(&file, 0, b'a', 512);
        settle(&disk);
        sync(&file);
        settle(&disk);
        write(&file, 0, b'b', 512);
        settle(&disk);
        drop(disk.lose_power());
        match disk.content("file".as_ref()).expect("a synced file keeps its name")[0] {
            b'a' => lost += 1,
            b'b' => kept += 1,
            other => panic!("a sector of {other:?}"),
        }
    }
    assert!(kept > 5 && lost > 5, "kept {kept}, lost {lost}");
}

#[test]
fn a_sync_does_not_cover_a_write_that_ended_after_it_was_submitted() {
    let lost = (0..100).any(|seed| {
        let disk = disk(seed, &[]);
        let file = open(&disk);
        let written = write(&file, 0, b'a', 512);
        let synced = sync(&file);
        disk.begin_step(1_000, &mut Trace::new(false));
        disk.deliver(0);
        // Only the order in which a careless disk would take the write in.
        if !written.finished() {
            return false;
        }
        settle(&disk);
        assert_eq!(synced.result(), Some(Ok(0)));
        drop(disk.lose_power());
        disk.content("file".as_ref()).is_none_or(|content| content.is_empty() || content[0] == 0)
    });
    assert!(lost, "the write was still in flight when the sync was submitted");
}

#[test]
fn completions_come_in_other_orders_than_submissions() {
    let disk = disk(1, &[]);
    let file = open(&disk);
    let writes: Vec<Completion> = (0..20).map(|n| write(&file, n * 512, 1, 512)).collect();
    let mut trace = Trace::new(false);
    let early = (0..60).any(|now| {
        let due = disk.begin_step(now, &mut trace).due;
        if due > 0 {
            disk.deliver(due - 1);
        }
        let finished: Vec<bool> = writes.iter().map(Completion::finished).collect();
        finished.windows(2).any(|pair| !pair[0] && pair[1])
    });
    assert!(early);
}

#[test]
fn short_transfers_move_at_least_a_byte_and_less_than_asked() {
    let disk = disk(3, &[(FaultKind::ShortWrite, 1000)]);
    let file = open(&disk);
    let short = write(&file, 0, b'x', 512);
    settle(&disk);
    let written = short.result().expect("ended").expect("a short write ends well");
    assert!((1..512).contains(&written), "{written}");
    assert_eq!(file.len(), Ok(written));
    assert_eq!(disk.fault_counts().delivered(FaultKind::ShortWrite), 1);

    let disk = self::disk(3, &[(FaultKind::ShortRead, 1000)]);
    let file = open(&disk);
    write(&file, 0, b'x', 512);
    settle(&disk);
    let (_, content) = read(&file, 0, 512);
    settle(&disk);
    let length = content.recv().expect("read").len();
    assert!((1..512).contains(&length), "{length}");
}

#[test]
fn what_a_failed_or_short_read_did_not_read_is_not_in_its_buffer() {
    for kind in [FaultKind::ReadError, FaultKind::ShortRead] {
        let disk = disk(3, &[(kind, 1000)]);
        let file = open(&disk);
        write(&file, 0, b'x', 512);
        settle(&disk);
        let content = read_raw(&file, 512);
        settle(&disk);
        let (outcome, bytes) = content.recv().expect("ended");
        let counted = outcome.unwrap_or(0) as usize;
        assert!(counted < 512 && bytes[..counted].iter().all(|byte| *byte == b'x'));
        assert!(bytes[counted..].iter().all(|byte| *byte != b'x'), "{kind:?}");
    }
}

#[test]
fn a_flipped_bit_is_in_what_is_read_and_not_on_the_disk() {
    let disk = disk(3, &[(FaultKind::BitFlip, 1000)]);
    let file = open(&disk);
    write(&file, 0, 0, 512);
    settle(&disk);
    let (_, content) = read(&file, 0, 512);
    settle(&disk);
    let flipped: u32 = content.recv().expect("read").iter().map(|byte| byte.count_ones()).sum();
    assert_eq!(flipped, 1);
    assert!(disk.content("file".as_ref()).unwrap().iter().all(|byte| *byte == 0));

    disk.set_flippable(Flippable::Only("another".into()));
    let (_, content) = read(&file, 0, 512);
    settle(&disk);
    assert!(content.recv().expect("read").iter().all(|byte| *byte == 0));
}

#[test]
fn no_space_hits_writes_that_grow_the_file_and_spares_the_others() {
    let disk = disk(3, &[]);
    let file = open(&disk);
    write(&file, 0, 0, 512);
    settle(&disk);
    let full = self::disk(3, &[(FaultKind::NoSpace, 1000)]);
    let file_on_full = open(&full);
    let refused = write(&file_on_full, 0, 0, 512);
    settle(&full);
    assert_eq!(refused.get_error(), Some(CompletionError::NoSpace));
    assert_eq!((file.len(), file_on_full.len()), (Ok(512), Ok(0)));
}

#[test]
fn a_failed_sync_keeps_or_drops_what_it_covered() {
    for (kind, dropped) in [(FaultKind::SyncFailed, false), (FaultKind::SyncDropped, true)] {
        let gone = (0..40).any(|seed| {
            let disk = disk(seed, &[(kind, 1000)]);
            let file = open(&disk);
            write(&file, 0, b'a', 512);
            settle(&disk);
            let failed = sync(&file);
            settle(&disk);
            assert!(failed.failed());
            disk.content("file".as_ref()).unwrap().is_empty()
        });
        assert_eq!(gone, dropped, "{kind:?}");
    }
}

#[test]
fn a_stuck_operation_ends_by_cancel_or_when_faults_stop() {
    for by_cancel in [true, false] {
        let disk = disk(3, &[(FaultKind::Stuck, 1000)]);
        let file = open(&disk);
        let stuck = sync(&file);
        let mut trace = Trace::new(false);
        assert_eq!(disk.begin_step(1_000, &mut trace).due, 0);
        if by_cancel {
            stuck.cancel()
        } else {
            disk.set_calm(true)
        }
        assert_eq!(disk.begin_step(1_000, &mut trace).due, 1);
        disk.deliver(0);
        assert_eq!(stuck.get_error(), by_cancel.then_some(CompletionError::Cancelled));
        assert_eq!(disk.begin_step(STUCK * 3, &mut trace).due, 0, "its old place in time is stale");
    }
}

#[test]
fn handles_of_the_life_before_answer_with_errors_and_change_nothing() {
    let disk = disk(3, &[]);
    let (io, file) = (disk.io(), open(&disk));
    let in_flight = write(&file, 0, b'a', 512);
    let wreck = disk.kill_process();
    assert!(!in_flight.finished());
    drop(wreck);
    assert_eq!(in_flight.get_error(), Some(CompletionError::Abandoned));
    assert!(io.open("file".as_ref(), OpenOptions::creating()).is_err());
    let late = write(&file, 4096, b'b', 512);
    assert!(late.failed() && file.len().is_err());
    assert!(open(&disk).len().expect("alive") <= 512);
}

#[test]
fn a_killed_process_leaves_what_it_wrote_but_power_may_still_take_it() {
    let disk = disk(3, &[]);
    let file = open(&disk);
    write(&file, 0, b'a', 512);
    settle(&disk);
    drop(disk.kill_process());
    assert_eq!(disk.content("file".as_ref()).unwrap(), [b'a'; 512]);
    let gone = (0..40).any(|_| {
        drop(disk.lose_power());
        disk.content("file".as_ref()).is_none_or(|content| content.is_empty())
    });
    assert!(gone);
}

#[test]
fn a_read_may_see_part_of_a_write_in_flight_and_then_keeps_seeing_it() {
    let mut seen = std::collections::BTreeSet::new();
    for seed in 0..400 {
        let disk = disk(seed, &[]);
        let file = open(&disk);
        write(&file, 0, b'a', 1024);
        settle(&disk);
        let (first, content) = read(&file, 0, 1024);
        let overlapping = write(&file, 0, b'b', 1024);
        let mut trace = Trace::new(false);
        // Deliver the read alone, wherever it stands in the queue.
        while !first.finished() {
            let now = 1_000;
            disk.begin_step(now, &mut trace);
            disk.deliver(0);
            if overlapping.finished() {
                break;
            }
        }
        if overlapping.finished() {
            continue;
        }
        let before = content.recv().expect("read");
        seen.insert((before[0], before[512]));
        let stays = disk.content("file".as_ref()).unwrap();
        // The bytes that it took at its submission may be older than the present content.
        assert!([0, 512].iter().all(|&at| before[at] == b'a' || stays[at] == b'b'));
    }
    let all = [(b'a', b'a'), (b'a', b'b'), (b'b', b'a'), (b'b', b'b')];
    assert_eq!(seen, all.into_iter().collect());
}

#[test]
fn a_read_takes_each_sector_at_some_moment_between_its_submission_and_its_end() {
    let mut seen = std::collections::BTreeSet::new();
    for seed in 0..200 {
        let disk = disk(seed, &[]);
        let file = open(&disk);
        write(&file, 0, b'a', 1024);
        settle(&disk);
        let (read, content) = read(&file, 0, 1024);
        let written = write(&file, 0, b'b', 1024);
        while !written.finished() {
            disk.begin_step(1_000, &mut Trace::new(false));
            disk.deliver(0);
        }
        // Delivered first it tells nothing.
        if !read.finished() {
            settle(&disk);
            let bytes = content.recv().expect("read");
            seen.insert((bytes[0], bytes[512]));
        }
    }
    let all = [(b'a', b'a'), (b'a', b'b'), (b'b', b'a'), (b'b', b'b')];
    assert_eq!(seen, all.into_iter().collect());
}

/// The outcomes of two syncs, of which the second begins while the first runs.
fn syncs_that_meet(seed: u64, faults: &[(FaultKind, u32)]) -> [Outcome; 2] {
    let disk = disk(seed, faults);
    let file = open(&disk);
    write(&file, 0, b'a', 512);
    settle(&disk);
    let syncs = [sync(&file), sync(&file)];
    settle(&disk);
    syncs.map(|sync| sync.result().expect("settled"))
}

#[test]
fn a_sync_beside_which_another_begins_fails_more_often_and_alone() {
    let faults = [(FaultKind::SyncDropped, 10)];
    let failures =
        |index: usize| (0..400).filter(|&seed| syncs_that_meet(seed, &faults)[index].is_err()).count();
    assert!(failures(0) > 100 && failures(1) < 20, "{} and {}", failures(0), failures(1));
    assert!((0..400).all(|seed| syncs_that_meet(seed, &[])[0].is_ok()), "it is not to happen");
}

#[test]
fn syncs_take_as_long_as_they_are_said_to_until_faults_stop() {
    let due = |seed, calm| {
        let options = DiskOptions { max_delay: 4, max_sync_delay: 400, ..DiskOptions::default() };
        let disk = SimDisk::new(options, Source::Seed(seed).stream(Actor::DISK, false));
        let file = open(&disk);
        sync(&file);
        write(&file, 0, b'a', 512);
        disk.begin_step(4, &mut Trace::new(false));
        disk.set_calm(calm);
        sync(&file);
        disk.begin_step(8, &mut Trace::new(false)).due
    };
    let late = (0..50).filter(|&seed| due(seed, false) < 3).count();
    assert!(late > 20, "in {late} of 50 a sync is not due");
    assert!((0..50).all(|seed| due(seed, true) == 3));
}

#[test]
fn changes_count_when_they_have_ended_and_reads_do_not() {
    let disk = disk(1, &[]);
    let file = open(&disk);
    let changes = || disk.begin_step(0, &mut Trace::new(false)).changes;
    write(&file, 0, b'a', 512);
    sync(&file);
    assert_eq!(changes(), 0);
    settle(&disk);
    assert_eq!(changes(), 2);
    let _ = read(&file, 0, 512);
    settle(&disk);
    assert_eq!(changes(), 2);
}
