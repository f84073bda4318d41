//! What every backend refuses, and how.

use std::io::ErrorKind;
use std::os::fd::AsRawFd;
use std::sync::Arc;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tenterhook_runtime::io::{Buffer, File, OpenOptions, Submission};
use tenterhook_runtime::{CompletionError, CompletionGroup};

use crate::rig::{DISK, Rig};

fn limit(resource: Resource, most: u64) {
    let maximum = getrlimit(resource).maximum;
    setrlimit(resource, Rlimit { current: Some(most), maximum }).expect("a lower limit");
}

pub(crate) fn refusals_name_the_file(rig: &Rig) {
    let refused = |name: &str, options| match rig.try_open(name, options) {
        Err(error) => error,
        Ok(_) => panic!("{name} was opened"),
    };
    let missing = refused("missing", OpenOptions::default());
    assert_eq!((missing.operation, missing.kind), ("open", ErrorKind::NotFound));
    assert_eq!(missing.path, Some(rig.path("missing")));
    assert!(missing.to_string().contains("missing"), "{missing}");
    let removed = rig.io().remove(&rig.path("missing")).unwrap_err();
    assert_eq!((removed.operation, removed.kind), ("remove", ErrorKind::NotFound));
    if rig.backend.is_real() {
        std::fs::create_dir(rig.path("folder")).unwrap();
        for options in [OpenOptions::default(), OpenOptions::creating()] {
            assert_eq!(refused("folder", options).kind, ErrorKind::IsADirectory);
        }
        assert_eq!(refused("no/such/folder", OpenOptions::creating()).kind, ErrorKind::NotFound);
        // Read-only for every user.
        let read_only = rig.io().open("/sys/kernel/uevent_seqnum".as_ref(), OpenOptions::default());
        assert_eq!(read_only.err().map(|error| error.kind), Some(ErrorKind::PermissionDenied));
    }
    rig.open("there");
    assert!(rig.io().exists(&rig.path("there")));
    rig.io().remove(&rig.path("there")).unwrap();
    assert!(!rig.io().exists(&rig.path("there")));
}

/// Broke once: on a pool of threads the signal that comes with the limit ended the process.
///
/// Writes into the limit, one operation and one piece of a group at a time: the error is reported, and nothing hangs.
pub(crate) fn disk_full(rig: &Rig) {
    if rig.backend.is_real() {
        limit(Resource::Fsize, DISK);
    }
    let file = rig.open("file");
    let start = |offset: u64| file.start(Submission::write(offset, Buffer::zeroed(8_192), |_, _| {}));
    assert_eq!(rig.wait(&start(DISK - 8_192)), Ok(8_192));
    assert_eq!(rig.wait(&start(DISK)), Err(CompletionError::NoSpace));
    // Half of it fits: a short write, and then the refusal.
    assert_eq!(rig.wait(&start(DISK - 4_096)), Err(CompletionError::NoSpace));
    assert_eq!(rig.wait(&file.start(Submission::truncate(DISK + 1, |_| {}))), Err(CompletionError::NoSpace));
    let mut group = CompletionGroup::drain(|_| {});
    [0, DISK, 8_192].map(start).iter().for_each(|write| group.add(write));
    assert_eq!(rig.wait(&group.build()), Err(CompletionError::NoSpace));
    let vectored = vec![Buffer::zeroed(4_096), Buffer::zeroed(4_096)];
    let write = file.start(Submission::write_vectored(DISK - 4_096, vectored, |_, _| {}));
    assert_eq!(rig.wait(&write), Err(CompletionError::NoSpace), "the second piece's error is the whole's");
    assert_eq!(file.len(), Ok(DISK));
    let options = OpenOptions { direct: true, ..OpenOptions::default() };
    let direct = rig.try_open("file", options).unwrap();
    assert_eq!(rig.write(&direct, DISK, &[0; 4_096]), Err(CompletionError::NoSpace));
}

/// Broke once: a file whose folder could not be synced was there, and the next opening answered well without a sync of the
/// folder. A power loss could then take the name away, and all that had been synced with it.
pub(crate) fn folder_sync_is_made_up_for(rig: &Rig) {
    if !rig.backend.is_real() {
        return assert!(!rig.io().exists(&rig.path("file")), "no folders here");
    }
    let spare = std::fs::File::open("/dev/null").unwrap();
    let lowest = u64::try_from(spare.as_raw_fd()).unwrap();
    drop(spare);
    // Room for the file, but not for its folder beside it.
    limit(Resource::Nofile, lowest + 1);
    for attempt in ["makes the file", "finds it"] {
        let error = rig.try_open("file", OpenOptions::creating()).err().expect("its folder can't be synced");
        assert_eq!((error.operation, error.os_code), ("sync", libc::EMFILE), "the one that {attempt}");
        assert!(rig.path("file").exists());
    }
    limit(Resource::Nofile, lowest + 8);
    drop(rig.open("file"));
    // A removal, too, is over when its folder has been synced. Broke once: the second one said that there is no such file.
    limit(Resource::Nofile, lowest);
    for attempt in ["removes the file", "finds none"] {
        let error = rig.io().remove(&rig.path("file")).expect_err("its folder can't be synced");
        assert_eq!((error.operation, error.os_code), ("sync", libc::EMFILE), "the one that {attempt}");
    }
    limit(Resource::Nofile, lowest + 8);
    assert_eq!(rig.io().remove(&rig.path("file")).unwrap_err().kind, ErrorKind::NotFound);
}

/// Where memory must not be locked, a ring is made anyway, or refused with an error.
pub(crate) fn no_memory_may_be_locked(rig: &Rig) {
    limit(Resource::Memlock, 0);
    let rig = Rig::new(rig.backend);
    let file = rig.open("file");
    assert_eq!(rig.write(&file, 0, b"weft"), Ok(4));
    assert_eq!(rig.read(&file, 0, 9), b"weft");
}

/// No more files can be opened; those that are open go on.
pub(crate) fn out_of_descriptors(rig: &Rig) {
    if !rig.backend.is_real() {
        return memory_has_no_descriptors(rig);
    }
    let file = rig.open("file");
    limit(Resource::Nofile, 64);
    let mut files: Vec<Arc<dyn File>> = Vec::new();
    let error = loop {
        match rig.try_open(&format!("file-{}", files.len()), OpenOptions::creating()) {
            Ok(file) => files.push(file),
            Err(error) => break error,
        }
        assert!(files.len() <= 64);
    };
    assert_eq!(error.os_code, libc::EMFILE);
    assert!(error.to_string().starts_with("cannot "), "{error}");
    assert_eq!(rig.write(&file, 0, b"weft"), Ok(4));
    drop(files);
    rig.open("again");
}

/// A thousand open files are nothing to it.
fn memory_has_no_descriptors(rig: &Rig) {
    let files: Vec<_> = (0..1_000).map(|number| rig.open(&number.to_string())).collect();
    assert_eq!(rig.write(&files[999], 0, b"weft"), Ok(4));
}
