//! What a log brings back, whichever part of it is there, and what it refuses to lose.

mod flips;
#[path = "../pager_support/mod.rs"]
mod pager_support;

use std::collections::BTreeMap;

use pager_support::*;
use tenterhook_runtime::io::OperationKind;
use tenterhook_runtime::pager::{CheckpointMode, LogProblem, PagerError};

/// Bytes before the first frame and bytes of a frame, from the format's description.
const HEADERS: usize = 8192;
const FRAME: usize = 64 + 512;

/// A database whose log has several commits, and for each number of whole frames the commit that they end in.
struct Sample {
    database: Vec<u8>,
    log: Vec<u8>,
    /// Frames after each commit.
    ends: Vec<usize>,
    /// What pages 2 to 5 are filled with after each commit; 0 where the page is not there yet.
    states: Vec<[u8; 4]>,
}

impl Sample {
    fn new() -> Self {
        let disk = Disk::new();
        let pager = open(&disk, options()).expect("open");
        let mut sample = Self { database: Vec::new(), log: Vec::new(), ends: vec![0], states: vec![[0; 4]] };
        for fill in 1..=4u8 {
            add_page(&disk, &pager, fill);
            let mut state = sample.states[sample.states.len() - 1];
            state[fill as usize - 1] = fill;
            sample.ends.push(pager.audit().log_frames as usize);
            sample.states.push(state);
        }
        for fill in 10..13u8 {
            fill_pages(&disk, &pager, &[2, 3, 4, 5], fill).expect("commit");
            sample.ends.push(pager.audit().log_frames as usize);
            sample.states.push([fill; 4]);
        }
        sample.database = disk.bytes(db_path());
        sample.log = disk.bytes(log_path());
        assert_eq!(sample.log.len(), HEADERS + 16 * FRAME, "the constants of this test are the format's");
        sample
    }

    fn disk(&self, log: &[u8]) -> Disk {
        Disk::with_files(&[(db_path(), &self.database), (log_path(), log)])
    }

    /// Opens with this log; the number of the commit that was found, having checked that it is whole.
    fn recover(&self, log: &[u8]) -> Result<usize, PagerError> {
        let disk = self.disk(log);
        let pager = open(&disk, options())?;
        let commit = pager.commit_sequence() as usize;
        for (page, expected) in (2..).zip(self.states[commit]) {
            let found = read_fill(&disk, &pager, page);
            let absent = Err(PagerError::PageOutOfRange { page, page_count: pager.page_count() });
            assert_eq!(
                found,
                if expected == 0 { absent } else { Ok(expected) },
                "page {page} after commit {commit}"
            );
        }
        assert_sound(&disk, &pager);
        // It can be written to, and what is written survives.
        let page = add_page(&disk, &pager, 77);
        let again = disk.copy();
        let pager = open(&again, options()).expect("open again");
        assert_eq!(read_fill(&again, &pager, page), Ok(77));
        Ok(commit)
    }

    /// The last commit that ends within this many whole frames.
    fn commit_within(&self, frames: usize) -> usize {
        self.ends.iter().rposition(|end| *end <= frames).expect("the empty one does")
    }
}

#[test]
fn log_cut_off_anywhere_gives_the_last_commit_that_is_whole() {
    let sample = Sample::new();
    let mut lens: Vec<usize> = (0..16)
        .flat_map(|frame| [0, 1, 63, 64, 300, FRAME - 1].map(|at| HEADERS + frame * FRAME + at))
        .collect();
    lens.extend([0, 1, 40, 56, 4095, 4096, 4152, 8191, sample.log.len()]);
    for len in lens {
        let frames = len.saturating_sub(HEADERS) / FRAME;
        assert_eq!(sample.recover(&sample.log[..len]), Ok(sample.commit_within(frames)), "cut at byte {len}");
    }
}

#[test]
fn zeros_after_the_cut_change_nothing() {
    let sample = Sample::new();
    for frame in 0..=16 {
        let mut log = sample.log.clone();
        log[HEADERS + frame * FRAME..].fill(0);
        assert_eq!(sample.recover(&log), Ok(sample.commit_within(frame)), "zero from frame {frame} on");
    }
}

/// A flip in the last commit can't be told from a torn write, one further ahead can: a later frame says that the
/// commit was durable.
#[test]
fn flipped_bit_in_a_frame_is_a_torn_end_in_the_last_commit_and_an_error_before() {
    let sample = Sample::new();
    let last_begins = sample.ends[sample.ends.len() - 2];
    for frame in 0..16 {
        for at in [0, 8, 16, 24, 32, 40, 44, 48, 52, 56, 60, 64, 200, FRAME - 16, FRAME - 12, FRAME - 1] {
            let mut log = sample.log.clone();
            log[HEADERS + frame * FRAME + at] ^= 1;
            let recovered = sample.recover(&log);
            if frame >= last_begins {
                assert_eq!(recovered, Ok(sample.ends.len() - 2), "frame {frame} byte {at}");
                continue;
            }
            let whole = sample.commit_within(frame) as u64;
            let problem = LogProblem::LostCommit { durable: sample.ends.len() as u64 - 2, whole };
            let Err(PagerError::CorruptLog { frame: found, problem: told, .. }) = recovered else {
                panic!("frame {frame} byte {at}: {recovered:?}");
            };
            assert_eq!((found, told), (frame as u64, problem), "frame {frame} byte {at}");
        }
    }
}

#[test]
fn log_in_which_a_commit_was_lost_is_refused_and_stays_as_it_was() {
    let sample = Sample::new();
    let mut log = sample.log.clone();
    log[HEADERS + 2 * FRAME + 100] ^= 1;
    let disk = sample.disk(&log);
    assert!(matches!(open(&disk, options()), Err(PagerError::CorruptLog { frame: 2, .. })));
    assert_eq!((disk.bytes(log_path()), disk.bytes(db_path())), (log, sample.database));
}

#[test]
fn flipped_bit_in_the_logs_header_is_an_error_as_long_as_the_log_is_needed() {
    let sample = Sample::new();
    for at in 4096..4096 + 56 {
        let mut log = sample.log.clone();
        log[at] ^= 4;
        let recovered = sample.recover(&log);
        let Err(PagerError::CorruptLog { problem: LogProblem::Header, .. }) = recovered else {
            panic!("byte {at}: {recovered:?}");
        };
    }
}

/// The header in the other slot is whole, but of the generation before: what that lacks must not go unnoticed.
#[test]
fn flipped_bit_in_a_later_generations_header_is_an_error_too() {
    for commits in 1..4 {
        for frames_before in [0, 3] {
            let disk = Disk::new();
            let pager = open(&disk, options()).expect("open");
            let page = add_page(&disk, &pager, 1);
            for fill in 0..frames_before {
                fill_pages(&disk, &pager, &[page], fill).expect("commit");
            }
            checkpoint(&disk, &pager);
            for fill in 10..10 + commits {
                fill_pages(&disk, &pager, &[page], fill).expect("commit");
            }
            assert_eq!(pager.audit().log_frames, u64::from(commits), "the log was reset");
            let mut log = disk.bytes(log_path());
            log[20] ^= 1;
            let disk = Disk::with_files(&[(db_path(), &disk.bytes(db_path())), (log_path(), &log)]);
            let Err(PagerError::CorruptLog { problem: LogProblem::Header, .. }) = open(&disk, options())
            else {
                panic!("{commits} commits went unnoticed");
            };
        }
    }
}

#[test]
fn opening_that_found_no_commit_begins_a_generation_that_old_frames_do_not_fit() {
    let sample = Sample::new();
    // Two openings that find nothing: the slot of the first header is used again.
    let mut log = sample.log[..HEADERS].to_vec();
    for _ in 0..2 {
        let disk = sample.disk(&log);
        drop(open(&disk, options()).expect("open"));
        log = disk.bytes(log_path());
    }
    log.truncate(HEADERS);
    log.extend_from_slice(&sample.log[HEADERS..]);
    assert_eq!(sample.recover(&log), Ok(0));
}

/// Frames of a failed commit that stay behind a shorter one do not become part of the log, also when that shorter
/// one is followed by more.
#[test]
fn stale_frames_of_every_length_are_never_taken_for_a_continuation() {
    for stale in 1..8u32 {
        for fresh in 1..=stale {
            let disk = Disk::new();
            let pager = open(&disk, options()).expect("open");
            let pages: Vec<u32> = (0..8).map(|_| add_page(&disk, &pager, 1)).collect();
            let mut begin = pager.begin_write();
            let mut writer = run(&disk, || begin.step()).expect("begin");
            for page in &pages[..stale as usize] {
                run(&disk, || writer.page_mut(*page).map(|bytes| bytes.map(|bytes| bytes.fill(200))))
                    .expect("change");
            }
            disk.hold(true);
            let mut commit = writer.commit();
            assert!(commit.step().expect("begin").is_io());
            disk.fail_late(0, FAULT);
            drop(commit);
            disk.hold(false);
            fill_pages(&disk, &pager, &pages[..fresh as usize], 2).expect("commit");
            let disk = disk.copy();
            let pager = open(&disk, options()).expect("recover");
            assert_eq!(pager.commit_sequence(), 9);
            for (at, page) in pages.iter().enumerate() {
                let expected = if at < fresh as usize { 2 } else { 1 };
                assert_eq!(read_fill(&disk, &pager, *page), Ok(expected), "{stale} stale, {fresh} fresh");
            }
        }
    }
}

#[test]
fn power_loss_at_any_operation_of_commits_checkpoints_and_openings_gives_an_acknowledged_state() {
    let mut random = Numbers(1);
    let mut ended = 0;
    for stop_after in 0.. {
        let disk = Disk::new();
        disk.hold(true);
        let mut acknowledged = 0;
        let mut left = stop_after;
        let mut drive = |step: &mut dyn FnMut() -> bool| {
            while !step() {
                if left == 0 {
                    return false;
                }
                left -= 1;
                disk.release(0);
            }
            true
        };
        let finished = (|| {
            let mut opening = tenterhook_runtime::pager::Pager::open(
                std::sync::Arc::new(disk.clone()),
                db_path(),
                options(),
            );
            let mut pager = None;
            drive(&mut || {
                if let tenterhook_runtime::IOResult::Done(opened) = opening.step().expect("open") {
                    pager = Some(opened);
                }
                pager.is_some()
            })
            .then_some(())?;
            let pager = pager?;
            for round in 1..10u8 {
                let mut writer = pager.try_begin_write().expect("free");
                for _ in 0..round {
                    let page = match writer.allocate().expect("allocate") {
                        tenterhook_runtime::IOResult::Done(page) => page,
                        tenterhook_runtime::IOResult::IO(_) => panic!("nothing is free"),
                    };
                    drop(writer.page_mut(page).expect("change").map(|bytes| bytes.fill(round)));
                }
                let mut commit = writer.commit();
                drive(&mut || !commit.step().expect("commit").is_io()).then_some(())?;
                acknowledged = round;
                if round % 2 == 0 {
                    let mut checkpoint = pager.checkpoint(CheckpointMode::Passive);
                    drive(&mut || !checkpoint.step().expect("checkpoint").is_io()).then_some(())?;
                }
            }
            Some(())
        })()
        .is_some();
        for round in 0..20 {
            let disk = disk.after_power_loss(|| round == 1 || (round > 1 && random.one_in(2)));
            let pager = open(&disk, options()).unwrap_or_else(|error| panic!("after {stop_after}: {error}"));
            let found = pager.commit_sequence() as u8;
            assert!(
                found == acknowledged || found == acknowledged + 1,
                "{found} of {acknowledged} after {stop_after}"
            );
            let expected: Vec<u8> = (1..=found).flat_map(|round| vec![round; round.into()]).collect();
            let fills: Vec<u8> =
                (2..=pager.page_count()).map(|page| read_fill(&disk, &pager, page).expect("read")).collect();
            assert_eq!(fills, expected, "after {stop_after}");
            assert_sound(&disk, &pager);
        }
        if finished {
            ended = stop_after;
            break;
        }
    }
    assert!(ended > 30, "{ended} operations are too few to mean much");
}

/// Found by random runs: with only the header page in the file, one torn between commit 0 and the first checkpoint
/// looked like a file that was never finished, and a whole log beside it like one that was left over.
#[test]
fn header_page_torn_by_the_first_checkpoint_is_restored_from_the_log() {
    let disk = Disk::new();
    let pager = open(&disk, options_1k()).expect("open");
    let page = add_page(&disk, &pager, 5);
    disk.hold(true);
    let mut checkpoint = pager.checkpoint(CheckpointMode::Passive);
    while !disk
        .waiting()
        .iter()
        .any(|waiting| waiting.kind == OperationKind::Write && waiting.offset == 0 && !waiting.on_log)
    {
        assert!(checkpoint.step().expect("checkpoint").is_io());
        if disk.waiting()[0].offset != 0 {
            disk.release(0);
        }
    }
    disk.release(0);
    let mut sectors = 0;
    let torn = disk.after_power_loss(|| {
        sectors += 1;
        sectors == 4
    });
    assert_eq!(torn.bytes(db_path()).len(), 1024, "the header page's second sector and nothing else");
    let pager = open(&torn, options_1k()).expect("recover");
    assert_eq!(read_fill(&torn, &pager, page), Ok(5));
}

fn options_1k() -> tenterhook_runtime::pager::PagerOptions {
    tenterhook_runtime::pager::PagerOptions { page_size: 1024, ..options() }
}

#[test]
fn header_page_torn_anywhere_by_a_checkpoint_is_restored_from_the_log() {
    let disk = Disk::new();
    let pager = open(&disk, options()).expect("open");
    let pages = BTreeMap::from([(add_page(&disk, &pager, 5), 8), (add_page(&disk, &pager, 6), 6)]);
    checkpoint(&disk, &pager);
    let before = disk.bytes(db_path());
    fill_pages(&disk, &pager, &[2], 8).expect("commit");
    let log = disk.bytes(log_path());
    checkpoint(&disk, &pager);
    let after = disk.bytes(db_path());
    for tear in 0..512 {
        for (first, second) in [(&before, &after), (&after, &before)] {
            let mut torn = before.clone();
            torn[..tear].copy_from_slice(&first[..tear]);
            torn[tear..512].copy_from_slice(&second[tear..512]);
            let disk = Disk::with_files(&[(db_path(), &torn), (log_path(), &log)]);
            let pager = open(&disk, options()).unwrap_or_else(|error| panic!("torn at {tear}: {error}"));
            for (page, fill) in &pages {
                assert_eq!(read_fill(&disk, &pager, *page), Ok(*fill));
            }
        }
    }
}

#[test]
fn opening_cuts_the_log_off_behind_what_it_found() {
    let sample = Sample::new();
    let whole = HEADERS + sample.ends[5] * FRAME;
    for cut in [0, 1, FRAME, 3 * FRAME] {
        let disk = sample.disk(&sample.log[..whole + cut]);
        drop(open(&disk, options()).expect("open"));
        assert_eq!(disk.after_power_loss(|| false).bytes(log_path()), sample.log[..whole]);
    }
}

#[test]
fn openings_one_after_the_other_change_nothing() {
    let sample = Sample::new();
    let mut disk = sample.disk(&sample.log);
    for _ in 0..5 {
        let pager = open(&disk, options()).expect("open");
        assert_eq!(pager.commit_sequence(), 7);
        drop(pager);
        disk = disk.after_power_loss(|| false);
    }
    assert_eq!(disk.bytes(log_path()), sample.log);
}

/// Fuzzing found it: an opening began generation 1 after the last one there can be, and wrote its header over that one's,
/// in the same slot. The other slot's header, one generation older, counted from then on, and what had been committed
/// since was refused or gone. The log is now cut off before its generations begin again.
#[test]
fn generations_begin_again_after_the_last_one() {
    let Sample { mut database, .. } = Sample::new();
    let disk = Disk::with_files(&[(db_path(), &database)]);
    drop(open(&disk, options()).expect("without a log"));
    database = disk.bytes(db_path());
    let mut log = disk.bytes(log_path());
    let header = log[4096..4096 + 56].to_vec();
    for (slot, generation) in [(0, u32::MAX - 1), (4096, u32::MAX)] {
        let mut header = header.clone();
        header[40..44].copy_from_slice(&generation.to_le_bytes());
        let salt = xxhash_rust::xxh3::xxh3_64(&[&header[16..32], &header[40..44]].concat());
        header[32..40].copy_from_slice(&salt.to_le_bytes());
        let checksum = xxhash_rust::xxh3::xxh3_64(&header[..48]);
        header[48..].copy_from_slice(&checksum.to_le_bytes());
        log[slot..slot + 56].copy_from_slice(&header);
    }
    let disk = Disk::with_files(&[(db_path(), &database), (log_path(), &log)]);
    let pager = open(&disk, options()).expect("the log has a header and no commit");
    let page = add_page(&disk, &pager, 77);
    let disk = disk.copy();
    let pager = open(&disk, options()).expect("open again");
    assert_eq!(read_fill(&disk, &pager, page), Ok(77));
    assert_sound(&disk, &pager);
}

/// The rest of the slots for the log's headers, what follows the last whole frame, and what follows the last page.
#[test]
fn byte_that_no_checksum_covers_changes_nothing() {
    let sample = Sample::new();
    let newest = sample.states.len() - 1;
    let (mut log, mut database) = (sample.log.clone(), sample.database.clone());
    log.extend([0x5a; FRAME - 1]);
    database.extend([0x5a; 700]);
    let tail = sample.log.len()..log.len();
    let places = [56..4096, 4096 + 56..HEADERS, tail];
    // Each of the first bytes, where a field would be, some of the others, and all at once.
    for range in &places {
        for at in range.clone().take(64).chain(range.clone().step_by(331)) {
            let mut flipped = log.clone();
            flipped[at] ^= 0x10;
            assert_eq!(sample.recover(&flipped), Ok(newest), "byte {at} of the log");
        }
    }
    let mut flipped = log.clone();
    places.into_iter().flatten().for_each(|at| flipped[at] ^= 0xff);
    assert_eq!(sample.recover(&flipped), Ok(newest), "all of these bytes of the log");
    // Commit 0 has one page, so the rest of the file belongs to no commit.
    for at in (512..database.len()).step_by(93) {
        let mut flipped = database.clone();
        flipped[at] ^= 0x10;
        let with = Sample {
            database: flipped,
            log: sample.log.clone(),
            ends: Vec::new(),
            states: sample.states.clone(),
        };
        assert_eq!(with.recover(&sample.log), Ok(newest), "byte {at} of the database file");
    }
}
