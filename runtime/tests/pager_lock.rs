//! One pager at a time has a file, on every backend.

use std::path::Path;
use std::sync::Arc;

use tenterhook_runtime::IOResult;
use tenterhook_runtime::io::{Backend, IO, MemoryIO, YieldingIO, drive};
use tenterhook_runtime::pager::{Pager, PagerError, PagerOptions};

fn open(io: &Arc<dyn IO>, path: &Path) -> Result<Arc<Pager>, PagerError> {
    let mut open = Pager::open(Arc::clone(io), path, PagerOptions::default());
    drive(&**io, || open.step())
}

fn commit(io: &Arc<dyn IO>, pager: &Arc<Pager>, fill: u8) {
    let mut writer = pager.try_begin_write().expect("free");
    let page = drive(&**io, || writer.allocate()).expect("allocate");
    drive(&**io, || writer.page_mut(page).map(|bytes| bytes.map(|bytes| bytes.fill(fill)))).expect("change");
    let mut commit = writer.commit();
    drive(&**io, || commit.step()).expect("commit");
}

/// Broke: two pagers on one file each began its log where the other had, and the commits of one of them were gone in silence.
/// Fixed by a lock on both files.
#[test]
fn second_pager_on_a_file_is_refused_and_told_who_has_it() {
    for backend in [Backend::Memory, Backend::Threads, Backend::Uring] {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("test.db");
        let io = backend.start().expect("starts").io;
        let first = open(&io, &path).expect("the file is free");
        commit(&io, &first, 1);
        let holder = (backend != Backend::Memory).then(std::process::id);
        let refused = open(&io, &path).expect_err("the first has it");
        assert_eq!(refused, PagerError::Locked { path: path.as_path().into(), holder });
        let text = match holder {
            Some(process) => {
                format!("{} is open in process {process}: one pager at a time may have it", path.display())
            }
            None => format!("{} is open in another pager: one at a time may have it", path.display()),
        };
        assert_eq!(refused.to_string(), text);
        commit(&io, &first, 2);
        drop(first);
        let second = open(&io, &path).expect("it was closed");
        assert_eq!(second.commit_sequence(), 2);
    }
}

/// It is the file that is locked, and not its name.
#[test]
fn second_name_of_a_file_is_no_way_round() {
    let folder = tempfile::tempdir().expect("a folder");
    let io = Backend::Threads.start().expect("starts").io;
    let _first = open(&io, &folder.path().join("test.db")).expect("the file is free");
    let other = folder.path().join("other.db");
    std::fs::hard_link(folder.path().join("test.db"), &other).expect("a link");
    assert!(matches!(open(&io, &other), Err(PagerError::Locked { .. })));
}

/// The log is locked, too: what a dropped pager has left under way may be on either file.
#[test]
fn dropped_pager_has_the_file_until_its_write_has_ended() {
    let io = Arc::new(YieldingIO::new());
    let path = Path::new("test.db");
    let mut open = Pager::open(io.clone(), path, PagerOptions::default());
    let pager = loop {
        match open.step().expect("open") {
            IOResult::Done(pager) => break pager,
            IOResult::IO(_) => io.release_all(),
        }
    };
    let mut writer = pager.try_begin_write().expect("free");
    assert!(!writer.allocate().expect("no fault").is_io());
    let mut commit = writer.commit();
    assert!(commit.step().expect("no fault").is_io());
    assert!(commit.is_submitted());
    drop((open, commit, pager));
    assert_eq!(io.deferred().len(), 1, "the write of the frames");
    let mut second = Pager::open(io.clone(), path, PagerOptions::default());
    let refused = loop {
        match second.step() {
            Err(refused) => break refused,
            // The header page has to be read first; the write stays where it is.
            Ok(IOResult::IO(_)) => io.release(1),
            Ok(IOResult::Done(_)) => panic!("two pagers"),
        }
    };
    assert_eq!(refused, PagerError::Locked { path: Path::new("test.db-wal").into(), holder: None });
    io.release_all();
    let mut third = Pager::open(io.clone(), path, PagerOptions::default());
    while third.step().expect("all of it has ended").is_io() {
        io.release_all();
    }
}

#[test]
fn opening_that_is_dropped_half_way_leaves_the_file_to_the_next() {
    let io: Arc<dyn IO> = Arc::new(MemoryIO::new());
    let path = Path::new("test.db");
    commit(&io, &open(&io, path).expect("open"), 1);
    let mut half = Pager::open(Arc::clone(&io), path, PagerOptions::default());
    assert!(half.step().expect("no fault").is_io());
    assert!(matches!(open(&io, path), Err(PagerError::Locked { .. })));
    drop(half);
    while io.step().expect("memory") > 0 {}
    assert_eq!(open(&io, path).map(|pager| pager.commit_sequence()), Ok(1));
}
