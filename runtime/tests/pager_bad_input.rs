//! Files that are no pager's, not this pager's, or damaged: typed errors, and the data stay as they were.

mod pager_support;

use pager_support::*;
use tenterhook_runtime::pager::{
    CheckpointMode, IntegrityProblem, LogProblem, PageProblem, PagerError, PagerOptions,
};

/// A database with pages 2 to 5 in its file and an empty log.
fn sample() -> (Vec<u8>, Vec<u8>) {
    sample_of(options())
}

fn sample_of(options: PagerOptions) -> (Vec<u8>, Vec<u8>) {
    let disk = Disk::new();
    let pager = open(&disk, options).expect("open");
    for fill in 2..6 {
        add_page(&disk, &pager, fill);
    }
    let log = disk.bytes(log_path());
    checkpoint(&disk, &pager);
    (disk.bytes(db_path()), log)
}

/// The error of opening these files, which are the same afterwards.
fn refused(database: &[u8], log: Option<&[u8]>, options: PagerOptions) -> PagerError {
    let mut files = vec![(db_path(), database)];
    files.extend(log.map(|log| (log_path(), log)));
    let disk = Disk::with_files(&files);
    let error = open(&disk, options).expect_err("it must be refused");
    assert_eq!(disk.bytes(db_path()), database);
    assert_eq!(disk.bytes(log_path()), log.unwrap_or_default());
    let line = error.to_string();
    assert!(!line.contains('\n') && line.len() > 20, "{line}");
    error
}

#[test]
fn options_out_of_bounds_are_refused_before_any_file_is_touched() {
    let refusals = [
        ("page_size", PagerOptions { page_size: 1000, ..options() }),
        ("page_size", PagerOptions { page_size: 256, ..options() }),
        ("page_size", PagerOptions { page_size: 131_072, ..options() }),
        ("page_size", PagerOptions { page_size: 0, ..options() }),
        ("cache_pages", PagerOptions { cache_pages: 0, ..options() }),
        ("spill_pages", PagerOptions { spill_pages: 0, ..options() }),
        ("max_pages", PagerOptions { max_pages: 1, ..options() }),
    ];
    for (option, options) in refusals {
        let disk = Disk::new();
        let error = open(&disk, options).expect_err("out of bounds");
        assert!(matches!(error, PagerError::InvalidOptions { what, .. } if what == option), "{error}");
        assert!(!tenterhook_runtime::io::IO::exists(&disk, db_path()));
    }
}

#[test]
fn every_page_size_works() {
    for page_size in (9..=16).map(|bits| 1 << bits) {
        let disk = Disk::new();
        let options = PagerOptions { page_size, ..options() };
        let pager = open(&disk, options).expect("open");
        assert_eq!((pager.page_size(), pager.usable_size()), (page_size, page_size as usize - 16));
        let page = add_page(&disk, &pager, 9);
        checkpoint(&disk, &pager);
        fill_pages(&disk, &pager, &[page], 10).expect("commit");
        let disk = disk.copy();
        let pager = open(&disk, options).expect("open again");
        assert_eq!(read_fill(&disk, &pager, page), Ok(10));
        assert_sound(&disk, &pager);
    }
}

#[test]
fn file_that_is_no_pager_file_is_refused() {
    for content in [&b"Dear diary, today I opened a database"[..], &[0xff; 4096], &[7]] {
        let error = refused(content, None, options());
        assert!(
            matches!(error, PagerError::NotADatabase { len, .. } if len == content.len() as u64),
            "{error}"
        );
    }
}

#[test]
fn file_that_was_never_finished_is_created_again() {
    let disk = Disk::new();
    drop(open(&disk, options()).expect("open"));
    let fresh = disk.bytes(db_path());
    for len in [0, 1, 16, 100, 511, 512] {
        for image in [fresh[..len].to_vec(), vec![0; len], [vec![0; len], fresh[len..].to_vec()].concat()] {
            let disk = Disk::with_files(&[(db_path(), &image)]);
            let pager = open(&disk, options()).expect("created again");
            let page = add_page(&disk, &pager, 1);
            assert_eq!(read_fill(&disk, &pager, page), Ok(1));
        }
    }
}

#[test]
fn other_version_is_refused() {
    let (mut database, log) = sample();
    database[16] = 2;
    let error = refused(&database, Some(&log), options());
    assert!(matches!(error, PagerError::UnsupportedVersion { found: 2, supported: 1, .. }), "{error}");
}

#[test]
fn other_page_size_is_refused_with_the_right_one() {
    let (database, log) = sample();
    let error = refused(&database, Some(&log), PagerOptions { page_size: 1024, ..options() });
    assert!(matches!(error, PagerError::PageSizeMismatch { found: 512, asked: 1024, .. }), "{error}");
    let mut database = database;
    database[20..24].copy_from_slice(&1000u32.to_le_bytes());
    let error = refused(&database, Some(&log), options());
    let problem = PageProblem::Field { name: "page size", value: 1000 };
    assert!(
        matches!(&error, PagerError::CorruptHeader { problem: found, .. } if *found == problem),
        "{error}"
    );
}

#[test]
fn empty_database_beside_a_log_is_refused() {
    let (_, log) = sample();
    let error = refused(&[], Some(&log), options());
    assert!(
        matches!(error, PagerError::LogWithoutDatabase { len, .. } if len == log.len() as u64),
        "{error}"
    );
}

#[test]
fn log_of_another_database_is_refused() {
    let (database, _) = sample();
    let (_, log) = sample_of(PagerOptions { id_seed: 1, ..options() });
    let error = refused(&database, Some(&log), options());
    assert!(matches!(error, PagerError::ForeignLog { .. }), "{error}");
}

#[test]
fn log_that_the_database_file_has_overtaken_is_refused() {
    let disk = Disk::new();
    let pager = open(&disk, options()).expect("open");
    let page = add_page(&disk, &pager, 1);
    let old = disk.bytes(log_path());
    fill_pages(&disk, &pager, &[page], 2).expect("commit");
    checkpoint(&disk, &pager);
    let error = refused(&disk.bytes(db_path()), Some(&old), options());
    let problem = LogProblem::BehindDatabase { log: 1, database: 2 };
    assert!(matches!(&error, PagerError::CorruptLog { problem: found, .. } if *found == problem), "{error}");
}

#[test]
fn database_file_older_than_its_log_is_refused() {
    let disk = Disk::new();
    let pager = open(&disk, options()).expect("open");
    let page = add_page(&disk, &pager, 1);
    checkpoint(&disk, &pager);
    let old = disk.bytes(db_path());
    for fill in 2..4 {
        fill_pages(&disk, &pager, &[page], fill).expect("commit");
        checkpoint(&disk, &pager);
    }
    fill_pages(&disk, &pager, &[page], 4).expect("commit");
    let error = refused(&old, Some(&disk.bytes(log_path())), options());
    let problem = LogProblem::AheadOfDatabase { base: 3, database: 1 };
    assert!(matches!(&error, PagerError::CorruptLog { problem: found, .. } if *found == problem), "{error}");
}

#[test]
fn database_file_that_lacks_pages_is_refused() {
    let (database, log) = sample();
    for len in [512, 1024, database.len() - 1] {
        let error = refused(&database[..len], None, options());
        let first_missing = (len / 512 + 1) as u32;
        assert!(
            matches!(error, PagerError::Truncated { page, page_count: 5, .. } if page == first_missing),
            "{error}"
        );
        // With the log beside it nothing is missing.
        let disk = Disk::with_files(&[(db_path(), &database[..len]), (log_path(), &log)]);
        let pager = open(&disk, options()).expect("the log has the pages");
        assert_eq!(read_fill(&disk, &pager, 5), Ok(5));
    }
}

#[test]
fn every_flipped_bit_of_the_header_page_is_noticed() {
    let (database, _) = sample();
    for at in 0..512 {
        let mut damaged = database.clone();
        damaged[at] ^= 1 << (at % 8);
        refused(&damaged, None, options());
    }
}

#[test]
fn every_flipped_bit_of_a_page_is_noticed_by_its_reader_and_by_the_integrity_check() {
    let (database, _) = sample();
    for at in 512..1024 {
        let mut damaged = database.clone();
        damaged[at] ^= 1 << (at % 8);
        let disk = Disk::with_files(&[(db_path(), &damaged)]);
        let pager = open(&disk, options()).expect("open");
        let error = read_fill(&disk, &pager, 2).expect_err("damaged");
        let PagerError::Corrupt { page: 2, problem: PageProblem::Checksum { .. }, .. } = error else {
            panic!("byte {at}: {error}");
        };
        assert_eq!(read_fill(&disk, &pager, 3), Ok(3));
        let mut check = pager.check_integrity();
        let report = run(&disk, || check.step()).expect("check");
        assert_eq!(report.problems, [IntegrityProblem::Damaged(error)]);
    }
}

#[test]
fn page_in_the_place_of_another_is_noticed() {
    let (mut database, _) = sample();
    database.copy_within(512..1024, 1024);
    let disk = Disk::with_files(&[(db_path(), &database)]);
    let pager = open(&disk, options()).expect("open");
    let error = read_fill(&disk, &pager, 3).expect_err("misplaced");
    assert!(
        matches!(error, PagerError::Corrupt { page: 3, problem: PageProblem::Misplaced { found: 2 }, .. }),
        "{error}"
    );
}

#[test]
fn page_of_another_database_is_noticed() {
    let (mut database, _) = sample();
    let (other, _) = sample_of(PagerOptions { id_seed: 1, ..options() });
    database[512..1024].copy_from_slice(&other[512..1024]);
    let disk = Disk::with_files(&[(db_path(), &database)]);
    let pager = open(&disk, options()).expect("open");
    let error = read_fill(&disk, &pager, 2).expect_err("foreign");
    assert!(
        matches!(error, PagerError::Corrupt { page: 2, problem: PageProblem::Checksum { .. }, .. }),
        "{error}"
    );
}

#[test]
fn damaged_frame_is_noticed_by_reader_and_checkpoint_and_does_not_reach_the_database_file() {
    let disk = Disk::new();
    let options = PagerOptions { cache_pages: 1, ..options() };
    let pager = open(&disk, options).expect("open");
    let pages = [add_page(&disk, &pager, 1), add_page(&disk, &pager, 2)];
    let before = disk.bytes(db_path());
    // Page 2's frame is the first; it fell out of the cache when page 3 came.
    disk.damage(log_path(), 8192 + 64 + 17);
    let error = read_fill(&disk, &pager, pages[0]).expect_err("damaged");
    assert!(matches!(error, PagerError::Corrupt { page: 2, .. }), "{error}");
    let mut checkpoint = pager.checkpoint(CheckpointMode::Passive);
    assert_eq!(run(&disk, || checkpoint.step()).expect_err("damaged"), error);
    assert_eq!(disk.bytes(db_path()), before);
    assert!(pager.audit().is_idle());
}

#[test]
fn freelist_that_leads_astray_is_reported_and_not_followed() {
    let disk = Disk::new();
    let pager = open(&disk, options()).expect("open");
    for fill in 2..8 {
        add_page(&disk, &pager, fill);
    }
    let free = |pages: &[u32]| {
        let mut writer = pager.try_begin_write().expect("free");
        for page in pages {
            run(&disk, || writer.free(*page)).expect("free");
        }
        let mut commit = writer.commit();
        run(&disk, || commit.step()).expect("commit");
        checkpoint(&disk, &pager);
    };
    free(&[3]);
    let older = disk.bytes(db_path());
    free(&[5, 6]);
    let newest = disk.bytes(db_path());
    // Page 6 leads to 5, that to 3. Pages of an older state in the place of the newest ones are whole, but not true.
    let with_older = |pages: &[usize]| {
        let mut mixed = newest.clone();
        for page in pages {
            let range = (page - 1) * 512..page * 512;
            mixed[range.clone()].copy_from_slice(&older[range]);
        }
        mixed
    };
    let check = |database: &[u8]| {
        let disk = Disk::with_files(&[(db_path(), database)]);
        let pager = open(&disk, options()).expect("open");
        let mut check = pager.check_integrity();
        run(&disk, || check.step()).expect("check").problems
    };
    assert_eq!(check(&newest), []);
    assert_eq!(check(&with_older(&[5])), [IntegrityProblem::FreeButInUse { page: 5 }]);
    assert_eq!(
        check(&with_older(&[1])),
        [
            IntegrityProblem::Damaged(PagerError::Corrupt {
                page: 5,
                place: tenterhook_runtime::pager::PagePlace::Database,
                problem: PageProblem::FromTheFuture { sequence: 8, snapshot: 7 }
            }),
            IntegrityProblem::Damaged(PagerError::Corrupt {
                page: 6,
                place: tenterhook_runtime::pager::PagePlace::Database,
                problem: PageProblem::FromTheFuture { sequence: 8, snapshot: 7 }
            }),
        ]
    );
    let disk = Disk::with_files(&[(db_path(), &with_older(&[1]))]);
    let error =
        read_fill(&disk, &open(&disk, options()).expect("open"), 5).expect_err("newer than the snapshot");
    let problem = PageProblem::FromTheFuture { sequence: 8, snapshot: 7 };
    assert!(
        matches!(&error, PagerError::Corrupt { page: 5, problem: found, .. } if *found == problem),
        "{error}"
    );
    let disk = Disk::with_files(&[(db_path(), &with_older(&[6]))]);
    let pager = open(&disk, options()).expect("open");
    let mut writer = pager.try_begin_write().expect("free");
    let error = run(&disk, || writer.allocate()).expect_err("page 6 is in use");
    assert_eq!(error, PagerError::CorruptFreelist { page: 6, page_count: 7 });
}

/// Whatever the bytes are: an error, or a pager that answers; never a panic, never a hang.
#[test]
fn mangled_files_open_or_are_refused_but_nothing_panics() {
    let mut random = Numbers(5);
    let disk = Disk::new();
    let pager = open(&disk, options()).expect("open");
    for fill in 2..12 {
        add_page(&disk, &pager, fill);
    }
    checkpoint(&disk, &pager);
    let mut writer = pager.try_begin_write().expect("free");
    run(&disk, || writer.free(4)).expect("free");
    run(&disk, || writer.free(7)).expect("free");
    let mut commit = writer.commit();
    run(&disk, || commit.step()).expect("commit");
    fill_pages(&disk, &pager, &[2, 3], 9).expect("commit");
    let originals = [disk.bytes(db_path()), disk.bytes(log_path())];
    let mut opened = 0;
    for _ in 0..3000 {
        let [database, log] = originals.clone().map(|mut bytes| {
            for _ in 0..random.below(4) {
                let (at, other) = (random.below(bytes.len()), random.below(bytes.len()));
                match random.below(5) {
                    0 => bytes[at] ^= 1 << random.below(8),
                    1 => bytes[at] = random.next() as u8,
                    2 => bytes.truncate(at),
                    3 => bytes[at.min(other)..at.max(other)].fill(0),
                    _ => {
                        let len = random.below(1024).min(bytes.len() - at.max(other));
                        bytes.copy_within(at..at + len, other);
                    }
                }
                if bytes.is_empty() {
                    bytes.push(0);
                }
            }
            bytes
        });
        let disk = Disk::with_files(&[(db_path(), &database), (log_path(), &log)]);
        match open(&disk, options()) {
            Err(error) => assert!(!error.to_string().contains('\n')),
            Ok(pager) => {
                opened += 1;
                for page in 0..15 {
                    let mut reader = pager.begin_read().expect("begin");
                    let _ = run(&disk, || reader.page(page));
                }
                let mut check = pager.check_integrity();
                run(&disk, || check.step()).expect("damage is no error of the check");
                let mut writer = pager.try_begin_write().expect("free");
                for _ in 0..4 {
                    let _ = run(&disk, || writer.allocate());
                }
                let mut commit = writer.commit();
                let _ = run(&disk, || commit.step());
                let mut checkpoint = pager.checkpoint(CheckpointMode::Passive);
                let _ = run(&disk, || checkpoint.step());
            }
        }
    }
    assert!((100..2900).contains(&opened), "{opened} of 3000 opened");
}
